//! Kept: plans in force that stay, by numbers of endpoints. Mostly a change of a Service's pods leaves
//! them as they are. Then no endpoint needs to be looked at, and no hint changes.

use super::{
    Planned, PlannedGroup, Terms,
    limit::{Counted, exceeded},
    port_names,
};
use crate::{
    model::{name::Name, slice::Endpoint},
    plan::{
        pack::Packing,
        policy::{
            counts::{Names, Tally},
            keep::{self, InForce},
            request::Standing,
            zones::Zones,
        },
        ready::{Alike, NodeHint, PortSet, Ready},
    },
};

impl Planned {
    /// The plans in force of these endpoints, if every endpoint keeps the hints that it has. It is what
    /// [`super::choose`] finds. `None` if more than numbers is needed to know it.
    pub fn in_force(terms: Terms<'_>, packing: &Packing<'_>, ready: &Ready) -> Option<Self> {
        let is_written = is_written(ready)?;
        // A slice that is created may be dropped again, and `ready` has it.
        let may_be = packing.creates.is_empty() && is_uniform(terms.zones, packing, is_written);
        may_be.then(|| Self::by_numbers(terms, ready)).flatten()
    }

    /// The same where it is known that endpoints which are not ready have hints as in a plan.
    pub fn by_numbers(terms: Terms<'_>, ready: &Ready) -> Option<Self> {
        let Terms { request, zones, .. } = terms;
        let names_nodes = request.node && terms.node_hints;
        let is_written = is_written(ready)?;
        let is_new = request.standing == Standing::New && !is_written;
        if request.guard.is_none() || names_nodes || !request.evacuated.is_empty() || is_new {
            return None;
        }
        let mut counted: Vec<Counted> = Vec::with_capacity(ready.sets.len());
        for set in &ready.sets {
            let ports = port_names(&set.ports);
            let at = counted.iter().position(|of| of.ports == ports).unwrap_or_else(|| {
                counted.push(Counted { ports, tally: Tally::default(), is_kept: true });
                counted.len() - 1
            });
            count(zones, set, &mut counted[at].tally)?;
        }
        if !exceeded(request, zones, &counted).is_empty() {
            return None;
        }
        counted.sort_unstable_by(|one, other| one.ports.cmp(&other.ports));
        let groups = counted.into_iter().map(|of| group(terms, of, is_written));
        Some(Self { groups: groups.collect::<Option<_>>()?, exceeded: Vec::new() })
    }

    /// Whether a narrower plan waits.
    pub fn is_held(&self) -> bool {
        self.groups.iter().any(|group| group.outcome.is_held)
    }
}

/// Whether the ready endpoints have hints, all of them or none; `None` if only some have.
fn is_written(ready: &Ready) -> Option<bool> {
    let mut all = ready.alike().map(|(alike, _)| !alike.zones.is_empty());
    let first = all.next()?;
    all.all(|is| is == first).then_some(first)
}

/// Whether all endpoints, ready or not, have names as a plan writes them, or none of them has and none is
/// new.
fn is_uniform(zones: &Zones, packing: &Packing<'_>, is_written: bool) -> bool {
    let is_right = |endpoint: &Endpoint| match &endpoint.hints {
        None => !is_written,
        // The names of those that are ready are counted.
        Some(_) if endpoint.is_ready() => is_written,
        Some(hints) => is_written && hints.nodes.is_empty() && names(zones, &hints.zones).is_some(),
    };
    let has_new = || packing.drafts().any(|draft| draft.endpoints.len() > draft.kept);
    packing.slices().flatten().all(is_right) && (is_written || !has_new())
}

/// Names as a plan writes them: of zones that exist, sorted, each once. `None` if they are not.
fn names(zones: &Zones, names: &[Name]) -> Option<Names> {
    if names.is_empty() || !names.is_sorted_by(|one, other| one < other) {
        return None;
    }
    names.iter().map(|name| zones.number(name)).collect()
}

/// Counts the ready endpoints that have the same ports.
fn count(zones: &Zones, set: &PortSet, tally: &mut Tally) -> Option<()> {
    for (Alike { zone, zones: hinted, nodes }, count) in &set.ready {
        if *nodes != NodeHint::None {
            return None;
        }
        // Without hints, the clients of every zone reach all.
        let names = if hinted.is_empty() { zones.all() } else { names(zones, hinted)? };
        tally.add(zone.as_ref().and_then(|zone| zones.number(zone)), names, *count);
    }
    Some(())
}

/// The plan in force of one group, if it stays.
fn group(terms: Terms<'_>, of: Counted, is_written: bool) -> Option<PlannedGroup> {
    let Terms { request, zones, searches, stood, .. } = terms;
    let Counted { ports, tally: names, is_kept: _ } = of;
    let (_, first, _) = names.iter().next()?;
    // Whether hints stay that send every zone to all depends on endpoints that are not ready.
    if is_written && names.iter().all(|(_, names, _)| names == first) {
        return None;
    }
    let in_force = InForce { names: &names, is_written, stood };
    let outcome = keep::kept(request, zones, searches, in_force)?;
    Some(PlannedGroup { ports: vec![ports], outcome: outcome.into() })
}

#[cfg(test)]
impl Planned {
    /// Every unit test that plans checks here that a plan of the whole would find the same.
    ///
    /// # Panics
    ///
    /// It would find another one.
    #[track_caller]
    pub fn assert_is_chosen(&self, terms: Terms<'_>, packing: &Packing<'_>) {
        let (choices, planned) = super::choose(terms, None, packing);
        assert_eq!(*self, planned);
        for (endpoint, choice) in packing.slices().flatten().zip(&choices.endpoints) {
            match &endpoint.hints {
                Some(hints) => assert_eq!(*choice, super::Choice::Planned(hints.clone())),
                None => assert_eq!(*choice, super::Choice::Nothing),
            }
        }
    }
}
