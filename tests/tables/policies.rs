//! Plans under policies and evacuations, in the slices (docs/planner.md 8).

use std::collections::{BTreeMap, BTreeSet};

use closehaul::{
    model::{
        address::AddressType,
        pod::Pod,
        policy::{DemandSource, Guard, Key},
        service::TargetPort,
        slice::Slice,
    },
    plan::policy::request::{Request, Standing},
    random::Random,
};

use crate::world::*;

/// What a policy with this limit requests of a Service that prefers its zone.
fn guarded(max_overload: u16) -> Request {
    Request {
        node: false,
        keys: vec![Key::Zone],
        guard: Some(Guard::with_max(max_overload)),
        rollout: None,
        evacuated: Vec::new(),
        demand: DemandSource::Equal,
        standing: Standing::New,
    }
}

/// This many pods in zones a, b and c.
fn spread(counts: [u16; 3]) -> Vec<Pod> {
    let mut pods = Vec::new();
    for (node, count) in ["a1", "b1", "c1"].into_iter().zip(counts) {
        for _ in 0..count {
            let number = u16::try_from(pods.len()).unwrap();
            pods.push(Pod { node: Some(node.into()), ..pod(number) });
        }
    }
    pods
}

/// How many ready endpoints name each set of zones, by own zone.
fn named(cluster: &Cluster) -> BTreeMap<(String, String), usize> {
    let mut named = BTreeMap::new();
    for (_, endpoint) in cluster.endpoints().filter(|(_, endpoint)| endpoint.is_ready()) {
        let own = endpoint.zone.as_deref().unwrap_or("-").to_owned();
        *named.entry((own, zones(endpoint).join(","))).or_default() += 1;
    }
    named
}

fn of(rows: &[(&str, &str, usize)]) -> BTreeMap<(String, String), usize> {
    rows.iter().map(|(own, names, count)| (((*own).into(), (*names).into()), *count)).collect()
}

#[test]
fn a_guarded_plan_is_written_and_then_stays() {
    for (counts, limit, expected) in [
        ([4, 4, 3], 30, of(&[("a", "a", 4), ("b", "b", 4), ("c", "c", 3)])),
        ([3, 2, 1], 20, of(&[("a", "a", 2), ("a", "c", 1), ("b", "b", 2), ("c", "c", 1)])),
    ] {
        let mut cluster = Cluster::with(spread(counts));
        cluster.request = Some(guarded(limit));
        let writes = cluster.sync();
        assert_eq!(writes.planned.len(), 1);
        assert_eq!(named(&cluster), expected, "{counts:?} {limit}");
        cluster.assert_settled();
        // The answer does not depend on the order of the pods.
        cluster.pods.reverse();
        cluster.assert_settled();
    }
}

#[test]
fn where_no_zone_can_be_kept_there_are_no_hints() {
    let mut cluster = Cluster::with(spread([1, 0, 0]));
    cluster.service.traffic_distribution = None;
    cluster.request = Some(guarded(0));
    cluster.sync();
    assert_eq!(named(&cluster), of(&[("a", "", 1)]));
    cluster.assert_settled();
}

/// Two pods resolve only the first of two ports, so each port is served by other endpoints.
#[test]
fn the_limit_holds_for_each_port() {
    let mut random = Random::seeded(7);
    let (mut together, mut cases) = (0, 0);
    for _ in 0..300 {
        let counts = [(); 3].map(|()| u16::try_from(random.within(0..=4)).unwrap());
        let mut pods = spread(counts);
        for pod in &mut pods {
            let number = 8000 + i32::from(u8::try_from(random.within(0..=1)).unwrap());
            let has_admin = random.within(0..=1) == 1;
            let admin = has_admin.then(|| container_port("admin", 9000));
            pod.ports = [container_port("web", number)].into_iter().chain(admin).collect();
        }
        let mut cluster = Cluster::with(pods);
        cluster.service.ports = vec![
            service_port("web", TargetPort::Named("web".into())),
            service_port("admin", TargetPort::Named("admin".into())),
        ];
        cluster.request = Some(guarded(20));
        let planned = cluster.sync().planned;
        cluster.assert_settled();
        let Some(planned) = planned.first() else { continue };
        cases += 1;
        together += usize::from(planned.groups.iter().any(|group| group.ports.len() > 1));
        if planned.exceeded.is_empty() {
            for port in ["web", "admin"] {
                assert_within(&cluster, port, 20.0);
            }
        } else {
            assert!(named(&cluster).keys().all(|(_, names)| names.is_empty()));
        }
    }
    assert!(together > 5 && together < cases, "{together} of {cases}");
}

