//! Problem: what a search is given, in numbers.

use super::{
    counts::{Load, Named, Names, Origin, TOLERANCE, Tally, float},
    limits::{Limits, Scope},
};

/// The most names that an endpoint may have.
pub const MAX_NAMES: usize = 8;

/// A search for names: how many endpoints there are in each zone, and what limits them.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What every plan must keep to.
    limits: Limits,
    /// How many ready endpoints there are in each zone, and in none, with names that they have in
    /// any case besides `wide`.
    origins: Vec<Start>,
    /// The same endpoints by names in force.
    kinds: Vec<Kind>,
    /// The names in force, for the choice among equal plans.
    in_force: Tally,
    /// How much of its traffic each zone may keep, 1 for all.
    most_local: Vec<f64>,
}

/// Endpoints of one origin before names are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) origin: Origin,
    pub(super) count: usize,
    pub(super) names: Names,
    /// The load that comes with the names.
    pub(super) load: f64,
}

/// Endpoints of one origin with the same names in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// The place among the origins.
    pub(super) origin: usize,
    pub(super) count: usize,
    pub(super) was: Names,
}

impl Problem {
    /// The problem for endpoints with these names in force, of which only the origins bind. `cap` is
    /// how far an endpoint may be above the even share: 0.2 is a fifth.
    pub fn new(demand: &[f64], in_force: Tally, cap: f64) -> Self {
        Self::scoped(demand, &vec![Scope::Free; demand.len()], in_force, cap)
    }

    /// The same where this is decided about each zone already. A free zone that sends nothing is
    /// named by its own endpoints, or by all if it has none.
    pub fn scoped(demand: &[f64], scopes: &[Scope], in_force: Tally, cap: f64) -> Self {
        let own = in_force.origins(demand.len());
        let total = in_force.len();
        let scope = |zone: usize| scopes.get(zone).copied().unwrap_or_default();
        let limits = Limits::new(demand, scope, own, total, cap);
        let most_local = vec![1.0; limits.demand.len()];
        let (origins, kinds) = (Vec::new(), Vec::new());
        let mut of = Self { limits, origins, kinds, in_force, most_local };
        let own = &of.limits.own;
        let origins = own.iter().enumerate().map(|(zone, count)| (Some(zone), *count));
        let without = total - own.iter().sum::<usize>();
        of.origins = origins
            .chain([(None, without)])
            .filter(|(_, count)| *count > 0)
            .map(|(origin, count)| of.start(origin, count))
            .collect();
        let kind = |(origin, was, count): (Origin, Names, usize)| {
            let origin = origin.filter(|zone| *zone < of.limits.demand.len());
            let place = of.origins.iter().position(|start| start.origin == origin)?;
            Some(Kind { origin: place, count, was })
        };
        of.kinds = of.in_force.iter().filter_map(kind).collect();
        of
    }

    /// All that a search depends on, as numbers: two problems with the same numbers have the same
    /// solution.
    pub(super) fn words(&self) -> Box<[u64]> {
        let Limits { demand, scopes, wide: _, own: _, total, limit, cap } = &self.limits;
        let mut words = Vec::with_capacity(6 * demand.len() + 4 * self.in_force.iter().count() + 4);
        words.extend([demand.len() as u64, *total as u64, limit.to_bits(), cap.to_bits()]);
        for ((sent, most), scope) in demand.iter().zip(&self.most_local).zip(scopes) {
            words.extend([sent.to_bits(), most.to_bits()]);
            match scope {
                Scope::Free => words.push(0),
                Scope::All => words.push(1),
                Scope::Among(area) => words.extend([2].into_iter().chain(area.words())),
            }
        }
        for (origin, names, count) in self.in_force.iter() {
            words.push(origin.map_or(0, |zone| zone as u64 + 1));
            words.extend(names.words());
            words.push(count as u64);
        }
        words.into()
    }

    /// The same where no zone may keep more of its traffic than these names lead to.
    #[must_use]
    pub fn no_narrower_than(mut self, tally: &Tally) -> Self {
        for (zone, named) in tally.named(self.limits.demand.len()).into_iter().enumerate() {
            // What every zone may do is to be named by all.
            let least = float(self.own(zone)) / float(self.limits.total.max(1));
            let part = if named.all > 0 { float(named.own) / float(named.all) } else { least };
            self.most_local[zone] = part.max(least);
        }
        self
    }

