//! Stage: a control plane with the policies in force, and writes by its clients.

use std::{collections::BTreeMap, time::Duration};

use closehaul::admission::objects;
use e2e::{
    cluster::{Actor, Cluster, Options},
    scrape,
    world::until,
};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use crate::notation::{endpoint, slice};

const SETTLE: Duration = Duration::from_secs(60);
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

pub struct Stage {
    pub cluster: Cluster,
}

impl Stage {
    /// A control plane with the policies in force, where closehaul may also patch slices, as in mode
    /// assist.
    pub async fn start() -> Self {
        let stage = Self { cluster: Cluster::start(Options::default()).await.unwrap() };
        let may =
            "create clusterrole assist --verb=patch --resource=endpointslices.discovery.k8s.io";
        let is = "create clusterrolebinding assist --clusterrole=assist \
                  --serviceaccount=kube-system:closehaul";
        for command in [may, is] {
            let args: Vec<&str> = command.split_whitespace().collect();
            stage.cluster.kubectl(&args).await.unwrap().success().unwrap();
        }
        stage.install().await;
        stage
    }

    /// Installs the policies, and waits until they are in force.
    pub async fn install(&self) {
        let file = self.cluster.directory().join("admission.json");
        let list = json!({
            "apiVersion": "v1", "kind": "List", "items": objects(Actor::Closehaul.user()),
        });
        std::fs::write(&file, list.to_string()).unwrap();
        let args = ["apply", "-f", &file.display().to_string()];
        let applied = self.cluster.kubectl(&args).await.unwrap();
        assert_eq!(applied.stderr, "", "a warning");
        assert_eq!(applied.success().unwrap().lines().count(), 4);
        let probe = slice("probe", Some("a=b"), json!([endpoint("p1 a - -")]));
        self.create(&slice("probe", Some("a=b"), json!([]))).await.unwrap();
        let hinted = until("the mutating policy", SETTLE, async || {
            let stored = self.send(Actor::Admin, "PUT", "probe?dryRun=All", &probe).await.unwrap();
            Ok(stored["endpoints"][0]["hints"].is_object().then_some(()))
        });
        hinted.await.unwrap();
        let mut moved = slice("probe", Some("a=b"), json!([]));
        moved["ports"][0]["port"] = json!(8081);
        let refused = until("the validating policy", SETTLE, async || {
            let answer = self.send(Actor::Closehaul, "PUT", "probe?dryRun=All", &moved).await;
            Ok(answer.is_err().then_some(()))
        });
        refused.await.unwrap();
        let allowed = until("the permission to patch", SETTLE, async || {
            let answer = self.send(Actor::Closehaul, "PATCH", "probe?dryRun=All", &json!([])).await;
            Ok(answer.is_ok().then_some(()))
        });
        allowed.await.unwrap();
        self.delete("probe").await;
    }

    /// Creates a slice as the built-in controller does.
    pub async fn create(&self, slice: &Value) -> Result<Value, String> {
        self.send(Actor::ControllerManager, "POST", "", slice).await
    }

    /// Replaces a slice.
    pub async fn put(&self, who: Actor, slice: &Value) -> Result<Value, String> {
        self.send(who, "PUT", slice["metadata"]["name"].as_str().unwrap(), slice).await
    }

    /// Patches a slice as closehaul does, by JSON Patch.
    pub async fn patch(&self, who: Actor, name: &str, patch: &Value) -> Result<Value, String> {
        self.send(who, "PATCH", name, patch).await
    }

    pub async fn get(&self, name: &str) -> Value {
        self.send(Actor::Admin, "GET", name, &Value::Null).await.unwrap()
    }

    pub async fn delete(&self, name: &str) {
        self.send(Actor::Admin, "DELETE", name, &Value::Null).await.unwrap();
    }

    /// Sends a request about the slice of this name, with the query that may follow it.
    pub async fn send(
        &self,
        who: Actor,
        method: &str,
        name: &str,
        body: &Value,
    ) -> Result<Value, String> {
        // The same manager of fields for all, so that a write without effect is one.
        let (name, query) = name.split_once('?').unwrap_or((name, ""));
        let manager = if method == "GET" { "" } else { "fieldManager=test" };
        let uri = format!("{SLICES}/{name}?{manager}&{query}");
        let media = match method {
            "PATCH" => "application/json-patch+json",
            _ => "application/json",
        };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(uri.replace("/?", "?"));
        let request = request.header("Content-Type", media).body(body).unwrap();
        match self.client(who).request::<Value>(request).await {
            Ok(stored) => Ok(stored),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(error) => panic!("{method} {name}: {error}"),
        }
    }

    pub fn client(&self, who: Actor) -> Client {
        self.cluster.client(who).unwrap()
    }

    /// How often the evaluation of the mutating policy has failed, by the API server's own count.
    pub async fn failures(&self) -> BTreeMap<String, f64> {
        let scraped = scrape::scrape(&self.client(Actor::Admin)).await.unwrap();
        let failed = |series: &str| {
            series.contains("closehaul-")
                && (series
                    .starts_with("apiserver_admission_match_condition_evaluation_errors_total")
                    || series.starts_with("apiserver_mutating_admission_policy_check_total")
                        && !series.contains("error_type=\"no_error\""))
        };
        scraped.series.into_iter().filter(|(series, _)| failed(series)).collect()
    }
}
