//! Help: how many more endpoints would keep a zone local (docs/planner.md 8.9). It is computed where
//! a user asks, never for every plan.

use super::{
    counts::{Names, Tally, float},
    distribute,
    keep::percent,
    limits::Scope,
    problem::Problem,
    request::Request,
    terms::terms,
    zones::Zones,
};

/// The fewest endpoints with which a new plan would keep a zone local, if they were added there.
/// `None` if its fair share of endpoints would not, or if the zone is not local for another reason
/// than the number of endpoints. `tally` has the ready endpoints.
pub fn missing(request: &Request, zones: &Zones, tally: &Tally, zone: usize) -> Option<usize> {
    let name = zones.names().get(zone)?;
    let is_pending = request.rollout.as_ref().is_some_and(|zones| !zones.contains(name));
    if is_pending || request.evacuated.contains(name) {
        return None;
    }
    let asked = Asked { request, zones, tally, zone };
    let most = asked.most();
    let mut tried = 0;
    for next in Steps::new() {
        let next = next.min(most);
        if next > tried && asked.is_strict_with(next) {
            // What was tried before is not enough, and what lies between may be.
            return (tried + 1..=next).find(|count| asked.is_strict_with(*count));
        }
        if next == most {
            return None;
        }
        tried = next;
    }
    None
}

struct Asked<'a> {
    request: &'a Request,
    zones: &'a Zones,
    tally: &'a Tally,
    zone: usize,
}

impl Asked<'_> {
    /// With so many more, the zone has its fair share, and as many endpoints as the guard requires.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of endpoints"
    )]
    fn most(&self) -> usize {
        let own = self.tally.origins(self.zones.named())[self.zone];
        let sent = self.zones.demand()[self.zone].min(1.0 - f64::EPSILON);
        let fair = (sent * float(self.tally.len()) - float(own)) / (1.0 - sent);
        let least = self.request.guard.map_or(0, |guard| guard.min_per_zone as usize);
        (fair.ceil().max(1.0) as usize).max(least.saturating_sub(own))
    }

    /// Whether a new plan keeps the zone local with so many more endpoints there.
    fn is_strict_with(&self, more: usize) -> bool {
        let count = self.zones.named();
        let mut tally = Tally::default();
        for (origin, _, count) in self.tally.iter() {
            tally.add(origin, origin.map(Names::only).unwrap_or_default(), count);
        }
        tally.add(Some(self.zone), Names::only(self.zone), more);
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
