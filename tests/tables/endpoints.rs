//! Pods, their ports and addresses as endpoints (docs/semantics.md 3, 10.4, 10.5, 10.6:
//! `SyncService`).

use std::net::IpAddr;

use closehaul::{
    model::{
        address::{AddressType, Addresses},
        name::{Name, Uid},
        pod::{ContainerPort, Pod},
        port::{Port, Ports},
        service::{ClusterIp, Service, ServicePort, TargetPort},
        slice::{Conditions, Endpoint, Target},
    },
    plan::{
        endpoint::{desired, is_listed},
        port::Resolver,
    },
};

use crate::world::{
    self, Cluster, container_port, host, ipv6, pod, pod_name, pod_on, service_port, sizes, unready,
};

/// The endpoints of one family that `service` has for these pods, in the order of the pods.
fn endpoints_of(service: &Service, pods: &[Pod], address_type: AddressType) -> Vec<Endpoint> {
    let nodes = Cluster::with(vec![]).nodes;
    let pods: Vec<&Pod> = pods.iter().collect();
    desired(service, &pods, &nodes, address_type).groups.into_values().flatten().collect()
}

fn conditions(ready: bool, serving: bool, terminating: bool) -> Conditions {
    Conditions { ready: Some(ready), serving: Some(serving), terminating: Some(terminating) }
}

/// Upstream lists them, and the API server then rejects the slice: an intended difference.
#[test]
fn addresses_that_slices_may_not_carry_are_left_out_one_by_one() {
    use AddressType::{IPv4, IPv6};
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let rows = [
        (["10.0.0.1", "fd00::1"], [true, true]),
        (["127.0.0.1", "fd00::1"], [false, true]),
        (["10.0.0.1", "fe80::1"], [true, false]),
        (["169.254.1.1", "::1"], [false, false]),
    ];
    for (addresses, listed) in rows {
        let special = Pod { addresses: addresses.map(ip).into(), ..pod(1) };
        let mut cluster =
            Cluster::with(vec![special, Pod { addresses: addresses.map(ip).into(), ..unready(2) }]);
        cluster.service.cluster_ip = ClusterIp::Headless;
        cluster.service.families = [IPv4, IPv6].into();
        let writes = cluster.plan();
        let mut left_out = Vec::new();
        for (address, is_listed) in addresses.into_iter().zip(listed) {
            let family = AddressType::of(ip(address));
            let slices = || writes.creates.iter().filter(|slice| slice.address_type == family);
            let endpoints: usize = slices().map(|slice| slice.endpoints.len()).sum();
            assert_eq!(endpoints, if is_listed { 2 } else { 0 }, "{address}");
            // As for pods without an address of the family, the group of their ports is empty.
            assert_eq!(slices().count(), 1, "{address}");
            if !is_listed {
                left_out.push((pod(1).name, ip(address)));
                left_out.push((pod(2).name, ip(address)));
            }
        }
        left_out.sort_unstable();
        assert_eq!(writes.not_allowed, left_out, "{addresses:?}");
    }
    // Of two addresses of a family, the allowed one stays.
    let two = Pod { addresses: [ip("127.0.0.1"), ip("10.0.0.1")].into(), ..pod(1) };
    let all = endpoints_of(&Cluster::with(vec![]).service, &[two], IPv4);
    assert_eq!(all, [world::endpoint(1, "a")]);
}

