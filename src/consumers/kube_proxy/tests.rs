//! Rows of kube-proxy's tests, and what they leave open.

use super::*;
use crate::{
    consumers::samples::{HERE, endpoint, numbers, of, service, slice},
    model::{
        address::Addresses,
        port::Port,
        samples,
        service::ClusterIp,
        slice::{HEADLESS, SERVICE_NAME},
    },
};

/// Mode and last numbers of the addresses.
fn reached(service: &Service, slices: &[Slice], client: Client<'_>) -> (Mode, String) {
    let reach = reach(service, slices, AddressType::IPv4, "http", client);
    (reach.mode, numbers(&reach.endpoints))
}

/// Whether the Service is exposed, and which of its policies are Local.
#[derive(Clone, Copy)]
struct Policies {
    exposed: bool,
    internal: bool,
    external: bool,
}

/// A row of kube-proxy's tests.
struct Row {
    name: &'static str,
    policies: Policies,
    zone: Option<&'static str>,
    endpoints: &'static [&'static str],
    /// Held for `Cluster` and for `Local`; `None`: not used.
    held: [Option<&'static str>; 2],
    all: &'static str,
    anywhere: bool,
}

const INSIDE: Policies = Policies { exposed: false, internal: false, external: false };
const LOCAL: Policies = Policies { internal: true, ..INSIDE };
const EXPOSED_LOCAL: Policies = Policies { exposed: true, ..LOCAL };
const FROM_OUTSIDE_LOCAL: Policies = Policies { exposed: true, external: true, ..INSIDE };
const BOTH_LOCAL: Policies = Policies { external: true, ..EXPOSED_LOCAL };

/// A row of a Service that is not exposed and has no Local policy, seen from zone `a`.
const fn plain(
    name: &'static str,
    endpoints: &'static [&'static str],
    cluster: &'static str,
) -> Row {
    let (held, anywhere) = ([Some(cluster), None], !cluster.is_empty());
    Row { name, policies: INSIDE, zone: Some("a"), endpoints, held, all: cluster, anywhere }
}

/// A row with policies, seen from node `n1`; some client can use some endpoint.
const fn with(
    policies: Policies,
    name: &'static str,
    endpoints: &'static [&'static str],
    held: [Option<&'static str>; 2],
    all: &'static str,
) -> Row {
    Row { name, policies, zone: Some("a"), endpoints, held, all, anywhere: true }
}

const FOUR: &[&str] = &["on:n1 zone:a", "on:n1 zone:b", "on:n3 zone:c", "on:n4 zone:a"];
const NODES: &[&str] = &["node:n1 zone:a", "node:n2 zone:b", "node:n3 zone:c", "node:n4 zone:a"];
const OTHER_NODES: &[&str] =
    &["node:n5 zone:a", "node:n2 zone:b", "node:n3 zone:c", "node:n4 zone:a"];
const HERE_AND_THERE: &[&str] = &["on:n1", "on:n2"];
const THERE: &[&str] = &["on:n2", "on:n3"];

