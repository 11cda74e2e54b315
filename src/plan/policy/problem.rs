//! Problem: what a search is given, in numbers.

use super::counts::{Load, MAX_ZONES, Names, Origin, TOLERANCE, Tally, float};

/// The most names that an endpoint may have.
pub const MAX_NAMES: usize = 8;

/// A search for names: how many endpoints there are in each zone, and what limits them.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What each zone sends, by its number; the sum is 1. At most [`MAX_ZONES`].
    demand: Vec<f64>,
    /// How many ready endpoints there are in each zone, and in none, with names that they have in
    /// any case.
    origins: Vec<Start>,
    /// How many endpoints there are.
    total: usize,
    /// The most load that an endpoint may have.
    cap: f64,
    /// The names in force, for the choice among equal plans.
    in_force: Tally,
}

/// Endpoints of one origin before names are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) origin: Origin,
    pub(super) count: usize,
    pub(super) names: Names,
}

impl Problem {
    /// The problem for endpoints with these names in force, of which only the origins bind. `cap` is
    /// how far an endpoint may be above the even share: 0.2 is a fifth.
    ///
    /// A zone that sends nothing is named by its own endpoints. If it has none, it is named by all,
    /// as long as that does not use up an endpoint's names.
    pub fn new(demand: &[f64], in_force: Tally, cap: f64) -> Self {
        let demand: Vec<f64> = demand.iter().copied().take(MAX_ZONES).collect();
        let mut counts = vec![0; demand.len()];
        let mut without = 0;
        for (origin, _, count) in in_force.iter() {
            match origin.and_then(|zone| counts.get_mut(zone)) {
                Some(own) => *own += count,
                None => without += count,
            }
        }
        let is_silent = |zone: usize| demand[zone] <= TOLERANCE;
        let absent = (0..demand.len()).filter(|zone| is_silent(*zone) && counts[*zone] == 0);
        // One name stays free, for the zone that the endpoint serves.
        let everywhere: Names = absent.take(MAX_NAMES - 1).collect();
        let start = |(zone, count): (usize, &usize)| {
            let own = if is_silent(zone) { Names::only(zone) } else { Names::default() };
            Start { origin: Some(zone), count: *count, names: everywhere.and(own) }
        };
        let mut origins: Vec<Start> = counts.iter().enumerate().map(start).collect();
        origins.push(Start { origin: None, count: without, names: everywhere });
        origins.retain(|start| start.count > 0);
        let total = in_force.len();
        let cap = (1.0 + cap) / float(total.max(1)) + TOLERANCE / float(total.max(1));
        Self { demand, origins, total, cap, in_force }
    }

    /// What each zone sends.
    pub fn demand(&self) -> &[f64] {
        &self.demand
    }

    /// How many endpoints there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The names in force.
    pub fn in_force(&self) -> &Tally {
        &self.in_force
    }

    pub(super) fn cap(&self) -> f64 {
        self.cap
    }

    pub(super) fn origins(&self) -> &[Start] {
        &self.origins
    }

    /// How many endpoints a zone has.
    pub fn own(&self, zone: usize) -> usize {
        let of_zone = |start: &&Start| start.origin == Some(zone);
        self.origins.iter().find(of_zone).map_or(0, |start| start.count)
    }

    /// The zones that send, in order.
    pub fn senders(&self) -> impl Iterator<Item = usize> {
        (0..self.demand.len()).filter(|zone| self.demand[*zone] > TOLERANCE)
    }

    /// The fewest endpoints that can carry what a zone sends.
    pub fn least(&self, zone: usize) -> usize {
        self.least_beside(zone, 0.0)
    }

    /// The fewest endpoints that can carry what a zone sends besides this load on each.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of endpoints, or more than there can be"
    )]
    pub(super) fn least_beside(&self, zone: usize, load: f64) -> usize {
        let room = (self.cap - load).max(f64::MIN_POSITIVE);
        (self.demand[zone] / room).ceil().max(1.0) as usize
    }

    /// No plan under the cap has a higher in-zone share than this (docs/planner.md 8).
    pub fn bound(&self) -> f64 {
        let of_zone = |zone: usize| {
            self.demand[zone] * (float(self.own(zone)) / float(self.least(zone))).min(1.0)
        };
        self.senders().map(of_zone).sum()
    }

    /// How good a distribution is.
    pub fn score(&self, tally: &Tally) -> Score {
        let Load { overload, in_zone } = tally.load(&self.demand);
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
