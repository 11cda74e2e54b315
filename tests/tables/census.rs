//! A plan in numbers, as the built-in controller counts them (docs/semantics.md 7).

use closehaul::{
    model::{
        address::AddressType::{IPv4, IPv6},
        pod::Pod,
    },
    plan::census::Census,
};

use crate::world::{self, Cluster};

/// Endpoints, slices if filled, added, removed.
fn numbers(cluster: &Cluster) -> Vec<[usize; 4]> {
    let numbers =
        |Census { endpoints, slices, added, removed }| [endpoints, slices, added, removed];
    cluster.plan().census.into_iter().map(numbers).collect()
}

#[test]
fn endpoints_that_come_and_go() {
    let mut cluster = Cluster::with(world::pods(0..250));
    assert_eq!(numbers(&cluster), [[250, 3, 250, 0]]);
    cluster.sync();
    assert_eq!(numbers(&cluster), [[250, 3, 0, 0]]);
    cluster.pods.drain(..30);
    cluster.pods.extend(world::pods(250..270));
    assert_eq!(numbers(&cluster), [[240, 3, 20, 30]]);
    cluster.pods.truncate(200);
    assert_eq!(numbers(&cluster), [[200, 2, 0, 50]]);
}

#[test]
fn a_changed_endpoint_neither_comes_nor_goes() {
    let mut cluster = Cluster::standing(&[3]);
    cluster.pods[0].ready = false;
    assert_eq!(numbers(&cluster), [[3, 1, 0, 0]]);
    assert_eq!(cluster.plan().tally(), (0, 1, 0));
}

#[test]
fn a_placeholder_is_a_slice_that_is_needed() {
    let mut cluster = Cluster::with(Vec::new());
    assert_eq!(numbers(&cluster), [[0, 1, 0, 0]]);
    cluster.sync();
    assert_eq!(numbers(&cluster), [[0, 1, 0, 0]]);
}

/// They are not checked one by one, but removed with their slices.
#[test]
fn endpoints_whose_ports_nobody_has_any_more_are_not_removed() {
    let mut cluster = Cluster::standing(&[3, 2]);
    cluster.service.ports.clear();
    assert_eq!(numbers(&cluster), [[5, 1, 5, 0]]);
}

/// Upstream overwrites the numbers of one address type with those of the other
/// (docs/semantics.md 7).
#[test]
fn each_address_type_counts() {
    let dual = |number| {
        let pod = world::pod(number);
        let mut addresses = pod.addresses.to_vec();
        addresses.push(world::ipv6(number));
        Pod { addresses: addresses.into(), ..pod }
    };
    let mut cluster = Cluster::with((0..4).map(dual).chain([world::pod(4)]).collect());
    cluster.service.families = vec![IPv4, IPv6];
    assert_eq!(numbers(&cluster), [[5, 1, 5, 0], [4, 1, 4, 0]]);
    cluster.sync();
    // Slices of an address type that is no longer wanted are deleted and not counted.
    cluster.service.families = vec![IPv6];
    assert_eq!(numbers(&cluster), [[4, 1, 0, 0]]);
    assert_eq!(cluster.plan().tally(), (0, 0, 1));
}