/// All 32 rows of kube-proxy's `TestCategorizeEndpoints`, in its order (docs/semantics.md
/// 10.9).
const UPSTREAM: [Row; 32] = [
    plain("zone", &["zone:a", "zone:b", "zone:c", "zone:a"], "1 4"),
    with(FROM_OUTSIDE_LOCAL, "external Local, hints", FOUR, [Some("1 4"), Some("1 2")], "1 2 4"),
    with(EXPOSED_LOCAL, "internal Local, hints", FOUR, [Some("1 4"), Some("1 2")], "1 2 4"),
    Row { zone: None, ..plain("no labels", &["zone:a"], "1") },
    Row { zone: Some(""), ..plain("empty zone label", &["zone:a"], "1") },
    Row { zone: Some("b"), ..plain("another zone", &["zone:a"], "1") },
    plain("unready", &["zone:a", "zone:b", "zone:c", "zone:a unready"], "1"),
    plain("only unready in zone", &["zone:a unready", "zone:b", "zone:c", "zone:a unready"], "2 3"),
    plain("missing hint", &["zone:a", "zone:b", "", "zone:a"], "1 2 3 4"),
    Row {
        zone: Some("c"),
        ..plain(
            "several hints",
            &["zone:a zone:b zone:c", "zone:b zone:c", "zone:b zone:d", "zone:c"],
            "1 2 4",
        )
    },
    // Upstream disables the gate. A proxy without it sees no node hint.
    plain("node, gate off", &["zone:a", "zone:b", "zone:c", "zone:a"], "1 4"),
    plain("node", NODES, "1"),
    plain(
        "node, one unhinted",
        &["node:n1 zone:a", "", "node:n3 zone:c", "node:n4 zone:a"],
        "1 2 3 4",
    ),
    plain("node, nobody here", OTHER_NODES, "1 4"),
    with(
        FROM_OUTSIDE_LOCAL,
        "hints against locality",
        &["on:n1 zone:a", "on:n1 zone:b", "on:n2 zone:a", "on:n2 zone:b"],
        [Some("1 3"), Some("1 2")],
        "1 2 3",
    ),
    Row { anywhere: false, ..with(LOCAL, "Local, nobody", &[], [None, Some("")], "") },
    with(LOCAL, "Local, all remote", THERE, [None, Some("")], ""),
    with(LOCAL, "Local, all here", &["on:n1", "on:n1"], [None, Some("1 2")], "1 2"),
    with(LOCAL, "Local, some here", HERE_AND_THERE, [None, Some("1")], "1"),
    plain("not ready", &["unready", "unready"], ""),
    plain("some ready", &["unready", ""], "2"),
    plain("all terminating", &["on:n1 terminating", "on:n2 terminating"], "1 2"),
    with(EXPOSED_LOCAL, "internal Local", HERE_AND_THERE, [Some("1 2"), Some("1")], "1 2"),
    with(FROM_OUTSIDE_LOCAL, "external Local", HERE_AND_THERE, [Some("1 2"), Some("1")], "1 2"),
    with(BOTH_LOCAL, "both Local", HERE_AND_THERE, [Some("1 2"), Some("1")], "1 2"),
    with(BOTH_LOCAL, "both Local, all remote", THERE, [Some("1 2"), Some("")], "1 2"),
    with(
        BOTH_LOCAL,
        "both Local, all remote and terminating",
        &["on:n2 terminating", "on:n3 terminating"],
        [Some("1 2"), Some("")],
        "1 2",
    ),
    with(
        FROM_OUTSIDE_LOCAL,
        "external Local, terminating",
        &["on:n2", "on:n1 unready", "on:n1 terminating", "on:n2 terminating"],
        [Some("1"), Some("3")],
        "1 3",
    ),
    with(
        Policies { external: true, ..INSIDE },
        "external Local, not exposed",
        &["on:n2", "on:n1"],
        [Some("1 2"), None],
        "1 2",
    ),
    with(LOCAL, "Local, not exposed", &["on:n2", "on:n1"], [None, Some("2")], "2"),
    plain("no endpoints", &[], ""),
    plain("not ready, serving or terminating", &["unready"], ""),
];

#[test]
fn upstream_rows() {
    for row in UPSTREAM {
        let Policies { exposed, internal, external } = row.policies;
        let service = Service { internal_local: internal, external_local: external, ..service() };
        let slice = of(row.endpoints);
        let targets = Targets::new(&service, [&slice], AddressType::IPv4, "http");
        let held = held(&service, &targets, exposed, Client { node: "n1", zone: row.zone });
        let [cluster, local] = [&held.cluster, &held.local]
            .map(|reach| reach.as_ref().map(|reach| numbers(&reach.endpoints)));
        assert_eq!([cluster.as_deref(), local.as_deref()], row.held, "{}", row.name);
        assert_eq!(numbers(&held.all()), row.all, "{}", row.name);
        assert_eq!(held.anywhere, row.anywhere, "{}", row.name);
    }
}

/// Levels, readiness, and missing hints.
#[test]
fn rows() {
    use Mode::{Cluster, Node, None as Nothing, Zone};
    let rows: &[(&str, &[&str], Mode, &str)] = &[
        ("zone", &["zone:a", "zone:b", "zone:c", "zone:a"], Zone, "1 4"),
        ("a zone that nobody is for", &["zone:b", "zone:c"], Cluster, "1 2"),
        ("unready in the zone is skipped", &["zone:a unready", "zone:a", "zone:b"], Zone, "2"),
        ("only unready in the zone", &["zone:a unready", "zone:b", "zone:c"], Cluster, "2 3"),
        ("one without hint", &["zone:a", "zone:b", ""], Cluster, "1 2 3"),
        ("an unready one without hint", &["zone:a", "zone:b", "unready"], Zone, "1"),
        ("several zones", &["zone:a zone:b", "zone:b", "zone:c zone:a"], Zone, "1 3"),
        ("node", &["node:n1 zone:a", "node:n2 zone:a"], Node, "1"),
        ("several nodes", &["node:n2 node:n1", "node:n2", "node:n1"], Node, "1 3"),
        ("one without node", &["node:n1 zone:a", "zone:a", "node:n3 zone:b"], Zone, "1 2"),
        ("nobody for the node", &["node:n2 zone:a", "node:n3 zone:b"], Zone, "1"),
        ("nobody for node or zone", &["node:n2 zone:b", "node:n3 zone:c"], Cluster, "1 2"),
        ("nodes without zones", &["node:n2", "node:n3"], Cluster, "1 2"),
        ("unready on the node", &["node:n1 zone:a unready", "node:n2 zone:a"], Zone, "2"),
        ("only terminating", &["zone:a terminating", "zone:b terminating"], Cluster, "1 2"),
        ("ready before terminating", &["zone:a terminating", "zone:b"], Cluster, "2"),
        ("serving no more", &["gone", "terminating"], Cluster, "2"),
        ("not ready, not terminating", &["unready"], Nothing, ""),
        ("no condition given is ready", &["unsaid zone:a", "zone:b"], Zone, "1"),
        ("nobody", &[], Nothing, ""),
    ];
    for (name, endpoints, mode, expected) in rows {
        let found = reached(&service(), &[of(endpoints)], HERE);
        assert_eq!(found, (*mode, (*expected).to_owned()), "{name}");
    }
}

