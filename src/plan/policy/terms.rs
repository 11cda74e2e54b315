//! Terms: what is decided about each zone before a search (docs/planner.md 8.3).

use super::{
    counts::{Names, TOLERANCE, float},
    limits::Scope,
    outcome::Cause,
    problem::MAX_NAMES,
    request::Request,
    zones::Zones,
};
use crate::model::policy::Key;

/// What is decided about one zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// What it is named by.
    pub scope: Scope,
    /// Why it is not kept local; [`Cause::Applied`] where nothing stands against it.
    pub cause: Cause,
}

/// What is decided about each zone that a plan can name, if `own` is the number of endpoints in each
/// of them and `total` that of all. Under a guard, `cap` is how far an endpoint may be above the even
/// share.
pub fn terms(
    request: &Request,
    zones: &Zones,
    own: &[usize],
    total: usize,
    cap: Option<f64>,
) -> Vec<Term> {
    let least = request.guard.map_or(0, |guard| guard.min_per_zone as usize);
    let (loads, counts) = (vec![0.0; own.len()], vec![0; own.len()]);
    let mut found = Search { request, zones, own, total, cap, least, loads, counts, placed: 0.0 };
    (0..zones.named()).map(|zone| found.term(zone)).collect()
}

/// What is given before a search: what is requested, how many endpoints are in each zone, and what is
/// decided about each.
#[derive(Clone, Copy)]
pub struct Givens<'g> {
    /// What is requested.
    pub request: &'g Request,
    /// The zones.
    pub zones: &'g Zones,
    /// How many endpoints are in each zone that a plan can name.
    pub own: &'g [usize],
    /// What is decided about each of them for a new plan.
    pub terms: &'g [Term],
}

struct Search<'s> {
    request: &'s Request,
    zones: &'s Zones,
    own: &'s [usize],
    total: usize,
    cap: Option<f64>,
    /// `minEndpointsPerZone`.
    least: usize,
    /// What zones that are named in their area send to each endpoint, by its zone.
    loads: Vec<f64>,
    /// How many of these zones each endpoint names.
    counts: Vec<usize>,
    /// What these zones send.
    placed: f64,
}

impl Search<'_> {
    fn term(&mut self, zone: usize) -> Term {
        let name = &self.zones.names()[zone];
        let is_evacuated = self.request.evacuated.contains(name);
        let is_pending =
            self.request.rollout.as_ref().is_some_and(|rolled_out| !rolled_out.contains(name));
        let keys = &self.request.keys;
        let prefers_zone = keys.contains(&Key::Zone);
        let own = self.own[zone];
        if !is_pending && prefers_zone && own >= self.least.max(1) {
            return Term { scope: Scope::Free, cause: Cause::Applied };
        }
        let cause = match () {
            () if is_evacuated => Cause::Evacuated,
            () if is_pending => Cause::RolloutPending,
            () if keys.is_empty() => Cause::NoPreference,
            () if prefers_zone && self.least > 0 => Cause::TooFewInZone,
            () if own == 0 => Cause::ZoneEmpty,
            () => Cause::Applied,
        };
        let scope = if is_pending { Scope::All } else { self.beyond(zone) };
        Term { scope, cause }
    }

    /// What a zone is named by that is not kept local.
    fn beyond(&mut self, zone: usize) -> Scope {
        let keys = &self.request.keys;
        let areas = keys.iter().filter(|key| !matches!(key, Key::Node | Key::Zone));
        for key in areas {
            if let Some(area) = self.area(zone, key) {
                return Scope::Among(area);
            }
        }
        let is_open = keys.contains(&Key::Zone) && self.least == 0 && self.cap.is_some();
        if is_open { Scope::Free } else { Scope::All }
    }

    /// The zones of the area of `zone`, if they have enough endpoints and room for what it sends.
    fn area(&mut self, zone: usize, key: &Key) -> Option<Names> {
        let of = self.zones.area(zone, key)?;
        let is_in = |at: &usize| self.own[*at] > 0 && self.zones.area(*at, key) == Some(of);
        let members: Vec<usize> = (0..self.own.len()).filter(is_in).collect();
        let count: usize = members.iter().map(|at| self.own[*at]).sum();
        // One name stays free for the own zone.
        let has_names = members.iter().all(|at| self.counts[*at] + 1 < MAX_NAMES);
        if count < self.least.max(1) || !has_names {
            return None;
        }
        let sent = self.zones.demand()[zone];
        let each = sent / float(count);
        let even = 1.0 / float(self.total);
        let rest = (1.0 - self.placed - sent).max(0.0) * even;
        let load = |at: usize| self.loads[at] + if members.contains(&at) { each } else { 0.0 };
        let busiest = (0..self.own.len()).map(load).fold(0.0, f64::max);
        if self.cap.is_some_and(|cap| busiest + rest > (1.0 + cap + TOLERANCE) * even) {
            return None;
        }
        for at in &members {
            self.loads[*at] += each;
            self.counts[*at] += 1;
        }
        self.placed += sent;
        Some(members.into_iter().collect())
    }
}
