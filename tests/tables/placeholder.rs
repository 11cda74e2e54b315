//! The slice of a Service that has no other (docs/semantics.md 4.3, 10.3).

use closehaul::model::{address::AddressType, node::Nodes, slice::Slice};

use crate::world::{self, Cluster, labels, pods, sizes};

/// `TestReconcileEmpty`.
#[test]
fn no_pods_make_a_placeholder() {
    let mut cluster = Cluster::with(Vec::new());
    let writes = cluster.sync();
    assert_eq!(writes.tally(), (1, 0, 0));
    assert_eq!(writes.creates, [world::placeholder()]);
    cluster.assert_settled();
}

/// `TestReconcile1EndpointSlice`.
#[test]
fn one_slice_without_pods() {
    let mut cluster = Cluster::with(Vec::new());
    assert_eq!(cluster.sync().tally(), (1, 0, 0), "none there");
    cluster.plan().assert_none();

    let mut cluster = Cluster::standing(&[1]);
    cluster.pods.clear();
    let name = cluster.only_slice().meta.name.clone();
    assert_eq!(cluster.sync().tally(), (0, 1, 0), "another one is turned into it");
    let slice = cluster.only_slice();
    assert_eq!((&slice.meta.name, slice.ports.len(), slice.endpoints.len()), (&name, 0, 0));
    cluster.assert_settled();
}

/// How a placeholder is edited, and what is written then.
type Row = (&'static str, (usize, usize, usize), fn(&mut Slice));

/// `TestPlaceHolderSliceCompare`; "both missing" and "one missing" are the two tests above.
#[test]
fn what_counts_as_a_placeholder() {
    let kept = (0, 0, 0);
    let rewritten = (0, 1, 0);
    let rows: [Row; 10] = [
        ("the same", kept, |_| ()),
        ("another name", kept, |slice| slice.meta.name = Some("other".into())),
        ("another version", kept, |slice| slice.meta.version = 999),
        ("annotations", kept, |slice| slice.meta.annotations = labels(&[("a", "b")])),
        ("finalizers", kept, |slice| slice.meta.finalizers = ["a/b".into()].into()),
        ("empty foreign label", kept, |slice| {
            slice.meta.labels = slice.meta.labels.with("foreign", Some(""));
        }),
        ("missing empty label", kept, |slice| {
            slice.meta.labels = slice.meta.labels.with("empty", None);
        }),
        ("foreign label", rewritten, |slice| {
            slice.meta.labels = slice.meta.labels.with("foreign", Some("x"));
        }),
        ("missing label", rewritten, |slice| {
            slice.meta.labels = slice.meta.labels.with("team", None);
        }),
        ("ports", rewritten, |slice| slice.ports = world::slice().ports),
    ];
    for (what, expected, edit) in rows {
        let mut cluster = Cluster::with(Vec::new());
        cluster.service.labels = labels(&[("empty", ""), ("team", "blue")]);
        cluster.sync();
        edit(cluster.only_slice());
        assert_eq!(cluster.sync().tally(), expected, "{what}");
        cluster.assert_settled();
    }
    // A slice of another address type is deleted, and a placeholder of the right one is created.
    let mut cluster = Cluster::with(Vec::new());
    cluster.create(Slice { address_type: AddressType::IPv6, ..world::placeholder() });
    assert_eq!(cluster.sync().tally(), (1, 0, 1));
    cluster.assert_settled();
}

/// docs/semantics.md 4.3: a placeholder that a deleted Service of the same name left behind.
#[test]
fn a_placeholder_of_another_service_is_replaced_at_once() {
    for owners in [vec![world::owner("uid-before")], vec![]] {
        let mut cluster = Cluster::with(Vec::new());
        let mut left = world::placeholder();
        left.meta.owners = owners.into();
        cluster.create(left);
        assert_eq!(cluster.sync().tally(), (1, 0, 1));
        assert_eq!(cluster.only_slice().meta.owners[..], [world::owner("uid-web")]);
        cluster.assert_settled();
    }
}

/// docs/semantics.md 4.3: one of several slices stays as the placeholder.
#[test]
fn several_slices_without_pods_become_one_placeholder() {
    let mut cluster = Cluster::standing(&[2, 2, 2]);
    cluster.pods.clear();
    assert_eq!(cluster.sync().tally(), (0, 1, 2));
    assert_eq!(sizes(cluster.live()), [0]);
    cluster.assert_settled();

    // Two placeholders, though one is enough.
    cluster.create(world::placeholder());
    assert_eq!(cluster.sync().tally(), (0, 0, 1));
    cluster.assert_settled();
}

/// docs/semantics.md 4.3: the first endpoint takes over the placeholder's name.
#[test]
fn the_first_endpoint_takes_the_placeholder_over() {
    let mut cluster = Cluster::with(Vec::new());
    cluster.sync();
    let name = cluster.only_slice().meta.name.clone();
    cluster.pods = pods(0..1);
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert_eq!(cluster.only_slice().meta.name, name);
    cluster.assert_settled();
}

/// It takes the endpoints, unless they are exactly the maximum.
#[test]
fn the_placeholder_of_a_service_without_ports() {
    for (count, tally, expected) in [(99, (0, 1, 0), &[99][..]), (100, (1, 0, 0), &[100, 0])] {
        let mut cluster = Cluster::with(Vec::new());
        cluster.service.ports.clear();
        cluster.sync();
        cluster.pods = pods(0..count);
        assert_eq!(cluster.sync().tally(), tally, "{count}");
        assert_eq!(sizes(cluster.live()), expected, "{count}");
        cluster.assert_settled();
    }
}

/// docs/semantics.md 3.4, 4.2: with ports, the slice of a group that is left empty becomes the
/// placeholder.
#[test]
fn a_group_left_empty_becomes_the_placeholder() {
    let mut cluster = Cluster::standing(&[2, 2]);
    cluster.nodes = Nodes::default();
    assert_eq!(cluster.sync().tally(), (0, 1, 1));
    assert_eq!(cluster.only_slice().ports.len(), 0);
    cluster.plan().assert_none();
}
