//! Which slices there are, and how many writes they take (docs/semantics.md 4.1 to 4.4,
//! 10.3), with the numbers of upstream's `reconciler_test.go`.

use closehaul::{
    model::{
        address::Addresses,
        labels::Labels,
        name::Uid,
        pod::ContainerPort,
        service::{TargetPort, TrafficDistribution},
        slice::Endpoint,
    },
    plan::pack::{self, Group},
};

use crate::world::{self, Cluster, labels, pod, pods, sizes};

/// `TestReconcile1EndpointSlicePublishNotReadyAddresses`.
#[test]
fn unready_pods_are_published_as_ready() {
    let mut cluster = Cluster::with((0..50).map(world::unready).collect());
    cluster.service.publish_not_ready = true;
    cluster.sync();
    assert_eq!(sizes(cluster.live()), [50]);
    assert!(cluster.endpoints().all(|(_, endpoint)| endpoint.conditions.ready == Some(true)));
    cluster.assert_settled();
}

/// `TestReconcileManyPods` and `TestReconcileMaxEndpointsPerSlice`.
#[test]
fn many_pods_fill_slice_after_slice() {
    for (max, expected) in [
        (100, vec![100, 100, 50]),
        (50, vec![50; 5]),
        (80, vec![80, 80, 80, 10]),
        (150, vec![150, 100]),
        (250, vec![250]),
        (500, vec![250]),
    ] {
        let mut cluster = Cluster::with(pods(0..250));
        cluster.settings.max_endpoints = max;
        assert_eq!(cluster.sync().tally(), (expected.len(), 0, 0), "{max}");
        assert_eq!(sizes(cluster.live()), expected, "{max}");
        cluster.assert_settled();
    }
}

/// `TestReconcileEndpointSlicesSomePreexisting`.
#[test]
fn some_slices_stand_already() {
    let mut cluster = Cluster::standing(&[62, 61]);
    cluster.pods = pods(0..250);
    assert_eq!(cluster.sync().tally(), (1, 1, 0));
    assert_eq!(sizes(cluster.live()), [100, 89, 61]);
    cluster.assert_settled();
}

/// `...SomePreexistingWorseAllocation`.
#[test]
fn fewer_writes_are_worth_more_than_fewer_slices() {
    let mut cluster = Cluster::standing(&[74, 74]);
    cluster.pods = pods(0..300);
    assert_eq!(cluster.sync().tally(), (2, 0, 0));
    assert_eq!(sizes(cluster.live()), [100, 74, 74, 52]);
    cluster.assert_settled();
}

/// `TestReconcileEndpointSlicesRecycling`.
#[test]
fn slices_are_recycled_when_ports_change() {
    let mut cluster = Cluster::standing(&[30; 10]);
    cluster.plan().assert_none();
    cluster.service.ports[0].target = TargetPort::Number(81);
    assert_eq!(cluster.sync().tally(), (0, 3, 7));
    assert_eq!(sizes(cluster.live()), [100, 100, 100]);
    cluster.assert_settled();
}

/// `TestReconcileEndpointSlicesUpdatePacking`.
#[test]
fn slices_written_anyway_are_filled_the_fullest_first() {
    for (before, dirty) in [([80, 20], [0, 90]), ([20, 80], [0, 30])] {
        let mut cluster = Cluster::standing(&before);
        cluster.pods.extend(pods(100..115));
        for at in dirty {
            cluster.pods[at].ready = false;
        }
        assert_eq!(cluster.sync().tally(), (0, 2, 0));
        assert_eq!(sizes(cluster.live()), [95, 20]);
        cluster.assert_settled();
    }
}

/// docs/semantics.md 4.2, step 3: the one unchanged slice that takes all leftovers and ends up
/// fullest.
#[test]
fn leftovers_go_to_the_unchanged_slice_that_ends_up_fullest() {
    for (before, more, tally, after) in [
        (&[40, 60, 95][..], 10, (0, 1, 0), &[95, 70, 40][..]),
        (&[40, 60, 95], 5, (0, 1, 0), &[100, 60, 40]),
        // None can take all, so none is changed.
        (&[40, 60, 95], 70, (1, 0, 0), &[95, 70, 60, 40]),
        // A full slice's worth goes to a new one, the rest to the best one.
        (&[40, 60, 95], 105, (1, 1, 0), &[100, 100, 60, 40]),
        // It fills up exactly.
        (&[1], 99, (0, 1, 0), &[100]),
    ] {
        let mut cluster = Cluster::standing(before);
        cluster.pods.extend(pods(500..500 + more));
        assert_eq!(cluster.sync().tally(), tally, "{before:?} + {more}");
        assert_eq!(sizes(cluster.live()), after, "{before:?} + {more}");
        cluster.assert_settled();
    }
}

