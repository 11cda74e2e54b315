//! What is known about the cluster now, and which Services a change affects. One task owns it.
//! There is no I/O and no clock. What slices should look like is decided in [`crate::plan`].

mod demand;
mod island;
mod kinds;
mod pool;
mod slices;

use std::cell::OnceCell;

use foldhash::HashMap;
use jiff::Timestamp;

use self::{demand::Demand, island::Island, pool::Pool};
pub use self::{
    demand::SAMPLED,
    island::settled::Part,
    kinds::{
        Affected, Need, NodeChange, ObjectKey, ServiceChange, SliceChange, Tracked, Visitor,
        Watched, visit_kinds,
    },
};
use crate::{
    model::{
        address::AddressType,
        name::{Name, ServiceKey},
        node::Nodes,
        pod::Pod,
        policy::{LocalityPolicy, PolicyMeta, RequestKey},
        service::Service,
        slice::Slice,
    },
    plan::{
        self, Circumstances, Plan, Policy, World,
        hints::auto::{self, CpuShares},
        in_place::{self, IsMarked},
        intent::{Intent, Mechanism, Preference},
        patch,
        policy::searches::Searches,
        precedence::{Rules, Scope},
        ready::{self, Ready},
        topology::Topology,
    },
};

/// Services, pods, nodes and managed slices of the whole cluster.
#[derive(Debug, Default)]
pub struct Index {
    islands: HashMap<Name, Island>,
    nodes: Nodes,
    /// Computed on demand, and emptied by a change of nodes.
    shares: OnceCell<Option<CpuShares>>,
    topology: Topology,
    /// How often the topology has changed in a way that decisions read.
    topology_changes: u64,
    /// What holds for all namespaces.
    rules: Rules,
    demand: Demand,
    /// What searches for plans have found.
    searches: Searches,
    pool: Pool,
    /// How often everything has had to be planned as a whole.
    generation: u64,
}

