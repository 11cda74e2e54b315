//! Slices: the managed slices of one namespace, by the Service that they name.

use foldhash::HashMap;

use crate::model::{
    name::Name,
    slice::Slice,
    store::{Admission, Id, Store},
};

/// The number of a slice in its island.
pub type SliceId = Id;

/// The managed slices of one namespace.
#[derive(Debug, Default)]
pub struct Slices {
    pub(super) held: Store<Slice>,
    by_service: HashMap<Name, OfService>,
    /// How often something has changed.
    generation: u64,
}

/// The slices that name a Service.
#[derive(Debug, Default)]
struct OfService {
    ids: Vec<SliceId>,
    generation: u64,
}

/// What an event did to a slice of this namespace.
#[derive(Debug)]
pub struct Put {
    /// The Services that it affects: the one that the slice names, and the one that it named.
    pub services: Vec<Name>,
    /// Whether it is what a controller does: a new slice, or other endpoints or ports than before.
    pub is_rewritten: bool,
}

impl Slices {
    /// The slices that name a Service.
    pub fn of(&self, service: &str) -> Vec<&Slice> {
        self.ids_of(service).iter().map(|id| self.get(*id)).collect()
    }

    /// The same by number.
    pub fn ids_of(&self, service: &str) -> &[SliceId] {
        self.by_service.get(service).map_or(&[], |of| &of.ids)
    }

    /// The slice with this number, which must exist.
    pub fn get(&self, id: SliceId) -> &Slice {
        self.held.at(id)
    }

    /// The generation of a Service's slices, local writes that have shown aside; 0 if there is
    /// none.
    pub fn generation(&self, service: &str) -> u64 {
        self.by_service.get(service).map_or(0, |of| of.generation)
    }

    /// Stores a slice if closehaul manages it, and forgets it if it no longer does. `is_own`: it
    /// shows a local write as it was planned. `None` if nothing is new.
    pub fn put(&mut self, name: Name, slice: Slice, is_own: bool) -> Option<Put> {
        let service = slice.managed_service().cloned();
        match self.held.admit(&name, slice.meta.version) {
            Admission::Outdated => return None,
            Admission::New => {}
            Admission::Known(id) => {
                let held = self.held.at_mut(id);
                if slice == *held {
                    return None;
                }
                if service.as_ref() == held.managed_service() {
                    let is_rewritten =
                        slice.endpoints != held.endpoints || slice.ports != held.ports;
                    *held = slice;
                    service.iter().filter(|_| !is_own).for_each(|service| self.changed(service));
                    return Some(Put { services: service.into_iter().collect(), is_rewritten });
                }
            }
        }
        let mut services = self.remove(&name, None);
        let is_rewritten = services.is_empty();
        if let Some(service) = service {
            let id = self.held.insert(name, slice);
            self.by_service.entry(service.clone()).or_default().ids.push(id);
            self.changed(&service);
            services.push(service);
        }
        (!services.is_empty()).then_some(Put { services, is_rewritten })
    }

    /// Forgets a slice, unless what is known is newer than its deletion. Returns the Service that
    /// it named.
    pub fn remove(&mut self, name: &str, version: Option<u64>) -> Vec<Name> {
        let Some((id, slice)) = self.held.remove(name, version) else { return Vec::new() };
        let Some(service) = slice.managed_service().cloned() else { return Vec::new() };
        self.changed(&service);
        if let Some(of) = self.by_service.get_mut(&service) {
            of.ids.retain(|other| *other != id);
            if of.ids.is_empty() {
                self.by_service.remove(&service);
            }
        }
        vec![service]
    }

    /// Slices of a Service have changed.
    fn changed(&mut self, service: &str) {
        self.generation += 1;
        if let Some(of) = self.by_service.get_mut(service) {
            of.generation = self.generation;
        }
    }
}
