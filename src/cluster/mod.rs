//! What is known of the cluster now, and which Services a change touches. One task owns it.
//! No I/O and no clock; nothing here decides what slices should look like: see [`crate::plan`].

mod island;
mod lists;
mod outdated;
mod pool;
mod slices;

use std::cell::OnceCell;

use foldhash::{HashMap, HashSet};
use jiff::Timestamp;

use self::{island::Island, outdated::is_outdated, pool::Pool};
pub use self::{island::ServiceChange, island::settled::Part, lists::Gone, slices::SliceChange};
use crate::{
    assess::{
        decision::{Decision, Standing, decide},
        share::Topology,
    },
    model::{
        name::{Name, ServiceKey},
        node::{Node, Nodes},
        pod::Pod,
        service::Service,
        slice::Slice,
    },
    plan::{
        self, Plan, World,
        hints::auto::{self, CpuShares},
        intent::Intent,
        patch,
        ready::Ready,
    },
};

/// Services, pods, nodes and managed slices of the whole cluster.
#[derive(Debug, Default)]
pub struct Index {
    islands: HashMap<Name, Island>,
    nodes: Nodes,
    /// Nodes that the list under way has not named yet.
    doubted_nodes: HashSet<Name>,
    /// Worked out when it is asked for; emptied by a change of nodes.
    shares: OnceCell<Option<CpuShares>>,
    /// The same.
    topology: OnceCell<Topology>,
    pool: Pool,
}

/// What an event of a node changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// Services with pods on the node, sorted, if its zone changed, it came, or it went.
    pub services: Vec<ServiceKey>,
    /// Whether it was there before and still is: zones and hints change, and no endpoint.
    pub is_move: bool,
    /// Whether the zones' shares of CPU may be others now.
    pub shares: bool,
}

/// Kinds that are listed and watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// Services.
    Services,
    /// Pods.
    Pods,
    /// Nodes.
    Nodes,
    /// `EndpointSlices`.
    Slices,
}

impl Watched {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Services, Self::Pods, Self::Nodes, Self::Slices];

    /// The word for its objects that the API has.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Pods => "pods",
            Self::Nodes => "nodes",
            Self::Slices => "endpointslices",
        }
    }
}

// === reading ===

impl Index {
    /// All Services, in any order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.islands.values().flat_map(Island::services)
    }

    /// One Service.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.islands.get(&key.namespace)?.service(&key.name)
    }

    /// What is asked for a Service.
    pub fn intent(&self, key: &ServiceKey) -> Option<Intent> {
        self.islands.get(&key.namespace)?.intent(&key.name)
    }

    /// The pods that a Service selects, in any order.
    pub fn pods_of(&self, key: &ServiceKey) -> Vec<&Pod> {
        self.islands.get(&key.namespace).map_or_else(Vec::new, |island| island.pods_of(&key.name))
    }

    /// The managed slices that name a Service, in any order.
    pub fn slices_of(&self, key: &ServiceKey) -> Vec<&Slice> {
        self.islands.get(&key.namespace).map_or_else(Vec::new, |island| island.slices.of(&key.name))
    }

    /// All nodes.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The zones' shares of CPU.
    pub fn shares(&self) -> Option<&CpuShares> {
        self.shares.get_or_init(|| auto::cpu_shares(&self.nodes)).as_ref()
    }

    /// Which zones there are, and where clients are assumed to run.
    pub fn topology(&self) -> &Topology {
        self.topology.get_or_init(|| Topology::of(&self.nodes))
    }

    /// How many objects of a kind are known. Looks at each namespace.
    pub fn count(&self, kind: Watched) -> usize {
        let of_each = |count: fn(&Island) -> usize| self.islands.values().map(count).sum();
        match kind {
            Watched::Services => of_each(Island::service_count),
            Watched::Pods => of_each(Island::pod_count),
            Watched::Slices => of_each(|island| island.slices.len()),
            Watched::Nodes => self.nodes.len(),
        }
    }

    /// What is to be done for a Service; `None` if it is not known or not served. `node_hints` is
    /// that of [`World`].
    pub fn plan(
        &self,
        key: &ServiceKey,
        trigger_time: Option<Timestamp>,
        settings: plan::Settings,
    ) -> Option<Plan<'_>> {
        let service = self.service(key).filter(|service| service.is_served())?;
        Some(plan::plan(World {
            service,
            intent: self.intent(key)?,
            pods: &self.pods_of(key),
            nodes: &self.nodes,
            shares: self.shares(),
            slices: &self.slices_of(key),
            trigger_time,
            settings,
        }))
    }

    /// The same of a part of it, which [`Self::part`] gave; `None` if the whole is to be planned.
    pub fn patch(
        &self,
        key: &ServiceKey,
        part: &Part,
        trigger_time: Option<Timestamp>,
        settings: plan::Settings,
    ) -> Option<Plan<'_>> {
        let island = self.islands.get(&key.namespace)?;
        let world = World {
            service: island.service(&key.name).filter(|service| service.is_served())?,
            pods: &[],
            nodes: &self.nodes,
            shares: None,
            slices: &[],
            trigger_time,
            intent: island.intent(&key.name)?,
            settings,
        };
        patch::patch(world, island.known(&key.name)?, island.touched(part)?)
    }

    /// What becomes of a Service's wish for locality by this plan, judged by the first address type.
    /// Slices of other managers are not known here. `node_hints`: whether slices may hint at nodes.
    pub fn decide(&self, service: &Service, plan: &Plan<'_>) -> Decision {
        let none = Ready::default();
        decide(Standing {
            service,
            intent: plan.intent,
            ready: plan.families.first().map_or(&none, |family| &family.ready),
            foreign: &[],
            has_nodeless: !plan.nodeless.is_empty(),
            has_not_allowed: !plan.not_allowed.is_empty(),
            node_hints: plan.settings.node_hints,
            nodes: &self.nodes,
            topology: self.topology(),
        })
    }
}

