//! Service, decoded.

use serde::Deserialize;

use super::{
    Kind, Object,
    address::address,
    field::{FieldError, or_default},
    meta::{Meta, Pairs},
};
use crate::plan::{
    address::AddressType,
    labels::Labels,
    name::{Name, ServiceKey},
    service::{ClusterIp, Service, ServicePort, TargetPort},
};

/// The annotations that ask for hints by CPU share: the first counts where both are there
/// (endpointslice-semantics 5.1).
const AUTO: [&str; 2] =
    ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];

/// A Service with the fields that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    selector: Pairs,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
    r#type: Option<Name>,
    #[serde(rename = "clusterIP", deserialize_with = "or_default")]
    cluster_ip: String,
    #[serde(deserialize_with = "or_default")]
    ip_families: Vec<Name>,
    #[serde(deserialize_with = "or_default")]
    publish_not_ready_addresses: bool,
    traffic_distribution: Option<Name>,
    internal_traffic_policy: Option<Name>,
    external_traffic_policy: Option<Name>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(default, deserialize_with = "or_default")]
    name: Name,
    protocol: Option<Name>,
    port: i32,
    target_port: Option<Target>,
    app_protocol: Option<Name>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Target {
    Number(i32),
    Named(Name),
}

impl Kind for Service {
    const KIND: &'static str = "Service";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "services";
    type Document = Document;

    fn read(document: Document) -> Result<Object<Self>, FieldError> {
        let Document { metadata, spec } = document;
        let is_local = |policy: Option<Name>| policy.as_deref() == Some("Local");
        let families = spec.ip_families.iter().enumerate();
        let service = Self {
            key: ServiceKey { namespace: metadata.namespace.clone(), name: metadata.name.clone() },
            uid: metadata.uid(),
            version: metadata.version()?,
            created: metadata.created()?,
            terminating: metadata.deletion_timestamp.is_some(),
            auto: is_auto(&metadata.annotations.0),
            labels: metadata.labels.0.clone(),
            selector: Some(spec.selector.0).filter(|selector| !selector.is_empty()),
            ports: spec.ports.into_iter().map(port).collect(),
            external_name: spec.r#type.as_deref() == Some("ExternalName"),
            cluster_ip: cluster_ip(&spec.cluster_ip)?,
            families: families.map(|(at, name)| family(at, name)).collect::<Result<_, _>>()?,
            publish_not_ready: spec.publish_not_ready_addresses,
            traffic_distribution: spec.traffic_distribution,
            internal_local: is_local(spec.internal_traffic_policy),
            external_local: is_local(spec.external_traffic_policy),
        };
        Ok(Object::new(&metadata, service))
    }
}

/// Whether the legacy annotation is on: exactly `Auto` or `auto`.
fn is_auto(annotations: &Labels) -> bool {
    let value = AUTO.iter().find_map(|key| annotations.get(key));
    value.is_some_and(|value| matches!(&**value, "Auto" | "auto"))
}

fn port(port: Port) -> ServicePort {
    ServicePort {
        name: port.name,
        protocol: port.protocol.unwrap_or_else(|| "TCP".into()),
        number: port.port,
        target: match port.target_port {
            // What the API server fills in where nothing is said.
            None | Some(Target::Number(0)) => TargetPort::Number(port.port),
            Some(Target::Number(number)) => TargetPort::Number(number),
            Some(Target::Named(name)) => TargetPort::Named(name),
        },
        app_protocol: port.app_protocol,
    }
}

fn cluster_ip(text: &str) -> Result<ClusterIp, FieldError> {
    match text {
        "" => Ok(ClusterIp::Empty),
        "None" => Ok(ClusterIp::Headless),
        text => {
            let problem =
                || FieldError::new("spec.clusterIP", format!("`{text}` is not an IP address"));
            let address = address(text).ok_or_else(problem)?;
            Ok(ClusterIp::Of(AddressType::of(address)))
        }
    }
}

fn family(at: usize, name: &str) -> Result<AddressType, FieldError> {
    match name {
        "IPv4" => Ok(AddressType::IPv4),
        "IPv6" => Ok(AddressType::IPv6),
        other => {
            let path = format!("spec.ipFamilies[{at}]");
            Err(FieldError::new(path, format!("`{other}` is neither IPv4 nor IPv6")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(pairs: &[(&str, &str)]) -> bool {
        is_auto(&pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
    }

    /// Upstream's `hintsEnabled` rows: only two exact values, and the older key decides.
    #[test]
    fn the_legacy_annotation() {
        let [hints, mode] = AUTO;
        for value in ["Auto", "auto"] {
            assert!(annotated(&[(hints, value)]) && annotated(&[(mode, value)]));
            assert!(!annotated(&[(hints, "disabled"), (mode, value)]));
            assert!(annotated(&[(hints, value), (mode, "disabled")]));
        }
        for value in [
            "aUto",
            "AUTO",
            "enabled",
            "disabled",
            "Disabled",
            "",
            "PreferZone",
            "example.com/mode",
        ] {
            assert!(!annotated(&[(hints, value)]) && !annotated(&[(mode, value)]), "{value}");
            assert!(!annotated(&[(hints, value), (mode, "Auto")]), "{value}");
        }
        assert!(!annotated(&[]));
    }

    #[test]
    fn what_is_taken_from_a_service() {
        let json = r#"{"metadata": {"name": "cart", "namespace": "shop", "creationTimestamp": "2026-01-02T03:04:05Z"},
            "spec": {"selector": {"app": "cart"}, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4", "IPv6"], "trafficDistribution": "PreferClose",
                     "ports": [{"port": 80}, {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns", "appProtocol": "example.com/dns"},
                               {"name": "n", "port": 1, "targetPort": 2}]}}"#;
        let service = serde_json::from_str::<Object<Service>>(json).unwrap().value;
        assert_eq!(service.key.to_string(), "shop/cart");
        assert!(service.is_served() && !service.is_headless());
        assert_eq!(service.address_types(), [AddressType::IPv4, AddressType::IPv6]);
        let targets: Vec<_> = service.ports.iter().map(|port| port.target.clone()).collect();
        assert_eq!(
            targets,
            [TargetPort::Number(80), TargetPort::Named("dns".into()), TargetPort::Number(2)]
        );
    }

    /// As old API servers took them; a Service that is not read gets no slices.
    #[test]
    fn a_cluster_ip_may_have_leading_zeros() {
        let json = r#"{"metadata": {"name": "a"}, "spec": {"clusterIP": "010.096.000.001"}}"#;
        let service = serde_json::from_str::<Object<Service>>(json).unwrap().value;
        assert_eq!(service.cluster_ip, ClusterIp::Of(AddressType::IPv4));
    }

    #[test]
    fn an_empty_selector_selects_nobody() {
        let json = r#"{"metadata": {"name": "a"}, "spec": {"selector": {}, "clusterIP": "None"}}"#;
        let service = serde_json::from_str::<Object<Service>>(json).unwrap().value;
        assert!(!service.is_served() && service.is_headless());
        assert_eq!(service.address_types(), [AddressType::IPv4, AddressType::IPv6]);
    }
}
