//! Ready: the ready endpoints of slices, counted. Reports on a Service depend on these numbers
//! alone. So the numbers can be kept, and only their changes added.

use std::collections::BTreeMap;

use crate::model::{name::Name, node::Nodes, slice::Slice};

/// The ready endpoints of some slices as planned, in which each endpoint says whether it is ready.
/// An endpoint that is listed twice counts twice, as for the legacy annotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The slices.
    pub slices: usize,
    /// Endpoints in each zone, and in no zone.
    zones: BTreeMap<Option<Name>, usize>,
    /// Endpoints with hints.
    pub hinted: usize,
    /// Endpoints that name no node.
    pub nodeless: usize,
    /// Endpoints on a known node that has no zone.
    pub unlabelled: usize,
}

impl Ready {
    /// The ready endpoints of these slices.
    pub fn of<'a>(slices: impl IntoIterator<Item = &'a Slice>, nodes: &Nodes) -> Self {
        let mut ready = Self::default();
        for slice in slices {
            ready.slices += 1;
            for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.is_ready()) {
                match ready.zones.get_mut(&endpoint.zone) {
                    Some(count) => *count += 1,
                    None => drop(ready.zones.insert(endpoint.zone.clone(), 1)),
                }
                ready.hinted += usize::from(endpoint.hints.is_some());
                match &endpoint.node {
                    None => ready.nodeless += 1,
                    Some(name) if endpoint.zone.is_none() => {
                        ready.unlabelled += usize::from(nodes.get(name).is_some());
                    }
                    Some(_) => {}
                }
            }
        }
        ready
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.zones.values().sum()
    }

    /// How many there are in a zone, or in no zone.
    pub fn in_zone(&self, zone: Option<&Name>) -> usize {
        self.zones.get(&zone.cloned()).copied().unwrap_or_default()
    }

    /// Replaces some of these slices, counted in `old`, with others, counted in `new`.
    pub fn replace(&mut self, old: &Self, new: &Self) {
        let swap =
            |all: &mut usize, old: usize, new: usize| *all = (*all + new).saturating_sub(old);
        swap(&mut self.slices, old.slices, new.slices);
        swap(&mut self.hinted, old.hinted, new.hinted);
        swap(&mut self.nodeless, old.nodeless, new.nodeless);
        swap(&mut self.unlabelled, old.unlabelled, new.unlabelled);
        for (zone, count) in &new.zones {
            *self.zones.entry(zone.clone()).or_default() += count;
        }
        for (zone, count) in &old.zones {
            let all = self.zones.entry(zone.clone()).or_default();
            swap(all, *count, 0);
        }
        self.zones.retain(|_, count| *count > 0);
    }
}
