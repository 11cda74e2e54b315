//! Where an object is in the API.

use std::fmt;

use serde_json::Value;

use super::Error;

/// A kind of object that worlds consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `v1`
    Namespace,
    /// `v1`
    Node,
    /// `v1`
    Pod,
    /// `v1`
    Service,
    /// `discovery.k8s.io/v1`, `EndpointSlice`
    Slice,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Namespace, Self::Node, Self::Pod, Self::Service, Self::Slice];

    fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::Slice => "EndpointSlice",
        }
    }

    /// The path of all objects of the kind, in all namespaces or in one.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        let (group, plural) = match self {
            Self::Namespace => ("/api/v1", "namespaces"),
            Self::Node => ("/api/v1", "nodes"),
            Self::Pod => ("/api/v1", "pods"),
            Self::Service => ("/api/v1", "services"),
            Self::Slice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
        };
        namespace.map_or_else(
            || format!("{group}/{plural}"),
            |namespace| format!("{group}/namespaces/{namespace}/{plural}"),
        )
    }
}

/// One object's place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for nodes and namespaces.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Place {
    /// A place in a namespace.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: Some(namespace.to_owned()), name: name.to_owned() }
    }

    /// A node's place.
    pub fn node(name: &str) -> Self {
        Self { kind: Kind::Node, namespace: None, name: name.to_owned() }
    }

    /// The place of `object`, which must have a `kind`.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] without a known kind and a name.
    pub fn of(object: &Value) -> Result<Self, Error> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        let kind = Kind::ALL.into_iter().find(|kind| text("/kind") == Some(kind.name()));
        match (kind, text("/metadata/name")) {
            (Some(kind), Some(name)) => {
                let namespace = text("/metadata/namespace").map(str::to_owned);
                Ok(Self { kind, namespace, name: name.to_owned() })
            }
            _ => Err(Error::Object(object.to_string())),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.kind.path(self.namespace.as_deref()), self.name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        match namespace {
            Some(namespace) => write!(out, "{} {namespace}/{name}", kind.name()),
            None => write!(out, "{} {name}", kind.name()),
        }
    }
}
