//! What holds after any history of pods, Services, nodes and other writers
//! (endpointslice-semantics 4, proof 2).

use std::collections::{BTreeMap, BTreeSet};

use closehaul::plan::{
    hints::auto::cpu_shares,
    metadata,
    name::Uid,
    pod::Pod,
    port::{Ports, ports_on},
    service::{Service, TargetPort},
    slice::{AddressType, Endpoint, Slice},
};
use proptest::{prelude::*, sample::Index};

use crate::world::{self, Cluster, Writes, container_port, ipv6, pod, service_port};

/// Pods have numbers below this.
const PODS: u16 = 24;
const NODES: [&str; 7] = ["a1", "a2", "b1", "b2", "c1", "z", "gone"];

/// One thing that happens between two syncs.
#[derive(Clone, Debug)]
enum Event {
    /// These pods come, or go if they are there.
    Toggle(Vec<u16>),
    Pod(Index, PodChange),
    Service(ServiceChange),
    /// Somebody else writes a slice.
    Slice(Index, SliceChange),
    /// This node comes or goes.
    Node(Index),
    MaxEndpoints(usize),
}

#[derive(Clone, Copy, Debug)]
enum PodChange {
    Ready,
    Terminating,
    Finished,
    Port(i32),
    Address,
    Uid,
    Move(usize),
}

