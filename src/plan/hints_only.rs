//! Hints only: the part of a plan that changes the hints of endpoints where they are, and nothing
//! else. It is what is left to do for a controller that leaves: the one that comes after it places
//! the endpoints.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use super::{Family, Plan, changes::Changes};
use crate::model::{
    port::Ports,
    slice::{Endpoint, Hints, Identity, Slice},
};

/// The hints that endpoints have in a plan, by the ports of their slice.
type Planned<'a> = HashMap<&'a Ports, HashMap<Identity<'a>, Option<&'a Arc<Hints>>>>;

impl Plan<'_> {
    /// The writes that give the endpoints of `slices` the hints of this plan, for each address type
    /// with such writes. The plan must have been made for these slices.
    ///
    /// An endpoint that is not in the plan keeps its hints: its pod has gone, or came after the
    /// pods were read.
    pub fn hints_only(&self, slices: &[&Slice]) -> Vec<Changes> {
        let changes = self.families.iter().map(|family| family.hints_only(slices));
        changes.filter(|changes| !changes.is_empty()).collect()
    }
}

impl Family<'_> {
    fn hints_only(&self, slices: &[&Slice]) -> Changes {
        let mut only = Changes { is_locality_only: true, ..Changes::default() };
        if self.changes.is_empty() {
            return only;
        }
        let mut planned = Planned::new();
        for slice in self.after() {
            let endpoints = slice.endpoints.iter();
            let hints = endpoints.map(|endpoint| (endpoint.identity(), endpoint.hints.as_ref()));
            planned.entry(&slice.ports).or_default().extend(hints);
        }
        let of_type = slices.iter().filter(|slice| slice.address_type == self.address_type);
        for slice in of_type.filter(|slice| !slice.meta.terminating) {
            let Some(planned) = planned.get(&slice.ports) else { continue };
            let hinted = |endpoint: &Endpoint| {
                let hints = planned.get(&endpoint.identity()).copied();
                let hints = hints.unwrap_or(endpoint.hints.as_ref()).cloned();
                Endpoint { hints, ..endpoint.clone() }
            };
            let endpoints: Arc<[Endpoint]> = slice.endpoints.iter().map(hinted).collect();
            let mut pairs = slice.endpoints.iter().zip(endpoints.iter());
            if pairs.any(|(old, new)| old.hints != new.hints) {
                only.updates.push(Slice { endpoints, ..(*slice).clone() });
                only.replaced.push((*slice).clone());
            }
        }
        only
    }
}
