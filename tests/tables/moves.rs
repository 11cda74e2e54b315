//! Endpoints that go from one slice to another (docs/semantics.md 4.4): at no time is one missing
//! that a Service port of the same name had before and has afterwards.

use std::collections::{BTreeMap, BTreeSet};

use closehaul::model::{
    port::Ports,
    service::{ServicePort, TargetPort},
    slice::Slice,
};
use proptest::prelude::*;

use crate::world::{self, Cluster, Writes, sizes};

/// A pod by the name of a Service port.
type Place = (Option<String>, String);

fn places<'s>(slices: impl IntoIterator<Item = &'s Slice>) -> BTreeSet<Place> {
    let of = |slice: &'s Slice| {
        let portless = slice.ports.is_empty().then_some(None);
        let names = slice.ports.iter().map(|port| port.name.as_deref().map(str::to_owned));
        let names: Vec<_> = names.chain(portless).collect();
        let pods = slice.endpoints.iter().map(|endpoint| {
            let target = endpoint.target.as_ref().unwrap();
            format!("{} {:?}", target.name, target.uid)
        });
        pods.flat_map(move |pod| names.clone().into_iter().map(move |name| (name, pod.clone())))
    };
    slices.into_iter().flat_map(of).collect()
}

/// Carries out a plan one write at a time. Returns what was written.
fn sync(cluster: &mut Cluster) -> Writes {
    let mut slices: BTreeMap<String, Slice> = cluster
        .slices
        .iter()
        .map(|slice| (slice.meta.name.as_deref().unwrap().to_owned(), slice.clone()))
        .collect();
    let before = places(slices.values());
    let writes = cluster.sync();
    let after = places(cluster.live());
    let common: Vec<_> = before.intersection(&after).collect();
    let check = |slices: &BTreeMap<String, Slice>, what: &str| {
        let now = places(slices.values());
        let missing: Vec<_> = common.iter().filter(|place| !now.contains(**place)).collect();
        assert!(missing.is_empty(), "after {what}: {missing:?}");
    };
    for (number, slice) in writes.creates.iter().enumerate() {
        slices.insert(format!("new {number}"), slice.clone());
    }
    for slice in &writes.updates {
        let name = slice.meta.name.as_deref().unwrap();
        slices.insert(name.to_owned(), slice.clone());
        check(&slices, &format!("the update of {name}"));
    }
    for slice in &writes.deletes {
        slices.remove(slice.meta.name.as_deref().unwrap());
        check(&slices, "a delete");
    }
    cluster.assert_settled();
    writes
}

/// How many endpoints are in the slice in which they were.
fn stayed(before: &[Slice], writes: &Writes) -> usize {
    let pods = |slice: &Slice| {
        let names = slice.endpoints.iter().map(|endpoint| world::pod_name(endpoint).to_owned());
        names.collect::<BTreeSet<_>>()
    };
    let pairs = writes.updates.iter().filter_map(|slice| {
        let old = before.iter().find(|old| old.meta.name == slice.meta.name)?;
        Some(pods(old).intersection(&pods(slice)).count())
    });
    pairs.sum()
}

fn port(name: &str, target: TargetPort) -> ServicePort {
    world::service_port(name, target)
}

/// A second port, another number, another name, another target.
#[test]
fn a_change_of_ports_leaves_endpoints_in_their_slices() {
    let http = || Cluster::standing(&[1]).service.ports.remove(0);
    for (what, ports) in [
        ("a second port", vec![http(), port("https", TargetPort::Number(443))]),
        ("another number", vec![ServicePort { target: TargetPort::Number(81), ..http() }]),
        ("another name", vec![port("web", TargetPort::Number(80))]),
    ] {
        for (before, after, kept) in [
            (&[30; 10][..], &[100; 3][..], 90),
            (&[100; 3], &[100; 3], 300),
            (&[100, 100, 50], &[100, 100, 50], 250),
            (&[60, 90], &[100, 50], 140),
            (&[20, 60, 60, 60], &[100, 100], 120),
            (&[3], &[3], 3),
        ] {
            let mut cluster = Cluster::standing(before);
            cluster.assert_settled();
            let standing = cluster.slices.clone();
            cluster.service.ports = ports.clone();
            let writes = sync(&mut cluster);
            let (updates, deletes) = (after.len(), before.len() - after.len());
            assert_eq!(writes.tally(), (0, updates, deletes), "{what}: {before:?}");
            assert_eq!(sizes(cluster.live()), after, "{what}: {before:?}");
            assert_eq!(stayed(&standing, &writes), kept, "{what}: {before:?}");
        }
    }
}

