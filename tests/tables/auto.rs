//! Hints by CPU share, the legacy annotation (docs/semantics.md 5.3, 10.2).

use closehaul::{
    model::{
        node::Node,
        pod::Pod,
        slice::{Endpoint, Slice, TRIGGER_TIME},
    },
    plan::{
        hints::auto::{CpuShares, ZoneCounts, cpu_shares},
        intent::Mechanism,
        pack::Packing,
    },
};

use crate::world::{self, Cluster, node, pod_on, zones};

fn shares(shares: &[(&str, f64)]) -> CpuShares {
    shares.iter().map(|(zone, share)| ((*zone).into(), *share)).collect()
}

fn counts(counts: &[(&str, usize)]) -> ZoneCounts {
    counts.iter().map(|(zone, count)| ((*zone).into(), *count)).collect()
}

/// Ready endpoints, this many of each zone in turn.
fn endpoints(zones: &[(&str, u16)]) -> Vec<Endpoint> {
    let zones = zones.iter().flat_map(|(zone, count)| (0..*count).map(move |_| *zone));
    (0..).zip(zones).map(|(number, zone)| world::endpoint(number, zone)).collect()
}

/// Endpoints, each with its zone and the zone of its hints; no hints if that is empty.
fn hinted(pairs: &[(&str, &str)]) -> Slice {
    let endpoints = (500..).zip(pairs).map(|(number, (zone, hint))| Endpoint {
        hints: world::hints(&[*hint], &[]).filter(|_| !hint.is_empty()),
        ..world::endpoint(number, zone)
    });
    Slice { endpoints: endpoints.collect(), ..world::slice() }
}

/// Assigns hints to one new slice. Returns its endpoints and the counts.
fn assign(
    endpoints: Vec<Endpoint>,
    shares: Option<&CpuShares>,
) -> (Vec<Endpoint>, Option<ZoneCounts>) {
    let mut packing =
        Packing { creates: vec![world::fresh_draft(endpoints)], ..Packing::default() };
    let counts = world::assign_hints(Mechanism::Auto, &mut packing, shares, true);
    (packing.creates.swap_remove(0).endpoints, counts)
}

/// Whether an endpoint has a hint for its own zone alone.
fn is_own(endpoint: &Endpoint) -> bool {
    zones(endpoint) == [endpoint.zone.as_deref().unwrap_or_default()]
}

/// `TestAddHints`, rows 1 to 3: it gives up, and removes hints.
#[test]
fn it_gives_up_without_shares_or_with_too_few_endpoints() {
    let thirds = shares(&[("a", 0.35), ("b", 0.35), ("c", 0.3)]);
    for (what, endpoints, shares) in [
        ("nothing", vec![], None),
        ("one endpoint", endpoints(&[("a", 1)]), None),
        ("two for three zones", endpoints(&[("a", 1), ("b", 1)]), Some(&thirds)),
        ("none for three zones", vec![], Some(&thirds)),
    ] {
        let stale = |mut endpoint: Endpoint| {
            endpoint.hints = world::hints(&["a"], &[]);
            endpoint
        };
        let (after, counts) = assign(endpoints.into_iter().map(stale).collect(), shares);
        assert_eq!(counts, None, "{what}");
        assert!(after.iter().all(|endpoint| endpoint.hints.is_none()), "{what}");
    }
}

/// `TestAddHints`, rows 4 and 5.
#[test]
fn each_endpoint_serves_its_own_zone_where_shares_fit() {
    let shares = shares(&[("a", 0.45), ("b", 0.55)]);
    let mut four = endpoints(&[("a", 2), ("b", 2)]);
    for (at, ready) in [(1, Some(false)), (3, None)] {
        four[at].conditions.ready = ready;
    }
    for endpoints in [endpoints(&[("a", 1), ("b", 1)]), four] {
        let (after, found) = assign(endpoints, Some(&shares));
        assert_eq!(found, Some(counts(&[("a", 1), ("b", 1)])));
        for endpoint in &after {
            assert_eq!(is_own(endpoint), endpoint.is_ready());
            assert_eq!(endpoint.hints.is_some(), endpoint.is_ready());
        }
    }
}

