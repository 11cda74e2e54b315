//! Spread: the best way to give names to the endpoints of a small problem, if it is known how many
//! endpoints name each zone, and how many of those are its own.
//!
//! All numbers are kept in arrays by zone and set, since this is the innermost part of a search.

use std::ops::RangeInclusive;

use super::{
    counts::{Named, Names, TOLERANCE, Tally, float},
    problem::{MAX_NAMES, Problem},
};

/// The most zones that send.
pub const MAX_SENDERS: usize = 3;
/// The most endpoints.
pub const MAX_ENDPOINTS: usize = 12;
/// How many sets of zones that send there are. The bits of a set are places among these zones.
const SETS: usize = 1 << MAX_SENDERS;
/// The sets that each zone is in. The bits are sets.
const WITH: [u8; MAX_SENDERS] = [0b1010_1010, 0b1100_1100, 0b1111_0000];
/// The most origins: one for each endpoint.
const ORIGINS: usize = MAX_ENDPOINTS;

/// Numbers of endpoints by set.
type Counts = [u8; SETS];
/// For each zone that sends, how many endpoints name it.
pub type Numbers = [Named; MAX_SENDERS];

/// A small problem in arrays, with the best distribution so far.
pub struct Spread<'p> {
    problem: &'p Problem,
    senders: &'p [usize],
    places: Vec<Place>,
    /// The endpoints of the origins from each place on that are not of each zone.
    others: [[usize; MAX_SENDERS]; ORIGINS + 1],
    /// How the zones are named in force.
    was: Numbers,
    best: Option<Distribution>,
    /// How many steps are left.
    steps: usize,
}

/// The endpoints of one origin.
struct Place {
    /// The place of its zone among those that send.
    sender: Option<usize>,
    count: usize,
    /// The load that its endpoints have in any case.
    load: f64,
    /// How many have each set in force.
    was: Counts,
    /// The sets that may be named, whatever the load. The bits are sets.
    may: u8,
}

/// Names for all endpoints, as numbers by place and set.
#[derive(Clone, Copy)]
struct Distribution {
    counts: [Counts; ORIGINS],
    /// How many endpoints have other names than are in force.
    changes: usize,
    /// The highest load besides what all have in any case.
    busiest: f64,
}

/// What one search of [`Spread::try_numbers`] is about.
struct Walk {
    /// How many own endpoints of each zone must still name it.
    own: [usize; MAX_SENDERS],
    /// How many others must still name it.
    others: [usize; MAX_SENDERS],
    /// What each set sends to an endpoint.
    carried: [f64; SETS],
    /// The sets that fit under the cap at each place. The bits are sets.
    fitting: [u8; ORIGINS],
    /// The fewest changes from each place on.
    least_changes: [usize; ORIGINS + 1],
    /// What is being put together.
    found: Distribution,
}

impl<'p> Spread<'p> {
    /// For these zones that send, which are at most [`MAX_SENDERS`], and at most [`MAX_ENDPOINTS`]
    /// endpoints.
    pub fn new(problem: &'p Problem, senders: &'p [usize], steps: usize) -> Self {
        let mut of = Self {
            problem,
            senders,
            places: Vec::with_capacity(problem.origins().len()),
            others: [[0; MAX_SENDERS]; ORIGINS + 1],
            was: Numbers::default(),
            best: None,
            steps,
        };
        for start in problem.origins() {
            let sender = senders.iter().position(|zone| start.origin == Some(*zone));
            let mut place =
                Place { sender, count: start.count, load: start.load, was: [0; SETS], may: 0 };
            for set in 0..1 << senders.len() {
                let chosen = start.names.and(of.names(set));
                let names = chosen.and(problem.wide());
                if chosen.len() <= MAX_NAMES && !names.is_empty() {
                    place.may |= 1 << set;
                    let was = problem.in_force().of(start.origin, names);
                    place.was[set] = small(was);
                    for zone in (0..senders.len()).filter(|zone| set >> zone & 1 == 1) {
                        of.was[zone].all += was;
                        of.was[zone].own += if sender == Some(zone) { was } else { 0 };
                    }
                }
            }
            of.places.push(place);
        }
        for at in (0..of.places.len()).rev() {
            of.others[at] = of.others[at + 1];
            for zone in (0..senders.len()).filter(|zone| of.places[at].sender != Some(*zone)) {
                of.others[at][zone] += of.places[at].count;
            }
        }
        of
    }

    /// Whether steps are left.
    pub fn has_steps(&self) -> bool {
        self.steps > 0
    }

    /// Whether a distribution was found.
    pub fn has_found(&self) -> bool {
        self.best.is_some()
    }

