//! Samples: Services, pods, nodes and slices for tests. A test takes one and changes what it is about:
//!
//! ```text
//! Pod { ready: false, ..samples::pod(1) }
//! ```
//!
//! Tests and benches outside of the crate include this file by its path.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use jiff::Timestamp;

use crate::model::{
    address::{AddressType, Addresses},
    labels::Labels,
    name::{ServiceKey, Uid},
    node::{Node, Nodes},
    pod::{ContainerPort, Pod},
    port::Port,
    service::{ClusterIp, Service, ServicePort, TargetPort},
    slice::{
        CONTROLLER, Conditions, Endpoint, Hints, MANAGED_BY, Owner, SERVICE_NAME, Slice, SliceMeta,
        Target,
    },
};

/// Service `web` of namespace `shop`: IPv4, one unnamed port 80 that leads to 8080.
pub(crate) fn service() -> Service {
    Service {
        key: ServiceKey { namespace: "shop".into(), name: "web".into() },
        uid: Uid::parse("uid-web"),
        version: 1,
        created: Some(at(0)),
        terminating: false,
        labels: Labels::default(),
        selector: Some(labels(&[("app", "web")])),
        ports: vec![service_port("", TargetPort::Number(8080))],
        external_name: false,
        cluster_ip: ClusterIp::Of(AddressType::IPv4),
        families: vec![AddressType::IPv4],
        publish_not_ready: false,
        traffic_distribution: None,
        auto: false,
        policy: None,
        internal_local: false,
        external_local: false,
    }
}

/// A TCP port of a Service.
pub(crate) fn service_port(name: &str, target: TargetPort) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol: "TCP".into(),
        number: 80,
        target,
        app_protocol: None,
    }
}

/// A ready pod `pod-NNN` of one IPv4 address on node a1.
pub(crate) fn pod(number: u16) -> Pod {
    let [high, low] = number.to_be_bytes();
    Pod {
        name: format!("pod-{number:03}").into(),
        uid: Uid::parse(&format!("uid-pod-{number}")),
        version: 1,
        labels: labels(&[("app", "web")]),
        node: Some("a1".into()),
        addresses: Box::new([IpAddr::V4(Ipv4Addr::new(10, 0, high, low))]),
        has_address: true,
        ports: [].into(),
        host: None,
        ready: true,
        ready_since: Some(at(1)),
        terminating: false,
        finished: false,
    }
}

/// A named TCP port of a container.
pub(crate) fn container_port(name: &str, number: i32) -> ContainerPort {
    ContainerPort { name: name.into(), protocol: "TCP".into(), number }
}

/// A ready node with four cores in a zone; an empty zone is none.
pub(crate) fn node(name: &str, zone: &str) -> Node {
    Node {
        name: name.into(),
        version: 1,
        zone: Some(zone).filter(|zone| !zone.is_empty()).map(Into::into),
        labels: Labels::default(),
        ready: true,
        control_plane: false,
        cpu: 4000,
    }
}

/// Nodes with their zones.
pub(crate) fn nodes(pairs: &[(&str, &str)]) -> Nodes {
    pairs.iter().map(|(name, zone)| ((*name).into(), node(name, zone))).collect()
}

/// Labels, annotations or a selector.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// The labels of a slice of Service `web` without own labels.
pub(crate) fn reserved_labels() -> Labels {
    labels(&[(SERVICE_NAME, "web"), (MANAGED_BY, CONTROLLER)])
}

/// A TCP port of a slice.
pub(crate) fn port(name: &str, number: i32) -> Port {
    Port {
        name: Some(name.into()),
        number: Some(number),
        protocol: Some("TCP".into()),
        app_protocol: None,
    }
}

/// A slice of Service `web` as it is sent for creation: port 8080, no endpoints.
pub(crate) fn slice() -> Slice {
    Slice {
        meta: SliceMeta {
            namespace: "shop".into(),
            name: None,
            generate_name: Some("web-".into()),
            uid: None,
            version: 0,
            labels: reserved_labels(),
            annotations: Labels::default(),
            owners: [owner("uid-web")].into(),
            finalizers: [].into(),
            terminating: false,
        },
        address_type: AddressType::IPv4,
        ports: [port("", 8080)].into_iter().collect(),
        endpoints: [].into(),
    }
}

/// The owner reference to a Service `web` of this UID.
pub(crate) fn owner(uid: &str) -> Owner {
    Owner {
        api_version: "v1".into(),
        kind: "Service".into(),
        name: "web".into(),
        uid: Uid::parse(uid).expect("a UID"),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The endpoint of the pod of this number, ready, on node a1, in this zone if it is not empty.
pub(crate) fn endpoint(number: u16, zone: &str) -> Endpoint {
    let pod = pod(number);
    Endpoint {
        addresses: Addresses::One(pod.addresses[0]),
        conditions: Conditions { ready: Some(true), serving: Some(true), terminating: Some(false) },
        target: Some(Target {
            namespace: "shop".into(),
            name: pod.name,
            uid: pod.uid,
            foreign: false,
        }),
        node: pod.node,
        zone: (!zone.is_empty()).then(|| zone.into()),
        hostname: None,
        hints: None,
    }
}

/// Hints for zones and nodes.
#[expect(clippy::unnecessary_wraps, reason = "the type of an endpoint's field")]
pub(crate) fn hints(zones: &[&str], nodes: &[&str]) -> Option<Arc<Hints>> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    Some(Arc::new(Hints { zones: names(zones), nodes: names(nodes) }))
}

/// A moment, in seconds of the tests' time.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a timestamp")
}
