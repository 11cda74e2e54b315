//! Node, decoded.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Kind, Object,
    field::{FieldError, or_default},
    meta::Meta,
    quantity::thousandths,
};
use crate::plan::{name::Name, node::Node};

/// The label that names a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";

/// Labels of control-plane nodes, now and of old.
const CONTROL_PLANE: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// A Node with the fields that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: bool,
    #[serde(deserialize_with = "or_default")]
    taints: Vec<Taint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Taint {
    effect: Name,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    allocatable: BTreeMap<String, Amount>,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
}

/// A quantity: text, or a bare number in a file written by hand.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Text(String),
    Number(u64),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: Name,
    status: Name,
}

impl Kind for Node {
    const KIND: &'static str = "Node";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "nodes";
    type Document = Document;

    fn read(document: Document) -> Result<Object<Self>, FieldError> {
        let Document { metadata, spec, status } = document;
        let labels = &metadata.labels.0;
        let cpu = match status.allocatable.get("cpu") {
            None => 0,
            Some(Amount::Number(cores)) => cores.saturating_mul(1000),
            Some(Amount::Text(text)) => thousandths(text).ok_or_else(|| {
                FieldError::new("status.allocatable.cpu", format!("`{text}` is not a quantity"))
            })?,
        };
        let is_ready =
            |condition: &Condition| &*condition.r#type == "Ready" && &*condition.status == "True";
        let node = Self {
            name: metadata.name.clone(),
            version: metadata.version()?,
            zone: labels.get(ZONE).filter(|zone| !zone.is_empty()).cloned(),
            ready: status.conditions.iter().any(is_ready),
            control_plane: CONTROL_PLANE.iter().any(|key| labels.get(key).is_some()),
            schedulable: !spec.unschedulable
                && spec.taints.iter().all(|taint| &*taint.effect != "NoSchedule"),
            cpu,
        };
        Ok(Object::new(&metadata, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_from_a_node() {
        let json = r#"{"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a", "node-role.kubernetes.io/control-plane": ""}},
                       "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
                       "status": {"allocatable": {"cpu": "3920m"}, "conditions": [{"type": "Ready", "status": "True"}]}}"#;
        let node = serde_json::from_str::<Object<Node>>(json).unwrap().value;
        assert_eq!((node.zone.as_deref(), node.cpu), (Some("a"), 3920));
        assert!(node.ready && node.control_plane && !node.schedulable);
    }

    #[test]
    fn an_empty_zone_is_no_zone() {
        let json = r#"{"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": ""}}}"#;
        let node = serde_json::from_str::<Object<Node>>(json).unwrap().value;
        assert_eq!((node.zone, node.ready, node.schedulable), (None, false, true));
    }
}
