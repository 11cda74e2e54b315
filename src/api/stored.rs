//! Stored: what is read of a stored slice in the API server's answer to a write.

use std::collections::HashMap;

use serde::Deserialize;

use super::field::or_default;
use crate::model::slice::{MANAGED_BY, SERVICE_NAME, Slice};

/// A slice as it is stored.
#[derive(Clone, PartialEq, Deserialize, prost::Message)]
pub struct Stored {
    #[prost(message, required, tag = "1")]
    metadata: Metadata,
    #[prost(message, repeated, tag = "2")]
    #[serde(default, deserialize_with = "or_default")]
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[prost(string, tag = "6")]
    resource_version: String,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
struct Endpoint {
    #[prost(message, optional, tag = "8")]
    #[serde(default)]
    hints: Option<Hints>,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase")]
struct Hints {
    #[prost(message, repeated, tag = "2")]
    #[serde(default, deserialize_with = "or_default")]
    for_nodes: Vec<Node>,
}

/// A node, whichever it is.
#[derive(Clone, Copy, PartialEq, Deserialize, prost::Message)]
struct Node {}

impl Stored {
    /// Its version as a number.
    pub fn version(&self) -> Option<u64> {
        self.metadata.resource_version.parse().ok()
    }

    /// Whether there is any hint for a node. An API server drops all of a slice or none
    /// (docs/semantics.md 5.4), so a server that drops single ones is not meant.
    pub fn has_node_hints(&self) -> bool {
        let mut hints = self.endpoints.iter().filter_map(|endpoint| endpoint.hints.as_ref());
        hints.any(|hints| !hints.for_nodes.is_empty())
    }
}

/// What is read of a slice that exists where a new one was to be created.
#[derive(Clone, PartialEq, Deserialize, prost::Message)]
pub struct Found {
    #[prost(message, required, tag = "1")]
    metadata: FoundMetadata,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase")]
struct FoundMetadata {
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(map = "string, string", tag = "11")]
    #[serde(default)]
    labels: HashMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    #[serde(default, deserialize_with = "or_default")]
    owner_references: Vec<FoundOwner>,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
struct FoundOwner {
    #[prost(string, tag = "4")]
    uid: String,
}

impl Found {
    /// Its version as a number.
    pub fn version(&self) -> Option<u64> {
        self.metadata.resource_version.parse().ok()
    }

    /// Whether it belongs to the same Service as `slice` and is managed for it, so that the watch
    /// will show it as one of its slices. Another client may have given it to another Service.
    pub fn is_for_the_same(&self, slice: &Slice) -> bool {
        let is_same = |label: &str| {
            let own = slice.meta.labels.get(label);
            own.is_some_and(|own| self.metadata.labels.get(label).is_some_and(|it| **it == **own))
        };
        let owners = &self.metadata.owner_references;
        let mut own = slice.meta.owners.iter().map(|owner| String::from(&owner.uid));
        is_same(MANAGED_BY)
            && is_same(SERVICE_NAME)
            && own.any(|uid| owners.iter().any(|owner| owner.uid == uid))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{Object, frame::Encoding, render},
        model::slice::{CONTROLLER, Slice},
    };

    #[test]
    fn whose_a_slice_is_in_either_encoding() {
        let slice = |manager: &str, service: &str, uid: &str| {
            let slice = json!({
                "metadata": {"name": "a", "namespace": "b", "resourceVersion": "12",
                    "labels": {MANAGED_BY: manager, SERVICE_NAME: service}, "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Service", "name": "a", "uid": uid}]},
                "addressType": "IPv4", "ports": null, "endpoints": null});
            let read: Object<Slice> = serde_json::from_value(slice.clone()).unwrap();
            (slice, read.value)
        };
        let own = slice(CONTROLLER, "a", "u1").1;
        for (manager, service, uid, expected) in [
            (CONTROLLER, "a", "u1", true),
            (CONTROLLER, "a", "u2", false),
            (CONTROLLER, "b", "u1", false),
            ("example.com/other", "a", "u1", false),
        ] {
            let (json, read) = slice(manager, service, uid);
            let protobuf = render::body(&read, Encoding::Protobuf).unwrap();
            let protobuf: Found = Encoding::Protobuf.object(protobuf.into()).unwrap();
            for found in [serde_json::from_value(json).unwrap(), protobuf] {
                assert_eq!((found.version(), found.is_for_the_same(&own)), (Some(12), expected));
            }
        }
        let bare = json!({"metadata": {"resourceVersion": "12"}});
        assert!(!serde_json::from_value::<Found>(bare).unwrap().is_for_the_same(&own));
    }

    #[test]
    fn version_and_hints_in_either_encoding() {
        for (hints, is_hinted) in [
            (json!(null), false),
            (json!({"forZones": [{"name": "a"}]}), false),
            (json!({"forZones": [{"name": "a"}], "forNodes": [{"name": "n"}]}), true),
        ] {
            let slice = json!({
                "metadata": {"name": "a", "namespace": "b", "resourceVersion": "12"},
                "addressType": "IPv4", "ports": null,
                "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "hints": hints}]});
            let json: Stored = serde_json::from_value(slice.clone()).unwrap();
            let slice: Object<Slice> = serde_json::from_value(slice).unwrap();
            let sent = render::body(&slice.value, Encoding::Protobuf).unwrap();
            let protobuf = Encoding::Protobuf.object(sent.into()).unwrap();
            for stored in [json, protobuf] {
                assert_eq!((stored.version(), stored.has_node_hints()), (Some(12), is_hinted));
            }
        }
        let none = json!({"metadata": {"resourceVersion": "12"}, "endpoints": null});
        assert!(!serde_json::from_value::<Stored>(none).unwrap().has_node_hints());
    }
}