/// `TestAddHints`, row 6: the first endpoint of the giving zone moves.
#[test]
fn ten_endpoints_become_four_three_three() {
    let shares = shares(&[("a", 0.35), ("b", 0.35), ("c", 0.3)]);
    let (after, found) = assign(endpoints(&[("a", 5), ("b", 2), ("c", 3)]), Some(&shares));
    assert_eq!(found, Some(counts(&[("a", 4), ("b", 3), ("c", 3)])));
    assert_eq!(zones(&after[0]), ["b"]);
    assert!(after[1..].iter().all(is_own));
}

/// `Test_getTotalReadyEndpoints`: ready endpoints of all three lists count, and no others.
#[test]
fn ready_endpoints_of_every_list_count() {
    let halves = shares(&[("a", 0.5), ("b", 0.5)]);
    // (created, updated, unchanged), each ready or not; two are enough for two zones.
    for (ready, enough) in [
        ([false, false, false], false),
        ([true, false, false], false),
        ([true, true, false], true),
        ([true, false, true], true),
        ([false, true, true], true),
    ] {
        let one = |at: u16, zone| {
            let mut endpoint = world::endpoint(at, zone);
            endpoint.conditions.ready = Some(ready[usize::from(at)]);
            endpoint
        };
        // Zones chosen so that the two ready ones differ.
        let [created, updated, unchanged] =
            [("a", 0), ("b", 1), (["a", "b"][usize::from(ready[0])], 2)]
                .map(|(zone, at)| one(at, zone));
        let slice = |endpoint| Slice { endpoints: [endpoint].into(), ..world::slice() };
        let (updated, unchanged) = (slice(updated), slice(unchanged));
        let mut packing = Packing {
            creates: vec![world::fresh_draft(vec![created])],
            updates: vec![world::draft_of(&updated)],
            unchanged: vec![&unchanged],
            ..Packing::default()
        };
        let found = world::assign_hints(Mechanism::Auto, &mut packing, Some(&halves), true);
        let expected = enough.then(|| counts(&[("a", 1), ("b", 1)]));
        assert_eq!(found, expected, "{ready:?}");
    }
}

/// `Test_getGivingAndReceivingZones` and `Test_redistributeHints`, as far as counts of real
/// endpoints can show it: desired shares of 16 (of 3 in the first row), zones, counts after.
#[test]
fn surplus_moves_to_deficit() {
    let rows = [
        ("all near enough", [1.1, 1.0, 0.9], [1, 1, 1], [1, 1, 1]),
        ("one gives to two, 5 and 5", [5.1, 5.1, 5.8], [16, 0, 0], [6, 5, 5]),
        ("one gives to two, 6 and 5", [5.0, 5.6, 5.4], [16, 0, 0], [5, 6, 5]),
        ("two give to one", [5.0, 5.6, 5.4], [0, 8, 8], [5, 6, 5]),
        ("half an endpoint is too little", [5.4, 5.2, 5.4], [6, 5, 5], [6, 5, 5]),
        ("one step", [4.0, 6.0, 6.0], [5, 5, 6], [4, 6, 6]),
    ];
    for (what, wanted, zones, after) in rows {
        let total: f64 = wanted.iter().sum();
        let names = ["a", "b", "c"];
        let of: Vec<_> = names.into_iter().zip(wanted.map(|wanted| wanted / total)).collect();
        let before: Vec<_> = names.into_iter().zip(zones).collect();
        let expected: Vec<_> = names.into_iter().zip(after).collect();
        let (after, found) = assign(endpoints(&before), Some(&shares(&of)));
        assert_eq!(found, Some(counts(&expected)), "{what}");
        let mut hinted = ZoneCounts::new();
        for endpoint in &after {
            let hints = endpoint.hints.as_ref().expect("every ready endpoint is hinted");
            assert_eq!((hints.zones.len(), hints.nodes.len()), (1, 0), "{what}");
            *hinted.entry(hints.zones[0].clone()).or_default() += 1;
        }
        assert_eq!(hinted, counts(&expected), "{what}");
        // No more endpoints move than necessary.
        let stay: usize =
            zones.iter().zip(expected).map(|(n, (_, m))| usize::from(*n).min(m)).sum();
        assert_eq!(after.iter().filter(|endpoint| is_own(endpoint)).count(), stay, "{what}");
    }
}

