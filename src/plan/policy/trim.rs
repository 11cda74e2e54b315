//! Trim: leaves zones out of a distribution that has too many names (docs/planner.md 8.1).

use super::{
    counts::{Names, Tally},
    problem::MAX_NAMES,
};

/// The same distribution with at most 8 names on each endpoint.
pub fn trim(demand: &[f64], tally: Tally) -> Tally {
    let left_out = left_out(demand, tally.iter().map(|(_, names, _)| names));
    if left_out.is_empty() {
        return tally;
    }
    let mut trimmed = Tally::default();
    for (origin, names, count) in tally.iter() {
        trimmed.add(origin, without(names, left_out), count);
    }
    trimmed
}

/// The zones that must be left out of these sets of names. A zone that all endpoints name is left out
/// of every one of them if it does not fit on all, which sends its clients to the same endpoints. Of
/// such zones, those that send least are left out.
pub fn left_out(demand: &[f64], sets: impl Iterator<Item = Names> + Clone) -> Names {
    if sets.clone().all(|names| names.len() <= MAX_NAMES) {
        return Names::default();
    }
    let wide = sets.clone().reduce(Names::both).unwrap_or_default();
    let most = sets.map(|names| names.without(wide).len()).max().unwrap_or_default();
    let room = MAX_NAMES.saturating_sub(most);
    let mut order: Vec<usize> = wide.iter().collect();
    order.sort_by(|one, other| demand[*other].total_cmp(&demand[*one]));
    order.into_iter().skip(room).collect()
}

/// Names without these zones. If none is left, it is the placeholder, since one endpoint without names
/// turns all zones off.
pub fn without(names: Names, left_out: Names) -> Names {
    let names = names.without(left_out);
    if names.is_empty() { Names::PLACEHOLDER } else { names }
}
