//! What may happen to a Service between two syncs: random events.

use std::net::IpAddr;

use closehaul::{
    model::{
        address::AddressType,
        name::Uid,
        node::Node,
        pod::Pod,
        service::{Service, TargetPort, TrafficDistribution},
        slice::HEADLESS,
    },
    plan::hints::auto::cpu_shares,
};
use proptest::{prelude::*, sample::Index};

use crate::world::{self, Cluster, container_port, ipv6, pod, service_port};

/// Pods have numbers below this.
const PODS: u16 = 24;
const NODES: [&str; 7] = ["a1", "a2", "b1", "b2", "c1", "z", "gone"];

/// One thing that happens between two syncs.
#[derive(Clone, Debug)]
pub enum Event {
    /// These pods are added, or removed if they exist.
    Toggle(Vec<u16>),
    Pod(Index, PodChange),
    Service(ServiceChange),
    /// Another client writes a slice.
    Slice(Index, SliceChange),
    /// This node is added or removed.
    Node(Index),
    MaxEndpoints(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum PodChange {
    Ready,
    Terminating,
    Finished,
    Port(i32),
    Address,
    Uid,
    Move(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum ServiceChange {
    Prefer(Option<&'static str>),
    Auto,
    Publish,
    Target(u8),
    Label(&'static str),
    Families(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum SliceChange {
    Label,
    Headless,
    Hint,
    EmptyHints,
    DropEndpoint,
    ForeignOwner,
    Finalizer,
    Delete,
    Copy,
    Conditions,
    Ports,
}

fn event() -> impl Strategy<Value = Event> {
    let pod = prop_oneof![
        4 => Just(PodChange::Ready),
        1 => Just(PodChange::Terminating),
        1 => Just(PodChange::Finished),
        2 => (1..4).prop_map(PodChange::Port),
        1 => Just(PodChange::Address),
        1 => Just(PodChange::Uid),
        1 => (0..NODES.len()).prop_map(PodChange::Move),
    ];
    let prefer = [None, Some("PreferClose"), Some("PreferSameNode"), Some("PreferFar")];
    let service = prop_oneof![
        prop::sample::select(prefer.to_vec()).prop_map(ServiceChange::Prefer),
        Just(ServiceChange::Auto),
        Just(ServiceChange::Publish),
        (0..3_u8).prop_map(ServiceChange::Target),
        prop::sample::select(&["", "x", "y"][..]).prop_map(ServiceChange::Label),
        (0..3_u8).prop_map(ServiceChange::Families),
    ];
    let slice = prop::sample::select(vec![
        SliceChange::Label,
        SliceChange::Headless,
        SliceChange::Hint,
        SliceChange::EmptyHints,
        SliceChange::DropEndpoint,
        SliceChange::ForeignOwner,
        SliceChange::Finalizer,
        SliceChange::Delete,
        SliceChange::Copy,
        SliceChange::Conditions,
        SliceChange::Ports,
    ]);
    prop_oneof![
        4 => prop::collection::vec(0..PODS, 1..10).prop_map(Event::Toggle),
        5 => (any::<Index>(), pod).prop_map(|(at, change)| Event::Pod(at, change)),
        3 => service.prop_map(Event::Service),
        3 => (any::<Index>(), slice).prop_map(|(at, change)| Event::Slice(at, change)),
        1 => any::<Index>().prop_map(Event::Node),
        1 => (1..8_usize).prop_map(Event::MaxEndpoints),
    ]
}

/// Some events, then a sync, and so on.
pub fn history() -> impl Strategy<Value = Vec<Vec<Event>>> {
    prop::collection::vec(prop::collection::vec(event(), 1..5), 1..12)
}

/// A Service without pods, whose slices hold at most four endpoints.
pub fn start() -> Cluster {
    let mut cluster = Cluster::with(Vec::new());
    cluster.settings.max_endpoints = 4;
    cluster.service.ports = vec![service_port("http", TargetPort::Named("web".into()))];
    cluster.nodes =
        world::nodes(&[("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")]);
    // A node without a zone, on which no client is assumed to run: the others still have shares.
    cluster.nodes.insert("z".into(), control_plane("z"));
    cluster.shares = cpu_shares(&cluster.nodes);
    cluster
}

fn control_plane(name: &str) -> Node {
    Node { control_plane: true, ..world::node(name, "") }
}

/// The new pod with this number. Its families and its node follow from the number.
fn new_pod(number: u16) -> Pod {
    let addresses = match number % 4 {
        3 => [ipv6(number)].into(),
        2 => [pod(number).addresses[0], ipv6(number)].into(),
        _ => pod(number).addresses,
    };
    let node = NODES[usize::from(number) % NODES.len()];
    Pod {
        addresses,
        node: Some(node.into()),
        ports: [container_port("web", 1)].into(),
        ..pod(number)
    }
}

/// Applies one event.
pub fn happen(cluster: &mut Cluster, event: Event) {
    match event {
        Event::Toggle(numbers) => {
            for number in numbers {
                let name = pod(number).name;
                match cluster.pods.iter().position(|pod| pod.name == name) {
                    Some(at) => drop(cluster.pods.swap_remove(at)),
                    None => cluster.pods.push(new_pod(number)),
                }
            }
        }
        Event::Pod(_, _) if cluster.pods.is_empty() => {}
        Event::Pod(at, change) => {
            let at = at.index(cluster.pods.len());
            change_pod(&mut cluster.pods[at], change);
        }
        Event::Service(change) => change_service(&mut cluster.service, change),
        Event::Slice(_, _) if cluster.slices.is_empty() => {}
        Event::Slice(at, change) => {
            let at = at.index(cluster.slices.len());
            change_slice(cluster, at, change);
        }
        Event::Node(at) => {
            let node = world::node(NODES[at.index(5)], ["a", "a", "b", "b", "c"][at.index(5)]);
            if cluster.nodes.remove(&node.name, None).is_none() {
                cluster.nodes.insert(node.name.clone(), node);
            }
            cluster.shares = cpu_shares(&cluster.nodes);
        }
        Event::MaxEndpoints(max) => cluster.settings.max_endpoints = max,
    }
}

fn change_pod(pod: &mut Pod, change: PodChange) {
    match change {
        PodChange::Ready => pod.ready = !pod.ready,
        PodChange::Terminating => pod.terminating = true,
        PodChange::Finished => pod.finished = true,
        PodChange::Port(number) => pod.ports = [container_port("web", number)].into(),
        PodChange::Address => {
            pod.addresses = pod.addresses.iter().map(|address| next(*address)).collect();
        }
        PodChange::Uid => pod.uid = pod.uid.as_ref().and_then(|uid| Uid::parse(&format!("{uid}+"))),
        PodChange::Move(to) => pod.node = Some(NODES[to].into()),
    }
}

/// The same address in another subnet.
fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => (u32::from(address) + 0x1_0000).to_be_bytes().into(),
        IpAddr::V6(address) => (u128::from(address) + 0x1_0000).to_be_bytes().into(),
    }
}

fn change_service(service: &mut Service, change: ServiceChange) {
    use AddressType::{IPv4, IPv6};
    match change {
        ServiceChange::Prefer(preference) => {
            service.traffic_distribution = preference.and_then(TrafficDistribution::parse);
        }
        ServiceChange::Auto => service.auto = !service.auto,
        ServiceChange::Publish => service.publish_not_ready = !service.publish_not_ready,
        ServiceChange::Target(target) => {
            service.ports[0].target = match target {
                0 => TargetPort::Named("web".into()),
                1 => TargetPort::Named("none".into()),
                number => TargetPort::Number(number.into()),
            };
        }
        ServiceChange::Label(value) => service.labels = service.labels.with("team", Some(value)),
        ServiceChange::Families(families) => {
            service.families = match families {
                0 => vec![IPv4],
                1 => vec![IPv6],
                _ => vec![IPv4, IPv6],
            };
        }
    }
}

fn change_slice(cluster: &mut Cluster, at: usize, change: SliceChange) {
    let mut copy = cluster.slices[at].clone();
    let slice = &mut cluster.slices[at];
    match change {
        SliceChange::Label => slice.meta.labels = slice.meta.labels.with("foreign", Some("x")),
        SliceChange::Headless => {
            slice.meta.labels = slice.meta.labels.with(HEADLESS, Some(""));
        }
        SliceChange::Hint => {
            let hints = world::hints(&["b", "q"], &["a1"]);
            world::edit_endpoints(slice, |endpoint| endpoint.hints.clone_from(&hints));
        }
        SliceChange::EmptyHints => {
            let hints = world::hints(&[], &[]);
            world::edit_endpoints(slice, |endpoint| endpoint.hints.clone_from(&hints));
        }
        SliceChange::DropEndpoint => {
            slice.endpoints = slice.endpoints.iter().skip(1).cloned().collect();
        }
        SliceChange::ForeignOwner => slice.meta.owners = [world::owner("uid-before")].into(),
        SliceChange::Finalizer => slice.meta.finalizers = ["example.com/hold".into()].into(),
        SliceChange::Delete => drop(cluster.slices.remove(at)),
        SliceChange::Copy => {
            (copy.meta.name, copy.meta.uid, copy.meta.version) = (None, None, 0);
            cluster.create(copy);
        }
        SliceChange::Conditions => world::edit_endpoints(slice, |endpoint| {
            endpoint.conditions.serving = None;
        }),
        SliceChange::Ports => slice.ports = [world::port("http", 9)].into_iter().collect(),
    }
}