/// docs/semantics.md 5.3, assignment 3: less than half an endpoint is neither given nor received,
/// even where the other side has more than a whole one.
#[test]
fn less_than_half_an_endpoint_does_not_move() {
    for (a, others) in [(8.8, 10.4), (11.2, 9.6)] {
        let zones = ["a", "b", "c", "d"];
        let of = zones.map(|zone| (zone, if zone == "a" { a } else { others } / 40.0));
        let (after, found) = assign(endpoints(&zones.map(|zone| (zone, 10))), Some(&shares(&of)));
        assert_eq!(found, Some(counts(&zones.map(|zone| (zone, 10)))));
        assert!(after.iter().all(is_own));
    }
}

/// docs/semantics.md 5.3: a zone must have its minimum even if that is more than its share.
#[test]
fn a_small_zone_gets_its_minimum() {
    let shares = shares(&[("a", 0.85), ("b", 0.15)]);
    let (_, found) = assign(endpoints(&[("a", 4)]), Some(&shares));
    assert_eq!(found, Some(counts(&[("a", 3), ("b", 1)])));
}

/// Any one of several equal zones may get the odd endpoint.
#[test]
fn ties_are_broken_somehow() {
    let thirds = cpu_shares(&Cluster::with(vec![]).nodes).expect("shares");
    let (_, found) = assign(endpoints(&[("a", 16)]), Some(&thirds));
    let mut found: Vec<usize> = found.expect("counts").into_values().collect();
    found.sort_unstable();
    assert_eq!(found, [5, 5, 6]);
}

/// `Test_getHintsByZone`: which slices may stay as they are.
#[test]
fn slices_that_are_right_stay() {
    let halves = shares(&[("a", 0.5), ("b", 0.5)]);
    let mut with_unready = hinted(&[("a", "a"), ("b", "b"), ("b", ""), ("a", "")]);
    let mut unready = with_unready.endpoints.to_vec();
    unready[2].conditions.ready = Some(false);
    unready[3].conditions.ready = None;
    with_unready.endpoints = unready.into();
    let mut empty = hinted(&[("a", "a"), ("b", "b")]);
    world::edit_endpoints(&mut empty, |endpoint| endpoint.hints = world::hints(&[], &[]));
    let rows = [
        ("empty slice", hinted(&[]), true),
        ("own zones", hinted(&[("a", "a"), ("b", "b")]), true),
        ("one zone", hinted(&[("a", "a"), ("a", "a")]), true),
        ("another zone", hinted(&[("b", "a"), ("b", "b")]), true),
        ("unready ones without hints", with_unready, true),
        ("zone not allocated", hinted(&[("a", "c"), ("b", "b")]), false),
        ("no hints", hinted(&[("a", "a"), ("b", "")]), false),
        ("empty hints", empty, false),
        ("too many in one zone", hinted(&[("a", "a"), ("a", "a"), ("a", "a"), ("a", "a")]), false),
    ];
    for (what, slice, stays) in rows {
        let mut packing = Packing {
            // So that there are enough endpoints in both zones.
            creates: vec![world::fresh_draft(endpoints(&[("a", 1), ("b", 1)]))],
            unchanged: vec![&slice],
            ..Packing::default()
        };
        world::assign_hints(Mechanism::Auto, &mut packing, Some(&halves), true).expect("counts");
        assert_eq!(packing.unchanged.len(), usize::from(stays), "{what}");
        assert_eq!(packing.updates.len(), usize::from(!stays), "{what}");
        let draft = packing.updates.iter().flat_map(|draft| &draft.endpoints);
        for endpoint in draft.filter(|endpoint| endpoint.is_ready()) {
            assert!(["a", "b"].contains(&zones(endpoint)[0]), "{what}");
        }
    }
}