    /// Whether a distribution is under the cap, and names every zone as it must.
    pub(super) fn is_allowed(&self, tally: &Tally) -> bool {
        let named = tally.named(self.limits.demand.len());
        let is_named = |zone: usize| match self.limits.scopes[zone] {
            Scope::Free => named[zone].all > 0 && self.may_be(zone, named[zone]),
            Scope::All => named[zone].all == self.limits.total,
            Scope::Among(area) => tally
                .iter()
                .all(|(origin, names, _)| names.has(zone) == origin.is_some_and(|at| area.has(at))),
        };
        self.is_under_cap(tally) && (0..named.len()).all(is_named)
    }

    /// Whether a zone may be named like this.
    pub(super) fn may_be(&self, zone: usize, named: Named) -> bool {
        float(named.own) <= (self.most_local[zone] + TOLERANCE) * float(named.all)
    }

    /// The fewest foreign endpoints that a zone needs which names all of its own.
    pub(super) fn least_foreign(&self, zone: usize) -> usize {
        let own = self.own(zone);
        let all = (own.max(self.least(zone))..self.limits.total)
            .find(|all| self.may_be(zone, Named { all: *all, own }));
        all.unwrap_or(self.limits.total) - own
    }

    fn start(&self, origin: Origin, count: usize) -> Start {
        let mut start = Start { origin, count, names: Names::default(), load: 0.0 };
        let Some(here) = origin else { return start };
        for (zone, scope) in self.limits.scopes.iter().enumerate() {
            if let Scope::Among(area) = scope
                && area.has(here)
            {
                let members: usize = area.iter().filter_map(|zone| self.limits.own.get(zone)).sum();
                start.names = start.names.with(zone);
                start.load += self.limits.demand[zone] / float(members);
            }
        }
        start
    }

    /// What each zone sends.
    pub fn demand(&self) -> &[f64] {
        &self.limits.demand
    }

    /// How many endpoints there are.
    pub fn total(&self) -> usize {
        self.limits.total
    }

    /// The names in force.
    pub fn in_force(&self) -> &Tally {
        &self.in_force
    }

    /// The most load that an endpoint may have besides what all have in any case.
    pub(super) fn cap(&self) -> f64 {
        self.limits.cap
    }

    /// The zones that every endpoint names.
    pub(super) fn wide(&self) -> Names {
        self.limits.wide
    }

    /// Whether no endpoint has more load than it may.
    pub fn is_under_cap(&self, tally: &Tally) -> bool {
        let load = tally.load(&self.limits.demand);
        (load.overload + 1.0) / float(self.limits.total.max(1)) <= self.limits.limit
    }

    pub(super) fn origins(&self) -> &[Start] {
        &self.origins
    }

    pub(super) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// How many endpoints a zone has.
    pub fn own(&self, zone: usize) -> usize {
        self.limits.own[zone]
    }

    /// The zones that send and that the search decides about, in order.
    pub fn senders(&self) -> impl Iterator<Item = usize> {
        let is_open = |zone: &usize| self.limits.scopes[*zone] == Scope::Free;
        (0..self.limits.demand.len()).filter(is_open)
    }

    /// The fewest endpoints that can carry what a zone sends.
    pub fn least(&self, zone: usize) -> usize {
        self.least_beside(zone, 0.0)
    }

    /// The fewest endpoints that can carry what a zone sends besides this load on each.
    pub(super) fn least_beside(&self, zone: usize, load: f64) -> usize {
        self.limits.least_beside(zone, load)
    }

    /// No plan under the cap has a higher in-zone share than this (docs/planner.md 8.1).
    pub fn bound(&self) -> f64 {
        self.limits.bound()
    }

    /// The in-zone share of the zones that the search does not decide about, which every plan has.
    pub(super) fn decided(&self) -> f64 {
        self.limits.decided()
    }

    /// How good a distribution is.
    pub fn score(&self, tally: &Tally) -> Score {
        let Load { overload, in_zone } = tally.load(&self.limits.demand);
        Score { in_zone, changes: self.in_force.changes_to(tally), overload }
    }
}

/// How good a distribution is, apart from the cap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The part of the traffic that stays in its zone: the more the better.
    pub in_zone: f64,
    /// Of equal ones: how many endpoints have other names than are in force.
    pub changes: usize,
    /// Of equal ones: how far the busiest endpoint is above the even share.
    pub overload: f64,
}

impl Score {
    /// Whether it is better than another one. Numbers within the tolerance are equal.
    pub fn beats(&self, other: &Self) -> bool {
        if (self.in_zone - other.in_zone).abs() > TOLERANCE {
            return self.in_zone > other.in_zone;
        }
        if self.changes != other.changes {
            return self.changes < other.changes;
        }
        self.overload < other.overload - TOLERANCE
    }
}
