//! Ladder: names for any number of endpoints, with a fixed budget (docs/planner.md 8.1).
//!
//! A plan is described by how many foreign endpoints each zone names. The first attempt gives every
//! zone only as many as it needs to carry its traffic, which no plan can beat. Where that does not
//! fit, zones that are named everywhere are narrowed one after the other, and then combinations
//! that would be better are tried, the best first. What a description needs is put together by
//! [`Pack`], which shares endpoints where their load allows it and lends them where it does not.

use super::{
    best::Best,
    counts::{Names, TOLERANCE, Tally, float},
    pack::Pack,
    polish::polish,
    problem::{Problem, Score},
};

/// How many combinations are tried.
const TRIES: usize = 2_000;
/// How many numbers of foreign endpoints are tried for each zone.
const OPTIONS: usize = 12;

/// The best distribution that is found.
pub fn search(problem: &Problem) -> Tally {
    let senders: Vec<usize> = problem.senders().collect();
    if senders.is_empty() {
        return everywhere(problem);
    }
    let least: Vec<usize> = senders.iter().map(|zone| problem.least_foreign(*zone)).collect();
    if let Some(tally) = Pack::of(problem, &senders, &least) {
        return polish(problem, tally);
    }
    let options: Vec<Vec<usize>> =
        senders.iter().zip(&least).map(|(zone, least)| options(problem, *zone, *least)).collect();
    let mut best = Candidate::new(problem, everywhere(problem));
    for order in orders(problem, &senders) {
        best.improve(narrow(problem, &senders, &options, &order));
        for wide in 1..senders.len() {
            let foreign = beside_wide(problem, &senders, &order[..wide]);
            best.improve(Pack::of(problem, &senders, &foreign));
        }
    }
    let value = |at: usize, option: usize| {
        options[at].get(option).map(|foreign| share(problem, senders[at], *foreign))
    };
    let first = vec![0; senders.len()];
    let decided = problem.decided();
    for (share, places) in Best::of(senders.len(), value, first).take(TRIES) {
        if decided + share < best.score.in_zone - TOLERANCE {
            break;
        }
        let foreign: Vec<usize> = places.iter().zip(&options).map(|(at, of)| of[*at]).collect();
        best.improve(Pack::of(problem, &senders, &foreign));
    }
    polish(problem, best.tally)
}

/// The plan in which every endpoint names all zones that the search decides about. If it decides
/// about all, it is even.
pub fn everywhere(problem: &Problem) -> Tally {
    let senders: Names = problem.senders().collect();
    let mut tally = Tally::default();
    for start in problem.origins() {
        tally.add(start.origin, start.names.and(senders).and(problem.wide()), start.count);
    }
    tally
}

/// How many foreign endpoints a zone may name: few, then ever larger steps, then all.
fn options(problem: &Problem, zone: usize, least: usize) -> Vec<usize> {
    let all = problem.total() - problem.own(zone);
    let mut options = Vec::new();
    let mut next = least;
    while next < all && options.len() < OPTIONS {
        options.push(next);
        let is_far = options.len() > OPTIONS / 2;
        next += if is_far { (next / 2).max(1) } else { 1 };
    }
    options.push(all);
    options
}

/// The part of all traffic that stays in a zone which names all its own endpoints and this many
/// others.
fn share(problem: &Problem, zone: usize, foreign: usize) -> f64 {
    let own = problem.own(zone);
    if own + foreign == 0 {
        return 0.0;
    }
    problem.demand()[zone] * float(own) / float(own + foreign)
}

/// Orders in which zones are narrowed, by their places among `senders`.
fn orders(problem: &Problem, senders: &[usize]) -> [Vec<usize>; 3] {
    let by = |value: &dyn Fn(usize) -> f64| {
        let mut order: Vec<usize> = (0..senders.len()).collect();
        order.sort_by(|one, other| value(senders[*other]).total_cmp(&value(senders[*one])));
        order
    };
    let spare = |zone: usize| float(problem.own(zone)) / float(problem.least(zone));
    [by(&|zone| problem.demand()[zone]), by(&spare), by(&|zone| -spare(zone))]
}

