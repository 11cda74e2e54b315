//! Explain: what becomes of the traffic of each zone, and why (docs/planner.md 8.2, 8.3).

use super::{
    counts::{Named, Origin, Tally, float},
    limits::Scope,
    outcome::{Cause, Rung, ZoneOutcome},
    problem::MAX_NAMES,
    terms::{Givens, Term},
};

/// What becomes of each zone, by number, if the endpoints that traffic should reach have these names.
/// If they send every zone to all endpoints, they may be meant without being written. `waits` says
/// whether a better plan waits.
pub fn zones(givens: Givens<'_>, tally: &Tally, is_written: bool, waits: bool) -> Vec<ZoneOutcome> {
    let Givens { zones, own, terms, request: _ } = givens;
    let count = zones.named();
    let explained = Explained {
        tally,
        total: tally.len(),
        waits,
        named: tally.named(count),
        is_off: tally.iter().any(|(_, names, _)| names.is_empty()),
        is_full: is_written && tally.iter().any(|(_, names, _)| names.len() >= MAX_NAMES),
    };
    let names = zones.names().iter().zip(zones.demand()).enumerate();
    names
        .map(|(zone, (name, demand))| {
            let own = own.get(zone).copied().unwrap_or_default();
            let (reached, kept) = explained.reached(zone, own);
            let (rung, cause) = explained.why(zone, own, terms.get(zone));
            let in_zone = if reached > 0 { float(kept) / float(reached) } else { 0.0 };
            let (name, demand) = (name.clone(), *demand);
            ZoneOutcome { name, demand, own, reached, in_zone, rung, cause }
        })
        .collect()
}

struct Explained<'t> {
    tally: &'t Tally,
    total: usize,
    named: Vec<Named>,
    /// Whether a better plan waits.
    waits: bool,
    /// Whether readers ignore all zones.
    is_off: bool,
    /// Whether an endpoint has no room for another name.
    is_full: bool,
}

impl Explained<'_> {
    /// The endpoints that name a zone; `None` if all serve it.
    fn narrow(&self, zone: usize) -> Option<Named> {
        let named = self.named.get(zone).copied().filter(|named| named.all > 0);
        named.filter(|named| !self.is_off && named.all < self.total)
    }

    /// How many endpoints the clients of a zone reach, and how many of these are its own.
    fn reached(&self, zone: usize, own: usize) -> (usize, usize) {
        self.narrow(zone).map_or((self.total, own), |named| (named.all, named.own))
    }

    fn why(&self, zone: usize, own: usize, term: Option<&Term>) -> (Rung, Cause) {
        let Some(term) = term else { return (Rung::Cluster, Cause::TooManyZones) };
        if self.total == 0 {
            let is_evacuated = term.cause == Cause::Evacuated;
            let cause = if is_evacuated { Cause::Evacuated } else { Cause::NothingReady };
            return (Rung::Cluster, cause);
        }
        let Some(named) = self.narrow(zone) else { return self.why_all(zone, own, term) };
        let (rung, cause) = match (named.all - named.own, term.scope) {
            (0, _) => (Rung::Strict, Cause::Applied),
            (_, Scope::Among(_)) => (Rung::Region, Cause::Applied),
            (_, _) if self.is_lent(zone) => (Rung::Lent, Cause::Lent),
            (foreign, _) => (Rung::Widened(foreign), Cause::Widened),
        };
        (rung, if term.cause == Cause::Applied { cause } else { term.cause })
    }

    /// Why the clients of a zone reach all endpoints.
    fn why_all(&self, zone: usize, own: usize, term: &Term) -> (Rung, Cause) {
        let is_left_out = self.named[zone].all == 0 && self.is_full && !self.is_off;
        let cause = match term.cause {
            Cause::Evacuated | Cause::NoPreference | Cause::RolloutPending => term.cause,
            _ if own == self.total => return (Rung::Strict, Cause::Applied),
            _ if self.is_off => Cause::EndpointWithoutZone,
            _ if is_left_out => Cause::TooManyZones,
            Cause::Applied if self.waits => Cause::Held,
            Cause::Applied => Cause::OverloadExceeded,
            other => other,
        };
        (Rung::Cluster, cause)
    }

    /// Whether the foreign endpoints that name a zone do not name their own.
    fn is_lent(&self, zone: usize) -> bool {
        let foreign = |(origin, names, _): &(Origin, super::counts::Names, usize)| {
            *origin != Some(zone) && names.has(zone)
        };
        let mut foreign = self.tally.iter().filter(foreign);
        foreign.all(|(origin, names, _)| origin.is_none_or(|own| !names.has(own)))
    }
}