/// `UpdateNode` (docs/semantics.md 10.6): a zone label that arrives late makes hints possible.
#[test]
fn a_late_zone_label_makes_hints_possible() {
    let mut cluster = auto_cluster(&["a1", "b1"]);
    cluster.nodes = world::nodes(&[("a1", "a"), ("b1", "")]);
    cluster.shares = cpu_shares(&cluster.nodes);
    assert_eq!(cluster.sync().counts, []);
    cluster.nodes = world::nodes(&[("a1", "a"), ("b1", "b")]);
    cluster.shares = cpu_shares(&cluster.nodes);
    assert_eq!(cluster.sync().counts, [counts(&[("a", 1), ("b", 1)])]);
    assert!(cluster.endpoints().all(|(_, endpoint)| is_own(endpoint)));
    cluster.assert_settled();
}

/// Each slice alone would be within the maximum; together they are not.
#[test]
fn the_maximum_counts_over_all_slices() {
    let (first, second) = (hinted(&[("a", "a"), ("a", "a")]), hinted(&[("a", "a"), ("a", "a")]));
    let mut packing = Packing { unchanged: vec![&first, &second], ..Packing::default() };
    let halves = shares(&[("a", 0.5), ("b", 0.5)]);
    let found = world::assign_hints(Mechanism::Auto, &mut packing, Some(&halves), true);
    assert_eq!(found, Some(counts(&[("a", 2), ("b", 2)])));
    assert_eq!((packing.unchanged.len(), packing.updates.len()), (1, 1));
    assert!(packing.updates[0].endpoints.iter().all(|endpoint| zones(endpoint) == ["b"]));
}

/// An Auto Service with one pod on each of these nodes; zones a, b and c are equal.
fn auto_cluster(on: &[&str]) -> Cluster {
    let pods: Vec<Pod> = (0..).zip(on).map(|(number, node)| pod_on(number, node)).collect();
    let mut cluster = Cluster::with(pods);
    cluster.service.auto = true;
    cluster.shares = cpu_shares(&cluster.nodes);
    cluster
}

/// `TestReconcileTopology`: endpoints with hints for another zone, or no hints at all.
#[test]
fn whole_plans() {
    let cross_zone = |cluster: &Cluster| -> Option<usize> {
        let endpoints: Vec<_> = cluster.endpoints().map(|(_, endpoint)| endpoint.clone()).collect();
        let hinted = endpoints.iter().all(|endpoint| endpoint.hints.is_some());
        hinted.then(|| endpoints.iter().filter(|endpoint| !is_own(endpoint)).count())
    };
    let none_hinted =
        |cluster: &Cluster| cluster.endpoints().all(|(_, endpoint)| endpoint.hints.is_none());
    let thirds = |each: usize| counts(&[("a", each), ("b", each), ("c", each)]);

    let mut off = auto_cluster(&["a1", "b1", "c1"]);
    off.shares = None;
    assert_eq!(off.sync().counts, []);
    assert!(none_hinted(&off), "no shares");

    let mut lopsided = auto_cluster(&["c1", "c1", "c2"]);
    assert_eq!(lopsided.sync().counts, [thirds(1)]);
    assert_eq!(cross_zone(&lopsided), Some(2));
    lopsided.assert_settled();

    let mut beyond = auto_cluster(&["a1", "a2", "c1", "c2"]);
    assert_eq!(beyond.sync().counts, []);
    assert!(none_hinted(&beyond), "beyond the threshold");

    let mut nine = auto_cluster(&["a1", "a1", "a2", "a2", "b1", "b1", "b2", "c1", "c2"]);
    let (first, second) = (nine.pods[..5].to_vec(), nine.pods[5..].to_vec());
    nine.service.auto = false;
    nine.add_slice_of(&first);
    nine.add_slice_of(&second);
    nine.plan().assert_none();
    nine.service.auto = true;
    let writes = nine.sync();
    assert_eq!((writes.tally(), writes.locality_only), ((0, 2, 0), true));
    assert_eq!(writes.counts, [thirds(3)]);
    assert_eq!(cross_zone(&nine), Some(1));
    nine.assert_settled();
    assert_eq!(nine.plan().counts, [thirds(3)], "unchanged slices count too");

    let mut disabled = auto_cluster(&["a1", "b1", "c1"]);
    disabled.service.auto = false;
    assert_eq!(disabled.sync().counts, []);
    assert!(none_hinted(&disabled), "annotation off");
}

