//! Slices: the managed slices of one namespace, by the Service that they name.

use foldhash::HashMap;

use slab::Slab;

use super::outdated::is_outdated;
use crate::model::{name::Name, slice::Slice};

/// The number of a slice; another one may have it when the slice is gone.
pub type SliceId = usize;

/// The managed slices of one namespace.
#[derive(Debug, Default)]
pub struct Slices {
    held: Slab<Held>,
    ids: HashMap<Name, SliceId>,
    by_service: HashMap<Name, Vec<SliceId>>,
}

/// A slice, and whether the list under way has yet to name it.
#[derive(Debug)]
struct Held {
    slice: Slice,
    is_stale: bool,
    /// A list named it in a state that could not be read.
    is_unread: bool,
}

/// What an event did to a managed slice.
#[derive(Debug, PartialEq, Eq)]
pub struct SliceChange {
    /// The Services that it concerns: the one that the slice names, and the one that it named.
    pub services: Vec<Name>,
    /// Whether it is what a controller does: a new slice, or other endpoints or ports than before.
    pub is_rewritten: bool,
}

impl Slices {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// The slices that name a Service.
    pub fn of(&self, service: &str) -> Vec<&Slice> {
        self.ids_of(service).iter().map(|id| self.get(*id)).collect()
    }

    /// The same by number.
    pub fn ids_of(&self, service: &str) -> &[SliceId] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    /// A slice that is there.
    pub fn get(&self, id: SliceId) -> &Slice {
        &self.held[id].slice
    }

    /// The slice of a name.
    pub fn named(&self, name: &str) -> Option<&Slice> {
        Some(self.get(*self.ids.get(name)?))
    }

    /// Takes a slice in, if closehaul manages it, and forgets it if it no longer does.
    /// `None` if nothing was learned.
    pub fn put(&mut self, slice: Slice) -> Option<SliceChange> {
        let name = slice.meta.name.clone()?;
        if let Some(held) = self.by_name(&name) {
            let is_listed =
                std::mem::take(&mut held.is_stale) | std::mem::take(&mut held.is_unread);
            let known = held.slice.meta.version;
            if is_outdated(slice.meta.version, known, is_listed) || slice == held.slice {
                return None;
            }
            let service = slice.managed_service().cloned();
            if service.as_ref() == held.slice.managed_service() {
                let is_rewritten =
                    slice.endpoints != held.slice.endpoints || slice.ports != held.slice.ports;
                held.slice = slice;
                return Some(SliceChange { services: service.into_iter().collect(), is_rewritten });
            }
        }
        let named = self.remove(&name, 0).map(|change| change.services);
        let mut services = named.unwrap_or_default();
        let is_rewritten = services.is_empty();
        if let Some(service) = slice.managed_service().cloned() {
            let id = self.held.insert(Held { slice, is_stale: false, is_unread: false });
            self.ids.insert(name, id);
            self.by_service.entry(service.clone()).or_default().push(id);
            services.push(service);
        }
        (!services.is_empty()).then_some(SliceChange { services, is_rewritten })
    }

    /// Forgets a slice, unless what is known is newer than its deletion (0: it surely is gone).
    pub fn remove(&mut self, name: &str, version: u64) -> Option<SliceChange> {
        let id = *self.ids.get(name)?;
        if version != 0 && version < self.get(id).meta.version {
            return None;
        }
        self.ids.remove(name);
        let service = self.held.remove(id).slice.managed_service()?.clone();
        if let Some(ids) = self.by_service.get_mut(&service) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_service.remove(&service);
            }
        }
        Some(SliceChange { services: vec![service], is_rewritten: false })
    }

    /// A list begins.
    pub fn doubt(&mut self) {
        self.held.iter_mut().for_each(|(_, held)| held.is_stale = true);
    }

    /// A list named this slice, which could not be read.
    pub fn confirm(&mut self, name: &str) {
        if let Some(held) = self.by_name(name) {
            held.is_unread |= std::mem::take(&mut held.is_stale);
        }
    }

    /// The slices that a list did not name.
    pub fn doubted(&self) -> Vec<Name> {
        let stale = self.held.iter().filter(|(_, held)| held.is_stale);
        stale.filter_map(|(_, held)| held.slice.meta.name.clone()).collect()
    }

    fn by_name(&mut self, name: &str) -> Option<&mut Held> {
        self.held.get_mut(*self.ids.get(name)?)
    }
}