/// A Service with what is requested for it.
struct Case<'c, 'a> {
    island: &'a Island,
    key: &'c ServiceKey,
    intent: &'c Intent,
    pods: &'c [&'a Pod],
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

    /// What is requested for a Service.
    pub fn intent(&self, key: &ServiceKey) -> Option<&Intent> {
        self.islands.get(&key.namespace)?.intent(&key.name)
    }

    /// The policies and evacuations that may be for a Service; `None` if nothing is known of its
    /// namespace.
    pub fn scope(&self, namespace: &Name) -> Option<Scope<'_>> {
        let policies = &self.islands.get(namespace)?.policies;
        Some(Scope { policies, rules: &self.rules })
    }

    /// The Services of a namespace, in any order.
    pub fn services_in(&self, namespace: &Name) -> impl Iterator<Item = &Service> {
        self.islands.get(namespace).into_iter().flat_map(Island::services)
    }

    /// The Services for which a policy or an evacuation decides hints for nodes, too, sorted.
    pub fn requesting_nodes(&self) -> Vec<ServiceKey> {
        let services = self.islands.values().flat_map(|island| island.services.values());
        let requests = |intent: &Intent| intent.request().is_some_and(|request| request.node);
        let services = services.filter(|it| requests(&it.intent));
        let mut keys: Vec<_> = services.map(|it| it.service.key.clone()).collect();
        keys.sort_unstable();
        keys
    }

    /// A policy of a namespace.
    pub fn policy(&self, namespace: &Name, name: &str) -> Option<&LocalityPolicy> {
        self.islands.get(namespace)?.policies.get(name)
    }

    /// The policies of all namespaces, in any order.
    pub fn policies(&self) -> impl Iterator<Item = &LocalityPolicy> {
        self.islands.values().flat_map(|island| island.policies.values())
    }

    /// The policies of a namespace, in any order.
    pub fn policies_in(&self, namespace: &Name) -> impl Iterator<Item = &LocalityPolicy> {
        self.islands.get(namespace).into_iter().flat_map(|island| island.policies.values())
    }

    /// The metadata of a policy or an evacuation.
    pub fn request_meta(&self, key: &RequestKey) -> Option<&PolicyMeta> {
        match key {
            RequestKey::Policy { namespace, name } => {
                self.policy(namespace, name).map(|it| &it.meta)
            }
            RequestKey::ClusterPolicy(name) => self.rules.policies.get(name).map(|it| &it.meta),
            RequestKey::Evacuation(name) => self.rules.evacuations.get(name).map(|it| &it.meta),
        }
    }

    /// What holds for all namespaces.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The pods that a Service selects, in any order.
    pub fn pods_of(&self, key: &ServiceKey) -> Vec<&Pod> {
        self.islands.get(&key.namespace).map_or_else(Vec::new, |island| island.pods_of(&key.name))
    }

    /// The managed slices that name a Service, in any order.
    pub fn slices_of(&self, key: &ServiceKey) -> Vec<&Slice> {
        self.islands.get(&key.namespace).map_or_else(Vec::new, |island| island.slices.of(&key.name))
    }

    /// The slices of other managers that name a Service, in any order.
    pub fn foreign_of(&self, key: &ServiceKey) -> Vec<&Slice> {
        let island = self.islands.get(&key.namespace);
        island.map_or_else(Vec::new, |island| island.slices.foreign_of(&key.name).collect())
    }

    /// Their ready endpoints, as far as proxies read them, by address type.
    pub fn foreign_ready(&self, key: &ServiceKey) -> &[(AddressType, Ready)] {
        self.islands
            .get(&key.namespace)
            .map_or(&[], |island| island.slices.foreign_ready(&key.name))
    }

    /// A pod.
    pub fn pod(&self, namespace: &Name, name: &str) -> Option<&Pod> {
        self.islands.get(namespace)?.pod(name)
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
        &self.topology
    }

    /// How often the topology has changed in a way that decisions read.
    pub fn topology_changes(&self) -> u64 {
        self.topology_changes
    }

    /// What must be done for a Service. `None` if it is not known or not served.
    pub fn plan(
        &self,
        key: &ServiceKey,
        trigger_time: Option<Timestamp>,
        settings: plan::Settings,
        circumstances: Circumstances,
    ) -> Option<Plan<'_>> {
        self.plan_with(key, &self.pods_of(key), trigger_time, settings, circumstances)
    }

    /// The same with the pods that [`Self::pods_of`] has found.
    pub fn plan_with<'a>(
        &'a self,
        key: &ServiceKey,
        pods: &[&'a Pod],
        trigger_time: Option<Timestamp>,
        settings: plan::Settings,
        circumstances: Circumstances,
    ) -> Option<Plan<'a>> {
        let island = self.islands.get(&key.namespace)?;
        let case = Case { island, key, intent: island.intent(&key.name)?, pods };
        self.plan_case(case, trigger_time, settings, circumstances, plan::plan)
    }

    /// What must be done for a Service whose slices another controller writes
    /// ([`plan::in_place`]), by `intent` or, without it, by what is requested. `None` if it is not known or
    /// not served.
    pub fn plan_in_place<'a>(
        &'a self,
        key: &ServiceKey,
        intent: Option<&Intent>,
        settings: plan::Settings,
        circumstances: Circumstances,
        is_marked: IsMarked,
    ) -> Option<Plan<'a>> {
        let island = self.islands.get(&key.namespace)?;
        let pods = &self.pods_of(key);
        let intent = intent.or_else(|| island.intent(&key.name))?;
        let case = Case { island, key, intent, pods };
        let make = |world: World<'_, 'a>| in_place::plan(world, is_marked);
        self.plan_case(case, None, settings, circumstances, make)
    }

    /// What would have to be done for a Service by its policy in mode `Shadow`. `None` if there is no
    /// such policy.
    pub fn plan_shadow(&self, key: &ServiceKey, settings: plan::Settings) -> Option<Plan<'_>> {
        self.plan_as(key, self.intent(key)?.shadow()?, settings)
    }

    /// What would have to be done for a Service if it preferred the same zone, and no policy decided.
    pub fn plan_local(&self, key: &ServiceKey, settings: plan::Settings) -> Option<Plan<'_>> {
        let mechanism = Mechanism::TrafficDistribution(Preference::Zone);
        self.plan_as(key, &Intent { mechanism, ruling: None }, settings)
    }

    fn plan_as(
        &self,
        key: &ServiceKey,
        intent: &Intent,
        settings: plan::Settings,
    ) -> Option<Plan<'_>> {
        let island = self.islands.get(&key.namespace)?;
        let case = Case { island, key, intent, pods: &self.pods_of(key) };
        self.plan_case(case, None, settings, Circumstances::default(), plan::plan)
    }

    fn plan_case<'a>(
        &'a self,
        Case { island, key, intent, pods }: Case<'_, 'a>,
        trigger_time: Option<Timestamp>,
        settings: plan::Settings,
        circumstances: Circumstances,
        make: impl FnOnce(World<'_, 'a>) -> Plan<'a>,
    ) -> Option<Plan<'a>> {
        let zones = self.zones(key, intent);
        let mut plan = make(World {
            service: island.service(&key.name).filter(|service| service.is_served())?,
            intent,
            policy: Policy::of(intent, zones.as_deref(), &self.searches, circumstances),
            pods,
            nodes: &self.nodes,
            shares: self.shares(),
            slices: &island.slices.of(&key.name),
            trigger_time,
            settings,
        });
        let foreign: Vec<&Slice> = island.slices.foreign_of(&key.name).collect();
        find_foreign_twins(&foreign, &mut plan);
        Some(plan)
    }

    /// The same for a part that [`Self::part`] returned. `None` if the whole must be planned.
    pub fn patch(
        &self,
        key: &ServiceKey,
        part: &Part,
        trigger_time: Option<Timestamp>,
        settings: plan::Settings,
        circumstances: Circumstances,
    ) -> Option<Plan<'_>> {
        let island = self.islands.get(&key.namespace)?;
        let intent = island.intent(&key.name)?;
        let zones = self.zones(key, intent);
        let world = World {
            service: island.service(&key.name).filter(|service| service.is_served())?,
            pods: &[],
            nodes: &self.nodes,
            shares: None,
            slices: &[],
            trigger_time,
            intent,
            policy: Policy::of(intent, zones.as_deref(), &self.searches, circumstances),
            settings,
        };
        patch::patch(world, island.known(&key.name)?, island.slices_in(part)?)
    }
}

impl Index {
    /// Voids what plans are based on: all Services must be planned as a whole.
    pub fn void_plans(&mut self) {
        self.generation += 1;
    }

    /// The island of a namespace, which is created with its first object.
    fn island(&mut self, namespace: &Name) -> &mut Island {
        self.islands.entry(namespace.clone()).or_default()
    }

    /// Runs `act` on an island, if there is one, and drops the island if it is empty afterwards.
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

/// Notes where slices of other managers contain the addresses of planned endpoints.
fn find_foreign_twins(foreign: &[&Slice], plan: &mut Plan<'_>) {
    if foreign.is_empty() {
        return;
    }
    for family in &mut plan.families {
        let of_type = |slice: &&&Slice| {
            slice.address_type == family.address_type && slice.is_read_by_proxies()
        };
        let all = family.after().chain(foreign.iter().filter(of_type).copied());
        family.ready.has_twins = ready::has_twins(all);
    }
}

#[cfg(test)]
mod tests;
