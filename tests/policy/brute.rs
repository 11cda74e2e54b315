//! Brute: the optimum in the most naive way. It works on endpoints with a set of zones each, and
//! knows nothing of counts.

/// What a choice of sets amounts to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub in_zone: f64,
    pub changes: usize,
    pub overload: f64,
}

/// The best outcome for endpoints in these zones, with demand above zero in every zone. Every zone
/// must be named, and every endpoint must name one. Without hints in force, an endpoint that does
/// not name just its own zone counts as a change.
pub fn best(zones: &[usize], demand: &[f64], cap: f64) -> Outcome {
    let mut sets = vec![1_usize; zones.len()];
    let mut best: Option<Outcome> = None;
    loop {
        let outcome = outcome(zones, &sets, demand).filter(|it| it.overload <= cap + 1e-9);
        if let Some(outcome) = outcome
            && best.is_none_or(|best| is_better(outcome, best))
        {
            best = Some(outcome);
        }
        let Some(at) = sets.iter().position(|set| *set + 1 < 1 << demand.len()) else {
            return best.expect("the cluster-wide plan is under every cap");
        };
        sets[at] += 1;
        sets[..at].fill(1);
    }
}

fn outcome(zones: &[usize], sets: &[usize], demand: &[f64]) -> Option<Outcome> {
    let mut load = vec![0.0; zones.len()];
    let mut in_zone = 0.0;
    for (zone, sent) in demand.iter().enumerate() {
        let named: Vec<usize> = (0..sets.len()).filter(|at| sets[*at] & (1 << zone) != 0).collect();
        if named.is_empty() {
            return None;
        }
        for at in &named {
            load[*at] += sent / named.len() as f64;
            if zones[*at] == zone {
                in_zone += sent / named.len() as f64;
            }
        }
    }
    let highest = load.iter().copied().fold(0.0, f64::max);
    let changes = sets.iter().zip(zones).filter(|(set, zone)| **set != 1 << **zone).count();
    Some(Outcome { in_zone, changes, overload: highest * zones.len() as f64 - 1.0 })
}

fn is_better(one: Outcome, other: Outcome) -> bool {
    if (one.in_zone - other.in_zone).abs() > 1e-9 {
        return one.in_zone > other.in_zone;
    }
    if one.changes != other.changes {
        return one.changes < other.changes;
    }
    one.overload < other.overload - 1e-9
}