/// docs/semantics.md 5.3, assignment 2: an endpoint in a zone without CPU share keeps its own zone
/// and counts in n.
#[test]
fn an_endpoint_in_a_zone_without_share_keeps_its_own_zone() {
    let mut cluster = auto_cluster(&["a1", "a2", "b1", "c1"]);
    cluster.nodes.get_mut("c1").expect("c1").control_plane = true;
    cluster.nodes.remove("c2", None);
    cluster.shares = cpu_shares(&cluster.nodes);
    cluster.sync();
    assert!(cluster.endpoints().all(|(_, endpoint)| is_own(endpoint)));
    // The zone is not allocated, so the slice would be written; but nothing would change.
    cluster.trigger_time = Some(world::at(5));
    let writes = cluster.plan();
    writes.assert_none();
    assert_eq!(writes.unchanged.len(), 1);
}

/// With a ready endpoint that has no zone, the built-in controller repeatedly writes all slices.
/// Here, none is written needlessly, and none loses its trigger time.
#[test]
fn an_endpoint_without_zone_takes_all_hints_away_once() {
    let mut cluster = auto_cluster(&["a1", "b1", "c1"]);
    cluster.settings.max_endpoints = 2;
    cluster.trigger_time = Some(world::at(1));
    cluster.sync();
    assert!(cluster.endpoints().all(|(_, endpoint)| is_own(endpoint)));

    cluster.nodes.insert("d1".into(), Node { control_plane: true, ..node("d1", "") });
    cluster.pods.push(pod_on(9, "d1"));
    assert_eq!(cluster.sync().counts, []);
    assert!(cluster.endpoints().all(|(_, endpoint)| endpoint.hints.is_none()));
    cluster.trigger_time = None;
    assert_eq!(cluster.sync().tally(), (0, 0, 0));
    let time = |slice: &Slice| slice.meta.annotations.get(TRIGGER_TIME).is_some();
    assert!(cluster.live().all(time));
}

/// A slice that was right stays as it is when another one is written.
#[test]
fn additions_leave_right_slices_alone() {
    let mut cluster = auto_cluster(&["a1", "b1", "c1", "a1", "b1", "c1"]);
    cluster.settings.max_endpoints = 3;
    cluster.sync();
    cluster.pods.extend([pod_on(7, "a1"), pod_on(8, "b1"), pod_on(9, "c1")]);
    assert_eq!(cluster.sync().tally(), (1, 0, 0));
    assert!(cluster.endpoints().all(|(_, endpoint)| is_own(endpoint)));
    cluster.assert_settled();
}

/// docs/semantics.md 5.3 is about ready endpoints only. An endpoint that is not ready keeps its
/// hints in an old object that is written, as with `trafficDistribution`.
#[test]
fn unready_endpoints_keep_hints_when_the_old_object_is_written() {
    let mut cluster = auto_cluster(&["a1", "b1", "c1", "a1"]);
    cluster.pods[3].ready = false;
    cluster.sync();
    let by_hand = world::hints(&["b"], &[]);
    world::edit_endpoints(cluster.only_slice(), |endpoint| {
        if !endpoint.is_ready() {
            endpoint.hints.clone_from(&by_hand);
        }
    });
    cluster.assert_settled();
    cluster.service.labels = world::labels(&[("team", "blue")]);
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert_eq!(cluster.zone_hints()["pod-003"], ["b"]);

    // Giving up removes all hints.
    cluster.shares = None;
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert!(cluster.endpoints().all(|(_, endpoint)| endpoint.hints.is_none()));
}
