//! Node: the nodes of a history, and what each step with them consists of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Action, Effect, Model};
use crate::{
    differential::{
        objects,
        shape::Zone,
        step::{SHARED, Step},
    },
    world::{Place, object},
};

/// A node that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    zone: Option<Zone>,
    ready: bool,
    cores: u32,
}

impl Node {
    /// A ready node.
    pub fn new(zone: Option<Zone>) -> Self {
        Self { zone, ready: true, cores: 4 }
    }

    fn object(self, name: &str, is_worker: bool) -> Value {
        let mut node = object::node(name, self.zone.map(Zone::name));
        if !is_worker {
            node["metadata"]["labels"][objects::CONTROL_PLANE] = json!("");
        }
        node["status"] = self.status();
        node
    }

    fn status(self) -> Value {
        json!({
            "conditions": object::ready(self.ready),
            "allocatable": {"cpu": self.cores.to_string(), "memory": "8Gi", "pods": "250"},
        })
    }
}

impl Model {
    /// The objects that exist before the first step.
    pub fn objects(&self) -> Vec<Value> {
        (0..self.nodes.len()).filter_map(|number| self.node_object(number)).collect()
    }

    /// What a step with nodes does, or `None` if it does not fit.
    pub(super) fn node_step(&mut self, step: &Step) -> Option<Effect> {
        // Only the shares of CPU depend on these changes, and only workers count for them.
        let idle = self.workers.then_some("late-nodes");
        let (lag, actions) = match *step {
            Step::CreateNode { node, zone } if self.nodes.get(node)?.is_none() => {
                self.nodes[node] = Some(Node::new(zone));
                (Some("late-nodes"), vec![Action::Create(self.node_object(node)?)])
            }
            Step::DeleteNode { node } => {
                self.nodes.get_mut(node)?.take()?;
                (Some("deleted-nodes"), vec![Action::Delete(self.node_place(node))])
            }
            Step::RecreateNode { node } => {
                let again = Action::Create(self.node_object(node)?);
                (idle, vec![Action::Delete(self.node_place(node)), again])
            }
            Step::Zone { node, zone } => {
                let held = self.nodes.get_mut(node)?.as_mut().filter(|held| held.zone != zone)?;
                held.zone = zone;
                let labels = json!({"topology.kubernetes.io/zone": zone.map(Zone::name)});
                let patch = json!({"metadata": {"labels": labels}});
                (Some("late-nodes"), vec![Action::Patch(self.node_place(node), patch)])
            }
            Step::NodeReady { node, ready } => {
                let held = self.nodes.get_mut(node)?.as_mut().filter(|held| held.ready != ready)?;
                held.ready = ready;
                (idle, vec![self.node_status(node)?])
            }
            Step::Cpu { node, cores } => {
                let held = self.nodes.get_mut(node)?.as_mut().filter(|held| held.cores != cores)?;
                held.cores = cores;
                (idle, vec![self.node_status(node)?])
            }
            Step::Workers if !self.workers => {
                self.workers = true;
                let patch = json!({"metadata": {"labels": {(objects::CONTROL_PLANE): null}}});
                let there = (0..self.nodes.len()).filter(|number| self.nodes[*number].is_some());
                let patches =
                    there.map(|number| Action::Patch(self.node_place(number), patch.clone()));
                (Some("late-nodes"), patches.collect())
            }
            _ => return None,
        };
        Some(Effect { actions, lag, nodes: true, ..Effect::default() })
    }

    /// The cores of each zone that count for its share of CPU.
    pub(in crate::differential) fn cores(&self) -> BTreeMap<&'static str, u32> {
        let shared = Zone::ALL.into_iter().take(SHARED).map(|zone| Node::new(Some(zone)));
        let own = self.nodes.iter().flatten().copied().filter(|node| self.workers && node.ready);
        let mut cores = BTreeMap::new();
        for node in shared.chain(own) {
            if let Some(zone) = node.zone {
                *cores.entry(zone.name()).or_default() += node.cores;
            }
        }
        cores
    }

    fn node_status(&self, number: usize) -> Option<Action> {
        let node = (*self.nodes.get(number)?)?;
        Some(Action::Status(self.node_place(number), node.status()))
    }

    fn node_place(&self, number: usize) -> Place {
        Place::node(&objects::node_name(&self.namespace, number))
    }

    /// The zones' shares of CPU are those of the whole cluster, and only workers count.
    fn node_object(&self, number: usize) -> Option<Value> {
        let node = (*self.nodes.get(number)?)?;
        Some(node.object(&objects::node_name(&self.namespace, number), self.workers))
    }
}
