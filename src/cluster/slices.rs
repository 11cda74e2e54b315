//! Slices: the slices of one namespace, by the Service that they name. Those that closehaul manages
//! are planned. Those of other managers count when a plan is assessed, because proxies read them,
//! too. Of them, only what proxies read is stored.

use std::cell::OnceCell;

use foldhash::HashMap;

use crate::{
    model::{
        address::AddressType,
        name::Name,
        slice::Slice,
        store::{Admission, Id, Store},
    },
    plan::ready::Ready,
};

/// The number of a slice in its island.
pub type SliceId = Id;

/// The slices of one namespace that name a Service.
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
    managed: Vec<SliceId>,
    /// Of other managers.
    foreign: Vec<SliceId>,
    /// The ready endpoints of the foreign ones, by address type; computed on demand, and emptied
    /// by a change.
    foreign_ready: OnceCell<Box<[(AddressType, Ready)]>>,
    generation: u64,
}

/// Whose slice it is, with the Service that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Managed(Name),
    Foreign(Name),
}

impl Place {
    /// Where a slice belongs; `None` if it names no Service.
    fn of(slice: &Slice) -> Option<Self> {
        let foreign = || slice.service().cloned().map(Self::Foreign);
        slice.managed_service().cloned().map(Self::Managed).or_else(foreign)
    }

    fn service(&self) -> &Name {
        match self {
            Self::Managed(service) | Self::Foreign(service) => service,
        }
    }
}

impl OfService {
    fn ids(&mut self, place: &Place) -> &mut Vec<SliceId> {
        match place {
            Place::Managed(_) => &mut self.managed,
            Place::Foreign(_) => &mut self.foreign,
        }
    }
}

/// What an event did to a slice of this namespace.
#[derive(Debug, Default)]
pub struct Put {
    /// The Services whose managed slices it affects: the one that the slice names, and the one that
    /// it named.
    pub services: Vec<Name>,
    /// The Services of which it is or was a foreign slice.
    pub assessed: Vec<Name>,
    /// Whether it is what a controller does: a new slice, or other endpoints or ports than before.
    pub is_rewritten: bool,
}

impl Slices {
    /// The managed slices that name a Service.
    pub fn of(&self, service: &str) -> Vec<&Slice> {
        self.ids_of(service).iter().map(|id| self.get(*id)).collect()
    }

    /// The same by number.
    pub fn ids_of(&self, service: &str) -> &[SliceId] {
        self.by_service.get(service).map_or(&[], |of| &of.managed)
    }

    /// The slices of other managers that name a Service.
    pub fn foreign_of(&self, service: &str) -> impl Iterator<Item = &Slice> + Clone {
        let ids = self.by_service.get(service).map_or(&[][..], |of| &of.foreign);
        ids.iter().map(|id| self.get(*id))
    }

    /// The ready endpoints of those that proxies read, by address type.
    pub fn foreign_ready(&self, service: &str) -> &[(AddressType, Ready)] {
        let Some(of) = self.by_service.get(service).filter(|of| !of.foreign.is_empty()) else {
            return &[];
        };
        of.foreign_ready.get_or_init(|| {
            let read = || self.foreign_of(service).filter(|slice| slice.is_read_by_proxies());
            let mut types: Vec<_> = read().map(|slice| slice.address_type).collect();
            types.sort_unstable();
            types.dedup();
            let ready = |address_type| {
                let of_type = read().filter(|slice| slice.address_type == address_type);
                (address_type, Ready::of_foreign(of_type))
            };
            types.into_iter().map(ready).collect()
        })
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

    /// Stores a slice if it names a Service, and forgets it if it no longer does. `is_own`: it shows
    /// a local write as it was planned. `None` if nothing is new.
    pub fn put(&mut self, name: Name, slice: Slice, is_own: bool) -> Option<Put> {
        let place = Place::of(&slice);
        match self.held.admit(&name, slice.meta.version) {
            Admission::Outdated => return None,
            Admission::New => {}
            Admission::Known(id) => {
                let held = self.held.at_mut(id);
                if matches!(place, Some(Place::Foreign(_))) {
                    held.meta.version = slice.meta.version;
                }
                if slice == *held {
                    return None;
                }
                // Labels are mostly shared, so the comparison is short.
                let stays = slice.meta.labels == held.meta.labels || Place::of(held) == place;
                if let Some(place) = place.as_ref().filter(|_| stays) {
                    let is_rewritten =
                        slice.endpoints != held.endpoints || slice.ports != held.ports;
                    *held = slice;
                    if !is_own {
                        self.changed(place.service());
                    }
                    let mut put = Put::default();
                    put.add(place);
                    return Some(Put { is_rewritten, ..put });
                }
            }
        }
        let mut put = self.remove(&name, None);
        put.is_rewritten = put.services.is_empty();
        if let Some(place) = place {
            let id = self.held.insert(name, slice);
            self.by_service.entry(place.service().clone()).or_default().ids(&place).push(id);
            self.changed(place.service());
            put.add(&place);
        }
        (!put.is_empty()).then_some(put)
    }

    /// Forgets a slice, unless what is known is newer than its deletion. Returns the Service that
    /// it named.
    pub fn remove(&mut self, name: &str, version: Option<u64>) -> Put {
        let mut put = Put::default();
        let Some((id, slice)) = self.held.remove(name, version) else { return put };
        let Some(place) = Place::of(&slice) else { return put };
        put.add(&place);
        self.changed(place.service());
        if let Some(of) = self.by_service.get_mut(place.service()) {
            of.ids(&place).retain(|other| *other != id);
            if of.managed.is_empty() && of.foreign.is_empty() {
                self.by_service.remove(place.service());
            }
        }
        put
    }

    /// Slices of a Service have changed.
    fn changed(&mut self, service: &str) {
        self.generation += 1;
        if let Some(of) = self.by_service.get_mut(service) {
            of.generation = self.generation;
            of.foreign_ready.take();
        }
    }
}

impl Put {
    fn add(&mut self, place: &Place) {
        match place {
            Place::Managed(service) => self.services.push(service.clone()),
            Place::Foreign(service) => self.assessed.push(service.clone()),
        }
    }

    /// Whether it affects no Service.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.assessed.is_empty()
    }
}
