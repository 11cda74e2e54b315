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
            let (zones, nodes) = choice.names(endpoint);
            let nodes = if self.node_hints { nodes } else { &[] };
            if !has_exactly(endpoint, zones, nodes) {
                endpoint.hints = match choice {
                    Choice::Planned(hints) if self.node_hints => Some(Arc::clone(hints)),
                    _ => self.hints(zones, nodes),
                };
            }
        }
    }

    /// The hints for these zones and nodes.
    fn hints(&mut self, zones: &[Name], nodes: &[Name]) -> Option<Arc<Hints>> {
        let new = || Arc::new(Hints { zones: zones.to_vec(), nodes: nodes.to_vec() });
        match (zones, nodes) {
            ([], []) => None,
            ([_, _, ..], _) | (_, [_, _, ..]) => Some(new()),
            _ => {
                let key = (zones.first().cloned(), nodes.first().cloned());
                Some(self.written.entry(key).or_insert_with(new).clone())
            }
        }
    }
}

/// Whether an endpoint of a slice that is not written otherwise may keep its hints. An empty
/// `hints: {}` says nothing wrong.
fn may_stay(choice: &Choice, endpoint: &Endpoint, node_hints: bool) -> bool {
    let (zones, nodes): (&[Name], &[Name]) =
        endpoint.hints.as_ref().map_or((&[], &[]), |hints| (&hints.zones, &hints.nodes));
    let (chosen_zones, chosen_nodes) = choice.names(endpoint);
    let may_lack = !node_hints && nodes.is_empty();
    match choice {
        Choice::Any => true,
        Choice::Nothing => endpoint.hints.is_none(),
        Choice::Own(_) | Choice::Zone(_) | Choice::Planned(_) => {
            zones == chosen_zones && (may_lack || nodes == chosen_nodes)
        }
    }
}

/// Whether the hints in force are what would be written for these zones and nodes.
fn has_exactly(endpoint: &Endpoint, zones: &[Name], nodes: &[Name]) -> bool {
    let is_none = zones.is_empty() && nodes.is_empty();
    match &endpoint.hints {
        None => is_none,
        Some(hints) => !is_none && hints.zones == zones && hints.nodes == nodes,
    }
}
