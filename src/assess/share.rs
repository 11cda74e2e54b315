//! Share: how much of a Service's traffic stays in its zone, and how unevenly its endpoints are
//! loaded, if every zone sends the same amount (docs/planner.md 1, 3).

use std::{collections::BTreeSet, fmt};

use foldhash::HashSet;

use super::crowd::{self, Flock};
use crate::{
    consumers::kube_proxy::{Client, Hinted as _, Levels, Targets},
    model::name::Name,
    plan::{policy::counts::float, topology::Clients},
};

/// What becomes of the traffic to a Service's port in one address type.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The part that stays in its zone, 0 to 1.
    pub in_zone: f64,
    /// How far the busiest endpoint is above the even share: 0.5 is half as much again.
    pub overload: f64,
    /// The ready endpoints.
    pub endpoints: usize,
    /// The zones that send, by name.
    pub zones: Vec<ZoneShare>,
}

/// What becomes of the traffic that one zone sends.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneShare {
    /// The zone.
    pub zone: Name,
    /// Its part of all traffic, 0 to 1.
    pub demand: f64,
    /// Its own ready endpoints.
    pub endpoints: usize,
    /// The endpoints that its clients reach, wherever they are.
    pub reachable: usize,
    /// How far its clients have to go.
    pub rung: Rung,
    /// The part of its own traffic that stays, 0 to 1.
    pub in_zone: f64,
    /// How far the busiest of its own endpoints is above the even share; below it if negative. `None`
    /// without such endpoints.
    pub busiest: Option<f64>,
}

/// How far a zone's clients have to go: the steps from near to far (docs/planner.md 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Only to endpoints of their own zone.
    Strict,
    /// To some of other zones too, none of which serves its own zone.
    Lent,
    /// To some of other zones too, which also serve others.
    Widened,
    /// To those of their region, or of the zones with the same value of a label.
    Region,
    /// To all.
    Cluster,
}

/// The word for it, the same everywhere.
impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Lent => "lent",
            Self::Widened => "widened",
            Self::Region => "region",
            Self::Cluster => "cluster",
        })
    }
}

/// What one zone sends.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The zone.
    pub zone: &'a Name,
    /// Its part of all traffic, 0 to 1.
    pub demand: f64,
    /// Its nodes that send. If there is none, it is assumed that no endpoint is on any of them.
    pub nodes: Option<&'a BTreeSet<Name>>,
}

/// The zones that send, each the same.
pub fn equal(clients: &Clients) -> Vec<Sender<'_>> {
    let demand = 1.0 / float(clients.len());
    clients.iter().map(|(zone, nodes)| Sender { zone, demand, nodes: Some(nodes) }).collect()
}

/// What becomes of the traffic to the ready ones of `targets`. `None` if there is none, or if no zone
/// sends.
pub fn share(targets: &Targets<'_>, senders: &[Sender<'_>]) -> Option<Share> {
    let flocks = crowd::by_node(targets);
    if flocks.is_empty() || senders.is_empty() {
        return None;
    }
    let levels = Levels::of(&flocks);
    let total: usize = flocks.iter().map(|flock| flock.count).sum();
    let named = named(&flocks);
    // The load of each endpoint of a flock.
    let mut loads = vec![0.0; flocks.len()];
    let mut zones = Vec::new();
    for sender in senders.iter().copied() {
        let Sender { zone, demand, .. } = sender;
        let mut staying = 0.0;
        let mut reached = BTreeSet::new();
        for (node, amount) in sender.routes(&named) {
            let (_, to) = levels.reach(Client { node, zone: Some(zone) });
            let each = amount / float(to.iter().map(|at| flocks[*at].count).sum());
            for at in to {
                loads[at] += each;
                if flocks[at].is_in(zone) {
                    staying += each * float(flocks[at].count);
                }
                reached.insert(at);
            }
        }
        let reachable = reached.iter().map(|at| flocks[*at].count).sum();
        zones.push(ZoneShare {
            zone: zone.clone(),
            demand,
            endpoints: flocks.iter().filter(|it| it.is_in(zone)).map(|it| it.count).sum(),
            reachable,
            rung: rung(reached.iter().map(|at| &flocks[*at]), zone, total),
            in_zone: staying / demand,
            busiest: None,
        });
    }
    for zone in &mut zones {
        let own = flocks.iter().zip(&loads).filter(|(flock, _)| flock.is_in(&zone.zone));
        let busiest = own.map(|(_, load)| *load).reduce(f64::max);
        zone.busiest = busiest.map(|load| load * float(total) - 1.0);
    }
    let busiest = loads.into_iter().fold(0.0, f64::max);
    Some(Share {
        in_zone: zones.iter().map(|zone| zone.in_zone * zone.demand).sum(),
        overload: (busiest * float(total) - 1.0).max(0.0),
        endpoints: total,
        zones,
    })
}

impl<'a> Sender<'a> {
    /// The nodes that some endpoint names, each with what its clients send. Clients on all other
    /// nodes reach the same, so they are one entry, without a name.
    pub(super) fn routes(self, named: &HashSet<&str>) -> Vec<(&'a str, f64)> {
        let Self { zone: _, demand, nodes } = self;
        let per_node = demand / float(nodes.map_or(1, BTreeSet::len));
        let (with_own, others): (Vec<&Name>, Vec<&Name>) =
            nodes.into_iter().flatten().partition(|node| named.contains(&***node));
        let mut routes: Vec<(&str, f64)> =
            with_own.into_iter().map(|node| (&**node, per_node)).collect();
        if !others.is_empty() || nodes.is_none() {
            routes.push(("", per_node * float(others.len().max(1))));
        }
        routes
    }
}

