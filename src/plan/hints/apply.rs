//! Apply: hints that were chosen are compared with those in force and written.

use std::sync::Arc;

use foldhash::HashMap;

use super::Choice;
use crate::{
    model::{
        name::Name,
        slice::{Endpoint, Hints},
    },
    plan::pack::{Draft, Packing},
};

/// Gives the endpoints of everything that is written the hints that were chosen for them, in the
/// order of [`Packing::slices`]. Unchanged slices are written if an endpoint of theirs has others.
///
/// Without `node_hints` none for a node is written. A slice that lacks them is right then, and so is
/// one that has the right ones, from a time when they were kept: to take them away would cost a
/// write and bring traffic no nearer.
pub fn apply(packing: &mut Packing<'_>, mut choices: &[Choice], node_hints: bool) {
    let mut next = |endpoints: usize| {
        let (next, others) = choices.split_at(endpoints.min(choices.len()));
        choices = others;
        next
    };
    let mut pen = Pen { node_hints, written: HashMap::default() };
    let Packing { creates, updates, unchanged, .. } = packing;
    for draft in creates.iter_mut().chain(&mut *updates) {
        pen.write(draft, next(draft.endpoints.len()));
    }
    unchanged.retain(|slice| {
        let choices = next(slice.endpoints.len());
        let mut pairs = choices.iter().zip(slice.endpoints.iter());
        let is_right = pairs.all(|(choice, endpoint)| may_stay(choice, endpoint, node_hints));
        if !is_right {
            // Labels stay: a wrong reserved label is not repaired by a change of hints alone.
            let mut draft = Draft::copy(slice, slice.meta.labels.clone());
            pen.write(&mut draft, choices);
            updates.push(draft);
        }
        is_right
    });
}

/// Writes hints into endpoints.
struct Pen {
    node_hints: bool,
    /// The hints that were written already, to be shared.
    written: HashMap<(Option<Name>, Option<Name>), Arc<Hints>>,
}

impl Pen {
    /// Gives the endpoints of `draft` the hints that were chosen for them.
    fn write(&mut self, draft: &mut Draft<'_>, choices: &[Choice]) {
        for (at, (endpoint, choice)) in draft.endpoints.iter_mut().zip(choices).enumerate() {
            if *choice == Choice::Any && at < draft.copied {
                continue;
            }
            let (zone, node) = choice.names(endpoint);
            let node = node.filter(|_| self.node_hints);
            if !has_exactly(endpoint, zone, node) {
                endpoint.hints = self.hints(zone.cloned(), node.cloned());
            }
        }
    }

    /// The hints for a zone and a node.
    fn hints(&mut self, zone: Option<Name>, node: Option<Name>) -> Option<Arc<Hints>> {
        if zone.is_none() && node.is_none() {
            return None;
        }
        let hints = self.written.entry((zone, node)).or_insert_with_key(|(zone, node)| {
            Arc::new(Hints {
                zones: zone.iter().cloned().collect(),
                nodes: node.iter().cloned().collect(),
            })
        });
        Some(hints.clone())
    }
}

/// Whether an endpoint of a slice that is not written otherwise may keep its hints. An empty
/// `hints: {}` says nothing wrong.
fn may_stay(choice: &Choice, endpoint: &Endpoint, node_hints: bool) -> bool {
    let (zones, nodes): (&[Name], &[Name]) =
        endpoint.hints.as_ref().map_or((&[], &[]), |hints| (&hints.zones, &hints.nodes));
    let (zone, node) = choice.names(endpoint);
    let may_lack = !node_hints && nodes.is_empty();
    match choice {
        Choice::Any => true,
        Choice::Nothing => endpoint.hints.is_none(),
        Choice::Own(_) | Choice::Zone(_) => {
            is_only(zones, zone) && (may_lack || is_only(nodes, node))
        }
    }
}

/// Whether the hints in force are what would be written for this zone and node.
fn has_exactly(endpoint: &Endpoint, zone: Option<&Name>, node: Option<&Name>) -> bool {
    match &endpoint.hints {
        None => zone.is_none() && node.is_none(),
        Some(hints) => {
            (zone.is_some() || node.is_some())
                && is_only(&hints.zones, zone)
                && is_only(&hints.nodes, node)
        }
    }
}

/// Whether `names` is just `name`, or empty where there is none.
fn is_only(names: &[Name], name: Option<&Name>) -> bool {
    names.iter().eq(name)
}