/// Begins with all zones named everywhere, and narrows one after the other as far as possible.
fn narrow(
    problem: &Problem,
    senders: &[usize],
    options: &[Vec<usize>],
    order: &[usize],
) -> Option<Tally> {
    let mut foreign: Vec<usize> =
        options.iter().map(|options| options.last().copied().unwrap_or_default()).collect();
    let mut found = None;
    for at in order {
        let wide = foreign[*at];
        for option in &options[*at] {
            foreign[*at] = *option;
            let tally = Pack::of(problem, senders, &foreign);
            if tally.is_some() {
                found = tally;
                break;
            }
            foreign[*at] = wide;
        }
    }
    found
}

/// How many foreign endpoints each zone names if all name the zones at the places `wide`, and the
/// others share what is left of the cap.
fn beside_wide(problem: &Problem, senders: &[usize], wide: &[usize]) -> Vec<usize> {
    let total = problem.total();
    let sent: f64 = wide.iter().map(|at| problem.demand()[senders[*at]]).sum();
    let foreign = |(at, zone): (usize, &usize)| {
        let own = problem.own(*zone);
        let least = problem.least_beside(*zone, sent / float(total));
        let foreign = least.clamp(own, total) - own;
        if wide.contains(&at) { total - own } else { foreign.max(problem.least_foreign(*zone)) }
    };
    senders.iter().enumerate().map(foreign).collect()
}

/// The best distribution so far.
struct Candidate<'p> {
    problem: &'p Problem,
    tally: Tally,
    score: Score,
}

impl<'p> Candidate<'p> {
    fn new(problem: &'p Problem, tally: Tally) -> Self {
        Self { problem, score: problem.score(&tally), tally }
    }

    fn improve(&mut self, tally: Option<Tally>) {
        let Some(tally) = tally else { return };
        let score = self.problem.score(&tally);
        if score.beats(&self.score) {
            self.tally = tally;
            self.score = score;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::policy::limits::Scope, random::Random};

    /// Zones about which a search does not decide have a share, too. It must not end a search early.
    #[test]
    fn no_combination_that_is_tried_is_better_than_what_is_found() {
        let mut tried = 0;
        for seed in 0..200 {
            let problem = random(&mut Random::seeded(seed));
            let senders: Vec<usize> = problem.senders().collect();
            let least: Vec<usize> =
                senders.iter().map(|zone| problem.least_foreign(*zone)).collect();
            if senders.is_empty() || Pack::of(&problem, &senders, &least).is_some() {
                continue;
            }
            let found = problem.score(&search(&problem));
            let all = |(zone, least): (&usize, &usize)| options(&problem, *zone, *least);
            let options: Vec<Vec<usize>> = senders.iter().zip(&least).map(all).collect();
            let value = |at: usize, option: usize| {
                options[at].get(option).map(|foreign| share(&problem, senders[at], *foreign))
            };
            for (_, places) in Best::of(senders.len(), value, vec![0; senders.len()]).take(TRIES) {
                let foreign: Vec<usize> =
                    places.iter().zip(&options).map(|(at, of)| of[*at]).collect();
                let Some(tally) = Pack::of(&problem, &senders, &foreign) else { continue };
                tried += 1;
                let other = problem.score(&tally);
                assert!(!other.beats(&found), "{seed}: {other:?} beats {found:?}, {problem:?}");
            }
        }
        assert!(tried > 1_000, "{tried}");
    }

    /// Too few endpoints for every zone to be local, one of which all must name, with names in force as
    /// an earlier plan may have left them.
    fn random(random: &mut Random) -> Problem {
        let zones = random.within(3..=4) as usize;
        let mut in_force = Tally::default();
        for zone in 0..zones {
            let count = random.within(1..=8) as usize;
            let other = random.within(1..=zones.try_into().unwrap()) as usize - 1;
            in_force.add(Some(zone), Names::only(zone), count);
            in_force.add(Some(zone), Names::only(other), random.within(0..=2) as usize);
        }
        let mut scopes = vec![Scope::Free; zones];
        scopes[0] = if random.within(0..=1) == 0 {
            Scope::All
        } else {
            Scope::Among(Names::only(0).with(1))
        };
        let cap = f64::from(random.within(5..=20)) / 100.0;
        Problem::scoped(&vec![1.0 / float(zones); zones], &scopes, in_force, cap)
    }
}
