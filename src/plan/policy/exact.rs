//! Exact: the optimum of a small problem.
//!
//! The in-zone share depends only on how many endpoints name each zone, and how many of those are
//! its own. So these numbers are tried in descending order of the share, and for each of them all
//! distributions that have them, by [`Spread`]. The first numbers with a distribution under the cap
//! are the optimum, and all others with the same share are compared with them (docs/planner.md 8.1).

use std::cell::RefCell;

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
    let options: Vec<RefCell<Options<'_>>> =
        senders.iter().map(|zone| RefCell::new(Options::new(problem, *zone))).collect();
    let option = |at: usize, place: usize| options.get(at)?.borrow_mut().get(place);
    let value = |at: usize, place: usize| option(at, place).map(|(share, _)| share);
    let mut spread = Spread::new(problem, &senders, STEPS);
    let mut reached = f64::NEG_INFINITY;
    for (share, places) in Best::of(senders.len(), value, [0; MAX_SENDERS]) {
        if share < reached - TOLERANCE || !spread.has_steps() {
            break;
        }
        let mut numbers = Numbers::default();
        for (at, place) in places.into_iter().enumerate() {
            numbers[at] = option(at, place).map(|(_, named)| named).unwrap_or_default();
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

/// How many endpoints may name a zone, with the share of all traffic that stays there then, the highest
/// first. They are put in order as far as they are asked for.
struct Options<'p> {
    problem: &'p Problem,
    zone: usize,
    /// How many endpoints must name it at least.
    least: usize,
    /// How many endpoints are not its own.
    others: usize,
    /// For each number of own endpoints, the best option that is not in order yet.
    next: Vec<Option<(f64, Named)>>,
    ordered: Vec<(f64, Named)>,
}

impl<'p> Options<'p> {
    fn new(problem: &'p Problem, zone: usize) -> Self {
        let (least, own) = (problem.least(zone), problem.own(zone));
        let (next, ordered) = (Vec::new(), Vec::new());
        let others = problem.total() - own;
        let mut of = Self { problem, zone, least, others, next, ordered };
        of.next = (0..=own).map(|own| of.option(own, 0)).collect();
        of
    }

    /// The best option with so many own endpoints and at least so many others.
    fn option(&self, own: usize, others: usize) -> Option<(f64, Named)> {
        let mut options = (others..=self.others).map(|others| Named { all: own + others, own });
        let is_allowed =
            |named: &Named| named.all >= self.least && self.problem.may_be(self.zone, *named);
        let named = options.find(is_allowed)?;
        let part = float(named.own) / float(named.all);
        Some((self.problem.demand()[self.zone] * part, named))
    }

    fn get(&mut self, place: usize) -> Option<(f64, Named)> {
        while self.ordered.len() <= place {
            let of_own = self.next.iter().flatten();
            let best = of_own.max_by(|(one, _), (other, _)| one.total_cmp(other)).copied()?;
            self.ordered.push(best);
            let Named { all, own } = best.1;
            self.next[own] = self.option(own, all - own + 1);
        }
        self.ordered.get(place).copied()
    }
}
