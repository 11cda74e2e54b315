//! What a Service and its nodes require as a whole: families, labels, deletion, missing nodes
//! (docs/semantics.md 2, 3.4, 10.3).

use closehaul::model::{
    address::{AddressType, Addresses},
    name::Name,
    pod::Pod,
    service::{ClusterIp, Service, TargetPort},
    slice::{Endpoint, Slice},
};

use crate::world::{self, Cluster, labels, pod, pods, sizes};

/// A pod with one address of each family.
fn dual(number: u16) -> Pod {
    let mut pod = pod(number);
    pod.addresses = [pod.addresses[0], world::ipv6(number)].into();
    pod
}

/// What a Service has, and what its slices get: the name of the case; cluster IP, families and
/// labels of the Service; address types and added labels of the slices.
type Row<'a> = (
    &'a str,
    ClusterIp,
    &'a [AddressType],
    &'a [(&'a str, &'a str)],
    &'a [AddressType],
    &'a [(&'a str, &'a str)],
);

/// `TestReconcile1Pod`: the whole object.
#[test]
fn one_pod_makes_one_slice_of_each_family() {
    use AddressType::{IPv4, IPv6};
    let headless: &[_] = &[("service.kubernetes.io/headless", "")];
    let reserved: &[_] = &[
        ("kubernetes.io/service-name", "x"),
        ("endpointslice.kubernetes.io/managed-by", "y"),
        ("service.kubernetes.io/headless", "z"),
    ];
    let team: &[_] = &[("team", "blue")];
    let rows: [Row<'_>; 8] = [
        ("no family", ClusterIp::Headless, &[], &[], &[IPv4, IPv6], headless),
        ("IPv4", ClusterIp::Empty, &[IPv4], &[], &[IPv4], headless),
        ("IPv4 cluster IP", ClusterIp::Of(IPv4), &[], &[], &[IPv4], &[]),
        ("labels", ClusterIp::Of(IPv4), &[IPv4], team, &[IPv4], team),
        ("reserved labels", ClusterIp::Of(IPv4), &[IPv4], reserved, &[IPv4], &[]),
        ("IPv6", ClusterIp::Of(IPv6), &[IPv6], &[], &[IPv6], &[]),
        ("IPv6 cluster IP", ClusterIp::Of(IPv6), &[], &[], &[IPv6], &[]),
        ("dual stack", ClusterIp::Of(IPv6), &[IPv6, IPv4], &[], &[IPv4, IPv6], &[]),
    ];
    for (what, cluster_ip, families, own, types, added) in rows {
        let mut cluster = Cluster::with(vec![dual(7)]);
        cluster.service.cluster_ip = cluster_ip;
        cluster.service.families = families.to_vec();
        cluster.service.labels = labels(own);
        let mut creates = cluster.sync().creates;
        creates.sort_by_key(|slice| slice.address_type);
        let expected: Vec<Slice> = types.iter().map(|family| whole_slice(*family, added)).collect();
        assert_eq!(creates, expected, "{what}");
        cluster.assert_settled();
    }
}

/// The slice of pod 7.
fn whole_slice(address_type: AddressType, added: &[(&str, &str)]) -> Slice {
    let address = match address_type {
        AddressType::IPv6 => world::ipv6(7),
        _ => pod(7).addresses[0],
    };
    let endpoint = Endpoint { addresses: Addresses::One(address), ..world::endpoint(7, "a") };
    let mut slice = Slice { address_type, endpoints: [endpoint].into(), ..world::slice() };
    for (key, value) in added {
        slice.meta.labels = slice.meta.labels.with(key, Some(value));
    }
    slice
}