/// docs/semantics.md 4.2: nothing is compacted, and a lowered maximum splits nothing.
#[test]
fn nothing_is_compacted_or_split() {
    let mut cluster = Cluster::standing(&[10, 10, 10]);
    cluster.pods.retain(|pod| pod.name.ends_with('5'));
    assert_eq!(cluster.sync().tally(), (0, 3, 0));
    assert_eq!(sizes(cluster.live()), [1, 1, 1]);

    let mut cluster = Cluster::standing(&[60]);
    cluster.settings.max_endpoints = 50;
    cluster.plan().assert_none();
    cluster.pods[0].ready = false;
    cluster.pods.push(pod(99));
    assert_eq!(cluster.sync().tally(), (1, 1, 0));
    assert_eq!(sizes(cluster.live()), [60, 1]);
    cluster.assert_settled();
}

/// docs/semantics.md 4.2, step 1: a slice with nothing left is deleted. An endpoint in two slices
/// stays in one.
#[test]
fn emptied_and_doubled_slices() {
    let mut cluster = Cluster::standing(&[10, 10]);
    cluster.pods = pods(10..20);
    assert_eq!(cluster.sync().tally(), (0, 0, 1));
    assert_eq!(sizes(cluster.live()), [10]);

    let mut cluster = Cluster::standing(&[10]);
    cluster.add_slice_of(&pods(5..15));
    cluster.pods = pods(0..15);
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert_eq!(sizes(cluster.live()).iter().sum::<usize>(), 15);
    cluster.assert_settled();
}

/// `TestReconcileEndpointSlicesNamedPorts`.
#[test]
fn pods_are_grouped_by_what_a_named_port_is() {
    let mut cluster = Cluster::with(pods(0..300));
    cluster.service.ports = vec![world::service_port("http", TargetPort::Named("web".into()))];
    for (number, pod) in (0..).zip(&mut cluster.pods) {
        pod.ports = [world::container_port("web", 8080 + number % 5)].into();
    }
    assert_eq!(cluster.sync().tally(), (5, 0, 0));
    assert_eq!(sizes(cluster.live()), [60; 5]);
    let mut numbers: Vec<_> =
        cluster.live().flat_map(|slice| slice.ports.iter().map(|port| port.number)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (8080..8085).map(Some).collect::<Vec<_>>());
    cluster.assert_settled();
}

/// docs/semantics.md 4.4: a move between port groups recycles slices. An endpoint is never without
/// a slice.
#[test]
fn a_group_that_is_no_longer_wanted_is_recycled() {
    let mut cluster = Cluster::with(pods(0..4));
    cluster.service.ports = vec![world::service_port("http", TargetPort::Named("web".into()))];
    let number = |number: i32| -> std::sync::Arc<[ContainerPort]> {
        [world::container_port("web", number)].into()
    };
    for pod in &mut cluster.pods {
        pod.ports = number(1);
    }
    cluster.sync();
    cluster.pods[0].ports = number(2);
    assert_eq!(cluster.sync().tally(), (1, 1, 0));
    for pod in &mut cluster.pods {
        pod.ports = number(3);
    }
    assert_eq!(cluster.sync().tally(), (0, 1, 1));
    assert_eq!(sizes(cluster.live()), [4]);
    cluster.assert_settled();
}

/// docs/semantics.md 4.4: the name, and what other clients put into the metadata, stay.
#[test]
fn recycling_keeps_what_others_wrote() {
    let mut cluster = Cluster::standing(&[3]);
    let note = labels(&[("example.com/note", "x")]);
    let slice = cluster.only_slice();
    slice.meta.annotations = note.clone();
    slice.meta.finalizers = ["example.com/hold".into()].into();
    let before = slice.meta.clone();
    cluster.service.ports[0].target = TargetPort::Number(81);
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    let after = cluster.only_slice().meta.clone();
    assert_eq!((&after.name, &after.uid), (&before.name, &before.uid));
    assert_eq!((&after.annotations, &after.finalizers), (&note, &before.finalizers));
}

