//! Island: what is known of one namespace. Selectors never reach beyond it.
//!
//! ```text
//! pod --labels--> group <--selector--> service <--label-- slice
//! ```
//!
//! Pods with the same labels form a group, and which Services select a group is worked out
//! once for the group: an event of a pod costs as much as there are Services to sync for it,
//! whatever else the namespace holds.

pub(super) mod settled;

use foldhash::{HashMap, HashSet};

use slab::Slab;

use self::settled::Settled;
use super::{outdated::is_outdated, slices::Slices};
use crate::{
    model::{labels::Labels, name::Name, pod::Pod, service::Service},
    plan::intent::Intent,
};

/// The number of a pod; another one may have it when the pod is gone.
pub type PodId = usize;
type GroupId = usize;
/// A label with its value.
type Pair = (Name, Name);

/// One namespace.
#[derive(Debug, Default)]
pub struct Island {
    // Boxed, as are others in maps: a map has up to twice the room that it needs.
    pub(super) services: HashMap<Name, Box<Selected>>,
    pub(super) pods: Slab<Record>,
    pub(super) pod_ids: HashMap<Name, PodId>,
    pods_by_node: HashMap<Name, Vec<PodId>>,
    groups: Slab<Group>,
    group_ids: HashMap<Labels, GroupId>,
    /// Groups by each of their labels.
    groups_by_label: HashMap<Pair, Vec<GroupId>>,
    /// Services by the first pair of their selector.
    services_by_label: HashMap<Pair, Vec<Name>>,
    /// The managed slices.
    pub slices: Slices,
}

/// A Service and the groups that it selects.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) service: Service,
    /// What is asked for it.
    pub(super) intent: Intent,
    groups: Vec<GroupId>,
    pub(super) settled: Option<Box<Settled>>,
    pub(super) is_stale: bool,
}

/// A pod and the group to which it belongs.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) pod: Pod,
    group: GroupId,
    pub(super) is_stale: bool,
}

/// Pods with the same labels, and the Services that select them.
#[derive(Debug)]
struct Group {
    labels: Labels,
    pods: HashSet<PodId>,
    services: Vec<Name>,
}

// === reading ===

impl Island {
    /// Whether nothing is known of the namespace any more.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.pods.is_empty() && self.slices.is_empty()
    }

    /// How many Services there are.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// How many pods there are.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// The Services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().map(|selected| &selected.service)
    }

    /// One Service.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).map(|selected| &selected.service)
    }

    /// What is asked for a Service.
    pub fn intent(&self, service: &str) -> Option<Intent> {
        self.services.get(service).map(|selected| selected.intent)
    }

    /// The pods that a Service selects.
    pub fn pods_of(&self, service: &str) -> Vec<&Pod> {
        let groups = self.services.get(service).map_or(&[][..], |selected| &selected.groups);
        let ids = groups.iter().flat_map(|group| &self.groups[*group].pods);
        ids.map(|id| &self.pods[*id].pod).collect()
    }

    /// Pods that are there.
    pub fn pods_by_id(&self, ids: &[PodId]) -> Vec<&Pod> {
        ids.iter().map(|id| &self.pods[*id].pod).collect()
    }

    /// A pod.
    pub fn pod(&self, name: &str) -> Option<&Pod> {
        self.pod_ids.get(name).map(|id| &self.pods[*id].pod)
    }

    /// The Services that select a pod on `node`.
    pub fn services_on(&self, node: &str) -> HashSet<Name> {
        let ids = self.pods_by_node.get(node).into_iter().flatten();
        let groups: HashSet<GroupId> = ids.map(|id| self.pods[*id].group).collect();
        groups.into_iter().flat_map(|group| self.groups[group].services.iter().cloned()).collect()
    }
}

// === Services ===

/// What an event changed of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceChange {
    /// Nothing, or the event is older than what is known.
    Nothing,
    /// Something that slices do not depend on. The built-in controller syncs the Service then too, and
    /// so takes note of what changed about its pods without a sync (docs/semantics.md 4.6).
    Unread,
    /// Only how its hints are decided.
    Hints,
    /// Something else.
    Endpoints,
}

impl ServiceChange {
    fn between(old: &Service, new: &Service) -> Self {
        let aligned = |service: &Service| Service { version: 0, ..service.clone() };
        let unhinted =
            |service: Service| Service { traffic_distribution: None, auto: false, ..service };
        let is_newer = old.version != new.version;
        let (old, new) = (aligned(old), aligned(new));
        if old == new {
            if is_newer { Self::Unread } else { Self::Nothing }
        } else if unhinted(old) == unhinted(new) {
            Self::Hints
        } else {
            Self::Endpoints
        }
    }
}

impl Island {
    /// Takes a Service in; returns what changed.
    pub fn put_service(&mut self, service: Service) -> ServiceChange {
        let name = service.key.name.clone();
        let mut change = ServiceChange::Endpoints;
        if let Some(selected) = self.services.get_mut(&name) {
            let is_listed = std::mem::take(&mut selected.is_stale);
            if is_outdated(service.version, selected.service.version, is_listed) {
                return ServiceChange::Nothing;
            }
            change = ServiceChange::between(&selected.service, &service);
            if matches!(change, ServiceChange::Nothing | ServiceChange::Unread) {
                selected.service.version = service.version;
                return change;
            }
            selected.settled = None;
            if selected.service.selector == service.selector {
                selected.intent = Intent::of(&service);
                selected.service = service;
                return change;
            }
            self.remove_service(&name);
        }
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
        let intent = Intent::of(&service);
        let selected = Selected { service, intent, groups, settled: None, is_stale: false };
        self.services.insert(name, Box::new(selected));
        change
    }