/// Slices that each have pods of two groups: nothing fits over one of them. One slice more is
/// created first, and with it there is always one that is free.
#[test]
fn one_slice_more_is_created_where_all_wait_for_each_other() {
    for count in [2, 10, 20] {
        let mut cluster = Cluster::standing(&vec![100; count]);
        for (number, pod) in cluster.pods.iter_mut().enumerate() {
            let ports = [world::container_port("web", 8080 + i32::from(number % 2 == 0))];
            pod.ports = ports.into();
        }
        cluster.service.ports = vec![port("http", TargetPort::Number(80))];
        sync(&mut cluster);
        cluster.service.ports = vec![port("http", TargetPort::Named("web".into()))];
        let writes = sync(&mut cluster);
        assert_eq!(writes.tally(), (1, count - 1, 1));
        assert_eq!(sizes(cluster.live()), vec![100; count]);
    }
}

/// Two groups that exchange pods and stay: neither slice can be written first.
#[test]
fn slices_that_exchange_endpoints() {
    let mut cluster = Cluster::with(world::pods(0..20));
    for (number, pod) in cluster.pods.iter_mut().enumerate() {
        let (one, other) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
        // Those from 10 have the same number under both names.
        let other = if number < 10 { other } else { one };
        pod.ports = [world::container_port("a", one), world::container_port("b", other)].into();
    }
    cluster.service.ports = vec![port("http", TargetPort::Named("a".into()))];
    sync(&mut cluster);
    cluster.service.ports = vec![port("http", TargetPort::Named("b".into()))];
    assert_eq!(sync(&mut cluster).tally(), (1, 1, 1));
    assert_eq!(sizes(cluster.live()), [10, 10]);
}

/// How many endpoints each group has.
fn groups(cluster: &Cluster) -> BTreeMap<Ports, usize> {
    let mut groups = BTreeMap::new();
    for slice in cluster.live() {
        *groups.entry(slice.ports.clone()).or_default() += slice.endpoints.len();
    }
    groups
}

#[derive(Clone, Debug)]
enum Step {
    /// The ports of the Service.
    Ports(Vec<(&'static str, TargetPort)>),
    /// These pods go, and that many come.
    Roll(Vec<usize>, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let target = prop_oneof![
        (1..3).prop_map(TargetPort::Number),
        prop_oneof![Just("a"), Just("b"), Just("c")]
            .prop_map(|name| TargetPort::Named(name.into())),
    ];
    let ports = proptest::collection::btree_map(
        prop_oneof![3 => Just("http"), 1 => Just("web")],
        target,
        1..3,
    );
    let pods = proptest::collection::vec(0..40_usize, 0..8);
    prop_oneof![
        ports.prop_map(|ports| Step::Ports(ports.into_iter().collect())),
        (pods, 0..8_u16).prop_map(|(gone, new)| Step::Roll(gone, new)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_endpoint_is_ever_missing(
        count in 1..40_u16,
        numbers in proptest::collection::vec((1..4, 1..4), 100),
        max in 1..7_usize,
        steps in proptest::collection::vec(step(), 1..12),
    ) {
        let mut cluster = Cluster::with(Vec::new());
        cluster.settings.max_endpoints = max;
        let mut last = 0;
        let mut come = |cluster: &mut Cluster, count: u16| {
            for mut pod in world::pods(last..last + count) {
                let (a, b) = numbers[usize::from(last) % numbers.len()];
                let named = [world::container_port("a", a), world::container_port("b", b)];
                pod.ports = named.into();
                cluster.pods.push(pod);
                last += 1;
            }
        };
        come(&mut cluster, count);
        sync(&mut cluster);
        for step in steps {
            match step {
                Step::Ports(ports) => {
                    let ports = ports.into_iter().map(|(name, target)| port(name, target));
                    cluster.service.ports = ports.collect();
                }
                Step::Roll(gone, new) => {
                    let gone: BTreeSet<_> = gone.into_iter().collect();
                    let mut number = 0;
                    cluster.pods.retain(|_| {
                        number += 1;
                        !gone.contains(&(number - 1))
                    });
                    come(&mut cluster, new);
                }
            }
            let before = groups(&cluster);
            sync(&mut cluster);
            // Where no group stays, there are as few slices as possible.
            let after = groups(&cluster);
            if !after.keys().any(|ports| before.contains_key(ports)) {
                let mut expected = Vec::new();
                for size in after.values() {
                    expected.extend(vec![max; size / max]);
                    expected.extend(Some(size % max).filter(|rest| *rest > 0));
                }
                expected.sort_unstable_by(|a, b| b.cmp(a));
                expected.extend(after.is_empty().then_some(0));
                let found: Vec<_> = sizes(cluster.live()).into_iter().filter(|n| *n > 0).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
