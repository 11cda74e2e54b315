//! Demand: what each zone is assumed to send to a Service, from nodes, clients or as given
//! (docs/planner.md 5).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    counts::{TOLERANCE, float},
    zones::{Zone, Zones},
};
use crate::model::{
    name::Name,
    node::{Node, Nodes},
    policy::{DemandSource, Key},
};

/// The label that names a node's region.
const REGION: &str = "topology.kubernetes.io/region";

/// How many ready clients of a Service there are in each zone.
pub type Clients = BTreeMap<Name, usize>;

/// A share that moves by less leads to no new plan.
const MOVE: f64 = 0.02;

/// Every zone that a node bears, with what it sends by `source`, and with its areas for these keys. If
/// no zone sends anything, all that have a node that sends do so equally, and if there is none, all
/// zones. Clients are not counted here: see [`of_clients`].
pub fn zones(nodes: &Nodes, keys: &[Key], source: &DemandSource) -> Zones {
    let mut all: BTreeMap<&Name, Vec<&Node>> = BTreeMap::new();
    for node in nodes.values() {
        if let Some(zone) = &node.zone {
            all.entry(zone).or_default().push(node);
        }
    }
    let sent = |source: &DemandSource| -> Vec<f64> {
        all.iter().map(|(name, nodes)| demand(source, name, nodes)).collect()
    };
    let mut demand = sent(source);
    if demand.iter().sum::<f64>() <= 0.0 {
        demand = sent(&DemandSource::Equal);
    }
    let zones = all.into_iter().zip(demand);
    Zones::new(zones.map(|((name, nodes), sent)| {
        let senders = nodes.iter().filter(|node| node.is_sending());
        let senders = senders.map(|node| node.name.clone()).collect();
        let areas = keys.iter().filter_map(|key| Some((key.clone(), area(key, &nodes)?)));
        (name.clone(), sent, Arc::new(Zone { senders, areas: areas.collect() }))
    }))
}

/// The same zones, which send in proportion to their clients. Without clients, what they send stays.
pub fn of_clients(zones: &Zones, clients: &Clients) -> Zones {
    let of = |zone: &Name| float(clients.get(zone).copied().unwrap_or_default());
    if zones.names().iter().all(|zone| of(zone) <= 0.0) {
        return zones.clone();
    }
    zones.sending(of)
}

/// The zones of `live`, where those that are `silent` still have the share that they had `before`.
pub fn lasting(before: &Zones, live: &Zones, silent: &BTreeSet<&Name>) -> Zones {
    let lasting = |zone: &Name| if silent.contains(zone) { before.share(zone) } else { 0.0 };
    let rest = 1.0 - live.names().iter().map(lasting).sum::<f64>();
    live.sending(
        |zone| {
            if silent.contains(zone) { before.share(zone) } else { live.share(zone) * rest }
        },
    )
}

/// Whether the share of a zone has moved by so much that plans may differ.
pub fn has_moved(before: &Zones, now: &Zones) -> bool {
    let names = before.names().iter().chain(now.names());
    let has_moved = |zone: &Name| (before.share(zone) - now.share(zone)).abs() >= MOVE - TOLERANCE;
    before.len() != now.len() || names.into_iter().any(has_moved)
}

/// What a zone with these nodes sends, in any unit.
fn demand(source: &DemandSource, name: &Name, nodes: &[&Node]) -> f64 {
    let senders = || nodes.iter().filter(|node| node.is_sending());
    match source {
        DemandSource::Equal | DemandSource::Clients { .. } => {
            f64::from(u8::from(senders().next().is_some()))
        }
        DemandSource::Nodes => float(senders().count()),
        DemandSource::Cpu => {
            let cpu: u64 = senders().map(|node| node.cpu).sum();
            float(usize::try_from(cpu).unwrap_or(usize::MAX))
        }
        DemandSource::Shares(shares) => shares.get(name).copied().unwrap_or_default(),
    }
}

