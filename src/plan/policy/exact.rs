//! Exact: the optimum of a small problem.
//!
//! The in-zone share depends only on how many endpoints name each zone, and how many of those are
//! its own. So these numbers are tried in descending order of the share, and for each of them all
//! distributions that have them. The first numbers with a distribution under the cap are the
//! optimum, and all others with the same share are compared with them (docs/planner.md 8.1).

use super::{
    best::Best,
    counts::{Named, Names, TOLERANCE, Tally, float},
    problem::{MAX_NAMES, Problem, Score, Start},
};

/// The most zones that send.
const MAX_SENDERS: usize = 3;
/// The most endpoints.
const MAX_ENDPOINTS: usize = 12;
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
    let mut search = Search { problem, senders: &senders, best: None, steps: STEPS };
    for (share, places) in Best::of(&values) {
        if search.best.as_ref().is_some_and(|(best, _)| share < best.in_zone - TOLERANCE) {
            break;
        }
        let named = places.iter().zip(&options).map(|(place, options)| options[*place]);
        search.try_numbers(&named.collect::<Vec<_>>());
        if search.steps == 0 {
            break;
        }
    }
    let is_optimum = search.steps > 0;
    search.best.map(|(_, tally)| Found { tally, is_optimum })
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
    let mut options = Vec::new();
    for own in 0..=own {
        for other in 0..=others {
            let named = Named { all: own + other, own };
            if named.all >= problem.least(zone) && problem.may_be(zone, named) {
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

struct Search<'p> {
    problem: &'p Problem,
    senders: &'p [usize],
    best: Option<(Score, Tally)>,
    /// How many steps are left.
    steps: usize,
}

/// A set of names that an endpoint may have, and which of the zones that send are in it.
type Set = (Names, u8);

impl Search<'_> {
    /// Compares all distributions with these numbers with the best one so far.
    fn try_numbers(&mut self, named: &[Named]) {
        let problem = self.problem;
        let each = |(zone, named): (&usize, &Named)| problem.demand()[*zone] / float(named.all);
        let each: Vec<f64> = self.senders.iter().zip(named).map(each).collect();
        // Zones of which no two fit on one endpoint need different ones.
        let alone = each.iter().zip(named).filter(|(each, _)| **each > problem.cap() / 2.0);
        if alone.map(|(_, named)| named.all).sum::<usize>() > problem.total() {
            return;
        }
        let carried = |set: u8| -> f64 {
            each.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, each)| each).sum()
        };
        let fitting: Vec<(u8, f64)> = (0..1_u8 << each.len())
            .map(|set| (set, carried(set)))
            .filter(|(_, carried)| *carried <= problem.cap())
            .collect();
        let own: Vec<usize> = named.iter().map(|named| named.own).collect();
        let others: Vec<usize> = named.iter().map(|named| named.all - named.own).collect();
        let mut walk = Walk { fitting: &fitting, own, others, tally: Vec::new() };
        self.origin(&mut walk, 0);
    }

    /// Gives names to the endpoints of the origins from `at` on.
    fn origin(&mut self, walk: &mut Walk<'_>, at: usize) {
        let Some(start) = self.problem.origins().get(at).copied() else {
            if walk.own.iter().chain(&walk.others).all(|left| *left == 0) {
                self.compare(walk);
            }
            return;
        };
        let of_sender = |zone: &usize| start.origin == Some(*zone);
        let sender = self.senders.iter().position(of_sender);
        let sets: Vec<Set> = walk
            .fitting
            .iter()
            .filter(|(_, carried)| carried + start.load <= self.problem.cap())
            .map(|(set, _)| (self.names(start, *set), *set))
            .filter(|(names, _)| {
                names.len() <= MAX_NAMES && !names.and(self.problem.wide()).is_empty()
            })
            .collect();
        self.sets(walk, at, sender, &sets, start.count);
    }

    /// Gives `left` endpoints of one origin one of these sets each.
    fn sets(
        &mut self,
        walk: &mut Walk<'_>,
        at: usize,
        sender: Option<usize>,
        sets: &[Set],
        left: usize,
    ) {
        self.steps = self.steps.saturating_sub(1);
        if self.steps == 0 {
            return;
        }
        if left == 0 {
            // The own endpoints of a zone are all here.
            if sender.is_none_or(|sender| walk.own[sender] == 0) {
                self.origin(walk, at + 1);
            }
            return;
        }
        let Some(((names, set), rest)) = sets.split_first() else { return };
        let most = walk.room(sender, *set).min(left);
        for count in (0..=most).rev() {
            walk.take(sender, *set, count);
            walk.tally.push((at, *names, count));
            self.sets(walk, at, sender, rest, left - count);
            walk.tally.pop();
            walk.give_back(sender, *set, count);
        }
    }

    fn names(&self, start: Start, set: u8) -> Names {
        let chosen = self.senders.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        start.names.and(chosen.map(|(_, zone)| *zone).collect())
    }

    fn compare(&mut self, walk: &Walk<'_>) {
        let mut tally = Tally::default();
        for (at, names, count) in &walk.tally {
            let origin = self.problem.origins()[*at].origin;
            tally.add(origin, names.and(self.problem.wide()), *count);
        }
        let score = self.problem.score(&tally);
        let is_better = self.best.as_ref().is_none_or(|(best, of_best)| {
            score.beats(best) || (!best.beats(&score) && tally < *of_best)
        });
        if is_better {
            self.best = Some((score, tally));
        }
    }
}

/// A distribution that is being put together.
struct Walk<'s> {
    /// The sets of zones that send whose load fits under the cap, with that load.
    fitting: &'s [(u8, f64)],
    /// How many own endpoints of each zone must still name it.
    own: Vec<usize>,
    /// How many others must still name it.
    others: Vec<usize>,
    /// Place of the origin, names, number.
    tally: Vec<(usize, Names, usize)>,
}

impl Walk<'_> {
    /// How many more endpoints may have this set.
    fn room(&self, sender: Option<usize>, set: u8) -> usize {
        let left = |at: usize| if sender == Some(at) { self.own[at] } else { self.others[at] };
        let members = (0..self.own.len()).filter(|at| set >> at & 1 == 1);
        members.map(left).min().unwrap_or(usize::MAX)
    }

    fn take(&mut self, sender: Option<usize>, set: u8, count: usize) {
        self.each(sender, set, |left| *left -= count);
    }

    fn give_back(&mut self, sender: Option<usize>, set: u8, count: usize) {
        self.each(sender, set, |left| *left += count);
    }

    fn each(&mut self, sender: Option<usize>, set: u8, change: impl Fn(&mut usize)) {
        for at in (0..self.own.len()).filter(|at| set >> at & 1 == 1) {
            change(if sender == Some(at) { &mut self.own[at] } else { &mut self.others[at] });
        }
    }
}
