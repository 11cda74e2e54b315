//! Share: how much of a Service's traffic stays in its zone, and how unevenly its endpoints are
//! loaded, if every zone sends the same amount (docs/planner.md 1, 3).

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
};

use super::topology::Clients;
use crate::model::{
    name::Name,
    service::Service,
    slice::{Endpoint, Slice},
};

/// What becomes of a Service's traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The part that stays in its zone, 0 to 1.
    pub in_zone: f64,
    /// How far the busiest endpoint is above the even share: 0.5 is half as much again.
    pub overload: f64,
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
}

/// How far a zone's clients have to go: the steps from near to far (docs/planner.md 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Only to endpoints of their own zone.
    Strict,
    /// To some of other zones too, which serve them.
    Lent,
    /// To all.
    Cluster,
}

/// The word for it, the same everywhere.
impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Lent => "lent",
            Self::Cluster => "cluster",
        })
    }
}

/// The worst share and overload of any port of `service`, with the zones of the port whose traffic
/// stays least. All `slices` have one address type. Returns `None` if no endpoint is ready or no
/// node has a zone.
pub fn worst(service: &Service, slices: &[&Slice], clients: &Clients) -> Option<Share> {
    let of_port = |port: &Name| {
        let is_read = |slice: &&Slice| {
            slice.is_read_by_proxies()
                && slice.ports.iter().any(|own| own.name.as_ref() == Some(port))
        };
        share(&ready(slices.iter().copied().filter(is_read)), clients)
    };
    service.ports.iter().filter_map(|port| of_port(&port.name)).reduce(|one, other| {
        let overload = one.overload.max(other.overload);
        let farthest = if other.in_zone < one.in_zone { other } else { one };
        Share { overload, ..farthest }
    })
}

/// The endpoints to which traffic may go, each once.
pub fn ready<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> Vec<&'a Endpoint> {
    let mut seen = HashSet::new();
    let endpoints = slices.into_iter().flat_map(|slice| slice.endpoints.iter());
    endpoints
        .filter(|endpoint| endpoint.is_served())
        .filter(|endpoint| seen.insert(&endpoint.addresses))
        .collect()
}

/// The share of the `ready` endpoints of one Service port.
fn share(ready: &[&Endpoint], clients: &Clients) -> Option<Share> {
    if ready.is_empty() || clients.is_empty() {
        return None;
    }
    let own_node = named(ready, |endpoint| hints(endpoint).1);
    let own_zone = named(ready, |endpoint| hints(endpoint).0);
    let all: Vec<usize> = (0..ready.len()).collect();
    let demand = 1.0 / count(clients.len());
    let mut loads = vec![0.0; ready.len()];
    let mut zones = Vec::new();
    for (zone, nodes) in clients {
        let per_node = demand / count(nodes.len());
        let with_own = nodes.iter().filter_map(|node| own_node.get(node));
        let mut routes: Vec<(&[usize], f64)> =
            with_own.map(|to| (to.as_slice(), per_node)).collect();
        let others = nodes.len() - routes.len();
        if others > 0 {
            routes.push((own_zone.get(zone).unwrap_or(&all), per_node * count(others)));
        }
        let mut staying = 0.0;
        let mut reached = BTreeSet::new();
        for (to, amount) in routes {
            let each = amount / count(to.len());
            for at in to {
                loads[*at] += each;
                staying += if ready[*at].zone.as_ref() == Some(zone) { each } else { 0.0 };
                reached.insert(*at);
            }
        }
        let is_own = |at: &usize| ready[*at].zone.as_ref() == Some(zone);
        let rung = match reached.len() {
            _ if reached.iter().all(is_own) => Rung::Strict,
            reached if reached == ready.len() => Rung::Cluster,
            _ => Rung::Lent,
        };
        zones.push(ZoneShare {
            zone: zone.clone(),
            demand,
            endpoints: all.iter().filter(|at| is_own(at)).count(),
            reachable: reached.len(),
            rung,
            in_zone: staying / demand,
        });
    }
    let busiest = loads.into_iter().fold(0.0, f64::max);
    Some(Share {
        in_zone: zones.iter().map(|zone| zone.in_zone * zone.demand).sum(),
        overload: (busiest * count(ready.len()) - 1.0).max(0.0),
        zones,
    })
}

/// The endpoints with each name. Returns nothing if an endpoint has no name at all, because then
/// readers follow none (docs/semantics.md 6.2).
fn named<'a>(
    ready: &[&'a Endpoint],
    of: fn(&'a Endpoint) -> &'a [Name],
) -> HashMap<&'a Name, Vec<usize>> {
    let mut groups: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, endpoint) in ready.iter().enumerate() {
        let names = of(endpoint);
        if names.is_empty() {
            return HashMap::new();
        }
        for name in names {
            groups.entry(name).or_default().push(at);
        }
    }
    groups
}

/// The zones and the nodes that an endpoint names.
fn hints(endpoint: &Endpoint) -> (&[Name], &[Name]) {
    endpoint.hints.as_ref().map_or((&[], &[]), |hints| (&hints.zones, &hints.nodes))
}

#[expect(clippy::cast_precision_loss, reason = "counts of endpoints and nodes are below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

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
        let found = share(&endpoints.iter().collect::<Vec<_>>(), clients).unwrap();
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
