//! Topology: which zones there are, and where clients are assumed to run (docs/planner.md 5).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    name::Name,
    node::{Node, Nodes},
};

/// Zones with the names of nodes in them.
pub type Clients = BTreeMap<Name, BTreeSet<Name>>;

/// Which zones there are, and where clients are assumed to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The nodes of each zone.
    all: Clients,
    /// The sending nodes of each zone.
    sending: Clients,
    /// Sending nodes without a zone.
    zoneless_senders: BTreeSet<Name>,
}

impl Topology {
    /// The topology of these nodes.
    pub fn of(nodes: &Nodes) -> Self {
        let mut topology = Self::default();
        nodes.values().for_each(|node| topology.insert(node));
        topology
    }

    /// How many zones there are.
    pub fn zones(&self) -> usize {
        self.all.len()
    }

    /// The names of all zones.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.all.keys()
    }

    /// Whether these are the names of all zones.
    pub fn has_zones(&self, names: &[Name]) -> bool {
        names.len() == self.all.len() && names.iter().all(|name| self.all.contains_key(name))
    }

    /// The zones that send, with their sending nodes. If none does, all zones with all nodes.
    pub fn clients(&self) -> &Clients {
        if self.sending.is_empty() { &self.all } else { &self.sending }
    }

    /// The sending nodes without a zone.
    pub fn zoneless_senders(&self) -> impl Iterator<Item = &Name> {
        self.zoneless_senders.iter()
    }

    /// Whether there is a sending node without a zone.
    pub fn has_zoneless_sender(&self) -> bool {
        !self.zoneless_senders.is_empty()
    }

    /// Replaces a node that has changed. Returns whether decisions may change: they depend on how
    /// many zones there are, which of them send, and whether a node without a zone sends.
    pub fn replace(&mut self, old: Option<&Node>, new: Option<&Node>) -> bool {
        let before = self.read_by_decisions();
        if let Some(node) = old {
            self.remove(node);
        }
        if let Some(node) = new {
            self.insert(node);
        }
        before != self.read_by_decisions()
    }

    fn read_by_decisions(&self) -> (usize, Vec<Name>, bool) {
        (self.zones(), self.clients().keys().cloned().collect(), self.has_zoneless_sender())
    }

    fn insert(&mut self, node: &Node) {
        let is_sending = node.is_sending();
        match &node.zone {
            Some(zone) => {
                self.all.entry(zone.clone()).or_default().insert(node.name.clone());
                if is_sending {
                    self.sending.entry(zone.clone()).or_default().insert(node.name.clone());
                }
            }
            None if is_sending => {
                self.zoneless_senders.insert(node.name.clone());
            }
            None => {}
        }
    }

    fn remove(&mut self, node: &Node) {
        self.zoneless_senders.remove(&node.name);
        let Some(zone) = &node.zone else { return };
        for clients in [&mut self.all, &mut self.sending] {
            if let Some(nodes) = clients.get_mut(zone) {
                nodes.remove(&node.name);
                if nodes.is_empty() {
                    clients.remove(zone);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    fn node(name: &str, zone: &str, ready: bool) -> Node {
        Node { ready, ..samples::node(name, zone) }
    }

    #[test]
    fn who_sends() {
        let ready = || node("n", "z", true);
        let idle =
            [node("n1", "z", false), Node { name: "n2".into(), control_plane: true, ..ready() }];
        let mut topology = Topology::default();
        for node in &idle {
            topology.insert(node);
        }
        let nodes = topology.clients().values().map(BTreeSet::len).sum::<usize>();
        assert_eq!(nodes, 2, "no other node sends");
        topology.insert(&node("n4", "y", true));
        assert_eq!(topology.clients().keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["y"]);
        assert_eq!(topology.zones(), 2);
    }

    #[test]
    fn decisions_read_zones_and_who_sends() {
        let mut topology = Topology::default();
        let table = [
            (None, Some(node("n1", "a", true)), true, "the first node of a zone"),
            (None, Some(node("n2", "a", true)), false, "another one"),
            (None, Some(node("n3", "b", false)), true, "a zone that does not send"),
            (Some(node("n3", "b", false)), Some(node("n3", "b", true)), true, "it sends"),
            (
                Some(node("n2", "a", true)),
                Some(node("n2", "a", false)),
                false,
                "one less in a zone",
            ),
            (
                Some(node("n2", "a", false)),
                Some(node("n2", "b", false)),
                false,
                "not sending, moved",
            ),
            (Some(node("n1", "a", true)), None, true, "the last of a zone"),
            (None, Some(node("n4", "", false)), false, "without zone, not sending"),
            (
                Some(node("n4", "", false)),
                Some(node("n4", "", true)),
                true,
                "without zone, sending",
            ),
            (
                Some(node("n3", "b", true)),
                Some(node("n3", "b", false)),
                false,
                "all zones send again",
            ),
        ];
        let mut nodes = Nodes::default();
        for (old, new, expected, what) in table {
            assert_eq!(topology.replace(old.as_ref(), new.as_ref()), expected, "{what}");
            if let Some(node) = old {
                nodes.remove(&node.name, None);
            }
            if let Some(node) = new {
                nodes.insert(node.name.clone(), node);
            }
            assert_eq!(topology, Topology::of(&nodes), "{what}");
        }
    }
}
