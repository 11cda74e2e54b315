//! Changes: the writes that a plan requires, in the order in which they are sent
//! (docs/semantics.md 4.4).

use jiff::Timestamp;

use super::{
    metadata,
    pack::{Draft, Packing},
};
use crate::model::{address::AddressType, service::Service, slice::Slice};

/// The writes for one address type of a Service. Creates come before updates, and updates before
/// deletes, so an endpoint that moves is listed twice rather than not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Slices to create, without a name.
    pub creates: Vec<Slice>,
    /// Slices to replace, each with the version that the plan is based on.
    pub updates: Vec<Slice>,
    /// The slices to replace as they are now, in the order of `updates`.
    pub replaced: Vec<Slice>,
    /// Slices to delete.
    pub deletes: Vec<Slice>,
    /// Whether only zones and hints change, for example because a node's zone does. Such writes
    /// may wait for those that move endpoints.
    pub is_locality_only: bool,
    /// Whether another controller writes these slices, so that only hints and the annotation for
    /// them are patched in. There are only updates then.
    pub is_in_place: bool,
}

impl Changes {
    /// The writes that carry out `packing`. Each slice that is written gets
    /// `trigger_time`, or loses the one it had.
    pub(super) fn of(
        packing: &mut Packing<'_>,
        service: &Service,
        trigger_time: Option<Timestamp>,
    ) -> Self {
        if service.terminating {
            packing.creates.clear();
        }
        // A write that would change nothing is left out: its slice stands as it is.
        let is_idle = |draft: &mut Draft<'_>| draft.base.is_some_and(|base| !differs(draft, base));
        let idle = packing.updates.extract_if(.., is_idle);
        packing.unchanged.extend(idle.filter_map(|draft| draft.base));
        let is_locality_only = packing.creates.is_empty()
            && packing.deletes.is_empty()
            && packing
                .updates
                .iter()
                .all(|draft| draft.base.is_some_and(|base| differs_by_locality_only(draft, base)));
        let bases = packing.updates.iter().filter_map(|draft| draft.base.cloned());
        let replaced = bases.collect();
        let slices = |drafts: &mut Vec<Draft<'_>>| {
            drafts.drain(..).map(|draft| slice(draft, trigger_time)).collect()
        };
        Self {
            creates: slices(&mut packing.creates),
            updates: slices(&mut packing.updates),
            replaced,
            deletes: packing.deletes.drain(..).cloned().collect(),
            is_locality_only,
            is_in_place: false,
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address type of the slices; `None` if there is nothing to write.
    pub fn address_type(&self) -> Option<AddressType> {
        let mut slices = self.creates.iter().chain(&self.updates).chain(&self.deletes);
        slices.next().map(|slice| slice.address_type)
    }

    /// How many writes there are.
    pub fn len(&self) -> usize {
        self.creates.len() + self.updates.len() + self.deletes.len()
    }
}

/// Whether a write would change more than the trigger time.
fn differs(draft: &Draft<'_>, base: &Slice) -> bool {
    base.meta.labels != draft.meta.labels
        || base.ports != draft.ports
        || *base.endpoints != *draft.endpoints
}

/// Whether only zones and hints would change.
fn differs_by_locality_only(draft: &Draft<'_>, base: &Slice) -> bool {
    let mut pairs = base.endpoints.iter().zip(&draft.endpoints);
    base.meta.labels == draft.meta.labels
        && base.ports == draft.ports
        && base.endpoints.len() == draft.endpoints.len()
        && pairs.all(|(old, new)| old.identity() == new.identity() && old.is_same_but_locality(new))
}

/// The slice to send.
fn slice(draft: Draft<'_>, trigger_time: Option<Timestamp>) -> Slice {
    let mut meta = draft.meta;
    meta.annotations = metadata::with_trigger_time(&meta.annotations, trigger_time);
    Slice {
        meta,
        address_type: draft.address_type,
        ports: draft.ports,
        endpoints: draft.endpoints.into(),
    }
}
