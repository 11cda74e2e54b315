//! Hints by `spec.trafficDistribution` (docs/semantics.md 5.1, 5.2, 10.1, 10.7).

use closehaul::{
    model::{
        pod::Pod,
        service::TrafficDistribution,
        slice::{Endpoint, Hints, Slice},
    },
    plan::{
        hints,
        intent::Intent,
        pack::{Draft, Packing},
    },
};
use std::sync::Arc;

use crate::world::{self, Cluster, pod, pod_on};

/// What is known of an endpoint: zone, node, readiness and the hints it has.
type Seen<'a> = (&'a str, &'a str, Option<bool>, Option<Arc<Hints>>);

fn endpoint(number: u16, (zone, node, ready, hints): &Seen<'_>) -> Endpoint {
    let mut endpoint = world::endpoint(number, zone);
    endpoint.node = (!node.is_empty()).then(|| (*node).into());
    endpoint.conditions.ready = *ready;
    endpoint.hints.clone_from(hints);
    endpoint
}

fn slice_of(first: u16, endpoints: &[Seen<'_>]) -> Slice {
    let endpoints = (first..).zip(endpoints).map(|(number, seen)| endpoint(number, seen));
    Slice { endpoints: endpoints.collect(), ..world::slice() }
}

/// The hints of what is created and what is updated, and what stays, after hints were assigned to
/// one slice of each kind.
struct Outcome {
    created: Vec<Option<Arc<Hints>>>,
    updated: Vec<Vec<Option<Arc<Hints>>>>,
    unchanged: usize,
}

fn assign(
    preference: Option<&str>,
    created: &[Seen<'_>],
    updated: &[Seen<'_>],
    unchanged: &[&[Seen<'_>]],
) -> Outcome {
    assign_with(true, preference, created, updated, unchanged)
}

/// The same with or without hints for nodes.
fn assign_with(
    node_hints: bool,
    preference: Option<&str>,
    created: &[Seen<'_>],
    updated: &[Seen<'_>],
    unchanged: &[&[Seen<'_>]],
) -> Outcome {
    let mut service = world::service();
    service.traffic_distribution = preference.and_then(TrafficDistribution::parse);
    let updated = slice_of(100, updated);
    let unchanged: Vec<Slice> =
        (2..).zip(unchanged).map(|(at, slice)| slice_of(at * 100, slice)).collect();
    let before = unchanged.clone();
    let created = slice_of(0, created).endpoints.to_vec();
    let mut packing = Packing {
        creates: vec![world::fresh_draft(created)],
        updates: vec![world::draft_of(&updated)],
        unchanged: unchanged.iter().collect(),
        ..Packing::default()
    };
    let mechanism = Intent::of(&service).mechanism;
    let counts = world::assign_hints(mechanism, &mut packing, None, node_hints);
    assert_eq!(counts, None, "only the legacy annotation counts");
    // Whatever stays is one of the given slices, and what moves keeps all but the hints.
    for kept in &packing.unchanged {
        assert!(before.contains(kept));
    }
    let hints_of = |draft: &Draft<'_>| draft.endpoints.iter().map(|e| e.hints.clone()).collect();
    Outcome {
        created: hints_of(&packing.creates[0]),
        updated: packing.updates.iter().map(hints_of).collect(),
        unchanged: packing.unchanged.len(),
    }
}

const READY: Option<bool> = Some(true);

/// Rows 1 and 2.
#[test]
fn same_zone_sets_the_own_zone_in_every_list() {
    for preference in ["PreferClose", "PreferSameZone"] {
        let (a, b, c) =
            (world::hints(&["a"], &[]), world::hints(&["b"], &[]), world::hints(&["c"], &[]));
        let outcome = assign(
            Some(preference),
            &[("a", "a1", READY, None), ("b", "b1", READY, None)],
            &[("a", "a1", READY, None), ("b", "b1", READY, None)],
            &[
                &[("b", "b1", READY, b.clone()), ("c", "c1", READY, c.clone())],
                &[("a", "a1", READY, None), ("b", "b1", READY, b.clone())],
            ],
        );
        let both = vec![a, b];
        assert_eq!(outcome.created, both, "{preference}");
        assert_eq!(outcome.updated, [both.clone(), both], "{preference}");
        assert_eq!(outcome.unchanged, 1, "{preference}");
    }
}

/// Row 3.
#[test]
fn same_node_sets_zone_and_node() {
    let a = world::hints(&["a"], &["a1"]);
    let b = world::hints(&["b"], &["b1"]);
    let outcome = assign(
        Some("PreferSameNode"),
        &[("a", "a1", READY, None)],
        &[("b", "b1", READY, None)],
        &[&[("a", "a1", READY, a.clone())], &[("b", "b1", READY, world::hints(&["b"], &[]))]],
    );
    assert_eq!(outcome.created, [a]);
    assert_eq!(outcome.updated, [vec![b.clone()], vec![b]]);
    assert_eq!(outcome.unchanged, 1);
}

/// Row 4, and every case in which an unchanged slice is updated (docs/semantics.md 5.2).
#[test]
fn wrong_hints_are_corrected() {
    let zone_a = world::hints(&["a"], &[]);
    let node_a = world::hints(&["a"], &["a1"]);
    let rows = [
        ("another zone", "PreferClose", "a", world::hints(&["b"], &[]), zone_a.clone()),
        ("several zones", "PreferClose", "a", world::hints(&["a", "b"], &[]), zone_a.clone()),
        ("none yet", "PreferClose", "a", None, zone_a.clone()),
        ("empty hints", "PreferClose", "a", world::hints(&[], &[]), zone_a.clone()),
        ("node not wanted", "PreferClose", "a", node_a.clone(), zone_a),
        ("zone that is gone", "PreferClose", "", world::hints(&["a"], &[]), None),
        ("another node", "PreferSameNode", "a", world::hints(&["a"], &["b1"]), node_a.clone()),
        (
            "several nodes",
            "PreferSameNode",
            "a",
            world::hints(&["a"], &["a1", "b1"]),
            node_a.clone(),
        ),
        ("no node", "PreferSameNode", "a", world::hints(&["a"], &[]), node_a),
        (
            "zone gone",
            "PreferSameNode",
            "",
            world::hints(&["a"], &["a1"]),
            world::hints(&[], &["a1"]),
        ),
    ];
    for (what, preference, zone, old, new) in rows {
        let wrong = (zone, "a1", READY, old.clone());
        let outcome = assign(Some(preference), &[], &[], &[&[wrong]]);
        assert_eq!(outcome.updated, [vec![], vec![new.clone()]], "unchanged slice: {what}");
        let wrong = (zone, "a1", READY, old);
        let outcome = assign(Some(preference), &[], &[wrong], &[]);
        assert_eq!(outcome.updated, [vec![new]], "updated slice: {what}");
    }
}

/// docs/semantics.md 5.4: where the API server drops `forNodes`, none is written, and a slice that
/// lacks it is right.
#[test]
fn without_node_hints_the_same_node_becomes_the_same_zone() {
    let zone = world::hints(&["a"], &[]);
    let both = world::hints(&["a"], &["a1"]);
    let none = world::hints(&[], &[]);
    // The hints of a slice that nothing else changes, and what is written: `None` if it stays.
    let rows = [
        ("as the server stores it", "a", zone.clone(), None),
        ("from when nodes were kept", "a", both.clone(), None),
        ("no zone, as stored", "", none, None),
        ("no zone, from when nodes were kept", "", world::hints(&[], &["a1"]), None),
        ("no zone, no hints", "", None, None),
        ("no hints", "a", None, Some(zone.clone())),
        ("another zone", "a", world::hints(&["b"], &[]), Some(zone.clone())),
        ("another node", "a", world::hints(&["a"], &["b1"]), Some(zone.clone())),
        ("another zone, own node", "a", world::hints(&["b"], &["a1"]), Some(zone.clone())),
        ("zone gone", "", world::hints(&["a"], &[]), Some(None)),
    ];
    for (what, place, old, wanted) in rows {
        let seen = (place, "a1", READY, old);
        let outcome = assign_with(false, Some("PreferSameNode"), &[], &[], &[&[seen]]);
        let mut written = vec![vec![]];
        written.extend(wanted.map(|hints| vec![hints]));
        assert_eq!(outcome.updated, written, "{what}");
    }
    let plain = ("a", "a1", READY, None);
    let hinted = ("a", "a1", READY, both);
    let hinted = std::slice::from_ref(&hinted);
    let outcome = assign_with(false, Some("PreferSameNode"), &[plain], hinted, &[]);
    assert_eq!((outcome.created, outcome.updated), (vec![zone.clone()], vec![vec![zone]]));

    // Hints for nodes that no preference requires go, as ever.
    for preference in [Some("PreferSameZone"), None] {
        let outcome = assign_with(false, preference, &[], &[], &[hinted]);
        assert_eq!(outcome.unchanged, 0, "{preference:?}");
    }
}

/// The same as a history: losing the hints for nodes causes no write. All of them are written when
/// the API server keeps them again.
#[test]
fn node_hints_go_and_come_back() {
    let mut cluster = Cluster::with(vec![pod_on(1, "a1"), pod_on(2, "b1")]);
    cluster.service.traffic_distribution = Some(TrafficDistribution::PreferSameNode);
    cluster.sync();
    cluster.settings.node_hints = false;
    cluster.assert_settled();

    world::edit_endpoints(cluster.only_slice(), |endpoint| {
        let hints = endpoint.hints.as_deref().expect("hints");
        endpoint.hints = Some(Arc::new(Hints { nodes: Vec::new(), ..hints.clone() }));
    });
    cluster.assert_settled();
    cluster.pods.push(pod_on(3, "c1"));
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    let nodes = |cluster: &Cluster| {
        let hints = cluster.endpoints().filter_map(|(_, endpoint)| endpoint.hints.clone());
        hints.flat_map(|hints| hints.nodes.clone()).map(|node| node.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(nodes(&cluster), [""; 0]);
    assert_eq!(cluster.zone_hints().into_values().collect::<Vec<_>>(), [["a"], ["b"], ["c"]]);
    cluster.assert_settled();

    cluster.settings.node_hints = true;
    let writes = cluster.sync();
    assert_eq!((writes.tally(), writes.locality_only), ((0, 1, 0), true));
    assert_eq!(nodes(&cluster), ["a1", "b1", "c1"]);
    cluster.assert_settled();
}

/// Rows 5 and 6.
#[test]
fn without_zone_there_is_no_zone_hint() {
    for (preference, wanted) in [
        ("PreferClose", None),
        ("PreferSameZone", None),
        ("PreferSameNode", world::hints(&[], &["a1"])),
    ] {
        let zoneless = ("", "a1", READY, None);
        let right = ("", "a1", READY, wanted.clone());
        let outcome = {
            let zoneless = std::slice::from_ref(&zoneless);
            assign(Some(preference), zoneless, zoneless, &[&[right]])
        };
        assert_eq!(outcome.created, std::slice::from_ref(&wanted), "{preference}");
        assert_eq!(outcome.updated, [vec![wanted]], "{preference}");
        assert_eq!(outcome.unchanged, 1, "{preference}");
    }
    let nowhere = ("", "", READY, None);
    assert_eq!(assign(Some("PreferSameNode"), &[nowhere], &[], &[]).created, [None]);
}

/// Row 7; an absent ready condition counts as not ready.
#[test]
fn an_unready_endpoint_causes_no_write_and_keeps_what_it_has() {
    for ready in [Some(false), None] {
        for old in [None, world::hints(&["b"], &["b1"]), world::hints(&[], &[])] {
            let outcome = assign(
                Some("PreferSameNode"),
                &[("a", "a1", ready, None)],
                &[("a", "a1", ready, old.clone()), ("a", "a1", READY, None)],
                &[&[("a", "a1", ready, old.clone())]],
            );
            assert_eq!(outcome.created, [None]);
            assert_eq!(outcome.updated, [vec![old, world::hints(&["a"], &["a1"])]]);
            assert_eq!(outcome.unchanged, 1);
        }
    }
}

/// Rows 8 and 9. An empty `hints: {}` is removed too (docs/semantics.md 5.1).
#[test]
fn an_unknown_or_unset_preference_removes_hints() {
    for preference in [None, Some("PreferFar"), Some("preferclose"), Some("")] {
        for old in [world::hints(&["a"], &[]), world::hints(&[], &["a1"]), world::hints(&[], &[])] {
            for ready in [READY, Some(false)] {
                let hinted = ("a", "a1", ready, old.clone());
                let plain = ("a", "a1", READY, None);
                let outcome = assign(
                    preference,
                    std::slice::from_ref(&hinted),
                    std::slice::from_ref(&hinted),
                    &[&[plain.clone(), hinted.clone()], &[plain]],
                );
                assert_eq!(outcome.created, [None]);
                assert_eq!(outcome.updated, [vec![None], vec![None, None]], "{preference:?}");
                assert_eq!(outcome.unchanged, 1);
            }
        }
    }
}

/// An empty `hints: {}` on an endpoint without zone stays while a preference is in force
/// (docs/semantics.md 5.2).
#[test]
fn empty_hints_stay_on_an_endpoint_without_zone() {
    let empty = ("", "a1", READY, world::hints(&[], &[]));
    let outcome = assign(Some("PreferClose"), &[], &[], &[&[empty]]);
    assert_eq!((outcome.unchanged, outcome.updated.len()), (1, 1));
}

/// docs/semantics.md 5.2: with publishNotReadyAddresses every endpoint is ready, so every one gets
/// hints.
#[test]
fn published_unready_pods_are_hinted() {
    let mut cluster =
        Cluster::with(vec![world::unready(1), Pod { terminating: true, ..pod_on(2, "b1") }]);
    cluster.service.traffic_distribution = Some(TrafficDistribution::PreferSameZone);
    cluster.sync();
    assert!(cluster.zone_hints().values().all(Vec::is_empty));
    cluster.service.publish_not_ready = true;
    cluster.sync();
    let hints: Vec<_> = cluster.zone_hints().into_values().collect();
    assert_eq!(hints, [["a"], ["b"]]);
    cluster.assert_settled();
}

/// An old object that is written for its labels keeps the hints of its unready
/// endpoints; a rebuilt one does not.
#[test]
fn unready_endpoints_keep_hints_when_the_old_object_is_written() {
    let mut cluster = Cluster::with(vec![world::unready(1), pod(2)]);
    cluster.service.traffic_distribution = Some(TrafficDistribution::PreferClose);
    cluster.sync();
    let by_hand = world::hints(&["b"], &[]);
    world::edit_endpoints(cluster.only_slice(), |endpoint| {
        if endpoint.conditions.ready == Some(false) {
            endpoint.hints.clone_from(&by_hand);
        }
    });
    cluster.assert_settled();

    cluster.service.labels = world::labels(&[("team", "blue")]);
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert_eq!(cluster.zone_hints()["pod-001"], ["b"]);

    // Rebuilt, because the other endpoint moved.
    cluster.pods[1].node = Some("c1".into());
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert!(cluster.zone_hints()["pod-001"].is_empty());
    cluster.assert_settled();
}

/// `TestReconcile_TrafficDistribution`, as far as gates exist.
#[test]
fn the_annotation_beats_the_field() {
    let rows = [
        (Some("PreferClose"), false, &["a", "b", "c"][..], &[][..]),
        // Auto is in force and gives up for lack of shares: no hints at all.
        (Some("PreferClose"), true, &[], &[]),
        (None, false, &[], &[]),
        (Some("PreferSameNode"), false, &["a", "b", "c"], &["a1", "b1", "c1"]),
    ];
    for (preference, auto, zones, nodes) in rows {
        let mut cluster = Cluster::with(vec![pod_on(1, "a1"), pod_on(2, "b1"), pod_on(3, "c1")]);
        cluster.service.traffic_distribution = preference.and_then(TrafficDistribution::parse);
        cluster.service.auto = auto;
        assert_eq!(cluster.sync().tally(), (1, 0, 0));
        let hints: Vec<Arc<Hints>> =
            cluster.endpoints().filter_map(|(_, endpoint)| endpoint.hints.clone()).collect();
        let of = |pick: fn(&Hints) -> &Vec<_>| -> Vec<String> {
            hints.iter().flat_map(|hints| pick(hints)).map(ToString::to_string).collect()
        };
        assert_eq!(of(|hints| &hints.zones), zones, "{preference:?} {auto}");
        assert_eq!(of(|hints| &hints.nodes), nodes, "{preference:?} {auto}");
        cluster.assert_settled();
    }
}

/// `Test_TransitionsForTrafficDistribution` of 10.7 as a history.
#[test]
fn transitions() {
    let mut cluster = Cluster::with(vec![pod(1)]);
    cluster.sync();
    let zone = world::hints(&["a"], &[]);
    let node = world::hints(&["a"], &["a1"]);
    let steps = [
        ("unset", None, false, None),
        ("PreferClose", Some("PreferClose"), false, zone.clone()),
        ("Auto, one endpoint: removed", Some("PreferClose"), true, None),
        ("annotation gone", Some("PreferClose"), false, zone.clone()),
        ("unset again", None, false, None),
        ("PreferSameZone", Some("PreferSameZone"), false, zone),
        ("PreferSameNode", Some("PreferSameNode"), false, node),
        ("unset once more", None, false, None),
    ];
    let mut last = None;
    for (step, preference, auto, wanted) in steps {
        cluster.service.traffic_distribution = preference.and_then(TrafficDistribution::parse);
        cluster.service.auto = auto;
        cluster.shares = hints::auto::cpu_shares(&cluster.nodes);
        let writes = cluster.sync();
        let expected = usize::from(wanted != last);
        assert_eq!(writes.tally(), (0, expected, 0), "{step}");
        assert!(writes.locality_only || expected == 0, "{step}");
        assert_eq!(cluster.only_slice().endpoints[0].hints, wanted, "{step}");
        cluster.assert_settled();
        last = wanted;
    }
    cluster.nodes = world::nodes(&[("a1", "")]);
    cluster.service.traffic_distribution = Some(TrafficDistribution::PreferSameNode);
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert_eq!(cluster.only_slice().endpoints[0].hints, world::hints(&[], &["a1"]));
    cluster.assert_settled();
}
