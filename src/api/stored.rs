//! Stored: what is read of a stored slice in the API server's answer to a write.

use serde::Deserialize;

use super::field::or_default;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{Object, frame::Encoding, render},
        model::slice::Slice,
    };

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