/// The area that these nodes of a zone belong to: that of most of them. Of equally many, the one
/// whose name sorts first.
fn area(key: &Key, nodes: &[&Node]) -> Option<Name> {
    let label: &str = match key {
        Key::Region => REGION,
        Key::Label(label) => label,
        Key::Node | Key::Zone => return None,
    };
    let mut areas: BTreeMap<&Name, usize> = BTreeMap::new();
    for area in nodes.iter().filter_map(|node| node.labels.get(label)) {
        *areas.entry(area).or_default() += 1;
    }
    let most = areas.values().max().copied()?;
    areas.into_iter().find(|(_, count)| *count == most).map(|(area, _)| area.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::{labels, node};

    fn keys() -> [Key; 3] {
        [Key::Zone, Key::Region, Key::Label("row".into())]
    }

    /// Two nodes in zone a, one in b, and one in c that is not ready.
    fn nodes() -> Nodes {
        let east = |name: &str, zone: &str, row: &str| {
            let labels = labels(&[(REGION, "east"), ("row", row)]);
            Node { labels, ..node(name, zone) }
        };
        let nodes = [
            east("n1", "a", "2"),
            Node { cpu: 1000, ..east("n2", "a", "1") },
            Node { labels: labels(&[]), ..node("n3", "b") },
            Node { ready: false, ..east("n4", "c", "9") },
            Node { control_plane: true, ..east("n5", "c", "9") },
        ];
        nodes.into_iter().map(|node| (node.name.clone(), node)).collect()
    }

    #[test]
    fn each_source_is_what_it_says() {
        let shares = |pairs: &[(&str, f64)]| {
            DemandSource::Shares(
                pairs.iter().map(|(zone, share)| ((*zone).into(), *share)).collect(),
            )
        };
        for (source, expected) in [
            (DemandSource::Equal, [0.5, 0.5, 0.0]),
            (DemandSource::Nodes, [2.0 / 3.0, 1.0 / 3.0, 0.0]),
            (DemandSource::Cpu, [5.0 / 9.0, 4.0 / 9.0, 0.0]),
            (shares(&[("a", 60.0), ("c", 20.0), ("gone", 99.0)]), [0.75, 0.0, 0.25]),
            (shares(&[("gone", 1.0)]), [0.5, 0.5, 0.0]),
        ] {
            assert_sends(&zones(&nodes(), &keys(), &source), expected);
        }
        let equal = zones(&nodes(), &keys(), &DemandSource::Equal);
        let counted: Clients = [("a".into(), 1), ("c".into(), 3), ("gone".into(), 5)].into();
        assert_sends(&of_clients(&equal, &counted), [0.25, 0.0, 0.75]);
        assert_sends(&of_clients(&equal, &Clients::new()), [0.5, 0.5, 0.0]);
    }

    fn assert_sends(zones: &Zones, expected: [f64; 3]) {
        let names: Vec<&str> = zones.names().iter().map(AsRef::as_ref).collect();
        assert_eq!(names, ["a", "b", "c"], "every zone of a node");
        for (found, expected) in zones.demand().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{:?}", zones.demand());
        }
    }

    #[test]
    fn a_silent_zone_keeps_its_share_and_small_moves_do_not_count() {
        let sends = |shares: [f64; 3]| {
            let all = ["a", "b", "c"].into_iter().zip(shares);
            Zones::new(all.map(|(name, sent)| (name.into(), sent, Arc::default())))
        };
        let before = sends([40.0, 40.0, 20.0]);
        let live = sends([50.0, 50.0, 0.0]);
        let (none, c) = (BTreeSet::new(), "c".into());
        assert_sends(&lasting(&before, &live, &none), [0.5, 0.5, 0.0]);
        assert_sends(&lasting(&before, &live, &[&c].into()), [0.4, 0.4, 0.2]);
        for (now, moved) in [
            ([40.0, 40.0, 20.0], false),
            ([41.0, 40.0, 19.0], false),
            ([42.0, 40.0, 18.0], true),
            ([50.0, 50.0, 0.0], true),
        ] {
            assert_eq!(has_moved(&before, &sends(now)), moved, "{now:?}");
        }
    }

    #[test]
    fn a_zone_belongs_to_the_area_of_most_of_its_nodes() {
        let zones = zones(&nodes(), &keys(), &DemandSource::Equal);
        let area = |zone: usize, key: &Key| zones.area(zone, key).map(ToString::to_string);
        assert_eq!(area(0, &Key::Region).as_deref(), Some("east"));
        assert_eq!(area(1, &Key::Region), None);
        assert_eq!(area(0, &Key::Label("row".into())).as_deref(), Some("1"));
        assert_eq!(zones.senders(0).len(), 2);
        assert!(zones.senders(2).is_empty());
    }
}
