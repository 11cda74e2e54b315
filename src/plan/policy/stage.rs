//! Stage: a group in numbers, with what is decided about it before any search.

use super::{
    counts::{Names, Origin, Tally},
    group::{Candidate, Group},
    keep::percent,
    outcome::{Cause, PLACEHOLDER},
    request::{Request, Standing},
    searches::Searches,
    terms::{Givens, Term, terms},
    zones::Zones,
};
use crate::model::name::Name;

/// A group in numbers.
pub struct Stage<'s> {
    pub request: &'s Request,
    pub zones: &'s Zones,
    pub searches: &'s Searches,
    pub group: &'s Group<'s>,
    /// Each candidate in numbers.
    pub members: Vec<Member>,
    /// The places of the candidates that are ready and not evacuated: those that traffic should reach.
    pub rest: Vec<usize>,
    /// How many of them are in each zone.
    pub own: Vec<usize>,
    /// What is decided about each zone for a new plan.
    pub terms: Vec<Term>,
}

/// A candidate in numbers.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The number of its zone.
    pub origin: Origin,
    /// The zones that it names now; `None` without names that count.
    pub in_force: Option<Names>,
    /// Whether it must have no traffic.
    pub is_evacuated: bool,
}

impl<'s> Stage<'s> {
    pub fn of(
        request: &'s Request,
        zones: &'s Zones,
        searches: &'s Searches,
        group: &'s Group<'s>,
    ) -> Self {
        let is_memory = request.standing != Standing::Void;
        let member = |candidate: &Candidate<'_>| {
            let origin = candidate.zone.and_then(|zone| zones.number(zone));
            let in_force = candidate.in_force.filter(|_| is_memory);
            // Most name their own zone alone.
            let is_own = |all: &[Name]| matches!(all, [name] if Some(name) == candidate.zone);
            let in_force = in_force.and_then(|all| match origin {
                Some(zone) if is_own(all) => Some(Names::only(zone)),
                _ => names(zones, all),
            });
            let is_evacuated = candidate.zone.is_some_and(|zone| request.evacuated.contains(zone));
            Member { origin, in_force, is_evacuated }
        };
        let members: Vec<Member> = group.candidates.iter().map(member).collect();
        let is_rest = |at: &usize| group.candidates[*at].is_ready && !members[*at].is_evacuated;
        let rest: Vec<usize> = (0..members.len()).filter(is_rest).collect();
        let mut own = vec![0; zones.named()];
        rest.iter().filter_map(|at| members[*at].origin).for_each(|zone| own[zone] += 1);
        let cap = request.guard.map(|guard| percent(guard.max_overload));
        let terms = terms(request, zones, &own, rest.len(), cap);
        Self { request, zones, searches, group, members, rest, own, terms }
    }

    /// What is given before a search.
    pub fn givens(&self) -> Givens<'_> {
        let Self { request, zones, own, terms, .. } = self;
        Givens { request, zones, own, terms }
    }

    /// What each zone sends that a plan can name.
    pub fn demand(&self) -> &[f64] {
        &self.zones.demand()[..self.zones.named()]
    }

    /// All zones that a plan can name.
    pub fn all(&self) -> Names {
        self.zones.all()
    }

    /// Whether there are more zones than a plan can name.
    pub fn has_unnamed(&self) -> bool {
        self.zones.len() > self.zones.named()
    }

    /// Whether any zone is evacuated.
    pub fn is_evacuation(&self) -> bool {
        !self.request.evacuated.is_empty()
    }

    /// Whether a zone is not rolled out yet.
    pub fn is_pending(&self, zone: Origin) -> bool {
        let term = zone.and_then(|zone| self.terms.get(zone));
        term.is_some_and(|term| term.cause == Cause::RolloutPending)
    }

    /// Names of the rest, in its order, as numbers.
    pub fn tally(&self, names: &[Names]) -> Tally {
        let mut tally = Tally::default();
        for (at, names) in self.rest.iter().zip(names) {
            tally.add(self.members[*at].origin, *names, 1);
        }
        tally
    }

    /// The names that a member has for a comparison: without any, those of its own zone.
    pub fn now(&self, at: usize) -> Names {
        let Member { origin, in_force, .. } = self.members[at];
        in_force.or_else(|| origin.map(Names::only)).unwrap_or_default()
    }

    /// The names that the pods of the rest have in the other address type; `None` if not all have.
    /// No hints at all are the plan that sends every zone to all.
    pub fn other_family(&self) -> Option<Vec<Names>> {
        let other = |at: &usize| {
            let zones = self.group.candidates[*at].other_family?;
            let is_placeholder = zones.iter().any(|name| **name == *PLACEHOLDER);
            let spare = if is_placeholder { Names::PLACEHOLDER } else { Names::default() };
            Some(names(self.zones, zones).unwrap_or(spare))
        };
        let others: Vec<Names> = self.rest.iter().map(other).collect::<Option<_>>()?;
        let is_everywhere = others.iter().all(|names| names.is_empty());
        Some(if is_everywhere { vec![self.all(); others.len()] } else { others })
    }
}

/// Zones that exist, as numbers. `None` if there is none.
pub fn names(zones: &Zones, names: &[Name]) -> Option<Names> {
    let names: Names = names.iter().filter_map(|name| zones.number(name)).collect();
    Some(names).filter(|names| !names.is_empty())
}
