//! Island: what is known about one namespace. Selectors never reach beyond it.
//!
//! ```text
//! pod --labels--> group <--selector--> service <--label-- slice
//! ```
//!
//! Pods with the same labels form a group, and which Services select a group is computed once for
//! the group. The cost of a pod's event depends only on the number of Services to sync, whatever
//! else the namespace contains.
//!
//! **What bounds the memory.** No pairs of Services and groups are stored, because there can be as
//! many as Services times pods: the label of its own that each pod of a `StatefulSet` or indexed `Job` has
//! makes it a group. A group remembers the Services that select it only up to [`FEW`]. More of them
//! are searched for at each event, which costs less than to sync them. A Service remembers no
//! group: a plan searches for its pods. So an island takes what its objects take, whatever their
//! labels and selectors are.

pub(super) mod settled;
#[cfg(test)]
mod tests;

use foldhash::{HashMap, HashSet};
use slab::Slab;

use self::settled::{Basis, Settled};
use super::slices::Slices;
use crate::{
    model::{
        labels::Labels,
        name::Name,
        pod::Pod,
        policy::LocalityPolicy,
        service::Service,
        store::{Id, Store, Versioned},
    },
    plan::{
        intent::{Intent, resolve},
        precedence::{Rules, Scope},
    },
};

/// The number of a pod in its island.
pub type PodId = Id;
pub(super) type GroupId = usize;
/// A label with its value.
type Pair = (Name, Name);

/// How many Services a group remembers: most are selected by one or two.
const FEW: usize = 16;

/// One namespace.
#[derive(Debug, Default)]
pub struct Island {
    // Boxed: a store has up to twice the room that it needs.
    pub(super) services: Store<Box<Selected>>,
    pub(super) pods: Store<Record>,
    pods_by_node: HashMap<Name, Vec<PodId>>,
    pub(super) groups: Slab<Group>,
    group_ids: HashMap<Labels, GroupId>,
    /// Groups by each of their labels.
    groups_by_label: HashMap<Pair, Vec<GroupId>>,
    /// Services by the first pair of their selector.
    services_by_label: HashMap<Pair, Vec<Name>>,
    /// The managed slices.
    pub slices: Slices,
    /// The policies of the namespace.
    pub(super) policies: Store<LocalityPolicy>,
    /// How often something has changed on which plans are based.
    generation: u64,
}

/// A Service and what is known about the pods that it selects.
#[derive(Debug)]
pub struct Selected {
    pub(super) service: Service,
    /// What is requested for it.
    pub(super) intent: Intent,
    /// The generation of the Service.
    pub(super) generation: u64,
    /// The generation of its pods, their conditions aside, and of which pods it selects.
    pods: u64,
    pub(super) settled: Option<Box<Settled>>,
}

/// A pod and the group to which it belongs.
#[derive(Debug)]
pub struct Record {
    pub(super) pod: Pod,
    pub(super) group: GroupId,
}

/// Pods with the same labels.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) pods: HashSet<PodId>,
    /// The Services that select them. `None` if they are too many to remember, or have not been
    /// searched for yet.
    services: Option<Vec<Name>>,
}

impl Versioned for Selected {
    fn version(&self) -> u64 {
        self.service.version
    }
}

impl Versioned for Record {
    fn version(&self) -> u64 {
        self.pod.version
    }
}

// === reading ===

impl Island {
    /// Whether nothing is known of the namespace any more.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
            && self.pods.is_empty()
            && self.slices.held.is_empty()
            && self.policies.is_empty()
    }

    /// The Services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().map(|selected| &selected.service)
    }

    /// One Service.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).map(|selected| &selected.service)
    }

    /// What is requested for a Service.
    pub fn intent(&self, service: &str) -> Option<&Intent> {
        self.services.get(service).map(|selected| &selected.intent)
    }

    /// The pods that a Service selects.
    pub fn pods_of(&self, service: &str) -> Vec<&Pod> {
        let service = self.service(service);
        let selector = service.and_then(|service| service.selector.as_ref());
        let mut pods = Vec::new();
        for group in selector.into_iter().flat_map(|selector| self.matching_groups(selector)) {
            let ids = &self.groups[group].pods;
            pods.extend(ids.iter().map(|id| &self.pods.at(*id).pod));
        }
        pods
    }

    /// Pods that exist.
    pub fn pods_by_id(&self, ids: &[PodId]) -> Vec<&Pod> {
        ids.iter().map(|id| &self.pods.at(*id).pod).collect()
    }

    /// All pods, in any order.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values().map(|record| &record.pod)
    }

    /// A pod.
    pub fn pod(&self, name: &str) -> Option<&Pod> {
        self.pods.get(name).map(|record| &record.pod)
    }

    /// What a plan of a Service is based on now, in this generation of the cluster.
    pub(super) fn basis(&self, service: &str, cluster: u64) -> Option<Basis> {
        let selected = self.services.get(service)?;
        Some(Basis {
            service: selected.generation,
            pods: selected.pods,
            slices: self.slices.generation(service),
            cluster,
        })
    }
}

// === groups ===

