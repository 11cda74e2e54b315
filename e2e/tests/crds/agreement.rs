//! Agreement: what the API server says about an object, and what closehaul says about it in a file.

use closehaul::{
    api::{Kind, Object},
    model::policy::{
        ClusterLocalityPolicy, Evacuation, LocalityPolicy, PolicySpec, Reading, ServiceFilter,
        ZoneEvacuation,
    },
    model::selector::Selector,
};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

/// One of closehaul's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Namespaced,
    Cluster,
    Evacuation,
}

/// What is read of an object, without its metadata.
#[derive(Debug, PartialEq)]
pub struct Read {
    policy: Option<Reading<PolicySpec>>,
    evacuation: Option<Reading<Evacuation>>,
    services: ServiceFilter,
    namespaces: Option<Selector>,
}

/// What both say about an object.
#[derive(Debug)]
pub struct Said {
    /// The API server, with the object as it would be stored.
    pub server: Result<Value, String>,
    /// closehaul, about the file.
    pub file: Result<Read, String>,
}

impl Which {
    fn path(self) -> String {
        let group = "/apis/closehaul.io/v1alpha1";
        match self {
            Self::Namespaced => format!("{group}/namespaces/default/{}", LocalityPolicy::PLURAL),
            Self::Cluster => format!("{group}/{}", ClusterLocalityPolicy::PLURAL),
            Self::Evacuation => format!("{group}/{}", ZoneEvacuation::PLURAL),
        }
    }

    /// An object with this spec, or without any for null.
    pub fn object(self, spec: &Value) -> Value {
        let (kind, namespace) = match self {
            Self::Namespaced => (LocalityPolicy::KIND, json!("default")),
            Self::Cluster => (ClusterLocalityPolicy::KIND, Value::Null),
            Self::Evacuation => (ZoneEvacuation::KIND, Value::Null),
        };
        let metadata = json!({"name": "a", "namespace": namespace});
        json!({"apiVersion": "closehaul.io/v1alpha1", "kind": kind, "metadata": metadata,
               "spec": spec})
    }

    /// What closehaul reads of an object.
    pub fn read(self, object: Value) -> Result<Read, String> {
        fn of<T: Kind>(object: Value) -> Result<T, String> {
            let read = serde_json::from_value::<Object<T>>(object);
            read.map(|it| it.value).map_err(|error| error.to_string())
        }
        Ok(match self {
            Self::Namespaced => {
                let LocalityPolicy { services, spec, .. } = of(object)?;
                Read { policy: Some(spec), evacuation: None, services, namespaces: None }
            }
            Self::Cluster => {
                let ClusterLocalityPolicy { services, namespaces, spec, .. } = of(object)?;
                Read { policy: Some(spec), evacuation: None, services, namespaces }
            }
            Self::Evacuation => {
                let ZoneEvacuation { services, namespaces, spec, .. } = of(object)?;
                Read { policy: None, evacuation: Some(spec), services, namespaces }
            }
        })
    }

    /// What both say about an object with this spec. As kubectl does, it rejects unknown fields.
    pub async fn said(self, client: &Client, spec: &Value) -> Said {
        let object = self.object(spec);
        let uri = format!("{}?dryRun=All&fieldValidation=Strict", self.path());
        let request = Request::post(uri).header("Content-Type", "application/json");
        let request = request.body(serde_json::to_vec(&object).unwrap()).unwrap();
        let server = match client.request::<Value>(request).await {
            Ok(stored) => Ok(stored),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(error) => panic!("{spec}: {error}"),
        };
        Said { server, file: self.read(object) }
    }
}

impl Said {
    /// Both reject it, or both read the same in it, with the defaults of the schema or without.
    #[track_caller]
    pub fn agree(&self, which: Which, spec: &Value) {
        match (&self.server, &self.file) {
            (Err(_), Err(_)) => {}
            (Ok(stored), Ok(file)) => {
                assert_eq!(which.read(stored.clone()).as_ref(), Ok(file), "{spec}");
            }
            _ => panic!("{which:?} {spec}: {self:#?}"),
        }
    }
}
