//! What holds after any history of pods, Services, nodes and other writers
//! (docs/semantics.md 4).

use std::collections::{BTreeMap, BTreeSet};

use closehaul::{
    model::{
        address::AddressType,
        port::Ports,
        slice::{Endpoint, Slice},
    },
    plan::{metadata, port::Resolver},
};
use proptest::{prelude::*, sample::Index};

use crate::{
    history::{happen, history, start},
    world::{self, Cluster, Writes},
};

/// The identity of an endpoint, with the family and ports of its slice.
type Seat = (AddressType, Ports, String);

fn seat(slice: &Slice, endpoint: &Endpoint) -> Seat {
    (slice.address_type, slice.ports.clone(), format!("{:?}", endpoint.identity()))
}

/// The slices of this Service that contain each endpoint.
fn seats(cluster: &Cluster) -> BTreeMap<Seat, Vec<&str>> {
    let mut seats: BTreeMap<Seat, Vec<&str>> = BTreeMap::new();
    let own = |slice: &Slice| slice.is_owned_by(cluster.service.uid.as_ref());
    for (slice, endpoint) in cluster.endpoints().filter(|(slice, _)| own(slice)) {
        let name = slice.meta.name.as_deref().unwrap_or_default();
        seats.entry(seat(slice, endpoint)).or_default().push(name);
    }
    seats
}

/// Family, ports and pod of every endpoint that should exist, found in the simplest way.
fn wanted(cluster: &Cluster) -> BTreeSet<(AddressType, Ports, &str)> {
    let mut wanted = BTreeSet::new();
    for pod in &cluster.pods {
        let node = pod.node.as_ref().is_some_and(|node| cluster.nodes.get(node).is_some());
        if pod.finished || !(node || cluster.service.publish_not_ready) {
            continue;
        }
        for address in &pod.addresses {
            let family = AddressType::of(*address);
            if cluster.service.families.contains(&family) {
                let ports = Resolver::new(&cluster.service).ports_on(pod).clone();
                wanted.insert((family, ports, &*pod.name));
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

    // Every endpoint that should exist is in exactly one slice, and there are no others.
    let listed = after.endpoints().map(|(slice, endpoint)| {
        (slice.address_type, slice.ports.clone(), world::pod_name(endpoint))
    });
    let mut listed: Vec<_> = listed.collect();
    listed.sort_unstable();
    assert_eq!(listed, wanted(after).into_iter().collect::<Vec<_>>());

    // No slice grows beyond the maximum.
    for slice in after.live() {
        let was = old.get(slice.meta.name.as_deref().unwrap_or_default());
        let was = was.map_or(0, |slice| slice.endpoints.len());
        assert!(slice.endpoints.len() <= after.settings.max_endpoints.max(was));
    }

    // Each family has at least one slice, all of them this Service's.
    for family in &after.service.families {
        assert!(after.live().any(|slice| slice.address_type == *family));
    }
    assert!(after.live().all(|slice| slice.is_owned_by(after.service.uid.as_ref())));

    // Slices with another owner, and terminating ones, are never written.
    for slice in &writes.updates {
        let old = old[slice.meta.name.as_deref().unwrap_or_default()];
        assert!(old.is_owned_by(before.service.uid.as_ref()) && !old.meta.terminating);
        // Nothing is written needlessly.
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
    let planned = writes.creates.iter().chain(&writes.updates).chain(&writes.unchanged);
    assert_eq!(world::sizes(planned), world::sizes(after.live()));
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
            // A map of nodes in another order.
            let mut nodes: Vec<_> = shuffled.nodes.values().cloned().collect();
            nodes.reverse();
            shuffled.nodes = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
            prop_assert_eq!(format!("{:?}", cluster.plan()), format!("{:?}", shuffled.plan()));
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
