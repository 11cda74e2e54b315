//! Names, labels, annotations and owners of slices (docs/semantics.md 4.5, 10.4).

use closehaul::model::{
    name::ServiceKey,
    service::{ClusterIp, TrafficDistribution},
    slice::{CONTROLLER, HEADLESS, MANAGED_BY, SERVICE_NAME, Slice},
};

use crate::world::{self, Cluster, labels, pod, pods, reserved_labels};

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Reserved labels that a Service has, although it must not.
const HIJACK: [(&str, &str); 3] = [(SERVICE_NAME, "x"), (MANAGED_BY, "y"), (HEADLESS, "z")];

/// `TestNewEndpointSlice`. That annotations of the Service are not copied needs no row: the
/// planner does not know them.
#[test]
fn a_new_slice() {
    let rows: [(&str, bool, Pairs<'_>, Pairs<'_>); 5] = [
        ("no labels", false, &[], &[]),
        ("a label", false, &[("team", "blue")], &[("team", "blue")]),
        ("headless", true, &[], &[(HEADLESS, "")]),
        ("several", true, &[("a", "1"), ("b", "2")], &[("a", "1"), ("b", "2"), (HEADLESS, "")]),
        ("hijacking", false, &[HIJACK[0], HIJACK[1], HIJACK[2], ("a", "1")], &[("a", "1")]),
    ];
    for (what, headless, own, added) in rows {
        let mut cluster = Cluster::with(vec![pod(1)]);
        cluster.service.labels = labels(own);
        if headless {
            cluster.service.cluster_ip = ClusterIp::Headless;
        }
        let mut expected = Slice { endpoints: [world::endpoint(1, "a")].into(), ..world::slice() };
        for (key, value) in added {
            expected.meta.labels = expected.meta.labels.with(key, Some(value));
        }
        assert_eq!(cluster.sync().creates, [expected], "{what}");
    }
}

/// docs/semantics.md 4.5: generateName is the Service's name with a hyphen, however long.
#[test]
fn names_are_generated_from_the_services_name() {
    let name = "w".repeat(63);
    let mut cluster = Cluster::with(vec![pod(1)]);
    cluster.service.key = ServiceKey { namespace: "shop".into(), name: name.as_str().into() };
    let meta = cluster.sync().creates.swap_remove(0).meta;
    assert_eq!(meta.generate_name.as_deref(), Some(format!("{name}-").as_str()));
    assert_eq!(meta.name, None);
    assert_eq!(&*meta.namespace, "shop");
    assert_eq!(&*meta.owners[0].name, name);
}

/// A row on labels: those of the Service and the slice, whether the slice is written for that
/// alone, and the labels that it has once it is written.
struct LabelRow<'a> {
    what: &'a str,
    headless: bool,
    service: Pairs<'a>,
    slice: Pairs<'a>,
    is_written: bool,
    after: Pairs<'a>,
}

/// `TestSetEndpointSliceLabels`. The slice always has the two labels by which it is listed.
#[test]
fn labels_follow_the_service() {
    let row = |what, headless, service, slice, is_written, after| LabelRow {
        what,
        headless,
        service,
        slice,
        is_written,
        after,
    };
    let a: Pairs<'_> = &[("a", "1")];
    let rows = [
        row("none", false, &[], &[], false, &[]),
        row("one more on the Service", false, a, &[], true, a),
        row("one more on the slice", false, &[], a, true, &[]),
        row("the same", false, a, a, false, a),
        row("another value", false, a, &[("a", "2")], true, a),
        row("another key", false, a, &[("b", "1")], true, a),
        row("a foreign one beside", false, a, &[("a", "1"), ("b", "2")], true, a),
        row("an empty value is not none", false, &[("a", "")], &[], true, &[("a", "")]),
        row("headless, right", true, &[], &[(HEADLESS, "")], false, &[(HEADLESS, "")]),
        row("headless label missing", true, &[], &[], false, &[(HEADLESS, "")]),
        row("headless label too many", false, &[], &[(HEADLESS, "")], false, &[]),
        row("headless, a label changed", true, a, &[], true, &[("a", "1"), (HEADLESS, "")]),
        row("hijacked, reserved ignored", false, &HIJACK, &[], false, &[]),
        row("hijacked, headless", true, &HIJACK, &[(HEADLESS, "")], false, &[(HEADLESS, "")]),
    ];
    for LabelRow { what, headless, service, slice, is_written, after } in rows {
        let mut cluster = Cluster::standing(&[2]);
        cluster.service.labels = labels(service);
        if headless {
            cluster.service.cluster_ip = ClusterIp::Headless;
        }
        let with_reserved = |pairs: Pairs<'_>| {
            pairs
                .iter()
                .fold(reserved_labels(), |labels, (key, value)| labels.with(key, Some(value)))
        };
        cluster.only_slice().meta.labels = with_reserved(slice);
        let expected = (0, usize::from(is_written), 0);
        assert_eq!(cluster.plan().tally(), expected, "{what}");

        // When it is written for its endpoints, it gets all labels, including the reserved ones.
        cluster.pods[0].ready = false;
        assert_eq!(cluster.sync().tally(), (0, 1, 0), "{what}");
        assert_eq!(cluster.only_slice().meta.labels, with_reserved(after), "{what}");
        cluster.assert_settled();
    }
}

