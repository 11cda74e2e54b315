//! Slices: the managed slices of one namespace, by the Service that they name.

use std::collections::HashMap;

use super::island::is_outdated;
use crate::plan::{metadata::managed_service, name::Name, slice::Slice};

/// The managed slices of one namespace.
#[derive(Debug, Default)]
pub struct Slices {
    by_service: HashMap<Name, Vec<Held>>,
    /// The Service that a slice names.
    services: HashMap<Name, Name>,
}

/// A slice, and whether the list under way has yet to name it.
#[derive(Debug)]
struct Held {
    slice: Slice,
    is_stale: bool,
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
        self.services.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// The slices that name a Service.
    pub fn of(&self, service: &str) -> Vec<&Slice> {
        self.by_service.get(service).into_iter().flatten().map(|held| &held.slice).collect()
    }

    /// Takes a slice in, if closehaul manages it, and forgets it if it no longer does.
    /// `None` if nothing was learned.
    pub fn put(&mut self, slice: Slice) -> Option<SliceChange> {
        let name = slice.meta.name.clone()?;
        if let Some(held) = self.held(&name) {
            let is_listed = std::mem::take(&mut held.is_stale);
            let known = held.slice.meta.version;
            if is_outdated(slice.meta.version, known, is_listed) || slice == held.slice {
                return None;
            }
            if managed_service(&slice) == managed_service(&held.slice) {
                let is_rewritten =
                    slice.endpoints != held.slice.endpoints || slice.ports != held.slice.ports;
                held.slice = slice;
                let services = self.services.get(&name).cloned().into_iter().collect();
                return Some(SliceChange { services, is_rewritten });
            }
        }
        let named = self.remove(&name, 0).map(|change| change.services);
        let mut services = named.unwrap_or_default();
        let is_rewritten = services.is_empty();
        if let Some(service) = managed_service(&slice).cloned() {
            self.services.insert(name, service.clone());
            self.by_service
                .entry(service.clone())
                .or_default()
                .push(Held { slice, is_stale: false });
            services.push(service);
        }
        (!services.is_empty()).then_some(SliceChange { services, is_rewritten })
    }

    /// Forgets a slice, unless what is known is newer than its deletion (0: it surely is gone).
    pub fn remove(&mut self, name: &str, version: u64) -> Option<SliceChange> {
        if self.held(name).is_none_or(|held| version != 0 && version < held.slice.meta.version) {
            return None;
        }
        let service = self.services.remove(name)?;
        if let Some(held) = self.by_service.get_mut(&service) {
            held.retain(|held| held.slice.meta.name.as_deref() != Some(name));
            if held.is_empty() {
                self.by_service.remove(&service);
            }
        }
        Some(SliceChange { services: vec![service], is_rewritten: false })
    }

    /// A list begins.
    pub fn doubt(&mut self) {
        self.by_service.values_mut().flatten().for_each(|held| held.is_stale = true);
    }

    /// A list named this slice, which could not be read.
    pub fn confirm(&mut self, name: &str) {
        if let Some(held) = self.held(name) {
            held.is_stale = false;
        }
    }

    /// The slices that a list did not name.
    pub fn doubted(&self) -> Vec<Name> {
        let stale = self.by_service.values().flatten().filter(|held| held.is_stale);
        stale.filter_map(|held| held.slice.meta.name.clone()).collect()
    }

    fn held(&mut self, name: &str) -> Option<&mut Held> {
        let of_service = self.by_service.get_mut(self.services.get(name)?)?;
        of_service.iter_mut().find(|held| held.slice.meta.name.as_deref() == Some(name))
    }
}