    /// The best distribution that was found.
    pub fn found(self) -> Option<Tally> {
        let best = self.best?;
        let mut tally = Tally::default();
        for (start, counts) in self.problem.origins().iter().zip(&best.counts) {
            for (set, count) in counts.iter().enumerate() {
                let names = start.names.and(self.names(set)).and(self.problem.wide());
                tally.add(start.origin, names, usize::from(*count));
            }
        }
        Some(tally)
    }

    fn names(&self, set: usize) -> Names {
        let chosen = self.senders.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        chosen.map(|(_, zone)| *zone).collect()
    }

    /// Compares all distributions with these numbers with the best one so far. Its in-zone share must
    /// be the same.
    pub fn try_numbers(&mut self, numbers: &Numbers) {
        let count = self.senders.len();
        let mut carried = [0.0; SETS];
        for set in 1_usize..1 << count {
            let (rest, zone) = (set & (set - 1), set.trailing_zeros() as usize);
            let each = self.problem.demand()[self.senders[zone]] / float(numbers[zone].all);
            carried[set] = each + carried[rest];
        }
        let cap = self.problem.cap();
        let under = |load: f64| {
            let fits = |set: &usize| carried[*set] + load <= cap;
            (0..1 << count).filter(fits).fold(0_u8, |sets, set| sets | 1 << set)
        };
        let without = under(0.0);
        if !self.may_fit(numbers, without) || !self.may_be_better(numbers, &carried) {
            return;
        }
        let mut walk = Walk {
            own: numbers.map(|named| named.own),
            others: numbers.map(|named| named.all - named.own),
            carried,
            fitting: [0; ORIGINS],
            least_changes: [0; ORIGINS + 1],
            found: Distribution { counts: [[0; SETS]; ORIGINS], changes: 0, busiest: 0.0 },
        };
        for (at, place) in self.places.iter().enumerate().rev() {
            let fitting = if place.load > 0.0 { under(place.load) & without } else { without };
            walk.fitting[at] = fitting & place.may;
            let stay = place.count.min(place.stay(walk.fitting[at]));
            walk.least_changes[at] = walk.least_changes[at + 1] + place.count - stay;
        }
        self.place(&mut walk, 0);
    }

    /// Whether these numbers may come about if only the sets `fitting` are under the cap.
    fn may_fit(&self, numbers: &Numbers, fitting: u8) -> bool {
        let total = self.problem.total();
        let count = self.senders.len();
        let all: usize = numbers[..count].iter().map(|named| named.all).sum();
        let unnamed = self.places.iter().filter(|place| place.may & 1 == 0);
        if all < unnamed.map(|place| place.count).sum() {
            return false;
        }
        // Zones of which no two fit on one endpoint need different ones.
        let mut are_apart = true;
        for one in 0..count {
            for other in one + 1..count {
                let fits = fitting >> (1 << one | 1 << other) & 1 == 1;
                are_apart &= !fits;
                if !fits && numbers[one].all + numbers[other].all > total {
                    return false;
                }
            }
        }
        !are_apart || all <= total
    }

    /// Whether no more endpoints change, and none has more load, than in the best distribution so far.
    /// Each endpoint that changes makes a difference of at most one.
    fn may_be_better(&self, numbers: &Numbers, carried: &[f64; SETS]) -> bool {
        let Some(best) = &self.best else { return true };
        let (mut of_own, mut most, mut busiest) = (0, 0, 0.0_f64);
        for (zone, (named, was)) in numbers.iter().zip(&self.was).enumerate() {
            let own = named.own.abs_diff(was.own);
            let others = (named.all - named.own).abs_diff(was.all - was.own);
            of_own += own;
            most = most.max(own + others);
            busiest = busiest.max(carried[1 << zone]);
        }
        let changes = most.max(of_own);
        changes < best.changes
            || (changes == best.changes && !self.is_busier(busiest, best.busiest))
    }

    /// Gives names to the endpoints of the places from `at` on.
    fn place(&mut self, walk: &mut Walk, at: usize) {
        let Some(place) = self.places.get(at) else { return self.compare(&walk.found) };
        self.sets(walk, at, walk.fitting[at], place.count);
    }