/// The names of all nodes for which endpoints are hinted.
pub(super) fn named<'f>(flocks: &'f [Flock<'_>]) -> HashSet<&'f str> {
    flocks.iter().flat_map(Flock::nodes).map(AsRef::as_ref).collect()
}

impl Flock<'_> {
    /// Whether the endpoints are in this zone.
    pub fn is_in(&self, zone: &Name) -> bool {
        self.alike.zone.as_ref() == Some(zone)
    }

    /// Whether the endpoints serve other zones and not their own.
    fn is_lent(&self) -> bool {
        self.alike.zone.as_ref().is_none_or(|own| !self.zones().contains(own))
    }
}

/// How far the clients of a zone have to go that reach these out of `total` endpoints.
pub(super) fn rung<'f>(
    reached: impl Iterator<Item = &'f Flock<'f>> + Clone,
    zone: &Name,
    total: usize,
) -> Rung {
    if reached.clone().all(|flock| flock.is_in(zone)) {
        Rung::Strict
    } else if reached.clone().map(|flock| flock.count).sum::<usize>() == total {
        Rung::Cluster
    } else if reached.filter(|flock| !flock.is_in(zone)).all(Flock::is_lent) {
        Rung::Lent
    } else {
        Rung::Widened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        consumers::kube_proxy::Target,
        model::{samples, slice::Endpoint},
    };

    /// An endpoint of a zone, with hints for these zones and nodes.
    fn endpoint(number: u16, zone: &str, zones: &[&str], nodes: &[&str]) -> Endpoint {
        let hints = samples::hints(zones, nodes);
        Endpoint { node: None, hints, ..samples::endpoint(number, zone) }
    }

    fn clients_of(nodes: &[(&str, &str)]) -> Clients {
        let mut clients = Clients::new();
        for (node, zone) in nodes {
            clients.entry((*zone).into()).or_default().insert((*node).into());
        }
        clients
    }

    fn three_zones() -> Clients {
        clients_of(&[("n1", "a"), ("n2", "b"), ("n3", "c")])
    }

    #[track_caller]
    fn assert_share(
        endpoints: &[Endpoint],
        clients: &Clients,
        in_zone: f64,
        overload: f64,
    ) -> Vec<(Rung, usize)> {
        let slice = samples::slice();
        let endpoints = endpoints.iter().enumerate().map(|(at, endpoint)| Target {
            address: at.to_string(),
            port: 80,
            endpoint,
            slice: &slice,
        });
        let found = share(&Targets { all: endpoints.collect() }, &equal(clients)).unwrap();
        assert!((found.in_zone - in_zone).abs() < 1e-9, "{found:?}");
        assert!((found.overload - overload).abs() < 1e-9, "{found:?}");
        found.zones.iter().map(|zone| (zone.rung, zone.reachable)).collect()
    }

    /// What `PreferSameZone` leads to (docs/planner.md 1).
    #[test]
    fn own_zones() {
        for (counts, overload) in [
            ([2_u8, 1, 1], 1.0 / 3.0),
            ([2, 2, 1], 2.0 / 3.0),
            ([3, 2, 1], 1.0),
            ([3, 3, 1], 4.0 / 3.0),
            ([4, 4, 3], 2.0 / 9.0),
            ([8, 3, 1], 3.0),
        ] {
            let mut endpoints = Vec::new();
            for (zone, count) in ["a", "b", "c"].iter().zip(counts) {
                for _ in 0..count {
                    let number = u16::try_from(endpoints.len()).unwrap();
                    endpoints.push(endpoint(number, zone, &[zone], &[]));
                }
            }
            assert_share(&endpoints, &three_zones(), 1.0, overload);
        }
    }

    #[test]
    fn a_zone_that_nobody_names_goes_to_all() {
        let endpoints = [endpoint(1, "a", &["a"], &[]), endpoint(2, "b", &["b"], &[])];
        let zones = assert_share(&endpoints, &three_zones(), 2.0 / 3.0, 0.0);
        assert_eq!(zones, [(Rung::Strict, 1), (Rung::Strict, 1), (Rung::Cluster, 2)]);
    }

    #[test]
    fn one_endpoint_without_a_name_turns_all_off() {
        let endpoints = [endpoint(1, "a", &["a"], &[]), endpoint(2, "b", &[], &[])];
        let zones = assert_share(&endpoints, &three_zones(), 1.0 / 3.0, 0.0);
        assert_eq!(zones, [(Rung::Cluster, 2); 3]);
    }

    /// [3,2,1] as the legacy annotation hints it: a lends one to c.
    #[test]
    fn lending_evens_the_load() {
        let endpoints = [
            endpoint(1, "a", &["a"], &[]),
            endpoint(2, "a", &["a"], &[]),
            endpoint(3, "a", &["c"], &[]),
            endpoint(4, "b", &["b"], &[]),
            endpoint(5, "b", &["b"], &[]),
            endpoint(6, "c", &["c"], &[]),
        ];
        let zones = assert_share(&endpoints, &three_zones(), 5.0 / 6.0, 0.0);
        assert_eq!(zones, [(Rung::Strict, 2), (Rung::Strict, 2), (Rung::Lent, 2)]);
    }

    #[test]
    fn nodes_come_before_zones() {
        let clients = clients_of(&[("n1", "a"), ("n2", "a"), ("n3", "b")]);
        let endpoints = [
            endpoint(1, "a", &["a"], &["n1"]),
            endpoint(2, "a", &["a"], &["n4"]),
            endpoint(3, "b", &["b"], &["n5"]),
        ];
        // n1 sends all to the first; n2 half and half; n3 to the third.
        assert_share(&endpoints, &clients, 1.0, 0.5);
    }
}