/// `TestPodToEndpoint`.
#[test]
fn the_endpoint_of_a_pod() {
    let v4 = |last| IpAddr::from([10, 0, 0, last]);
    let terminating = |pod: Pod| Pod { terminating: true, ..pod };
    let two = Pod { addresses: [v4(1), ipv6(1)].into(), ..pod(1) };
    let named = Pod { host: Some(Box::new(host("www", "web"))), ..pod(1) };
    let plain = world::endpoint(1, "a");
    let with = |conditions| Endpoint { conditions, ..plain.clone() };
    let rows = [
        ("ready", false, pod(1), plain.clone()),
        ("ready, published", true, pod(1), plain.clone()),
        ("unready", false, unready(1), with(conditions(false, false, false))),
        ("unready, published", true, unready(1), with(conditions(true, false, false))),
        (
            "zone of its node",
            false,
            pod_on(1, "b2"),
            Endpoint { node: Some("b2".into()), ..world::endpoint(1, "b") },
        ),
        ("two IPs", false, two, plain.clone()),
        ("hostname", false, named, Endpoint { hostname: Some("www".into()), ..plain.clone() }),
        ("terminating", false, terminating(pod(1)), with(conditions(false, true, true))),
        (
            "terminating, unready",
            false,
            terminating(unready(1)),
            with(conditions(false, false, true)),
        ),
        (
            "terminating, published",
            true,
            terminating(unready(1)),
            with(conditions(true, false, true)),
        ),
    ];
    for (what, publish, pod, expected) in rows {
        let service = Service { publish_not_ready: publish, ..world::service() };
        assert_eq!(endpoints_of(&service, &[pod], AddressType::IPv4), [expected], "{what}");
    }
}

/// docs/semantics.md 3.2: every address of the family, in canonical form.
#[test]
fn the_addresses_of_an_endpoint() {
    let text = |text: &str| -> IpAddr { text.parse().expect("an address") };
    let addresses = |addresses: &[&str], family| -> Vec<Addresses> {
        let pod = Pod { addresses: addresses.iter().map(|a| text(a)).collect(), ..pod(1) };
        let endpoints = endpoints_of(&world::service(), &[pod], family);
        endpoints.into_iter().map(|endpoint| endpoint.addresses).collect()
    };
    let mixed = ["10.0.0.9", "fd00:0::1", "10.0.0.1"];
    let many = Addresses::Many(["10.0.0.9".into(), "10.0.0.1".into()].into());
    assert_eq!(addresses(&mixed, AddressType::IPv4), [many]);
    assert_eq!(addresses(&mixed, AddressType::IPv6), [Addresses::One(text("fd00::1"))]);
    assert_eq!(addresses(&mixed[1..2], AddressType::IPv4), []);
    assert_eq!(addresses(&[], AddressType::IPv4), [], "only status.podIP");
}

/// docs/semantics.md 3.5: what identifies an endpoint: addresses in any order, hostname, namespace
/// and name of the pod.
#[test]
fn the_identity_of_an_endpoint() {
    let many = |texts: [&str; 2]| Endpoint {
        addresses: Addresses::Many(texts.map(Into::into).into()),
        ..world::endpoint(1, "a")
    };
    assert_eq!(
        many(["10.0.0.1", "10.0.0.2"]).identity(),
        many(["10.0.0.2", "10.0.0.1"]).identity()
    );

    let target = |edit: fn(&mut Target)| {
        let mut endpoint = world::endpoint(1, "a");
        edit(endpoint.target.as_mut().expect("a target"));
        endpoint
    };
    let one = world::endpoint(1, "a");
    let hostname = |text: &str| Endpoint { hostname: Some(text.into()), ..one.clone() };
    for (what, other, same) in [
        (
            "another zone, node, hints",
            Endpoint { node: None, hints: world::hints(&["x"], &[]), ..world::endpoint(1, "b") },
            true,
        ),
        ("another UID", target(|target| target.uid = Uid::parse("uid-again")), true),
        ("an empty hostname", hostname(""), true),
        ("a hostname", hostname("www"), false),
        ("another pod", target(|target| target.name = "pod-999".into()), false),
        ("another namespace", target(|target| target.namespace = "other".into()), false),
        ("no pod", Endpoint { target: None, ..one.clone() }, false),
        (
            "another address",
            Endpoint { addresses: world::endpoint(2, "a").addresses, ..one.clone() },
            false,
        ),
    ] {
        assert_eq!(one.identity() == other.identity(), same, "{what}");
    }
}

