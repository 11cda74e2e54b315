//! Exact: the optimum of a small problem.
//!
//! The in-zone share depends only on how many endpoints name each zone, and how many of those are
//! its own. So these numbers are tried in descending order of the share, and for each of them all
//! distributions that have them, by [`Spread`]. The first numbers with a distribution under the cap
//! are the optimum, and all others with the same share are compared with them (docs/planner.md 8.1).

use super::{
    best::Best,
    counts::{Named, TOLERANCE, Tally, float},
    problem::Problem,
    spread::{MAX_ENDPOINTS, MAX_SENDERS, Numbers, Spread},
};

/// How many steps a search may take. With up to 6 endpoints it needs far fewer.
const STEPS: usize = 400_000;

/// The best distribution that is found. `None` if the problem is not small.
pub fn search(problem: &Problem) -> Option<Found> {
    let senders: Vec<usize> = problem.senders().collect();
    if senders.is_empty() || senders.len() > MAX_SENDERS || problem.total() > MAX_ENDPOINTS {
        return None;
    }
    let options: Vec<Vec<Named>> = senders.iter().map(|zone| options(problem, *zone)).collect();
    let value = |(zone, options): (&usize, &Vec<Named>)| {
        options.iter().map(|named| share(problem, *zone, *named)).collect()
    };
    let values: Vec<Vec<f64>> = senders.iter().zip(&options).map(value).collect();
    let mut spread = Spread::new(problem, &senders, STEPS);
    let mut reached = f64::NEG_INFINITY;
    for (share, places) in Best::of(&values, [0; MAX_SENDERS]) {
        if share < reached - TOLERANCE || !spread.has_steps() {
            break;
        }
        let mut numbers = Numbers::default();
        for (zone, options) in options.iter().enumerate() {
            numbers[zone] = options[places[zone]];
        }
        spread.try_numbers(&numbers);
        if spread.has_found() {
            reached = reached.max(share);
        }
    }
    let is_optimum = spread.has_steps();
    spread.found().map(|tally| Found { tally, is_optimum })
}

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// The best distribution so far.
    pub tally: Tally,
    /// Whether all that could be better has been tried.
    pub is_optimum: bool,
}

/// How many endpoints may name a zone, the highest share first.
fn options(problem: &Problem, zone: usize) -> Vec<Named> {
    let own = problem.own(zone);
    let others = problem.total() - own;
    let least = problem.least(zone);
    let mut options = Vec::with_capacity((own + 1) * (others + 1));
    for own in 0..=own {
        for other in 0..=others {
            let named = Named { all: own + other, own };
            if named.all >= least && problem.may_be(zone, named) {
                options.push(named);
            }
        }
    }
    let share = |named: &Named| share(problem, zone, *named);
    options.sort_by(|one, other| share(other).total_cmp(&share(one)));
    options
}

fn share(problem: &Problem, zone: usize, named: Named) -> f64 {
    problem.demand()[zone] * float(named.own) / float(named.all)
}
