//! Nodes: what an event of a node changes.

use std::{cell::OnceCell, time::Duration};

use super::{Affected, NodeChange, ObjectKey, Stores, Tracked};
use crate::{
    api::Object,
    cluster::{Index, keys},
    model::{name::ServiceKey, node::Node, store::Admission},
};

impl Tracked for Node {
    type Record = Self;
    const STORES: Stores<Self> =
        Stores::Cluster { of: |index| &index.nodes, of_mut: |index| &mut index.nodes };
    // Each node has many pods.
    const MANY: usize = 10;
    // If it was forgotten at once, any other sync in that time would remove its pods.
    const GRACE: Duration = Duration::from_secs(10);

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        Affected::Node(index.apply_node(object.value))
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        Affected::Node(index.remove_node(&key.name, version))
    }
}

impl Index {
    /// Stores a node.
    pub fn apply_node(&mut self, mut node: Node) -> NodeChange {
        self.pool.name(&mut node.name);
        node.zone.iter_mut().for_each(|zone| self.pool.name(zone));
        self.pool.labels(&mut node.labels);
        let name = node.name.clone();
        let old = match self.nodes.admit(&name, node.version) {
            Admission::Outdated => return NodeChange::default(),
            Admission::New => None,
            Admission::Known(id) => {
                let known = self.nodes.at_mut(id);
                known.version = node.version;
                if *known == node {
                    return NodeChange::default();
                }
                Some(known.clone())
            }
        };
        let has_moved = old.as_ref().is_none_or(|old| old.zone != node.zone);
        self.nodes.insert(name, node.clone());
        let change = self.node_change(old.as_ref(), Some(&node), has_moved);
        NodeChange { is_move: old.is_some(), ..change }
    }

    /// Forgets a node, unless what is known is newer than its deletion.
    pub fn remove_node(&mut self, name: &str, version: Option<u64>) -> NodeChange {
        match self.nodes.remove(name, version) {
            Some((_, old)) => self.node_change(Some(&old), None, true),
            None => NodeChange::default(),
        }
    }

    fn node_change(
        &mut self,
        old: Option<&Node>,
        new: Option<&Node>,
        has_moved: bool,
    ) -> NodeChange {
        self.shares = OnceCell::new();
        self.demand.node_changed();
        let mut services = Vec::new();
        if let Some(node) = old.or(new).filter(|_| has_moved) {
            for (namespace, island) in &mut self.islands {
                services.extend(keys(namespace, island.node_moved(&node.name)));
            }
            services.sort_unstable();
        }
        let is_read = self.topology.replace(old, new);
        if has_moved {
            self.rename_zones();
        }
        self.topology_changes += u64::from(is_read);
        let preferring = if is_read { self.preferring() } else { Vec::new() };
        NodeChange { services, is_move: false, shares: true, preferring }
    }

    /// The Services whose decisions read the topology, sorted.
    fn preferring(&self) -> Vec<ServiceKey> {
        let selected = self.islands.values().flat_map(|island| island.services.values());
        let preferring = selected.filter(|selected| selected.intent.prefers_locality());
        let mut keys: Vec<_> = preferring.map(|selected| selected.service.key.clone()).collect();
        keys.sort_unstable();
        keys
    }
}