/// `TestEndpointsEqualBeyondHash`.
#[test]
fn what_makes_an_endpoint_changed() {
    let one = world::endpoint(1, "a");
    let condition = |edit: fn(&mut Conditions)| {
        let mut endpoint = one.clone();
        edit(&mut endpoint.conditions);
        endpoint
    };
    let target = |edit: fn(&mut Target)| {
        let mut endpoint = one.clone();
        edit(endpoint.target.as_mut().expect("a target"));
        endpoint
    };
    for (what, other, same) in [
        ("nothing", one.clone(), true),
        ("hints", Endpoint { hints: world::hints(&["a"], &[]), ..one.clone() }, true),
        ("node", Endpoint { node: Some("a2".into()), ..one.clone() }, false),
        ("no node", Endpoint { node: None, ..one.clone() }, false),
        ("zone", Endpoint { zone: Some("b".into()), ..one.clone() }, false),
        ("ready", condition(|conditions| conditions.ready = Some(false)), false),
        ("serving", condition(|conditions| conditions.serving = Some(false)), false),
        ("serving absent", condition(|conditions| conditions.serving = None), false),
        ("terminating absent", condition(|conditions| conditions.terminating = None), false),
        ("terminating", condition(|conditions| conditions.terminating = Some(true)), false),
        ("pod name", target(|target| target.name = "pod-999".into()), false),
        ("pod UID", target(|target| target.uid = Uid::parse("uid-again")), false),
        ("something that is never written", target(|target| target.foreign = true), false),
        ("no pod", Endpoint { target: None, ..one.clone() }, false),
    ] {
        assert_eq!(one.is_same_but_hints(&other), same, "{what}");
        assert_eq!(other.is_same_but_hints(&one), same, "{what}, the other way round");
    }
}

/// A StatefulSet's pod rebuilt with its old address: its targetRef is written again.
#[test]
fn a_pod_of_another_uid_is_written_in_place() {
    let mut cluster = Cluster::standing(&[3]);
    cluster.pods[1].uid = Uid::parse("uid-again");
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    let slice = cluster.only_slice();
    let uid = slice.endpoints[1].target.as_ref().and_then(|target| target.uid.clone());
    assert_eq!((pod_name(&slice.endpoints[1]), uid), ("pod-001", Uid::parse("uid-again")));
}

/// `TestShouldPodBeInEndpoints`, as far as the planner sees it: phases and addresses are
/// already read.
#[test]
fn which_pods_are_listed() {
    for finished in [false, true] {
        for has_address in [false, true] {
            for (ready, terminating) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let pod = Pod { finished, has_address, ready, terminating, ..pod(1) };
                assert_eq!(is_listed(&pod), has_address && !finished, "{pod:?}");
                let endpoints = endpoints_of(&world::service(), &[pod], AddressType::IPv4);
                assert_eq!(endpoints.len(), usize::from(has_address && !finished));
            }
        }
    }
}

/// `TestShouldSetHostname`.
#[test]
fn which_pods_have_a_hostname() {
    for (what, host, expected) in [
        ("subdomain of the Service's name", Some(host("www", "web")), Some("www")),
        ("another subdomain", Some(host("www", "other")), None),
        ("none", None, None),
    ] {
        let endpoints = endpoints_of(
            &world::service(),
            &[Pod { host: host.map(Box::new), ..pod(1) }],
            AddressType::IPv4,
        );
        assert_eq!(endpoints[0].hostname.as_deref(), expected, "{what}");
    }
}