#[test]
fn clients_without_a_zone() {
    let slices = [of(&["zone:a node:n1", "zone:b node:n2"])];
    for zone in [None, Some("")] {
        let far = Client { node: "n9", zone };
        assert_eq!(reached(&service(), &slices, far).0, Mode::Cluster);
        let near = Client { node: "n2", zone };
        assert_eq!(reached(&service(), &slices, near), (Mode::Node, "2".to_owned()));
    }
}

#[test]
fn the_internal_policy_local_ignores_hints() {
    let local = Service { internal_local: true, ..service() };
    let slices = [of(&["on:n1 zone:b", "on:n2 zone:a", "on:n1 zone:b"])];
    assert_eq!(reached(&local, &slices, HERE), (Mode::Node, "1 3".to_owned()));
    let elsewhere = Client { node: "n9", zone: Some("a") };
    assert_eq!(reached(&local, &slices, elsewhere), (Mode::None, String::new()));
    let ending = [of(&["on:n1 terminating", "on:n2"])];
    assert_eq!(reached(&local, &ending, HERE), (Mode::Node, "1".to_owned()));
}

#[test]
fn slices_are_united() {
    let slices = [
        slice("cart-2", vec![endpoint(2, "zone:a"), endpoint(3, "zone:a terminating")]),
        slice("cart-1", vec![endpoint(1, "zone:a"), endpoint(2, "zone:a")]),
        slice("cart-3", vec![endpoint(3, "zone:a"), endpoint(1, "terminating")]),
    ];
    assert_eq!(reached(&service(), &slices, HERE), (Mode::Zone, "1 2 3".to_owned()));
}

#[test]
fn only_the_first_address_counts() {
    let mut many = endpoint(1, "");
    many.addresses = Addresses::Many(["10.0.0.7".into(), "10.0.0.8".into()].into());
    let mut none = endpoint(2, "");
    none.addresses = Addresses::Many([].into());
    let found = reached(&service(), &[slice("cart-1", vec![many, none])], HERE);
    assert_eq!(found, (Mode::Cluster, "7".to_owned()));
}

#[test]
fn what_is_not_looked_at() {
    let seen = of(&["zone:a"]);
    assert_eq!(reached(&service(), std::slice::from_ref(&seen), HERE).0, Mode::Zone);
    let changed = |change: fn(&mut Slice)| {
        let mut slice = seen.clone();
        change(&mut slice);
        reached(&service(), &[slice], HERE).0
    };
    let without_port = |number: Option<i32>| {
        let mut slice = seen.clone();
        slice.ports = slice.ports.iter().map(|p| Port { number, ..p.clone() }).collect();
        reached(&service(), &[slice], HERE).0
    };
    let with_protocol = |protocol: Option<&str>| {
        let protocol = protocol.map(Name::from);
        let mut slice = seen.clone();
        slice.ports =
            slice.ports.iter().map(|p| Port { protocol: protocol.clone(), ..p.clone() }).collect();
        reached(&service(), &[slice], HERE).0
    };
    assert_eq!(with_protocol(None), Mode::Zone);
    assert_eq!(with_protocol(Some("UDP")), Mode::None);
    let by_slice = [
        changed(|slice| slice.meta.labels = slice.meta.labels.with(HEADLESS, Some(""))),
        changed(|slice| slice.meta.labels = slice.meta.labels.with(SERVICE_NAME, Some("b"))),
        changed(|slice| slice.meta.namespace = "other".into()),
        changed(|slice| slice.address_type = AddressType::IPv6),
        without_port(None),
        without_port(Some(0)),
    ];
    assert_eq!(by_slice, [Mode::None; 6]);
    let services = [
        Service { cluster_ip: ClusterIp::Headless, ..service() },
        Service { external_name: true, ..service() },
        Service {
            labels: samples::labels(&[("service.kubernetes.io/service-proxy-name", "mesh")]),
            ..service()
        },
    ];
    for service in services {
        assert_eq!(reached(&service, std::slice::from_ref(&seen), HERE).0, Mode::None);
    }
    let other_port = reach(&service(), [&seen], AddressType::IPv4, "https", HERE);
    assert_eq!(other_port.mode, Mode::None);
}
