//! Keep: whether a plan in force stays, by numbers alone (docs/planner.md 8.5). So a change of one
//! endpoint costs as much as there are different sets of names.

use std::time::Duration;

use super::{
    counts::{Load, Names, TOLERANCE, Tally},
    explain,
    limits::{Limits, Scope},
    outcome::Outcome,
    problem::{MAX_NAMES, Problem},
    request::Request,
    searches::Searches,
    terms::{Givens, Term, terms},
    zones::Zones,
};
use crate::model::policy::{Guard, Key};

/// How much more traffic must stay in its zone for a plan in force to be given up.
const GAIN: f64 = 0.05;

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

/// The names in force of all ready endpoints of a group.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'f> {
    /// The names. Where there are no hints, every endpoint serves every zone.
    pub names: &'f Tally,
    /// Whether there are hints at all.
    pub is_written: bool,
    /// How long they have stood; `None` stands for long enough.
    pub stood: Option<Duration>,
}

/// The plan in force, if it stays as it is. What an endpoint names that is new does not follow from
/// numbers, so there is none.
pub fn kept(
    request: &Request,
    zones: &Zones,
    searches: &Searches,
    in_force: InForce<'_>,
) -> Option<Outcome> {
    let guard = request.guard?;
    let InForce { names, is_written, stood } = in_force;
    let count = zones.named();
    let demand = &zones.demand()[..count];
    let (own, cap) = (names.origins(count), percent(guard.max_overload));
    let terms = terms(request, zones, &own, names.len(), Some(cap));
    let givens = Givens { request, zones, own: &own, terms: &terms };
    let load = names.load(demand);
    let is_held = match keeps(givens, guard, names, load) {
        Keeping::Ends => return None,
        Keeping::Stays => false,
        Keeping::Question => {
            let scopes: Vec<Scope> = terms.iter().map(|term| term.scope).collect();
            let now = if is_written { names.clone() } else { names.all_own() };
            let fresh = searches.distribute(&Problem::scoped(demand, &scopes, now, cap));
            let is_held = is_narrower(fresh.load(demand), load);
            if is_held && !waits(guard, stood) {
                return None;
            }
            is_held
        }
    };
    let zones = explain::zones(givens, names, is_written, is_held);
    let tally = if is_written { names.clone() } else { names.unnamed() };
    let load = if is_written { load } else { tally.load(demand) };
    let (causes, node_load) = (Vec::new(), None);
    Some(Outcome { zones, causes, is_kept: true, is_held, tally, load, node_load })
}

/// Whether the names in force of the ready endpoints stay, which lead to this load. Of those that are
/// new, the names count that they will have.
pub fn keeps(givens: Givens<'_>, guard: Guard, in_force: &Tally, load: Load) -> Keeping {
    let Givens { request, zones, own, terms: new } = givens;
    let demand = &zones.demand()[..zones.named()];
    if load.overload > percent(guard.release_overload) + TOLERANCE {
        return Keeping::Ends;
    }
    let total = in_force.len();
    // What is decided about a zone depends on the limit only if it may be named in an area.
    let is_area = |key: &Key| !matches!(key, Key::Node | Key::Zone);
    let holds = if request.keys.iter().any(is_area) {
        let cap = percent(guard.release_overload);
        holds(&terms(request, zones, own, total, Some(cap)), in_force)
    } else {
        holds(new, in_force)
    };
    if !holds {
        return Keeping::Ends;
    }
    // No plan has more than all.
    let better = load.in_zone + GAIN - TOLERANCE;
    if demand.iter().sum::<f64>() < better {
        return Keeping::Stays;
    }
    let cap = percent(guard.max_overload);
    let limits = Limits::new(demand, |zone| new[zone].scope, own.to_vec(), total, cap);
    if limits.bound() < better { Keeping::Stays } else { Keeping::Question }
}

/// Whether so much more traffic stays in its zone by a new plan that the one in force is given up.
pub fn is_narrower(new: Load, in_force: Load) -> bool {
    new.in_zone >= in_force.in_zone + GAIN - TOLERANCE
}

/// Whether a narrower plan must wait, as the one in force has not stood long enough.
pub fn waits(guard: Guard, stood: Option<Duration>) -> bool {
    stood.is_some_and(|stood| stood < guard.hold)
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
