//! Node, decoded.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de::Visitor};

use super::{
    Kind, Object, Written,
    field::{FieldError, or_default},
    meta::{BriefMeta, Meta},
    quantity::thousandths,
};
use crate::model::node::Node;

/// The label that names a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";

/// The label that names the node itself.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// Labels of control-plane nodes, current and former.
const CONTROL_PLANE: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// A Node with the fields that are read.
#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(default)]
pub struct Document {
    #[prost(message, required, tag = "1")]
    metadata: BriefMeta,
    #[prost(message, required, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(default)]
struct Status {
    #[prost(btree_map = "string, message", tag = "2")]
    #[serde(deserialize_with = "or_default")]
    allocatable: BTreeMap<String, Amount>,
    #[prost(message, repeated, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
}

/// A quantity, as text; in a file written by hand it may be a bare number.
#[derive(Clone, PartialEq, prost::Message)]
struct Amount {
    #[prost(string, tag = "1")]
    text: String,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity")
            }

            fn visit_str<E>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount { text: text.to_owned() })
            }

            fn visit_u64<E>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount { text: number.to_string() })
            }

            fn visit_i64<E>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount { text: number.to_string() })
            }

            fn visit_f64<E>(self, number: f64) -> Result<Amount, E> {
                Ok(Amount { text: number.to_string() })
            }

            fn visit_unit<E>(self) -> Result<Amount, E> {
                Ok(Amount { text: "0".to_owned() })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(default)]
struct Condition {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(string, tag = "2")]
    status: String,
}

impl Kind for Node {
    const KIND: &'static str = "Node";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "nodes";
    type Document = Document;
    type Message = Document;
}

impl Written<Node> for Document {
    fn read(self) -> Result<Object<Node>, FieldError> {
        let Self { metadata, status } = self;
        let metadata = Meta::from(metadata);
        let labels = &metadata.labels;
        let cpu = status.allocatable.get("cpu").map(|Amount { text }| {
            thousandths(text).ok_or_else(|| {
                FieldError::new("status.allocatable.cpu", format!("`{text}` is not a quantity"))
            })
        });
        // Only hints by the legacy annotation need it.
        let (cpu, flaw) = match cpu {
            Some(Err(flaw)) => (0, Some(flaw)),
            Some(Ok(cpu)) => (cpu, None),
            None => (0, None),
        };
        let is_ready =
            |condition: &Condition| condition.r#type == "Ready" && condition.status == "True";
        let node = Node {
            name: metadata.name.as_str().into(),
            version: metadata.version()?,
            zone: labels.get(ZONE).filter(|zone| !zone.is_empty()).map(|zone| zone.as_str().into()),
            labels: labels
                .iter()
                .filter(|(key, _)| *key != HOSTNAME)
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            ready: status.conditions.iter().any(is_ready),
            control_plane: CONTROL_PLANE.iter().any(|key| labels.contains_key(*key)),
            cpu,
        };
        Ok(Object::new(metadata, node).flawed(flaw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_from_a_node() {
        let json = r#"{"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a", "node-role.kubernetes.io/control-plane": ""}},
                       "status": {"allocatable": {"cpu": "3920m"}, "conditions": [{"type": "Ready", "status": "True"}]}}"#;
        let node = serde_json::from_str::<Object<Node>>(json).unwrap().value;
        assert_eq!((node.zone.as_deref(), node.cpu), (Some("a"), 3920));
        assert!(node.ready && node.control_plane);
    }

    #[test]
    fn an_empty_zone_is_no_zone() {
        let json = r#"{"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": ""}}}"#;
        let node = serde_json::from_str::<Object<Node>>(json).unwrap().value;
        assert_eq!((node.zone, node.ready), (None, false));
    }
}
