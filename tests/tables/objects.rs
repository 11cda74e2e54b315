//! Single objects as the tables need them: a Service, a pod, a node, a slice.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use closehaul::{
    model::{
        address::{AddressType, Addresses},
        labels::Labels,
        name::{ServiceKey, Uid},
        node::{Node, Nodes},
        pod::{ContainerPort, HostName, Pod},
        port::{Port, Ports},
        service::{ClusterIp, Service, ServicePort, TargetPort},
        slice::{
            CONTROLLER, Conditions, Endpoint, Hints, MANAGED_BY, Owner, SERVICE_NAME, Slice,
            SliceMeta, Target,
        },
    },
    plan::{
        hints::{
            self, Choices,
            auto::{CpuShares, ZoneCounts},
        },
        intent::{Intent, Mechanism},
        pack::{Draft, Group, Packing},
    },
};
use jiff::Timestamp;

/// Service `web` of namespace `shop`: IPv4, one unnamed port 80 that leads to 8080.
pub fn service() -> Service {
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
        internal_local: false,
        external_local: false,
    }
}

/// A TCP port of a Service.
pub fn service_port(name: &str, target: TargetPort) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol: "TCP".into(),
        number: 80,
        target,
        app_protocol: None,
    }
}

/// A ready pod `pod-NNN` of one IPv4 address on node a1.
pub fn pod(number: u16) -> Pod {
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

/// The same pod on this node.
pub fn pod_on(number: u16, node: &str) -> Pod {
    Pod { node: Some(node.into()), ..pod(number) }
}

/// The same pod, not ready.
pub fn unready(number: u16) -> Pod {
    Pod { ready: false, ..pod(number) }
}

/// Pods with these numbers.
pub fn pods(numbers: std::ops::Range<u16>) -> Vec<Pod> {
    numbers.map(pod).collect()
}

/// An IPv6 address for a pod.
pub fn ipv6(number: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number))
}

/// A pod's DNS name.
pub fn host(hostname: &str, subdomain: &str) -> HostName {
    HostName { hostname: hostname.into(), subdomain: subdomain.into() }
}

/// A named TCP port of a container.
pub fn container_port(name: &str, number: i32) -> ContainerPort {
    ContainerPort { name: name.into(), protocol: "TCP".into(), number }
}

/// A ready node with four cores in a zone; an empty zone is none.
pub fn node(name: &str, zone: &str) -> Node {
    Node {
        name: name.into(),
        version: 1,
        zone: Some(zone).filter(|zone| !zone.is_empty()).map(Into::into),
        ready: true,
        control_plane: false,
        schedulable: true,
        cpu: 4000,
    }
}

/// Nodes with their zones.
pub fn nodes(pairs: &[(&str, &str)]) -> Nodes {
    pairs.iter().map(|(name, zone)| ((*name).into(), node(name, zone))).collect()
}

/// Labels, annotations or a selector.
pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// The labels of a slice of Service `web` without own labels.
pub fn reserved_labels() -> Labels {
    labels(&[(SERVICE_NAME, "web"), (MANAGED_BY, CONTROLLER)])
}

/// A TCP port of a slice.
pub fn port(name: &str, number: i32) -> Port {
    Port {
        name: Some(name.into()),
        number: Some(number),
        protocol: Some("TCP".into()),
        app_protocol: None,
    }
}

/// A slice of Service `web` as it is sent for creation: port 8080, no endpoints.
pub fn slice() -> Slice {
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

/// The same with neither ports nor endpoints.
pub fn placeholder() -> Slice {
    Slice { ports: Ports::default(), ..slice() }
}

/// The owner reference to a Service `web` of this UID.
pub fn owner(uid: &str) -> Owner {
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
pub fn endpoint(number: u16, zone: &str) -> Endpoint {
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

/// A draft of a new slice of Service `web` with these endpoints, of which those that are not ready
/// keep their hints, as in upstream's tables.
pub fn fresh_draft(endpoints: Vec<Endpoint>) -> Draft<'static> {
    let Slice { address_type, ports, .. } = slice();
    let draft = Draft::fresh(&service(), Group { address_type, ports });
    Draft { copied: endpoints.len(), endpoints, ..draft }
}

/// A draft that writes this slice again as it is.
pub fn draft_of(slice: &Slice) -> Draft<'_> {
    Draft::copy(slice, slice.meta.labels.clone())
}

/// Chooses the hints of a packing and applies them; the counts of the legacy annotation.
pub fn assign_hints(
    mechanism: Mechanism,
    packing: &mut Packing<'_>,
    shares: Option<&CpuShares>,
    node_hints: bool,
) -> Option<ZoneCounts> {
    let Choices { endpoints, counts } = hints::choose(Intent { mechanism }, packing, shares);
    hints::apply(packing, &endpoints, node_hints);
    counts
}

/// Hints for zones and nodes.
#[expect(clippy::unnecessary_wraps, reason = "the type of an endpoint's field")]
pub fn hints(zones: &[&str], nodes: &[&str]) -> Option<Arc<Hints>> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    Some(Arc::new(Hints { zones: names(zones), nodes: names(nodes) }))
}

/// The zones an endpoint is hinted to.
pub fn zones(endpoint: &Endpoint) -> Vec<&str> {
    endpoint.hints.iter().flat_map(|hints| &hints.zones).map(AsRef::as_ref).collect()
}

/// The name of the pod behind an endpoint.
pub fn pod_name(endpoint: &Endpoint) -> &str {
    endpoint.pod_name().map(AsRef::as_ref).unwrap_or_default()
}

/// Numbers of endpoints, largest first.
pub fn sizes<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> Vec<usize> {
    let mut sizes: Vec<usize> = slices.into_iter().map(|slice| slice.endpoints.len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// A moment, in seconds of the tests' time.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a timestamp")
}

/// Changes the endpoints of a slice one by one.
pub fn edit_endpoints(slice: &mut Slice, edit: impl FnMut(&mut Endpoint)) {
    let mut endpoints = slice.endpoints.to_vec();
    endpoints.iter_mut().for_each(edit);
    slice.endpoints = endpoints.into();
}