/// `SlicePendingDeletion` and `SliceLabelSelection` (docs/semantics.md 10.6), as far as the plan is
/// concerned.
#[test]
fn slices_on_their_way_out_do_not_count() {
    let mut cluster = Cluster::with(Vec::new());
    cluster.sync();
    let mut leaving = world::slice();
    leaving.meta.terminating = true;
    cluster.create(leaving);
    cluster.plan().assert_none();

    let mut cluster = Cluster::standing(&[1, 1]);
    cluster.pods.clear();
    assert_eq!(cluster.sync().tally(), (0, 1, 1));
}

/// Slices of the built-in controller are adopted without a write, whatever their order.
#[test]
fn slices_are_adopted_as_they_are() {
    let mut cluster = Cluster::standing(&[30, 30]);
    for slice in &mut cluster.slices {
        let mut endpoints = slice.endpoints.to_vec();
        endpoints.reverse();
        slice.endpoints = endpoints.into();
        slice.meta.annotations =
            labels(&[("endpoints.kubernetes.io/last-change-trigger-time", "2023-11-14T22:13:20Z")]);
    }
    cluster.slices.reverse();
    cluster.pods.rotate_left(17);
    cluster.service.labels = Labels::default();
    cluster.plan().assert_none();
}

/// What changes besides the preference, and whether only zones and hints change.
type ChangeRow = (&'static str, bool, fn(&mut Cluster));

/// A plan reports whether only zones and hints change: such writes may wait.
#[test]
fn what_changes_nothing_but_zones_and_hints() {
    let prefer = |cluster: &mut Cluster| {
        cluster.service.traffic_distribution = Some(TrafficDistribution::PreferSameZone);
    };
    let rows: [ChangeRow; 8] = [
        ("hints", true, |_| ()),
        ("a zone", true, |cluster| cluster.nodes = world::nodes(&[("a1", "d"), ("b1", "b")])),
        ("labels", false, |cluster| cluster.service.labels = labels(&[("team", "blue")])),
        ("ports", false, |cluster| cluster.service.ports.clear()),
        ("an address", false, |cluster| cluster.pods[1].addresses = pod(9).addresses),
        ("readiness", false, |cluster| cluster.pods[1].ready = false),
        ("one more", false, |cluster| cluster.pods.push(pod(9))),
        ("one less", false, |cluster| cluster.pods.truncate(1)),
    ];
    for (what, expected, change) in rows {
        let mut cluster = Cluster::standing(&[2]);
        prefer(&mut cluster);
        change(&mut cluster);
        let writes = cluster.sync();
        assert_eq!((writes.tally(), writes.locality_only), ((0, 1, 0), expected), "{what}");
    }
    let mut cluster = Cluster::standing(&[1, 1]);
    prefer(&mut cluster);
    cluster.pods.truncate(1);
    let writes = cluster.sync();
    assert_eq!((writes.tally(), writes.locality_only), ((0, 1, 1), false), "a delete");
}

/// What a mechanism chooses may depend on the hints in force, so they stay with the pod until hints
/// are applied: in place, at another address, and not with another pod of the same name.
#[test]
fn hints_in_force_follow_the_pod() {
    let lent = world::hints(&["b"], &[]);
    let mut slice = world::slice();
    slice.endpoints = (0..3)
        .map(|number| Endpoint { hints: lent.clone(), ..world::endpoint(number, "a") })
        .collect();
    let mut desired: Vec<_> = (0..3).map(|number| world::endpoint(number, "a")).collect();
    desired[0].conditions.ready = Some(false);
    desired[1].addresses = Addresses::One([10, 9, 9, 9].into());
    desired[2].target.as_mut().expect("a pod").uid = Uid::parse("another");

    let group = Group { address_type: slice.address_type, ports: slice.ports.clone() };
    let mut packing = pack::pack(&world::service(), &group, &[&slice], &desired, 100);
    packing.restore_hints();
    let found: Vec<_> = packing
        .slices()
        .flatten()
        .map(|endpoint| (world::pod_name(endpoint), endpoint.hints.clone()))
        .collect();
    assert_eq!(found, [("pod-000", lent.clone()), ("pod-002", None), ("pod-001", lent)]);
}