impl Island {
    /// The groups that have every pair of `selector`, found among those that have its rarest pair.
    fn matching_groups(&self, selector: &Labels) -> impl Iterator<Item = GroupId> {
        let bearers = |pair: &Pair| self.groups_by_label.get(pair).map_or(&[][..], Vec::as_slice);
        let rarest =
            selector.iter().map(bearers).min_by_key(|groups| groups.len()).unwrap_or_default();
        let matches = |group: &GroupId| self.groups[*group].labels.match_selector(selector);
        rarest.iter().copied().filter(matches)
    }

    /// The Services that select these labels, found by the first pair of their selectors.
    fn matching_services(&self, labels: &Labels) -> Vec<Name> {
        let matches = |name: &&Name| {
            let selector = self.service(name).and_then(|service| service.selector.as_ref());
            selector.is_some_and(|selector| labels.match_selector(selector))
        };
        let candidates = labels.iter().filter_map(|pair| self.services_by_label.get(pair));
        candidates.flatten().filter(matches).cloned().collect()
    }

    /// The Services that select a group.
    pub(super) fn services_of(&mut self, group: GroupId) -> Vec<Name> {
        if let Some(services) = &self.groups[group].services {
            return services.clone();
        }
        let services = self.matching_services(&self.groups[group].labels);
        self.groups[group].services = (services.len() <= FEW).then(|| services.clone());
        services
    }

    /// A Service selects the groups that match it from now on.
    pub(super) fn select(&mut self, name: &Name, service: Service, rules: &Rules) {
        if let Some(selector) = &service.selector {
            for group in self.matching_groups(selector).collect::<Vec<_>>() {
                let services = self.groups[group].services.take();
                self.groups[group].services =
                    services.filter(|services| services.len() < FEW).map(|mut services| {
                        services.push(name.clone());
                        services
                    });
            }
            for pair in selector.iter().take(1) {
                self.services_by_label.entry(pair.clone()).or_default().push(name.clone());
            }
        }
        let generation = self.next_generation();
        let intent = resolve(&service, Scope { policies: &self.policies, rules });
        let selected = Selected { service, intent, generation, pods: generation, settled: None };
        self.services.insert(name.clone(), Box::new(selected));
    }

    /// A Service that was removed selects no group any more.
    pub(super) fn unselect(&mut self, name: &str, selected: &Selected) {
        let Some(selector) = &selected.service.selector else { return };
        for group in self.matching_groups(selector).collect::<Vec<_>>() {
            if let Some(services) = &mut self.groups[group].services {
                services.retain(|service| &**service != name);
            }
        }
        for pair in selector.iter().take(1) {
            remove_from(&mut self.services_by_label, pair, |service| &**service == name);
        }
    }

    /// Pods of these Services have changed, not just their conditions.
    pub(super) fn pods_changed<'a>(&mut self, services: impl IntoIterator<Item = &'a Name>) {
        let generation = self.next_generation();
        for service in services {
            if let Some(selected) = self.services.get_mut(service) {
                selected.pods = generation;
            }
        }
    }

    /// The generation of what changes now.
    pub(super) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// The pods on a node are in another zone. Returns the Services that select one of them.
    pub fn node_moved(&mut self, node: &str) -> HashSet<Name> {
        let ids = self.pods_by_node.get(node).into_iter().flatten();
        let groups: HashSet<GroupId> = ids.map(|id| self.pods.at(*id).group).collect();
        let mut services = HashSet::default();
        for group in groups {
            services.extend(self.services_of(group));
        }
        self.pods_changed(&services);
        services
    }

    /// The group of these labels, which are replaced by its shared copy.
    pub(super) fn join_group(&mut self, labels: &mut Labels) -> GroupId {
        if let Some((shared, group)) = self.group_ids.get_key_value(labels) {
            *labels = shared.clone();
            return *group;
        }
        let id = self.groups.vacant_key();
        for pair in labels.iter() {
            self.groups_by_label.entry(pair.clone()).or_default().push(id);
        }
        self.group_ids.insert(labels.clone(), id);
        let labels = labels.clone();
        self.groups.insert(Group { labels, pods: HashSet::default(), services: None })
    }

    /// Removes a pod from its group, and the group with its last pod.
    pub(super) fn leave_group(&mut self, group: GroupId, pod: PodId) {
        self.groups[group].pods.remove(&pod);
        if !self.groups[group].pods.is_empty() {
            return;
        }
        let labels = self.groups.remove(group).labels;
        self.group_ids.remove(&labels);
        for pair in &labels {
            remove_from(&mut self.groups_by_label, pair, |other| *other == group);
        }
    }

    pub(super) fn move_to_node(&mut self, pod: PodId, from: Option<&Name>, to: Option<&Name>) {
        if from == to {
            return;
        }
        if let Some(node) = from
            && let Some(pods) = self.pods_by_node.get_mut(node)
        {
            pods.retain(|other| *other != pod);
            if pods.is_empty() {
                self.pods_by_node.remove(node);
            }
        }
        if let Some(node) = to {
            self.pods_by_node.entry(node.clone()).or_default().push(pod);
        }
    }
}

/// Removes the entry for which `is_gone` holds from the list of `pair`, and the list with its last
/// entry.
fn remove_from<T>(lists: &mut HashMap<Pair, Vec<T>>, pair: &Pair, is_gone: impl Fn(&T) -> bool) {
    let Some(list) = lists.get_mut(pair) else { return };
    if let Some(at) = list.iter().position(is_gone) {
        list.swap_remove(at);
    }
    if list.is_empty() {
        lists.remove(pair);
    }
}
