//! Keep: whether a plan in force stays, by numbers alone (docs/planner.md 8.5). So a change of one
//! endpoint costs as much as there are different sets of names.

use super::{
    counts::{Names, TOLERANCE, Tally},
    limits::{Limits, Scope},
    problem::MAX_NAMES,
    request::Request,
    terms::{Term, terms},
    zones::Zones,
};
use crate::model::policy::Key;

/// How much more traffic must stay in its zone for a plan in force to be given up.
pub const GAIN: f64 = 0.05;

/// Whether a plan in force stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It stays, and no plan can be better enough.
    Stays,
    /// It stays unless a search finds a plan that is better enough, after the time of `hold`.
    Question,
    /// It must be replaced at once.
    Ends,
}

/// Whether the names in force of the ready endpoints stay. Of those that are new, the names count that
/// they will have. Without a guard nothing is kept, since hints follow from the endpoints alone.
pub fn keeps(request: &Request, zones: &Zones, in_force: &Tally) -> Keeping {
    let Some(guard) = request.guard else { return Keeping::Ends };
    let demand = &zones.demand()[..zones.named()];
    let load = in_force.load(demand);
    if load.overload > percent(guard.release_overload) + TOLERANCE {
        return Keeping::Ends;
    }
    let own = in_force.origins(zones.named());
    let total = in_force.len();
    let under = |cap: u16| terms(request, zones, &own, total, Some(percent(cap)));
    let kept = under(guard.release_overload);
    if !holds(&kept, in_force) {
        return Keeping::Ends;
    }
    // No plan has more than all.
    let better = load.in_zone + GAIN - TOLERANCE;
    if demand.iter().sum::<f64>() < better {
        return Keeping::Stays;
    }
    // What is decided about a zone depends on the limit only if it may be named in an area.
    let is_area = |key: &Key| !matches!(key, Key::Node | Key::Zone);
    let new = if request.keys.iter().any(is_area) { under(guard.max_overload) } else { kept };
    let limits =
        Limits::new(demand, |zone| new[zone].scope, own, total, percent(guard.max_overload));
    if limits.bound() < better { Keeping::Stays } else { Keeping::Question }
}

/// Whether every zone is named as these terms request.
pub fn holds(terms: &[Term], in_force: &Tally) -> bool {
    let total = in_force.len();
    let named = in_force.named(terms.len());
    let is_full = in_force.iter().any(|(_, names, _)| names.len() >= MAX_NAMES);
    terms.iter().enumerate().all(|(zone, term)| {
        let is_wide = named[zone].all == total || (named[zone].all == 0 && is_full);
        match term.scope {
            Scope::Free => named[zone].all > 0 || is_full,
            Scope::All => is_wide,
            Scope::Among(area) => is_wide || names_area(in_force, zone, area),
        }
    })
}

/// Whether all endpoints of the area name the zone.
fn names_area(in_force: &Tally, zone: usize, area: Names) -> bool {
    let is_in = |origin: Option<usize>| origin.is_some_and(|at| area.has(at));
    in_force.iter().all(|(origin, names, _)| !is_in(origin) || names.has(zone))
}

/// A percentage as a part.
pub fn percent(percent: u16) -> f64 {
    f64::from(percent) / 100.0
}