    /// Forgets a Service.
    pub fn remove_service(&mut self, name: &str) -> Option<Service> {
        let Selected { service, groups, .. } = *self.services.remove(name)?;
        for group in groups {
            self.groups[group].services.retain(|service| &**service != name);
        }
        for pair in service.selector.iter().flatten().take(1) {
            remove_from(&mut self.services_by_label, pair, |service| &**service == name);
        }
        Some(service)
    }

    /// The groups that bear every pair of `selector`: looked for among those that bear its
    /// rarest one.
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
}

// === pods ===

impl Island {
    /// Takes a pod in; returns the Services to sync: none if nothing changed that they read.
    pub fn put_pod(&mut self, mut pod: Pod) -> Vec<Name> {
        let Some(id) = self.pod_ids.get(&pod.name).copied() else {
            let group = self.join_group(&mut pod.labels);
            let id = self.pods.vacant_key();
            self.groups[group].pods.insert(id);
            self.pod_ids.insert(pod.name.clone(), id);
            pod.node.iter().for_each(|node| self.move_to_node(id, None, Some(node)));
            self.pods.insert(Record { pod, group, is_stale: false });
            return self.unsettled(self.groups[group].services.clone());
        };
        let record = &mut self.pods[id];
        let is_listed = std::mem::take(&mut record.is_stale);
        if is_outdated(pod.version, record.pod.version, is_listed) {
            return Vec::new();
        }
        let has_same_endpoints = is_same_but_conditions(&record.pod, &pod);
        let has_same_conditions =
            record.pod.ready == pod.ready && record.pod.terminating == pod.terminating;
        if has_same_endpoints && has_same_conditions && record.pod.ready_since == pod.ready_since {
            record.pod.version = pod.version;
            return Vec::new();
        }
        let old_group = record.group;
        let mut touched = self.groups[old_group].services.clone();
        if self.groups[old_group].labels == pod.labels {
            pod.labels = self.groups[old_group].labels.clone();
        } else {
            let group = self.join_group(&mut pod.labels);
            self.groups[group].pods.insert(id);
            self.leave_group(old_group, id);
            self.pods[id].group = group;
            touched.extend(self.groups[group].services.iter().cloned());
            touched.sort_unstable();
            touched.dedup();
        }
        let record = &mut self.pods[id];
        pod.name = record.pod.name.clone();
        let before = std::mem::replace(&mut record.pod, pod);
        let now = record.pod.node.clone();
        self.move_to_node(id, before.node.as_ref(), now.as_ref());
        if has_same_endpoints {
            for service in &touched {
                self.change_conditions(service, id);
            }
            // A time alone is for the next sync to see: one of its own would use it up.
            return if has_same_conditions { Vec::new() } else { touched };
        }
        self.unsettled(touched)
    }

    /// Forgets a pod, unless what is known is newer than its deletion; returns the Services
    /// to sync.
    pub fn remove_pod(&mut self, name: &str, version: u64) -> Vec<Name> {
        let Some(id) = self.pod_ids.get(name).copied() else { return Vec::new() };
        if version != 0 && version < self.pods[id].pod.version {
            return Vec::new();
        }
        self.pod_ids.remove(name);
        let Record { pod, group, .. } = self.pods.remove(id);
        self.move_to_node(id, pod.node.as_ref(), None);
        let touched = self.groups[group].services.clone();
        self.leave_group(group, id);
        self.unsettled(touched)
    }

    /// These Services, which have to be planned as a whole now.
    fn unsettled(&mut self, services: Vec<Name>) -> Vec<Name> {
        for service in &services {
            self.unsettle(service);
        }
        services
    }

    /// The group of these labels, which are replaced by its shared copy.
    fn join_group(&mut self, labels: &mut Labels) -> GroupId {
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
        self.groups.insert(Group { labels: labels.clone(), pods: HashSet::default(), services })
    }

    /// Takes a pod out of its group, and the group away with its last pod.
    fn leave_group(&mut self, group: GroupId, pod: PodId) {
        self.groups[group].pods.remove(&pod);
        if !self.groups[group].pods.is_empty() {
            return;
        }
        let Group { labels, services, .. } = self.groups.remove(group);
        self.group_ids.remove(&labels);
        for pair in &labels {
            remove_from(&mut self.groups_by_label, pair, |other| *other == group);
        }
        for name in services {
            if let Some(selected) = self.services.get_mut(&name) {
                selected.groups.retain(|other| *other != group);
            }
        }
    }

    fn move_to_node(&mut self, pod: PodId, from: Option<&Name>, to: Option<&Name>) {
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

/// Whether its endpoints are who and where they were, whatever their conditions.
fn is_same_but_conditions(old: &Pod, new: &Pod) -> bool {
    old.uid == new.uid
        && old.labels == new.labels
        && old.node == new.node
        && old.addresses == new.addresses
        && old.has_address == new.has_address
        && old.ports == new.ports
        && old.host == new.host
        && old.finished == new.finished
}

/// Takes the entry for which `is_gone` holds out of the list of `pair`, and the list away with
/// its last entry.
fn remove_from<T>(lists: &mut HashMap<Pair, Vec<T>>, pair: &Pair, is_gone: impl Fn(&T) -> bool) {
    let Some(list) = lists.get_mut(pair) else { return };
    if let Some(at) = list.iter().position(is_gone) {
        list.swap_remove(at);
    }
    if list.is_empty() {
        lists.remove(pair);
    }
}