// === taking in ===

impl Index {
    /// Takes a Service in; returns what changed.
    pub fn apply_service(&mut self, mut service: Service) -> ServiceChange {
        self.pool.service(&mut service);
        self.island(&service.key.namespace.clone()).put_service(service)
    }

    /// Forgets a Service.
    pub fn remove_service(&mut self, key: &ServiceKey) {
        self.visit(&key.namespace, |island| island.remove_service(&key.name));
    }

    /// Takes a pod in; returns the Services to sync.
    pub fn apply_pod(&mut self, namespace: &Name, mut pod: Pod) -> Vec<ServiceKey> {
        self.pool.pod(&mut pod);
        self.pool.labels(&mut pod.labels);
        let services = self.island(namespace).put_pod(pod);
        keys(namespace, services)
    }

    /// Forgets a pod, unless what is known is newer than `version`; returns the Services to sync.
    pub fn remove_pod(&mut self, namespace: &Name, name: &str, version: u64) -> Vec<ServiceKey> {
        let services = self.visit(namespace, |island| island.remove_pod(name, version));
        keys(namespace, services.unwrap_or_default())
    }

    /// Takes a slice in; `None` if it is not ours or nothing was learned.
    pub fn apply_slice(&mut self, mut slice: Slice) -> Option<SliceChange> {
        let namespace = slice.meta.namespace.clone();
        let mut is_own = false;
        if let Some(service) = slice.managed_service() {
            let island = self.islands.entry(namespace.clone()).or_default();
            let own = island.take_awaited(service, &slice);
            is_own = own.is_some();
            if let Some(own) = own {
                slice.meta.labels = own.meta.labels;
                (slice.ports, slice.endpoints) = (own.ports, own.endpoints);
            } else {
                let pod_name = |name: &str| island.pod(name).map(|pod| pod.name.clone());
                let known = slice.meta.name.as_deref().and_then(|name| island.slices.named(name));
                self.pool.slice(&mut slice, known, pod_name);
            }
        }
        let island = self.island(&namespace);
        let change = island.slices.put(slice);
        if let Some(change) = change.as_ref().filter(|_| !is_own) {
            change.services.iter().for_each(|service| island.unsettle(service));
        }
        self.visit(&namespace, |_| ());
        change
    }

    /// Forgets a slice, unless what is known is newer than `version`.
    pub fn remove_slice(
        &mut self,
        namespace: &Name,
        name: &str,
        version: u64,
    ) -> Option<SliceChange> {
        let removed = |island: &mut Island| {
            let change = island.slices.remove(name, version)?;
            change.services.iter().for_each(|service| island.unsettle(service));
            Some(change)
        };
        self.visit(namespace, removed).flatten()
    }

    /// Takes a node in.
    pub fn apply_node(&mut self, mut node: Node) -> NodeChange {
        self.pool.name(&mut node.name);
        node.zone.iter_mut().for_each(|zone| self.pool.name(zone));
        let is_listed = self.doubted_nodes.remove(&node.name);
        let name = node.name.clone();
        let mut has_moved = true;
        let is_known = self.nodes.contains_key(&name);
        if let Some(old) = self.nodes.get_mut(&name) {
            if is_outdated(node.version, old.version, is_listed) {
                return NodeChange::default();
            }
            old.version = node.version;
            if *old == node {
                return NodeChange::default();
            }
            has_moved = old.zone != node.zone;
        }
        self.nodes.insert(name.clone(), node);
        NodeChange { is_move: is_known, ..self.node_change(&name, has_moved) }
    }

    /// Forgets a node.
    pub fn remove_node(&mut self, name: &str) -> NodeChange {
        if self.nodes.remove(name).is_none() {
            return NodeChange::default();
        }
        self.node_change(name, true)
    }

    fn node_change(&mut self, name: &str, has_moved: bool) -> NodeChange {
        self.shares = OnceCell::new();
        self.topology = OnceCell::new();
        let mut services = Vec::new();
        if has_moved {
            for (namespace, island) in &mut self.islands {
                let on_node = island.services_on(name);
                for service in &on_node {
                    island.unsettle(service);
                }
                services.extend(keys(namespace, on_node));
            }
            services.sort_unstable();
        }
        NodeChange { services, is_move: false, shares: true }
    }

    /// The island of a namespace, which comes into being with its first object.
    fn island(&mut self, namespace: &Name) -> &mut Island {
        self.islands.entry(namespace.clone()).or_default()
    }

    /// Does something with an island, if there is one, and drops it when it is empty then.
    fn visit<T>(&mut self, namespace: &Name, act: impl FnOnce(&mut Island) -> T) -> Option<T> {
        let island = self.islands.get_mut(namespace)?;
        let result = act(island);
        if island.is_empty() {
            self.islands.remove(namespace);
        }
        Some(result)
    }
}

fn keys(namespace: &Name, names: impl IntoIterator<Item = Name>) -> Vec<ServiceKey> {
    names.into_iter().map(|name| ServiceKey { namespace: namespace.clone(), name }).collect()
}

#[cfg(test)]
mod tests;
