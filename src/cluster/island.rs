//! Island: what is known about one namespace. Selectors never reach beyond it.
//!
//! ```text
//! pod --labels--> group <--selector--> service <--label-- slice
//! ```
//!
//! Pods with the same labels form a group, and which Services select a group is computed
//! once for the group. The cost of a pod's event depends only on the number of Services to sync,
//! whatever else the namespace contains.

pub(super) mod settled;

use foldhash::{HashMap, HashSet};
use slab::Slab;

use self::settled::{Basis, Settled};
use super::slices::Slices;
use crate::{
    model::{
        labels::Labels,
        name::Name,
        pod::Pod,
        service::Service,
        store::{Id, Store, Versioned},
    },
    plan::intent::Intent,
};

/// The number of a pod in its island.
pub type PodId = Id;
pub(super) type GroupId = usize;
/// A label with its value.
type Pair = (Name, Name);

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
    /// How often something has changed on which plans are based.
    generation: u64,
}

/// A Service and the groups that it selects.
#[derive(Debug)]
pub struct Selected {
    pub(super) service: Service,
    /// What is requested for it.
    pub(super) intent: Intent,
    pub(super) groups: Vec<GroupId>,
    /// The generation of the Service, and of which groups it selects.
    pub(super) generation: u64,
    pub(super) settled: Option<Box<Settled>>,
}

/// A pod and the group to which it belongs.
#[derive(Debug)]
pub struct Record {
    pub(super) pod: Pod,
    pub(super) group: GroupId,
}

/// Pods with the same labels, and the Services that select them.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) pods: HashSet<PodId>,
    pub(super) services: Vec<Name>,
    /// The generation of its pods, their conditions aside.
    generation: u64,
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
        self.services.is_empty() && self.pods.is_empty() && self.slices.held.is_empty()
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
    pub fn intent(&self, service: &str) -> Option<Intent> {
        self.services.get(service).map(|selected| selected.intent)
    }

    /// The pods that a Service selects.
    pub fn pods_of(&self, service: &str) -> Vec<&Pod> {
        let groups = self.services.get(service).map_or(&[][..], |selected| &selected.groups);
        let ids = groups.iter().flat_map(|group| &self.groups[*group].pods);
        ids.map(|id| &self.pods.at(*id).pod).collect()
    }

    /// Pods that exist.
    pub fn pods_by_id(&self, ids: &[PodId]) -> Vec<&Pod> {
        ids.iter().map(|id| &self.pods.at(*id).pod).collect()
    }

    /// A pod.
    pub fn pod(&self, name: &str) -> Option<&Pod> {
        self.pods.get(name).map(|record| &record.pod)
    }

    /// What a plan of a Service is based on now, in this generation of the cluster.
    fn basis(&self, service: &str, cluster: u64) -> Option<Basis> {
        let selected = self.services.get(service)?;
        let generations = selected.groups.iter().map(|group| self.groups[*group].generation);
        Some(Basis {
            service: selected.generation,
            pods: generations.max().unwrap_or_default(),
            slices: self.slices.generation(service),
            cluster,
        })
    }
}

// === groups ===

impl Island {
    /// The groups that have every pair of `selector`, found among those that have its rarest pair.
    fn matching_groups(&self, selector: &Labels) -> Vec<GroupId> {
        let bearers = |pair: &Pair| self.groups_by_label.get(pair).map_or(&[][..], Vec::as_slice);
        let rarest =
            selector.iter().map(bearers).min_by_key(|groups| groups.len()).unwrap_or_default();
        rarest
            .iter()
            .copied()
            .filter(|group| self.groups[*group].labels.match_selector(selector))
            .collect()
    }

    /// A Service selects these groups from now on.
    pub(super) fn select(&mut self, name: &Name, service: Service) {
        let mut groups = Vec::new();
        if let Some(selector) = &service.selector {
            groups = self.matching_groups(selector);
            for group in &groups {
                self.groups[*group].services.push(name.clone());
            }
            for pair in selector.iter().take(1) {
                self.services_by_label.entry(pair.clone()).or_default().push(name.clone());
            }
        }
        let (intent, generation) = (Intent::of(&service), self.next_generation());
        let selected = Selected { service, intent, groups, generation, settled: None };
        self.services.insert(name.clone(), Box::new(selected));
    }

    /// A Service that was removed selects no group any more.
    pub(super) fn unselect(&mut self, name: &str, selected: &Selected) {
        for group in &selected.groups {
            self.groups[*group].services.retain(|service| &**service != name);
        }
        for pair in selected.service.selector.iter().flatten().take(1) {
            remove_from(&mut self.services_by_label, pair, |service| &**service == name);
        }
    }

    /// Pods of a group have changed, not just their conditions.
    pub(super) fn group_changed(&mut self, group: GroupId) {
        self.groups[group].generation = self.next_generation();
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
            self.group_changed(group);
            services.extend(self.groups[group].services.iter().cloned());
        }
        services
    }

    /// The group of these labels, which are replaced by its shared copy.
    pub(super) fn join_group(&mut self, labels: &mut Labels) -> GroupId {
        if let Some((shared, group)) = self.group_ids.get_key_value(labels) {
            *labels = shared.clone();
            return *group;
        }
        let mut services = Vec::new();
        let id = self.groups.vacant_key();
        for pair in labels.iter() {
            self.groups_by_label.entry(pair.clone()).or_default().push(id);
            for name in self.services_by_label.get(pair).into_iter().flatten() {
                let Some(selected) = self.services.get_mut(name) else { continue };
                if selected
                    .service
                    .selector
                    .as_ref()
                    .is_some_and(|selector| labels.match_selector(selector))
                {
                    selected.groups.push(id);
                    services.push(name.clone());
                }
            }
        }
        self.group_ids.insert(labels.clone(), id);
        let (labels, generation) = (labels.clone(), self.next_generation());
        self.groups.insert(Group { labels, pods: HashSet::default(), services, generation })
    }

    /// Removes a pod from its group, and the group with its last pod.
    pub(super) fn leave_group(&mut self, group: GroupId, pod: PodId) {
        self.groups[group].pods.remove(&pod);
        if !self.groups[group].pods.is_empty() {
            return;
        }
        let Group { labels, services, .. } = self.groups.remove(group);
        self.group_ids.remove(&labels);
        for pair in &labels {
            remove_from(&mut self.groups_by_label, pair, |other| *other == group);
        }
        let generation = self.next_generation();
        for name in services {
            if let Some(selected) = self.services.get_mut(&name) {
                selected.groups.retain(|other| *other != group);
                selected.generation = generation;
            }
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