/// A change of the Service, and how many slices are updated.
type ChangeRow = (&'static str, usize, fn(&mut Service));

/// `...EndpointSlicesUpdating`, `...ServicesLabelsUpdating`, `...ServicesReservedLabels`.
#[test]
fn changes_of_the_service_are_written_in_place() {
    let rows: [ChangeRow; 3] = [
        ("target port", 3, |service| service.ports[0].target = TargetPort::Number(81)),
        ("labels", 3, |service| service.labels = labels(&[("team", "blue")])),
        ("reserved labels", 0, |service| {
            service.labels = labels(&[
                ("kubernetes.io/service-name", "x"),
                ("endpointslice.kubernetes.io/managed-by", "y"),
                ("service.kubernetes.io/headless", "z"),
            ]);
        }),
    ];
    for (what, updates, edit) in rows {
        let mut cluster = Cluster::with(pods(0..250));
        cluster.sync();
        edit(&mut cluster.service);
        assert_eq!(cluster.sync().tally(), (0, updates, 0), "{what}");
        assert_eq!(sizes(cluster.live()), [100, 100, 50], "{what}");
        cluster.assert_settled();
    }
}

/// `TestReconcileEndpointSlicesReplaceDeprecated`.
#[test]
fn slices_of_an_unknown_type_are_replaced() {
    let mut cluster = Cluster::standing(&[80, 50]);
    for slice in &mut cluster.slices {
        slice.address_type = AddressType::Other;
    }
    assert_eq!(cluster.sync().tally(), (2, 0, 2));
    assert_eq!(sizes(cluster.live()), [100, 30]);
    assert!(cluster.live().all(|slice| slice.address_type == AddressType::IPv4));
    cluster.assert_settled();
}

/// Section 2, dual stack: slices of a family that the Service loses are deleted. Slices of one
/// that it gets are created.
#[test]
fn families_come_and_go() {
    let mut cluster = Cluster::with((0..3).map(dual).collect());
    cluster.service.families = vec![AddressType::IPv4, AddressType::IPv6];
    assert_eq!(cluster.sync().tally(), (2, 0, 0));
    cluster.service.families.pop();
    assert_eq!(cluster.sync().tally(), (0, 0, 1));
    cluster.service.families = vec![AddressType::IPv6];
    assert_eq!(cluster.sync().tally(), (1, 0, 1));
    assert_eq!(cluster.only_slice().address_type, AddressType::IPv6);

    // These deletes depend neither on the owner nor on whether the Service is terminating.
    cluster.only_slice().meta.owners = [world::owner("uid-before")].into();
    cluster.service.families = vec![AddressType::IPv4];
    cluster.service.terminating = true;
    assert_eq!(cluster.sync().tally(), (0, 0, 1));

    // No pod has an address of the family: a placeholder.
    let mut cluster = Cluster::with(pods(0..3));
    cluster.service.families = vec![AddressType::IPv4, AddressType::IPv6];
    assert_eq!(cluster.sync().tally(), (2, 0, 0));
    assert_eq!(sizes(cluster.live()), [3, 0]);
    cluster.assert_settled();
}

/// `TestReconcileEndpointSlicesRecreation`.
#[test]
fn slices_of_another_uid_are_never_reused() {
    let mut cluster = Cluster::standing(&[3]);
    cluster.pods = pods(3..6);
    assert_eq!(cluster.sync().tally(), (0, 1, 0), "its own slice is reused");

    let mut deployment = world::owner("uid-web");
    deployment.kind = "Deployment".into();
    let mut of_another_version = world::owner("uid-web");
    of_another_version.api_version = "v2".into();
    for (what, owners) in [
        ("another UID", vec![world::owner("uid-before")]),
        ("another kind", vec![deployment]),
        ("another apiVersion", vec![of_another_version]),
        ("no owner", vec![]),
    ] {
        let mut cluster = Cluster::standing(&[3]);
        cluster.only_slice().meta.owners = owners.into();
        let old = cluster.only_slice().meta.name.clone();
        assert_eq!(cluster.sync().tally(), (1, 0, 1), "{what}");
        assert_ne!(cluster.only_slice().meta.name, old, "{what}");
        cluster.assert_settled();
    }
}

/// `TestReconcilerFinalizeSvcDeletionTimestamp`.
#[test]
fn a_terminating_service_creates_nothing() {
    let terminating = |cluster: &mut Cluster| cluster.service.terminating = true;

    let mut cluster = Cluster::with(pods(0..3));
    terminating(&mut cluster);
    assert_eq!(cluster.sync().tally(), (0, 0, 0), "creates are left out");

    let mut cluster = Cluster::standing(&[3]);
    terminating(&mut cluster);
    cluster.pods[0].ready = false;
    assert_eq!(cluster.sync().tally(), (0, 1, 0), "updates go on");

    let mut cluster = Cluster::standing(&[3, 3]);
    terminating(&mut cluster);
    cluster.pods = pods(0..3);
    assert_eq!(cluster.sync().tally(), (0, 0, 1), "deletes go on");

    let mut cluster = Cluster::standing(&[3]);
    terminating(&mut cluster);
    cluster.pods.clear();
    assert_eq!(cluster.sync().tally(), (0, 1, 0), "a slice becomes the placeholder");

    cluster.pods = pods(0..3);
    assert_eq!(cluster.sync().tally(), (0, 1, 0), "and back");
    assert_eq!(sizes(cluster.live()), [3]);
}

/// `TestReconcilerPodMissingNode`; for endpoints with a zone, see the last row.
#[test]
fn pods_whose_node_is_missing() {
    let two = || vec![world::pod_on(1, "a1"), world::pod_on(2, "gone")];
    let zoneless = || world::nodes(&[("a1", ""), ("gone", "")]);
    let known = || world::nodes(&[("a1", "")]);
    let none = || world::nodes(&[]);

    for (publish, expected, nodeless) in [(false, 1, &["pod-002"][..]), (true, 2, &[])] {
        let mut cluster = Cluster::with(two());
        cluster.nodes = known();
        cluster.service.publish_not_ready = publish;
        let writes = cluster.sync();
        assert_eq!(writes.tally(), (1, 0, 0));
        assert_eq!(sizes(cluster.live()), [expected]);
        assert_eq!(names(&writes.nodeless), nodeless);
        cluster.plan().assert_none();
    }
    for (what, publish, nodes, tally, left, nodeless) in [
        ("one removed", false, known(), (0, 1, 0), 1, &["pod-002"][..]),
        ("published", true, known(), (0, 0, 0), 2, &[]),
        ("published, no node left", true, none(), (0, 0, 0), 2, &[]),
        ("no node left", false, none(), (0, 1, 0), 0, &["pod-001", "pod-002"]),
    ] {
        let mut cluster = Cluster::with(two());
        cluster.nodes = zoneless();
        cluster.service.publish_not_ready = publish;
        cluster.sync();
        cluster.nodes = nodes;
        let writes = cluster.sync();
        assert_eq!(writes.tally(), tally, "{what}");
        assert_eq!(sizes(cluster.live()), [left], "{what}");
        assert_eq!(names(&writes.nodeless), nodeless, "{what}");
        cluster.plan().assert_none();
    }

    // An endpoint with a zone loses it together with its node.
    let mut cluster = Cluster::with(two());
    cluster.nodes = world::nodes(&[("a1", "a"), ("gone", "b")]);
    cluster.service.publish_not_ready = true;
    cluster.sync();
    cluster.nodes = world::nodes(&[("a1", "a")]);
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    cluster.assert_settled();

    // A pod that is not bound yet has no node either.
    let mut cluster = Cluster::with(vec![Pod { node: None, ..pod(1) }]);
    assert_eq!(names(&cluster.sync().nodeless), ["pod-001"]);
}

fn names(names: &[Name]) -> Vec<&str> {
    names.iter().map(AsRef::as_ref).collect()
}

/// `TestReconcileHeadlessServiceNoPorts`.
#[test]
fn a_headless_service_without_ports_is_stable() {
    let mut cluster = Cluster::with(pods(0..3));
    cluster.service.cluster_ip = ClusterIp::Headless;
    cluster.service.ports.clear();
    assert_eq!(cluster.sync().tally(), (1, 0, 0));
    let slice = cluster.only_slice();
    assert_eq!((slice.ports.len(), slice.endpoints.len()), (0, 3));
    cluster.plan().assert_none();
}