#[derive(Clone, Copy, Debug)]
enum ServiceChange {
    Prefer(Option<&'static str>),
    Auto,
    Publish,
    Target(u8),
    Label(&'static str),
    Families(u8),
}

#[derive(Clone, Copy, Debug)]
enum SliceChange {
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
fn history() -> impl Strategy<Value = Vec<Vec<Event>>> {
    prop::collection::vec(prop::collection::vec(event(), 1..5), 1..12)
}

fn start() -> Cluster {
    let mut cluster = Cluster::with(Vec::new());
    cluster.max_endpoints = 4;
    cluster.service.ports = vec![service_port("http", TargetPort::Named("web".into()))];
    cluster.nodes =
        world::nodes(&[("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")]);
    // A node without zone, on which no client is assumed: the others still have shares.
    cluster.nodes.insert("z".into(), control_plane("z"));
    cluster.shares = cpu_shares(&cluster.nodes);
    cluster
}

fn control_plane(name: &str) -> closehaul::plan::node::Node {
    closehaul::plan::node::Node { control_plane: true, ..world::node(name, "") }
}

/// Pod of this number: the last address digit and the node follow from the number.
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

fn happen(cluster: &mut Cluster, event: Event) {
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
            if cluster.nodes.remove(&node.name).is_none() {
                cluster.nodes.insert(node.name.clone(), node);
            }
            cluster.shares = cpu_shares(&cluster.nodes);
        }
        Event::MaxEndpoints(max) => cluster.max_endpoints = max,
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
fn next(address: std::net::IpAddr) -> std::net::IpAddr {
    match address {
        std::net::IpAddr::V4(address) => (u32::from(address) + 0x1_0000).to_be_bytes().into(),
        std::net::IpAddr::V6(address) => (u128::from(address) + 0x1_0000).to_be_bytes().into(),
    }
}

fn change_service(service: &mut Service, change: ServiceChange) {
    use AddressType::{IPv4, IPv6};
    match change {
        ServiceChange::Prefer(preference) => {
            service.traffic_distribution = preference.map(Into::into);
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
            service.families =
                [vec![IPv4], vec![IPv6], vec![IPv4, IPv6]][usize::from(families)].clone();
        }
    }
}

fn change_slice(cluster: &mut Cluster, at: usize, change: SliceChange) {
    let mut copy = cluster.slices[at].clone();
    let slice = &mut cluster.slices[at];
    match change {
        SliceChange::Label => slice.meta.labels = slice.meta.labels.with("foreign", Some("x")),
        SliceChange::Headless => {
            slice.meta.labels = slice.meta.labels.with(metadata::HEADLESS, Some(""));
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
            slice.endpoints = slice.endpoints.iter().skip(1).cloned().collect()
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

/// Who an endpoint is, with its family and ports: that by which it stands in a slice.
type Seat = (AddressType, Ports, String);

fn seat(slice: &Slice, endpoint: &Endpoint) -> Seat {
    (slice.address_type, slice.ports.clone(), format!("{:?}", endpoint.identity()))
}

/// The slices in which each endpoint stands, of those that are this Service's.
fn seats(cluster: &Cluster) -> BTreeMap<Seat, Vec<&str>> {
    let mut seats: BTreeMap<Seat, Vec<&str>> = BTreeMap::new();
    let own = |slice: &Slice| slice.is_owned_by(cluster.service.uid.as_ref());
    for (slice, endpoint) in cluster.endpoints().filter(|(slice, _)| own(slice)) {
        let name = slice.meta.name.as_deref().unwrap_or_default();
        seats.entry(seat(slice, endpoint)).or_default().push(name);
    }
    seats
}

/// Family, ports and pod of every endpoint that there should be, found the plain way.
fn wanted(cluster: &Cluster) -> BTreeSet<(AddressType, Ports, &str)> {
    let mut wanted = BTreeSet::new();
    for pod in &cluster.pods {
        let node = pod.node.as_ref().is_some_and(|node| cluster.nodes.contains_key(node));
        if pod.finished || !(node || cluster.service.publish_not_ready) {
            continue;
        }
        for address in &pod.addresses {
            let family = AddressType::of(*address);
            if cluster.service.families.contains(&family) {
                wanted.insert((family, ports_on(&cluster.service, pod), &*pod.name));
            }
        }
    }
    wanted
}

fn by_name(slices: &[Slice]) -> BTreeMap<&str, &Slice> {
    slices.iter().map(|slice| (slice.meta.name.as_deref().unwrap_or_default(), slice)).collect()
}

/// What holds after one sync.
fn check(before: &Cluster, writes: &Writes, after: &Cluster) {
    let old = by_name(&before.slices);

    // Another sync has nothing to do.
    after.assert_settled();

    // Every endpoint that there should be stands in exactly one slice, and no other.
    let listed = after.endpoints().map(|(slice, endpoint)| {
        (slice.address_type, slice.ports.clone(), world::pod_name(endpoint))
    });
    let mut listed: Vec<_> = listed.collect();
    listed.sort_unstable();
    assert_eq!(listed, wanted(after).into_iter().collect::<Vec<_>>());

    // No slice grows over the maximum.
    for slice in after.live() {
        let was = old.get(slice.meta.name.as_deref().unwrap_or_default());
        let was = was.map_or(0, |slice| slice.endpoints.len());
        assert!(slice.endpoints.len() <= after.max_endpoints.max(was));
    }

    // Each family has at least one slice, all of them this Service's.
    for family in &after.service.families {
        assert!(after.live().any(|slice| slice.address_type == *family));
    }
    assert!(after.live().all(|slice| slice.is_owned_by(after.service.uid.as_ref())));

    // Slices of others, and those on their way out, are never written.
    for slice in &writes.updates {
        let old = old[slice.meta.name.as_deref().unwrap_or_default()];
        assert!(old.is_owned_by(before.service.uid.as_ref()) && !old.meta.terminating);
        // Nothing is written for nothing.
        assert!(
            old.meta.labels != slice.meta.labels
                || old.ports != slice.ports
                || old.endpoints != slice.endpoints
        );
    }

    // No endpoint moves within its group.
    let (was, is) = (seats(before), seats(after));
    for (seat, slices) in &was {
        if let Some(now) = is.get(seat) {
            assert!(slices.contains(&now[0]), "{seat:?} moved from {slices:?} to {now:?}");
        }
    }

    // Of the slices of one group that were right, at most one is written for additions.
    let mut grown: BTreeMap<(AddressType, &Ports), usize> = BTreeMap::new();
    for slice in &writes.updates {
        let old = old[slice.meta.name.as_deref().unwrap_or_default()];
        let mut pairs = old.endpoints.iter().zip(slice.endpoints.iter());
        if old.ports == slice.ports
            && old.endpoints.len() < slice.endpoints.len()
            && !metadata::are_labels_stale(&old.meta.labels, &before.service.labels)
            && pairs
                .all(|(old, new)| old.identity() == new.identity() && old.is_same_but_hints(new))
        {
            *grown.entry((slice.address_type, &slice.ports)).or_default() += 1;
        }
    }
    assert!(grown.values().all(|count| *count <= 1), "{grown:?}");

    // What the plan calls written and unchanged is what stands there.
    let told = writes.creates.iter().chain(&writes.updates).chain(&writes.unchanged);
    assert_eq!(world::sizes(told), world::sizes(after.live()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sync_of_every_history(history in history()) {
        let mut cluster = start();
        for events in history {
            for event in events {
                happen(&mut cluster, event);
            }
            let before = cluster.clone();
            let writes = cluster.sync();
            check(&before, &writes, &cluster);
        }
    }

    #[test]
    fn order_does_not_count(history in history(), pods in any::<u64>(), slices in any::<u64>()) {
        let mut cluster = start();
        for events in history {
            for event in events {
                happen(&mut cluster, event);
            }
            let mut shuffled = cluster.clone();
            shuffle(&mut shuffled.pods, pods);
            shuffle(&mut shuffled.slices, slices);
            // A map of nodes of another order.
            shuffled.nodes = shuffled.nodes.into_iter().collect();
            prop_assert_eq!(cluster.plan(), shuffled.plan());
            cluster.sync();
        }
    }

    #[test]
    fn a_terminating_service_never_creates(history in history(), from in any::<Index>()) {
        let mut cluster = start();
        let from = from.index(history.len());
        for (at, events) in history.into_iter().enumerate() {
            for event in events {
                happen(&mut cluster, event);
            }
            cluster.service.terminating = at >= from;
            let writes = cluster.sync();
            prop_assert!(at < from || writes.creates.is_empty());
            if at >= from {
                cluster.assert_settled();
            }
        }
    }
}

/// Puts the items into an order that follows from `seed` (Fisher and Yates).
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for at in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let to = usize::try_from(seed >> 33).unwrap_or_default() % (at + 1);
        items.swap(at, to);
    }
}
