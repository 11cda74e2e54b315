//! Help: what would keep a zone local: more endpoints, or another guard (docs/planner.md 8.9). It is
//! computed where a user asks, never for every plan.

use super::{
    counts::{Names, TOLERANCE, Tally, float},
    distribute,
    keep::percent,
    limits::Scope,
    problem::Problem,
    request::Request,
    terms::terms,
    zones::Zones,
};
use crate::model::policy::Guard;

/// The zone that is not local, with all that a new plan of the Service would be made from.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What is requested.
    pub request: &'a Request,
    /// All zones.
    pub zones: &'a Zones,
    /// The ready endpoints.
    pub tally: &'a Tally,
    /// The number of the zone.
    pub zone: usize,
}

/// How far above the least limit that can be enough others are tried, in percent.
const ABOVE: [u16; 5] = [0, 1, 10, 30, 100];

impl Asked<'_> {
    /// The fewest endpoints with which a new plan would keep the zone local, if they were added there.
    /// `None` if its fair share of endpoints would not, or if the zone is not local for another reason
    /// than the number of endpoints.
    pub fn missing(self) -> Option<usize> {
        if !self.is_of_numbers() {
            return None;
        }
        let most = self.most();
        let least = (1..=most).find(|more| self.may_be_strict_with(*more))?;
        let mut tried = least - 1;
        for step in Steps::new() {
            let next = (least - 1).saturating_add(step).min(most);
            if next > tried && self.is_strict_with(next) {
                // What was tried before is not enough, and what lies between may be.
                return (tried + 1..=next).find(|count| self.is_strict_with(*count));
            }
            if next == most {
                return None;
            }
            tried = next;
        }
        None
    }

    /// A `maxOverloadPercent` up to `most` with which a new plan would keep the zone local as it is.
    /// `None` without a guard, or if none that was tried would.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the limit is from 0 to `most`"
    )]
    pub fn enough_overload(self, most: u16) -> Option<u16> {
        let guard = self.request.guard.filter(|_| self.is_of_numbers())?;
        let own = self.own();
        if own == 0 {
            return None;
        }
        let alone = self.sent() * float(self.tally.len()) / float(own) - 1.0;
        let least = (alone * 100.0 - TOLERANCE).ceil();
        if least > f64::from(most) {
            return None;
        }
        let least = (least.max(0.0) as u16).max(guard.max_overload.saturating_add(1));
        let limits = ABOVE.into_iter().map(|above| least.saturating_add(above));
        let mut limits = limits.filter(|limit| *limit <= most);
        limits.find(|limit| self.is_strict_under(Guard { max_overload: *limit, ..guard }))
    }

    /// A `minEndpointsPerZone` with which a new plan would keep the zone local as it is. `None` if that
    /// of the guard does not stand against it.
    pub fn low_minimum(self) -> Option<u32> {
        let guard = self.request.guard.filter(|_| self.is_of_numbers())?;
        let own =
            u32::try_from(self.own()).ok().filter(|own| (1..guard.min_per_zone).contains(own))?;
        self.is_strict_under(Guard { min_per_zone: own, ..guard }).then_some(own)
    }

    /// Whether the zone is to be kept local at all.
    fn is_of_numbers(self) -> bool {
        let Some(name) = self.zones.names().get(self.zone) else { return false };
        let rollout = self.request.rollout.as_ref();
        rollout.is_none_or(|zones| zones.contains(name)) && !self.request.evacuated.contains(name)
    }

    /// The part of all traffic that the zone sends.
    fn sent(self) -> f64 {
        self.zones.demand()[self.zone]
    }

    /// Its own endpoints.
    fn own(self) -> usize {
        self.tally.origins(self.zones.named())[self.zone]
    }

    /// With so many more, the zone has its fair share, and as many endpoints as the guard requires.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of endpoints"
    )]
    fn most(self) -> usize {
        let own = self.own();
        let sent = self.sent().min(1.0 - f64::EPSILON);
        let fair = (sent * float(self.tally.len()) - float(own)) / (1.0 - sent);
        let least = self.request.guard.map_or(0, |guard| guard.min_per_zone as usize);
        (fair.ceil().max(1.0) as usize).max(least.saturating_sub(own))
    }

    /// Whether so many more endpoints can be enough: the minimum is reached, and what the zone sends
    /// is within the limit on its own endpoints. That is far cheaper than a plan.
    fn may_be_strict_with(self, more: usize) -> bool {
        let Some(guard) = self.request.guard else { return true };
        let own = self.own() + more;
        let limit = (1.0 + percent(guard.max_overload)) * float(own);
        own >= guard.min_per_zone as usize
            && self.sent() * float(self.tally.len() + more) <= limit + TOLERANCE
    }

    /// Whether a new plan under another guard keeps the zone local.
    fn is_strict_under(self, guard: Guard) -> bool {
        let request = Request { guard: Some(guard), ..self.request.clone() };
        Asked { request: &request, ..self }.is_strict_with(0)
    }

    /// Whether a new plan keeps the zone local with so many more endpoints there.
    fn is_strict_with(self, more: usize) -> bool {
        let count = self.zones.named();
        let mut tally = Tally::default();
        for (origin, _, count) in self.tally.iter() {
            tally.add(origin, origin.map(Names::only).unwrap_or_default(), count);
        }
        if more > 0 {
            tally.add(Some(self.zone), Names::only(self.zone), more);
        }
        let own = tally.origins(count);
        let cap = self.request.guard.map(|guard| percent(guard.max_overload));
        let terms = terms(self.request, self.zones, &own, tally.len(), cap);
        let Some(cap) = cap else { return terms[self.zone].scope == Scope::Free };
        let scopes: Vec<Scope> = terms.iter().map(|term| term.scope).collect();
        let problem = Problem::scoped(&self.zones.demand()[..count], &scopes, tally, cap);
        let named = distribute(&problem).named(count)[self.zone];
        named.all > 0 && named.all == named.own
    }
}

/// 1, 2, 3, 5, 8 and so on.
struct Steps(usize, usize);

impl Steps {
    fn new() -> Self {
        Self(1, 2)
    }
}

impl Iterator for Steps {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let Self(this, next) = *self;
        *self = Self(next, this.saturating_add(next));
        Some(this)
    }
}
