//! Matrix: from which zones to which the traffic goes, by the same rule as the share of it that
//! stays (docs/planner.md 1, 3).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    crowd,
    share::{Sender, named},
};
use crate::{
    consumers::kube_proxy::{Client, Levels, Targets},
    model::name::Name,
    plan::policy::counts::float,
};

/// Which part of all traffic goes from each zone to each other one, 0 to 1. Endpoints without a zone
/// are a place of their own, `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix(BTreeMap<(Name, Option<Name>), f64>);

impl Matrix {
    /// Where the traffic to the ready ones of `targets` goes. `None` if there is none, or if no zone
    /// sends.
    pub fn of(targets: &Targets<'_>, senders: &[Sender<'_>]) -> Option<Self> {
        let flocks = crowd::by_node(targets);
        if flocks.is_empty() || senders.is_empty() {
            return None;
        }
        let levels = Levels::of(&flocks);
        let named = named(&flocks);
        let mut matrix = Self::default();
        for sender in senders {
            for (node, amount) in sender.routes(&named) {
                let (_, to) = levels.reach(Client { node, zone: Some(sender.zone) });
                let each = amount / float(to.iter().map(|at| flocks[*at].count).sum());
                for at in to {
                    let place = (sender.zone.clone(), flocks[at].alike.zone.clone());
                    *matrix.0.entry(place).or_default() += each * float(flocks[at].count);
                }
            }
        }
        Some(matrix)
    }

    /// The mean of several, each with the same weight; empty if there is none.
    pub fn mean<'m>(all: impl Iterator<Item = &'m Self> + Clone) -> Self {
        let count = float(all.clone().count());
        let mut mean = Self::default();
        for (place, part) in all.flat_map(|matrix| &matrix.0) {
            *mean.0.entry(place.clone()).or_default() += part / count;
        }
        mean
    }

    /// The part that goes from one zone to another.
    pub fn part(&self, from: &Name, to: Option<&Name>) -> f64 {
        self.0.get(&(from.clone(), to.cloned())).copied().unwrap_or_default()
    }

    /// The part that stays in its zone.
    pub fn in_zone(&self) -> f64 {
        let staying = self.0.iter().filter(|((from, to), _)| to.as_ref() == Some(from));
        staying.map(|(_, part)| part).sum()
    }

    /// What a zone sends.
    pub fn sent(&self, from: &Name) -> f64 {
        self.0.iter().filter(|((sender, _), _)| sender == from).map(|(_, part)| part).sum()
    }

    /// What the endpoints in a zone receive.
    pub fn received(&self, to: Option<&Name>) -> f64 {
        let received = self.0.iter().filter(|((_, place), _)| place.as_ref() == to);
        received.map(|(_, part)| part).sum()
    }

    /// The zones that send or receive, by name, then the place of endpoints without a zone.
    pub fn places(&self) -> Vec<Option<&Name>> {
        let named = self.0.keys().flat_map(|(from, to)| [Some(from), to.as_ref()]).flatten();
        let named: BTreeSet<&Name> = named.collect();
        let nowhere = self.0.keys().any(|(_, to)| to.is_none()).then_some(None);
        named.into_iter().map(Some).chain(nowhere).collect()
    }

    /// The places of several, each once, in the same order.
    pub fn all_places(all: [&Self; 2]) -> Vec<Option<&Name>> {
        let mut places: Vec<_> = all.into_iter().flat_map(Self::places).collect();
        places.sort_by_key(|place| (place.is_none(), *place));
        places.dedup();
        places
    }

    /// Whether there is no traffic.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        assess::share::{equal, share},
        consumers::kube_proxy::Target,
        model::{samples, slice::Endpoint},
        plan::topology::Clients,
    };

    fn endpoint(number: u16, zone: &str, zones: &[&str], nodes: &[&str]) -> Endpoint {
        let hints = samples::hints(zones, nodes);
        Endpoint { node: None, hints, ..samples::endpoint(number, zone) }
    }

    /// Three zones, of which the first has two nodes.
    fn clients() -> Clients {
        let mut clients = Clients::new();
        for (node, zone) in [("n1", "a"), ("n2", "a"), ("n3", "b"), ("n4", "c")] {
            clients.entry(zone.into()).or_default().insert(node.into());
        }
        clients
    }

    /// The matrix, of which the diagonal must be the share that stays.
    #[track_caller]
    fn matrix(endpoints: &[Endpoint]) -> Matrix {
        let slice = samples::slice();
        let targets = endpoints.iter().enumerate().map(|(at, endpoint)| Target {
            address: at.to_string(),
            port: 80,
            endpoint,
            slice: &slice,
        });
        let targets = Targets { all: targets.collect() };
        let clients = clients();
        let senders = equal(&clients);
        let matrix = Matrix::of(&targets, &senders).unwrap();
        let share = share(&targets, &senders).unwrap();
        assert!((matrix.in_zone() - share.in_zone).abs() < 1e-9, "{matrix:?} {share:?}");
        for zone in &share.zones {
            assert!((matrix.sent(&zone.zone) - zone.demand).abs() < 1e-9, "{matrix:?}");
            let staying = matrix.part(&zone.zone, Some(&zone.zone));
            assert!((staying - zone.in_zone * zone.demand).abs() < 1e-9, "{matrix:?}");
        }
        matrix
    }

    #[track_caller]
    fn assert_parts(matrix: &Matrix, parts: &[(&str, &str, f64)]) {
        for (from, to, part) in parts {
            let to: Option<Name> = (!to.is_empty()).then(|| (*to).into());
            let found = matrix.part(&(*from).into(), to.as_ref());
            assert!((found - part).abs() < 1e-9, "{from} -> {to:?}: {found}, not {part}");
        }
        let sum: f64 = parts.iter().map(|(.., part)| part).sum();
        assert!((sum - 1.0).abs() < 1e-9, "not all parts are named");
    }

    #[test]
    fn hints_lead_to_zones_and_nodes() {
        let third = 1.0 / 3.0;
        let hinted = [
            endpoint(1, "a", &["a"], &["n1"]),
            endpoint(2, "a", &["c"], &["n9"]),
            endpoint(3, "b", &["b"], &["n3"]),
        ];
        let matrix = matrix(&hinted);
        assert_parts(&matrix, &[("a", "a", third), ("b", "b", third), ("c", "a", third)]);
        assert_eq!(matrix.places(), [Some(&"a".into()), Some(&"b".into()), Some(&"c".into())]);
        assert!((matrix.received(Some(&"a".into())) - 2.0 * third).abs() < 1e-9);
    }

    #[test]
    fn without_hints_traffic_goes_everywhere() {
        let nowhere = Endpoint { zone: None, ..endpoint(3, "a", &[], &[]) };
        let plain = [endpoint(1, "a", &[], &[]), endpoint(2, "b", &[], &[]), nowhere];
        let matrix = matrix(&plain);
        let parts: Vec<_> = ["a", "b", "c"]
            .iter()
            .flat_map(|from| ["a", "b", ""].map(|to| (*from, to, 1.0 / 9.0)))
            .collect();
        assert_parts(&matrix, &parts);
        assert_eq!(matrix.places().len(), 4);
        assert_eq!(matrix.places().last(), Some(&None));
    }

    #[test]
    fn every_one_has_the_same_weight_in_the_mean() {
        let strict = matrix(&[endpoint(1, "a", &["a"], &[]), endpoint(2, "b", &["b", "c"], &[])]);
        let plain = matrix(&[endpoint(1, "a", &[], &[])]);
        let mean = Matrix::mean([&strict, &plain].into_iter());
        let third = 1.0 / 3.0;
        let of_b = ("b", "b", third / 2.0);
        assert_parts(
            &mean,
            &[
                ("a", "a", third),
                of_b,
                ("b", "a", third / 2.0),
                ("c", "b", third / 2.0),
                ("c", "a", third / 2.0),
            ],
        );
        assert!(Matrix::mean([].iter()).is_empty());
    }
}
