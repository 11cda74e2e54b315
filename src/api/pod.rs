//! Pod, decoded.

use bytes::Bytes;
use prost::Message as _;
use serde::Deserialize;

use super::{
    Kind, Object, Written,
    address::address,
    field::{FieldError, or_default, protocol},
    guard::{Remains, is_final},
    meta::{BriefMeta, Meta, Time},
    pairs::labels,
};
use crate::model::pod::{ContainerPort, HostName, Pod};

/// A Pod with the fields that are read.
#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(default)]
pub struct Document {
    #[prost(message, required, tag = "1")]
    metadata: BriefMeta,
    #[prost(message, required, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
    #[prost(message, required, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[prost(string, tag = "10")]
    #[serde(deserialize_with = "or_default")]
    node_name: String,
    #[prost(string, tag = "16")]
    #[serde(deserialize_with = "or_default")]
    hostname: String,
    #[prost(string, tag = "17")]
    #[serde(deserialize_with = "or_default")]
    subdomain: String,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[prost(message, repeated, tag = "20")]
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    #[prost(string, optional, tag = "24")]
    restart_policy: Option<String>,
    #[prost(message, repeated, tag = "6")]
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[prost(string, tag = "1")]
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[prost(int32, tag = "3")]
    container_port: i32,
    #[prost(string, tag = "4")]
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    phase: String,
    #[prost(string, tag = "6")]
    #[serde(rename = "podIP", deserialize_with = "or_default")]
    pod_ip: String,
    #[prost(message, repeated, tag = "12")]
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pod_ips: Vec<PodIp>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(default)]
struct PodIp {
    #[prost(string, tag = "1")]
    ip: String,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(string, tag = "2")]
    status: String,
    #[prost(message, optional, tag = "4")]
    last_transition_time: Option<Time>,
}

impl Kind for Pod {
    const KIND: &'static str = "Pod";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "pods";
    type Document = Document;
    type Message = Document;

    fn status_remains(object: &Bytes) -> Remains {
        StatusHeader::decode(&**object).map_or_else(|_| Remains::default(), Remains::from)
    }
}

/// The part of a Pod that says whether it is ready, whatever else is wrong with it.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusHeader {
    #[prost(message, optional, tag = "3")]
    status: Option<StatusBytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusBytes {
    #[prost(bytes = "bytes", tag = "1")]
    phase: Bytes,
    #[prost(message, repeated, tag = "2")]
    conditions: Vec<ConditionBytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ConditionBytes {
    #[prost(bytes = "bytes", tag = "1")]
    r#type: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    status: Bytes,
}

impl From<StatusHeader> for Remains {
    fn from(StatusHeader { status }: StatusHeader) -> Self {
        let Some(StatusBytes { phase, conditions }) = status else { return Self::default() };
        let is_ready = |one: &ConditionBytes| &*one.r#type == b"Ready" && &*one.status == b"True";
        Self {
            is_terminating: false,
            is_finished: std::str::from_utf8(&phase).is_ok_and(is_final),
            is_unready: !conditions.iter().any(is_ready),
        }
    }
}

impl Written<Pod> for Document {
    fn read(self) -> Result<Object<Pod>, FieldError> {
        let Self { metadata, spec, status } = self;
        let metadata = Meta::from(metadata);
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
        let ready_since = ready.and_then(|condition| condition.last_transition_time);
        let has_host = !spec.hostname.is_empty() && !spec.subdomain.is_empty();
        let host = || {
            Box::new(HostName {
                hostname: spec.hostname.as_str().into(),
                subdomain: spec.subdomain.as_str().into(),
            })
        };
        let pod = Pod {
            name: metadata.name.as_str().into(),
            uid: metadata.uid(),
            version: metadata.version()?,
            node: (!spec.node_name.is_empty()).then(|| spec.node_name.as_str().into()),
            has_address: !addresses.is_empty() || !status.pod_ip.is_empty(),
            addresses: addresses.into(),
            host: has_host.then(host),
            ports: ports(spec),
            ready: ready.is_some_and(|condition| &*condition.status == "True"),
            ready_since: ready_since.and_then(Time::stamp),
            terminating: metadata.is_terminating(),
            finished: is_final(&status.phase),
            labels: labels(&metadata.labels),
        };
        Ok(Object::new(metadata, pod))
    }
}

/// The named ports of containers, then of sidecars: init containers that always restart.
fn ports(spec: Spec) -> crate::model::pod::ContainerPorts {
    let is_sidecar = |container: &Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.into_iter().filter(is_sidecar);
    let ports = spec.containers.into_iter().chain(sidecars).flat_map(|container| container.ports);
    ports
        .filter(|port| !port.name.is_empty())
        .map(|port| ContainerPort {
            name: port.name.into(),
            protocol: protocol(&port.protocol),
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