    /// Gives `left` endpoints of one place one of these sets each.
    fn sets(&mut self, walk: &mut Walk, at: usize, sets: u8, left: usize) {
        self.steps = self.steps.saturating_sub(1);
        if self.steps == 0 || !self.may_go_on(walk, at, sets, left) {
            return;
        }
        if left == 0 {
            return self.place(walk, at + 1);
        }
        let place = &self.places[at];
        let set = place.next(sets);
        let rest = sets & !(1 << set);
        let (sender, was) = (place.sender, usize::from(place.was[set]));
        let Some(numbers) = self.numbers(walk, at, set, rest, left) else { return };
        let (changes, busiest) = (walk.found.changes, walk.found.busiest);
        let load = place.load + walk.carried[set];
        for count in numbers.rev() {
            walk.found.busiest = if count > 0 { busiest.max(load) } else { busiest };
            walk.found.changes = changes + count.saturating_sub(was);
            walk.found.counts[at][set] = small(count);
            walk.take(sender, set, count);
            self.sets(walk, at, rest, left - count);
            walk.give_back(sender, set, count);
        }
        walk.found.counts[at][set] = 0;
        (walk.found.changes, walk.found.busiest) = (changes, busiest);
    }

    /// How many of the `left` endpoints of a place may have a set, so that each zone is still named by
    /// enough of them with `rest`.
    fn numbers(
        &self,
        walk: &Walk,
        at: usize,
        set: usize,
        rest: u8,
        left: usize,
    ) -> Option<RangeInclusive<usize>> {
        let sender = self.places[at].sender;
        let mut most = left;
        let mut least = if rest == 0 { left } else { 0 };
        for (zone, with) in WITH.into_iter().enumerate().take(self.senders.len()) {
            let (still, later) = if sender == Some(zone) {
                (walk.own[zone], 0)
            } else {
                (walk.others[zone], self.others[at + 1][zone])
            };
            let here = still.saturating_sub(later);
            if set >> zone & 1 == 1 {
                most = most.min(still);
                if rest & with == 0 {
                    least = least.max(here);
                }
            } else {
                most = most.min(left.checked_sub(here)?);
            }
        }
        (least <= most).then_some(least..=most)
    }

    /// Whether what is put together may be better than the best distribution so far.
    fn may_go_on(&self, walk: &Walk, at: usize, sets: u8, left: usize) -> bool {
        if sets == 0 && left > 0 {
            return false;
        }
        let Some(best) = &self.best else { return true };
        let here = left.saturating_sub(self.places[at].stay(sets));
        let changes = walk.found.changes + here + walk.least_changes[at + 1];
        changes < best.changes
            || (changes == best.changes && !self.is_busier(walk.found.busiest, best.busiest))
    }

    /// Whether this is more load than the other.
    fn is_busier(&self, one: f64, other: f64) -> bool {
        (one - other) * float(self.problem.total()) > TOLERANCE
    }

    fn compare(&mut self, found: &Distribution) {
        let is_better = self.best.as_ref().is_none_or(|best| {
            if found.changes != best.changes {
                return found.changes < best.changes;
            }
            if self.is_busier(best.busiest, found.busiest) {
                return true;
            }
            !self.is_busier(found.busiest, best.busiest) && self.comes_first(found, best)
        });
        if is_better {
            self.best = Some(*found);
        }
    }

    /// Whether it comes first in the order of [`Tally`].
    fn comes_first(&self, one: &Distribution, other: &Distribution) -> bool {
        let origins = self.problem.origins();
        let without = |at: &usize| origins[*at].origin.is_none();
        let order = (0..origins.len()).filter(without);
        let order = order.chain((0..origins.len()).filter(|at| !without(at)));
        for at in order {
            for (one, other) in one.counts[at].iter().zip(&other.counts[at]) {
                if one != other {
                    // What has none goes on with a later set.
                    return *one > 0 && (*other == 0 || one < other);
                }
            }
        }
        false
    }
}

impl Place {
    /// How many endpoints have one of these sets in force.
    fn stay(&self, sets: u8) -> usize {
        let is_in = |set: &usize| sets >> set & 1 == 1;
        (0..SETS).filter(is_in).map(|set| usize::from(self.was[set])).sum()
    }

    /// The next of these sets to try, of which there is one.
    fn next(&self, sets: u8) -> usize {
        let is_in_force = |set: &usize| sets >> set & 1 == 1 && self.was[*set] > 0;
        (0..SETS).find(is_in_force).unwrap_or_else(|| sets.trailing_zeros() as usize)
    }
}

impl Walk {
    fn take(&mut self, sender: Option<usize>, set: usize, count: usize) {
        self.each(sender, set, |left| *left -= count);
    }

    fn give_back(&mut self, sender: Option<usize>, set: usize, count: usize) {
        self.each(sender, set, |left| *left += count);
    }

    fn each(&mut self, sender: Option<usize>, set: usize, change: impl Fn(&mut usize)) {
        for at in (0..MAX_SENDERS).filter(|at| set >> at & 1 == 1) {
            change(if sender == Some(at) { &mut self.own[at] } else { &mut self.others[at] });
        }
    }
}

/// A number of endpoints of a small problem.
fn small(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}