/// By the rule of readers: each client of a zone picks one of the endpoints of the port that name the
/// zone, or any if none does or if one has no hints.
fn assert_within(cluster: &Cluster, port: &str, percent: f64) {
    let has_port = |slice: &Slice| slice.ports.iter().any(|it| it.name.as_deref() == Some(port));
    let all: Vec<_> = cluster
        .endpoints()
        .filter(|(slice, endpoint)| endpoint.is_ready() && has_port(slice))
        .map(|(_, endpoint)| zones(endpoint))
        .collect();
    let total = f64::from(u32::try_from(all.len()).unwrap());
    let is_off = all.iter().any(Vec::is_empty);
    let mut loads = vec![0.0; all.len()];
    for zone in ["a", "b", "c"] {
        let reached: Vec<usize> = (0..all.len()).filter(|at| all[*at].contains(&zone)).collect();
        let reached = if is_off || reached.is_empty() { (0..all.len()).collect() } else { reached };
        let count = f64::from(u32::try_from(reached.len()).unwrap());
        for at in reached {
            loads[at] += 1.0 / 3.0 / count;
        }
    }
    let busiest = loads.into_iter().fold(0.0, f64::max);
    assert!(busiest * total <= 1.0 + percent / 100.0 + 1e-9, "{port}: {all:?}");
}

#[test]
fn both_address_types_have_the_same_hints_where_the_pods_are_the_same() {
    let mut random = Random::seeded(11);
    for _ in 0..100 {
        let counts = [(); 3].map(|()| u16::try_from(random.within(0..=3)).unwrap());
        let mut pods = spread(counts);
        for (number, pod) in (0_u16..).zip(&mut pods) {
            let v6 =
                std::net::IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number + 1));
            pod.addresses = pod.addresses.iter().copied().chain([v6]).collect();
        }
        let mut cluster = Cluster::with(pods);
        cluster.service.families = vec![AddressType::IPv6, AddressType::IPv4];
        cluster.request = Some(guarded(20));
        cluster.sync();
        let of_type = |wanted: AddressType| -> BTreeSet<(String, Vec<String>)> {
            let of_type = cluster.endpoints().filter(|(slice, _)| slice.address_type == wanted);
            let named = |it: &_| zones(it).into_iter().map(str::to_owned).collect();
            of_type.map(|(_, it)| (pod_name(it).to_owned(), named(it))).collect()
        };
        assert_eq!(of_type(AddressType::IPv4), of_type(AddressType::IPv6));
        cluster.assert_settled();
    }
}

#[test]
fn an_evacuated_zone_has_only_the_placeholder_until_it_ends() {
    for guard in [None, Some(Guard::with_max(30))] {
        let mut cluster = Cluster::with(spread([2, 2, 2]));
        cluster.request = Some(Request { guard, ..guarded(30) });
        cluster.sync();
        let before = named(&cluster);
        cluster.request.as_mut().unwrap().evacuated = vec!["b".into()];
        cluster.sync();
        let during = named(&cluster);
        assert_eq!(during[&("b".into(), "evacuated.closehaul.io".into())], 2, "{during:?}");
        let served: BTreeSet<&str> = during
            .keys()
            .filter(|(own, _)| own != "b")
            .flat_map(|(_, names)| names.split(','))
            .collect();
        assert_eq!(served, ["a", "b", "c"].into(), "clients in b get out: {during:?}");
        cluster.assert_settled();
        cluster.request.as_mut().unwrap().evacuated.clear();
        cluster.sync();
        assert_eq!(named(&cluster), before, "hints of an evacuation are no memory");
        cluster.assert_settled();
    }
}
