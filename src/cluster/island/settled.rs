//! Settled: what is remembered of a Service with many slices that are correct as last planned, and
//! what has happened to it since, so that it can be patched ([`crate::plan::patch`]).
//!
//! A plan is based on generations of the Service, its pods and its slices ([`Basis`]). Whatever
//! happens to such a Service changes one of them, and the Service is planned as a whole. There are
//! two exceptions: pods that become ready or unready or begin to terminate, and local writes that
//! the watch shows as planned.

#[cfg(test)]
mod tests;

use super::{Island, PodId, Record};
use crate::{
    cluster::{
        Index,
        slices::{SliceId, Slices},
    },
    model::{name::ServiceKey, pod::Pod, service::Service, slice::Slice, store::Store},
    plan::{
        Plan,
        changes::Changes,
        endpoint::is_listed,
        patch::{self, ChangedSlice, Known},
    },
};

/// With this few slices, a plan of the whole Service costs hardly more.
const FEW: usize = 2;
/// If more pods than this change at once, a plan of the whole Service costs no more.
const MANY: usize = 64;

/// The generations of what a plan is based on. If one of them differs, the plan is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Of the Service.
    pub service: u64,
    /// Of which pods it selects, and of these and their nodes, apart from the conditions of pods.
    pub pods: u64,
    /// Of its slices, apart from local writes that have been shown.
    pub slices: u64,
    /// Of the cluster ([`Index::void_plans`]).
    pub cluster: u64,
}

/// A Service whose slices are correct, except for the pods that have changed since.
#[derive(Debug)]
pub struct Settled {
    basis: Basis,
    known: Vec<Known>,
    /// Pods with other conditions than planned.
    changed: Vec<PodId>,
    /// Local writes that the watch has not shown yet.
    awaited: Vec<Slice>,
    /// The slices in which each pod has an endpoint, sorted; computed when they are first needed.
    places: Option<Vec<(PodId, SliceId)>>,
}

/// The part of a settled Service that must be planned.
#[derive(Debug)]
pub struct Part {
    /// Pods that have changed.
    pub pods: Vec<PodId>,
    /// The slices in which they have endpoints.
    slices: Vec<SliceId>,
}

impl Settled {
    /// A Service after a plan that updates slices and writes nothing else.
    fn new(basis: Basis, known: Vec<Known>, writes: &[Changes]) -> Self {
        let awaited = writes.iter().flat_map(|changes| &changes.updates).cloned().collect();
        Self { basis, known, changed: Vec::new(), awaited, places: None }
    }

    /// A pod has other conditions now. Returns whether the Service may still be patched.
    fn change(&mut self, pod: PodId) -> bool {
        if !self.changed.contains(&pod) {
            self.changed.push(pod);
        }
        self.changed.len() <= MANY
    }

    /// The local write that `slice` shows as it was planned.
    fn take_awaited(&mut self, slice: &Slice) -> Option<Slice> {
        let is_shown = |own: &Slice| {
            own.meta.name == slice.meta.name
                && own.meta.labels == slice.meta.labels
                && own.meta.owners == slice.meta.owners
                && own.ports == slice.ports
                && own.endpoints == slice.endpoints
        };
        let at = self.awaited.iter().position(is_shown).filter(|_| !slice.meta.terminating)?;
        Some(self.awaited.swap_remove(at))
    }
}

impl Island {
    /// Whether a Service has enough slices for patches to be worthwhile.
    pub fn has_many_slices(&self, service: &str) -> bool {
        self.slices.ids_of(service).len() > FEW
    }

    /// A Service was planned as a whole, or `is_patch`, in this generation of the cluster. What is
    /// `known` about it allows patching it the next time, when the `writes` have been shown.
    pub fn settle(
        &mut self,
        service: &str,
        cluster: u64,
        known: Vec<Known>,
        writes: &[Changes],
        is_patch: bool,
    ) {
        let Some(basis) = self.basis(service, cluster) else { return };
        let Some(selected) = self.services.get_mut(service) else { return };
        let before = selected.settled.take().filter(|_| is_patch);
        // A patch leaves all endpoints where they are.
        let places = before.and_then(|before| before.places);
        let settled = Settled { places, ..Settled::new(basis, known, writes) };
        selected.settled = Some(Box::new(settled));
    }

    /// A pod of the Service has other conditions.
    pub fn change_conditions(&mut self, service: &str, pod: PodId) {
        if let Some(selected) = self.services.get_mut(service)
            && selected.settled.as_mut().is_some_and(|settled| !settled.change(pod))
        {
            selected.settled = None;
        }
    }

