//! Service, decoded.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use super::{
    Kind, Object, Written,
    address::address,
    field::{FieldError, or_default, protocol},
    meta::Meta,
    pairs::{Pairs, labels, pairs},
    texts::Texts,
};
use crate::model::{
    address::AddressType,
    name::{Name, ServiceKey},
    service::{
        ClusterIp, POLICY, PolicyChoice, Service, ServicePort, TargetPort, TrafficDistribution,
    },
};

/// The annotations that ask for hints by CPU share. If both are set, the first one applies
/// (docs/semantics.md 5.1).
const AUTO: [&str; 2] =
    ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];

/// A Service with the fields that are read.
#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(default)]
pub struct Document {
    #[prost(message, required, tag = "1")]
    metadata: Meta,
    #[prost(message, required, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[prost(btree_map = "string, string", tag = "2")]
    #[serde(deserialize_with = "pairs")]
    selector: Pairs,
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
    #[prost(string, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    r#type: String,
    #[prost(string, tag = "3")]
    #[serde(rename = "clusterIP", deserialize_with = "or_default")]
    cluster_ip: String,
    #[prost(string, repeated, tag = "19")]
    #[serde(deserialize_with = "or_default")]
    ip_families: Vec<String>,
    #[prost(bool, tag = "13")]
    #[serde(deserialize_with = "or_default")]
    publish_not_ready_addresses: bool,
    #[prost(string, optional, tag = "23")]
    traffic_distribution: Option<String>,
    #[prost(string, tag = "22")]
    #[serde(deserialize_with = "or_default")]
    internal_traffic_policy: String,
    #[prost(string, tag = "11")]
    #[serde(deserialize_with = "or_default")]
    external_traffic_policy: String,
}

#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[prost(string, tag = "1")]
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[prost(string, tag = "2")]
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
    #[prost(int32, tag = "3")]
    port: i32,
    #[prost(message, optional, tag = "4")]
    target_port: Option<Target>,
    #[prost(string, optional, tag = "6")]
    app_protocol: Option<String>,
}

/// A number or a name (`IntOrString`).
#[derive(Clone, PartialEq, prost::Message)]
struct Target {
    /// 0: a number, 1: a name.
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int32, tag = "2")]
    number: i32,
    #[prost(string, tag = "3")]
    name: String,
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a name of a port")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Target, E> {
                let wrong = |_| E::invalid_value(Unexpected::Signed(number), &"a port number");
                let number = i32::try_from(number).map_err(wrong)?;
                Ok(Target { r#type: 0, number, name: String::new() })
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Target, E> {
                let wrong = |_| E::invalid_value(Unexpected::Unsigned(number), &"a port number");
                i64::try_from(number).map_err(wrong).and_then(|number| self.visit_i64(number))
            }

            fn visit_str<E>(self, name: &str) -> Result<Target, E> {
                Ok(Target { r#type: 1, number: 0, name: name.to_owned() })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Kind for Service {
    const KIND: &'static str = "Service";
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "services";
    type Document = Document;
    type Message = Document;
}

impl Written<Service> for Document {
    fn read(self) -> Result<Object<Service>, FieldError> {
        let Self { metadata, spec } = self;
        let (cluster_ip, mut flaw) = cluster_ip(&spec.cluster_ip);
        let mut families = Vec::with_capacity(spec.ip_families.len());
        for (at, name) in spec.ip_families.iter().enumerate() {
            match family(at, name) {
                Ok(family) => families.push(family),
                Err(error) => flaw = Some(error),
            }
        }
        let distribution = spec.traffic_distribution.as_deref();
        let service = Service {
            key: ServiceKey {
                namespace: metadata.namespace.as_str().into(),
                name: metadata.name.as_str().into(),
            },
            uid: metadata.uid(),
            version: metadata.version()?,
            created: metadata.created(),
            terminating: metadata.is_terminating(),
            auto: is_auto(&metadata.annotations),
            policy: policy(&metadata.annotations),
            labels: labels(&metadata.labels),
            selector: (!spec.selector.is_empty()).then(|| labels(&spec.selector)),
            ports: spec.ports.into_iter().map(port).collect(),
            external_name: spec.r#type == "ExternalName",
            cluster_ip,
            families,
            publish_not_ready: spec.publish_not_ready_addresses,
            traffic_distribution: distribution.and_then(TrafficDistribution::parse),
            internal_local: spec.internal_traffic_policy == "Local",
            external_local: spec.external_traffic_policy == "Local",
        };
        Ok(Object::new(metadata, service).flawed(flaw))
    }
}

/// Whether the legacy annotation is on: exactly `Auto` or `auto`.
fn is_auto(annotations: &Texts) -> bool {
    let value = AUTO.iter().find_map(|key| annotations.get(*key));
    value.is_some_and(|value| matches!(&**value, b"Auto" | b"auto"))
}

/// The policy that the Service names, if any.
fn policy(annotations: &Texts) -> Option<PolicyChoice> {
    let value = annotations.get(POLICY)?;
    Some(PolicyChoice::parse(&String::from_utf8_lossy(value)))
}

fn port(port: Port) -> ServicePort {
    ServicePort {
        name: port.name.into(),
        protocol: protocol(&port.protocol),
        number: port.port,
        target: match port.target_port {
            Some(Target { r#type: 1, name, .. }) => TargetPort::Named(name.into()),
            Some(Target { number, .. }) if number != 0 => TargetPort::Number(number),
            // What the API server fills in for absent fields.
            _ => TargetPort::Number(port.port),
        },
        app_protocol: port.app_protocol.map(Name::from),
    }
}

/// Like the built-in controller, takes what is not an address for IPv4.
fn cluster_ip(text: &str) -> (ClusterIp, Option<FieldError>) {
    match (text, address(text)) {
        ("", _) => (ClusterIp::Empty, None),
        ("None", _) => (ClusterIp::Headless, None),
        (_, Some(address)) => (ClusterIp::Of(AddressType::of(address)), None),
        (text, None) => {
            let problem = format!("`{text}` is not an IP address");
            let flaw = FieldError::new("spec.clusterIP", problem);
            (ClusterIp::Of(AddressType::IPv4), Some(flaw))
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
    fn the_annotation_that_names_a_policy() {
        let named = |value: &str| policy(&[(POLICY.into(), value.into())].into_iter().collect());
        assert_eq!(policy(&Texts::new()), None);
        for (value, choice) in [
            ("none", PolicyChoice::OptOut),
            ("web", PolicyChoice::Namespaced("web".into())),
            ("cluster/web", PolicyChoice::Cluster("web".into())),
            // The name of a policy that cannot exist.
            ("", PolicyChoice::Namespaced("".into())),
            ("None", PolicyChoice::Namespaced("None".into())),
            ("cluster/none", PolicyChoice::Cluster("none".into())),
        ] {
            assert_eq!(named(value), Some(choice), "{value}");
        }
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

    /// As old API servers accepted them. A Service that does not parse gets no slices.
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
