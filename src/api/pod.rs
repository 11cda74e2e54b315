//! Pod, decoded.

use serde::Deserialize;

use super::{
    Kind, Object,
    address::address,
    field::{FieldError, or_default},
    meta::{Meta, time},
};
use crate::plan::{
    name::Name,
    pod::{ContainerPort, HostName, Pod},
};

/// A Pod with the fields that are read.
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
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    node_name: Name,
    #[serde(deserialize_with = "or_default")]
    hostname: Name,
    #[serde(deserialize_with = "or_default")]
    subdomain: Name,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    restart_policy: Option<Name>,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(default, deserialize_with = "or_default")]
    name: Name,
    container_port: i32,
    protocol: Option<Name>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    phase: Name,
    #[serde(rename = "podIP", deserialize_with = "or_default")]
    pod_ip: String,
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pod_ips: Vec<PodIp>,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    r#type: Name,
    status: Name,
    last_transition_time: Option<String>,
}

impl Kind for Pod {
    const KIND: &'static str = "Pod";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "pods";
    type Document = Document;

    fn read(document: Document) -> Result<Object<Self>, FieldError> {
        let Document { metadata, spec, status } = document;
        let mut addresses = Vec::with_capacity(status.pod_ips.len());
        for (at, entry) in status.pod_ips.iter().enumerate() {
            let problem = || {
                FieldError::new(
                    format!("status.podIPs[{at}].ip"),
                    format!("`{}` is not an IP address", entry.ip),
                )
            };
            addresses.push(address(&entry.ip).ok_or_else(problem)?);
        }
        let ready = status.conditions.iter().find(|condition| &*condition.r#type == "Ready");
        let ready_since = ready
            .and_then(|condition| condition.last_transition_time.as_deref())
            .map(|text| time(text, "status.conditions[Ready].lastTransitionTime"));
        let has_host = !spec.hostname.is_empty() && !spec.subdomain.is_empty();
        let host = || {
            Box::new(HostName {
                hostname: spec.hostname.clone(),
                subdomain: spec.subdomain.clone(),
            })
        };
        let pod = Self {
            name: metadata.name.clone(),
            uid: metadata.uid(),
            version: metadata.version()?,
            node: (!spec.node_name.is_empty()).then(|| spec.node_name.clone()),
            has_address: !addresses.is_empty() || !status.pod_ip.is_empty(),
            addresses: addresses.into(),
            host: has_host.then(host),
            ports: ports(spec),
            ready: ready.is_some_and(|condition| &*condition.status == "True"),
            ready_since: ready_since.transpose()?,
            terminating: metadata.deletion_timestamp.is_some(),
            finished: matches!(&*status.phase, "Succeeded" | "Failed"),
            labels: metadata.labels.0.clone(),
        };
        Ok(Object::new(&metadata, pod))
    }
}

/// The named ports of containers, then of sidecars: init containers that always restart.
fn ports(spec: Spec) -> crate::plan::pod::ContainerPorts {
    let is_sidecar = |container: &Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.into_iter().filter(is_sidecar);
    let ports = spec.containers.into_iter().chain(sidecars).flat_map(|container| container.ports);
    ports
        .filter(|port| !port.name.is_empty())
        .map(|port| ContainerPort {
            name: port.name,
            protocol: port.protocol.unwrap_or_else(|| "TCP".into()),
            number: port.container_port,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_from_a_pod() {
        let json = r#"{
            "metadata": {"name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7", "labels": {"b": "2", "a": "1"},
                         "deletionTimestamp": "2026-01-02T03:04:05Z"},
            "spec": {"nodeName": "n1", "hostname": "h", "subdomain": "s", "unknown": [1, 2],
                     "containers": [{"ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}],
                     "initContainers": [{"ports": [{"containerPort": 1, "name": "init"}]},
                                        {"restartPolicy": "Always", "ports": [{"containerPort": 2, "name": "side", "protocol": "UDP"}]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                       "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}]}}"#;
        let object: Object<Pod> = serde_json::from_str(json).unwrap();
        let pod = object.value;
        assert_eq!((&*object.namespace, &*pod.name, pod.version), ("shop", "a", 7));
        assert_eq!(pod.addresses.len(), 2);
        let ports: Vec<_> = pod.ports.iter().map(|p| (&*p.name, &*p.protocol, p.number)).collect();
        assert_eq!(ports, [("http", "TCP", 80), ("side", "UDP", 2)]);
        assert!(pod.ready && pod.terminating && !pod.finished && pod.has_address);
        assert!(pod.host.is_some() && pod.ready_since.is_some());
        assert_eq!(pod.labels.get("a").map(AsRef::as_ref), Some("1"));
    }

    #[test]
    fn a_bad_address_is_named() {
        let json = r#"{"metadata": {"name": "a"}, "status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "ten"}]}}"#;
        let error = serde_json::from_str::<Object<Pod>>(json).unwrap_err();
        assert!(
            error.to_string().starts_with("status.podIPs[1].ip: `ten` is not an IP address"),
            "{error}"
        );
    }

    #[test]
    fn nulls_are_nothing() {
        let json = r#"{"metadata": {"name": "a", "labels": null}, "spec": {"containers": null, "nodeName": null}, "status": null}"#;
        let pod = serde_json::from_str::<Object<Pod>>(json).unwrap().value;
        assert!(!pod.has_address && pod.node.is_none());
    }
}