    /// The local write that `slice` shows as it was planned, whose storage may be shared.
    pub fn take_awaited(&mut self, service: &str, slice: &Slice) -> Option<Slice> {
        self.services.get_mut(service)?.settled.as_mut()?.take_awaited(slice)
    }

    /// The part of a Service that must be planned in this generation of the cluster. `None` means
    /// all of it.
    pub fn part(&mut self, service: &str, cluster: u64) -> Option<Part> {
        // Most Services have few slices and are never settled.
        self.known(service)?;
        let basis = self.basis(service, cluster)?;
        let settled = self.services.get_mut(service)?.settled.as_mut()?;
        if settled.basis != basis || !settled.awaited.is_empty() {
            return None;
        }
        let pods = settled.changed.clone();
        if settled.places.is_none() && !pods.is_empty() {
            settled.places = Some(places(&self.pods, &self.slices, service));
        }
        let places = settled.places.as_deref().unwrap_or_default();
        let mut slices = Vec::new();
        for pod in &pods {
            let from = places.partition_point(|(other, _)| other < pod);
            let of_pod = places[from..].iter().take_while(|(other, _)| other == pod);
            let before = slices.len();
            slices.extend(of_pod.map(|(_, slice)| *slice));
            if slices.len() == before && is_listed(&self.pods.at(*pod).pod) {
                return None;
            }
        }
        slices.sort_unstable();
        slices.dedup();
        Some(Part { pods, slices })
    }

    /// What was known about a Service at its last plan, if it is settled.
    pub fn known(&self, service: &str) -> Option<&[Known]> {
        Some(&self.services.get(service)?.settled.as_ref()?.known)
    }

    /// The slices of a part with all their pods; `None` if one has an endpoint of no pod.
    pub fn slices_in(&self, part: &Part) -> Option<Vec<ChangedSlice<'_>>> {
        let changed = |id: &SliceId| {
            let slice = self.slices.get(*id);
            let names = slice.endpoints.iter().map(|endpoint| endpoint.pod_name());
            let pods = names.map(|name| self.pod(name?)).collect::<Option<_>>()?;
            Some(ChangedSlice { slice, pods })
        };
        part.slices.iter().map(changed).collect()
    }
}

/// The slices of a Service in which each pod has an endpoint, sorted.
fn places(pods: &Store<Record>, slices: &Slices, service: &str) -> Vec<(PodId, SliceId)> {
    let mut places = Vec::new();
    for id in slices.ids_of(service) {
        let names = slices.get(*id).endpoints.iter().filter_map(|endpoint| endpoint.pod_name());
        places.extend(names.filter_map(|name| Some((pods.id(name)?, *id))));
    }
    places.sort_unstable();
    places
}

impl Index {
    /// The part of a Service that must be planned if, since its last plan, only conditions of pods
    /// have changed and local writes have been shown. `None` means all of it.
    pub fn part(&mut self, key: &ServiceKey) -> Option<Part> {
        self.islands.get_mut(&key.namespace)?.part(&key.name, self.generation)
    }

    /// The pods that have changed.
    pub fn changed_pods(&self, key: &ServiceKey, part: &Part) -> Vec<&Pod> {
        let island = self.islands.get(&key.namespace);
        island.map_or_else(Vec::new, |island| island.pods_by_id(&part.pods))
    }

    /// What must be known of a Service for a patch after this plan; `None` if it cannot be patched,
    /// or has few slices.
    pub fn known(&self, service: &Service, plan: &Plan<'_>) -> Option<Vec<Known>> {
        let island = self.islands.get(&service.key.namespace)?;
        island.has_many_slices(&service.key.name).then(|| patch::known(service, plan)).flatten()
    }

    /// A Service was planned, as a whole or in part, with these writes. `known` is the result of
    /// [`Self::known`].
    pub fn settle(
        &mut self,
        key: &ServiceKey,
        known: Option<Vec<Known>>,
        writes: &[Changes],
        is_patch: bool,
    ) {
        let Some(known) = known else { return self.unsettle(key) };
        if let Some(island) = self.islands.get_mut(&key.namespace) {
            island.settle(&key.name, self.generation, known, writes, is_patch);
        }
    }

    /// The last plan of a Service was not carried out, so the Service must be planned as a whole.
    pub fn unsettle(&mut self, key: &ServiceKey) {
        let island = self.islands.get_mut(&key.namespace);
        if let Some(selected) = island.and_then(|island| island.services.get_mut(&key.name)) {
            selected.settled = None;
        }
    }
}
