//! What a kubelet writes about its node.

use super::{Error, pod::write};
use crate::net::Addresses;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// A node to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Name and hostname.
    pub name: String,
    /// The zone label, if it has one.
    pub zone: Option<String>,
    /// Whether it has the control plane's role and taint.
    pub control_plane: bool,
}

impl NodeSpec {
    /// A worker in a zone.
    pub fn worker(name: &str, zone: &str) -> Self {
        Self { name: name.to_owned(), zone: Some(zone.to_owned()), control_plane: false }
    }

    /// A node that takes no ordinary pods and has no zone.
    pub fn control_plane(name: &str) -> Self {
        Self { name: name.to_owned(), zone: None, control_plane: true }
    }

    fn labels(&self) -> Value {
        let mut labels = json!({"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"});
        if let Some(zone) = &self.zone {
            labels["topology.kubernetes.io/zone"] = json!(zone);
        }
        if self.control_plane {
            labels["node-role.kubernetes.io/control-plane"] = json!("");
        }
        labels
    }

    fn taints(&self) -> Value {
        if !self.control_plane {
            return json!([]);
        }
        json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    }
}

/// Registers a node and reports it as Ready.
pub(super) async fn register(
    client: &Client,
    spec: &NodeSpec,
    addresses: Addresses,
) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let failed =
        |source| Error::Write { object: format!("node {}", spec.name), source: Box::new(source) };
    let object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": spec.labels()},
        "spec": {"taints": spec.taints()},
    });
    let node =
        serde_json::from_value(object).map_err(|error| failed(kube::Error::SerdeError(error)))?;
    nodes.create(&PostParams::default(), &node).await.map_err(failed)?;
    let internal = addresses.iter().map(|ip| json!({"type": "InternalIP", "address": ip}));
    let hostname = json!({"type": "Hostname", "address": spec.name});
    let addresses: Vec<_> = internal.chain([hostname]).collect();
    let resources = json!({"cpu": "8", "memory": "16Gi", "pods": "110"});
    let status = Patch::Strategic(json!({"status": {
        "addresses": addresses,
        "nodeInfo": {"kubeletVersion": "stand-in"},
        "capacity": resources,
        "allocatable": resources,
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastTransitionTime": super::pod::now(),
        }],
    }}));
    // Admission taints each new node as not ready, and no node lifecycle controller runs here.
    let taints = Patch::Merge(json!({"spec": {"taints": spec.taints()}}));
    let (nodes, name, parameters) = (&nodes, &spec.name, &PatchParams::default());
    write(&format!("node {name}"), || nodes.patch_status(name, parameters, &status)).await?;
    write(&format!("node {name}"), || nodes.patch(name, parameters, &taints)).await
}