/// docs/semantics.md 4.2, 4.5: a write of step 1 and recycling repair a wrong reserved label.
/// Changing hints and filling the slice do not.
#[test]
fn what_repairs_a_reserved_label() {
    type Change = fn(&mut Cluster);
    let rows: [(&str, bool, Change); 6] = [
        ("an endpoint changed", true, |cluster| cluster.pods[0].ready = false),
        ("an endpoint went", true, |cluster| cluster.pods.truncate(1)),
        ("labels changed", true, |cluster| cluster.service.labels = labels(&[("a", "1")])),
        ("recycled for another port", true, |cluster| cluster.service.ports.clear()),
        ("filled up", false, |cluster| cluster.pods.push(pod(9))),
        ("hinted", false, |cluster| {
            cluster.service.traffic_distribution = Some(TrafficDistribution::PreferClose);
        }),
    ];
    for (what, repaired, change) in rows {
        let mut cluster = Cluster::standing(&[2]);
        let slice = cluster.only_slice();
        slice.meta.labels = slice.meta.labels.with(HEADLESS, Some(""));
        cluster.plan().assert_none();
        change(&mut cluster);
        assert_eq!(cluster.sync().tally(), (0, 1, 0), "{what}");
        let left = cluster.only_slice().meta.labels.get(HEADLESS).is_some();
        assert_eq!(left, !repaired, "{what}");
        cluster.assert_settled();
    }
}

/// docs/semantics.md 4.5: one owner, written once and never repaired. What other clients add is
/// kept.
#[test]
fn owners_and_foreign_metadata() {
    let mut cluster = Cluster::with(pods(0..2));
    cluster.sync();
    let slice = cluster.only_slice();
    assert_eq!(slice.meta.owners[..], [world::owner("uid-web")]);
    let mut changed = world::owner("uid-web");
    changed.controller = None;
    let mut other = world::owner("uid-other");
    other.kind = "Deployment".into();
    slice.meta.owners = [other, changed].into();
    slice.meta.annotations = labels(&[("example.com/note", "x")]);
    slice.meta.finalizers = ["example.com/hold".into()].into();
    let before = slice.meta.clone();
    cluster.plan().assert_none();

    cluster.pods[0].ready = false;
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    let after = &cluster.only_slice().meta;
    assert_eq!(
        (&after.owners, &after.annotations, &after.finalizers),
        (&before.owners, &before.annotations, &before.finalizers)
    );
}

/// `LabelSemantics` (docs/semantics.md 10.7): labels added to and removed from a headless Service.
#[test]
fn the_labels_of_a_headless_service_over_time() {
    let mut cluster = Cluster::with(pods(0..1));
    cluster.service.cluster_ip = ClusterIp::Headless;
    for own in [&[("a", "1")][..], &[("a", "1"), ("b", "2")], &[("b", "2")]] {
        cluster.service.labels = labels(own);
        cluster.sync();
        let expected = own.iter().fold(
            labels(&[(SERVICE_NAME, "web"), (MANAGED_BY, CONTROLLER), (HEADLESS, "")]),
            |labels, (key, value)| labels.with(key, Some(value)),
        );
        assert_eq!(cluster.only_slice().meta.labels, expected);
        cluster.assert_settled();
    }
}