/// Ports of a Service, those that a pod declares, and those of the slice.
type PortRow = (&'static str, Vec<ServicePort>, Vec<ContainerPort>, Vec<Port>);

/// `TestGetEndpointPorts` and `TestFindPort`, as far as the planner sees it: the named ports
/// of containers, then those of sidecars, are already read.
#[test]
fn the_ports_of_a_pod() {
    let udp = |port: ContainerPort| ContainerPort { protocol: "UDP".into(), ..port };
    let number = |number| TargetPort::Number(number);
    let named = |name: &str| TargetPort::Named(name.into());
    let http = |target| service_port("http", target);
    let app = ServicePort { app_protocol: Some("h2c".into()), ..http(number(80)) };
    let dns_udp = ServicePort { protocol: "UDP".into(), ..service_port("dns-udp", named("dns")) };
    let udp_port =
        |name: &str, number| Port { protocol: Some("UDP".into()), ..world::port(name, number) };
    let web = container_port("web", 8080);
    let rows: [PortRow; 13] = [
        ("no ports", vec![], vec![web.clone()], vec![]),
        ("a number", vec![http(number(81))], vec![], vec![world::port("http", 81)]),
        ("an unnamed port", vec![service_port("", number(81))], vec![], vec![world::port("", 81)]),
        (
            "appProtocol",
            vec![app],
            vec![],
            vec![Port { app_protocol: Some("h2c".into()), ..world::port("http", 80) }],
        ),
        ("a name", vec![http(named("web"))], vec![web.clone()], vec![world::port("http", 8080)]),
        (
            "the first of the name",
            vec![http(named("web"))],
            vec![container_port("other", 1), web.clone(), container_port("web", 9090)],
            vec![world::port("http", 8080)],
        ),
        ("a name of another protocol", vec![http(named("web"))], vec![udp(web.clone())], vec![]),
        (
            "past another protocol",
            vec![http(named("web"))],
            vec![udp(container_port("web", 1)), web.clone()],
            vec![world::port("http", 8080)],
        ),
        ("an unknown name", vec![http(named("none"))], vec![web.clone()], vec![]),
        (
            "one of two known",
            vec![http(named("none")), service_port("s", number(443))],
            vec![web.clone()],
            vec![world::port("s", 443)],
        ),
        (
            "one name for two protocols",
            vec![service_port("dns", named("dns")), dns_udp],
            vec![container_port("dns", 53), udp(container_port("dns", 54))],
            vec![world::port("dns", 53), udp_port("dns-udp", 54)],
        ),
        (
            "two to the same number",
            vec![http(named("web")), service_port("again", number(8080))],
            vec![web.clone()],
            vec![world::port("again", 8080), world::port("http", 8080)],
        ),
        (
            "SCTP",
            vec![ServicePort { protocol: "SCTP".into(), ..http(number(7)) }],
            vec![],
            vec![Port { protocol: Some("SCTP".into()), ..world::port("http", 7) }],
        ),
    ];
    for (what, ports, declared, expected) in rows {
        let service = Service { ports, ..world::service() };
        let pod = Pod { ports: declared.into(), ..pod(1) };
        let expected: Ports = expected.into_iter().collect();
        assert_eq!(*Resolver::new(&service).ports_on(&pod), expected, "{what}");
    }
}

/// `NewPortMapKey` (docs/semantics.md 3.3, 4.5): ports are a set.
#[test]
fn the_order_of_ports_does_not_count() {
    let mut cluster = Cluster::with(world::pods(0..2));
    cluster.service.ports =
        vec![service_port("b", TargetPort::Number(2)), service_port("a", TargetPort::Number(1))];
    cluster.sync();
    cluster.service.ports.reverse();
    cluster.plan().assert_none();
    let reversed: Ports = [world::port("b", 2), world::port("a", 1)].into_iter().collect();
    assert_eq!(cluster.only_slice().ports, reversed);
}

/// docs/semantics.md 3.3: a pod none of whose ports resolve is published in a slice without ports.
#[test]
fn a_pod_without_the_named_port() {
    let mut cluster = Cluster::with(world::pods(0..3));
    cluster.service.ports = vec![service_port("http", TargetPort::Named("web".into()))];
    cluster.pods[0].ports = [container_port("web", 8080)].into();
    assert_eq!(cluster.sync().tally(), (2, 0, 0));
    let mut groups: Vec<_> =
        cluster.live().map(|slice| (slice.ports.len(), slice.endpoints.len())).collect();
    groups.sort_unstable();
    assert_eq!(groups, [(0, 2), (1, 1)]);
    cluster.assert_settled();
}

/// `TestSupportedServiceAddressType`.
#[test]
fn the_address_types_of_a_service() {
    use AddressType::{IPv4, IPv6};
    use ClusterIp::{Empty, Headless, Of};
    let rows: [(&[AddressType], ClusterIp, &[AddressType]); 11] = [
        (&[IPv4], Of(IPv4), &[IPv4]),
        (&[IPv6], Of(IPv6), &[IPv6]),
        (&[IPv4, IPv6], Of(IPv4), &[IPv4, IPv6]),
        (&[IPv6, IPv4], Of(IPv6), &[IPv4, IPv6]),
        (&[IPv4], Headless, &[IPv4]),
        (&[IPv6], Empty, &[IPv6]),
        (&[IPv4, IPv6], Headless, &[IPv4, IPv6]),
        (&[], Of(IPv4), &[IPv4]),
        (&[], Of(IPv6), &[IPv6]),
        (&[], Headless, &[IPv4, IPv6]),
        (&[], Empty, &[IPv4, IPv6]),
    ];
    for (families, cluster_ip, expected) in rows {
        let service = Service { families: families.to_vec(), cluster_ip, ..world::service() };
        let mut types = service.address_types();
        types.sort_unstable();
        assert_eq!(types, expected, "{families:?} {cluster_ip:?}");
    }
}

/// `NoSelector` and `ExternalName` (docs/semantics.md 10.6): the planner is not called.
#[test]
fn which_services_are_served() {
    assert!(world::service().is_served());
    assert!(!Service { selector: None, ..world::service() }.is_served());
    assert!(!Service { external_name: true, ..world::service() }.is_served());
    assert!(!Service { external_name: true, selector: None, ..world::service() }.is_served());
}

/// `SyncService` (docs/semantics.md 10.6): which endpoints are listed, with which conditions.
#[test]
fn whole_services() {
    use AddressType::{IPv4, IPv6};
    let dual =
        |number| Pod { addresses: [pod(number).addresses[0], ipv6(number)].into(), ..pod(number) };
    let terminating = |pod: Pod| Pod { terminating: true, ..pod };
    let same_address = |pod: Pod| Pod { addresses: world::pod(1).addresses, ..pod };
    let rows = [
        ("dual pods, IPv4", IPv4, vec![dual(1), dual(2)], [conditions(true, true, false); 2]),
        ("dual pods, IPv6", IPv6, vec![dual(1), dual(2)], [conditions(true, true, false); 2]),
        (
            "terminating",
            IPv4,
            vec![pod(1), terminating(pod(2))],
            [conditions(true, true, false), conditions(false, true, true)],
        ),
        (
            "terminating, not ready",
            IPv4,
            vec![pod(1), terminating(unready(2))],
            [conditions(true, true, false), conditions(false, false, true)],
        ),
        (
            "one address, one not ready",
            IPv4,
            vec![pod(1), same_address(unready(2))],
            [conditions(true, true, false), conditions(false, false, false)],
        ),
        (
            "one address, both ready",
            IPv4,
            vec![pod(1), same_address(pod(2))],
            [conditions(true, true, false); 2],
        ),
    ];
    for (what, family, pods, expected) in rows {
        let mut cluster = Cluster::with(pods);
        cluster.service.families = vec![family];
        assert_eq!(cluster.sync().tally(), (1, 0, 0), "{what}");
        let found: Vec<(Name, Conditions)> = cluster
            .endpoints()
            .map(|(_, endpoint)| (pod_name(endpoint).into(), endpoint.conditions))
            .collect();
        let expected: Vec<(Name, Conditions)> =
            ["pod-001".into(), "pod-002".into()].into_iter().zip(expected).collect();
        assert_eq!(found, expected, "{what}");
        assert_eq!(cluster.only_slice().address_type, family, "{what}");
        cluster.assert_settled();
    }
}

/// A pod that has finished leaves its slice, and its address may live on in another pod.
#[test]
fn a_finished_pod_whose_address_is_used_again() {
    let mut cluster = Cluster::standing(&[2]);
    cluster.pods[0].finished = true;
    cluster.pods.push(Pod { addresses: pod(0).addresses, ..pod(7) });
    assert_eq!(cluster.sync().tally(), (0, 1, 0));
    assert_eq!(sizes(cluster.live()), [2]);
    let mut names: Vec<&str> = cluster.endpoints().map(|(_, e)| pod_name(e)).collect();
    names.sort_unstable();
    assert_eq!(names, ["pod-001", "pod-007"]);
}
