//! Searches: what searches have found. A search depends on numbers alone, and the same numbers come up
//! again and again: of one Service whose pods come and go, and of all that have as many replicas. With
//! and without what is remembered, the plans are the same.

use std::cell::RefCell;

use foldhash::HashMap;

use super::{counts::Tally, distribute, problem::Problem};

/// How many words are remembered: half a megabyte.
const ROOM: usize = 1 << 16;

/// What searches have found, by their problems.
#[derive(Debug, Default)]
pub struct Searches(RefCell<Known>);

#[derive(Debug, Default)]
struct Known {
    found: HashMap<Box<[u64]>, Tally>,
    /// How many words that takes.
    words: usize,
}

impl Searches {
    /// The best distribution, as [`distribute`] finds it.
    pub fn distribute(&self, problem: &Problem) -> Tally {
        let key = problem.words();
        if let Some(tally) = self.0.borrow().found.get(&key) {
            return tally.clone();
        }
        let tally = distribute(problem);
        let mut known = self.0.borrow_mut();
        let words = key.len() + tally.words();
        if known.words + words > ROOM {
            *known = Known::default();
        }
        known.words += words;
        known.found.insert(key, tally.clone());
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::policy::counts::{Names, float},
        random::Random,
    };

    /// Zones with so many endpoints, some of which name another zone.
    fn problem(random: &mut Random, zones: u32, most: u32, cap: f64) -> Problem {
        let mut in_force = Tally::default();
        for zone in 0..zones {
            let other = random.within(0..=zones - 1) as usize;
            let count = random.within(0..=most) as usize;
            in_force.add(Some(zone as usize), Names::only(zone as usize), count);
            in_force.add(Some(zone as usize), Names::only(other), random.within(0..=1) as usize);
        }
        in_force.add(Some(0), Names::only(0), 1);
        let demand = vec![1.0 / float(zones as usize); zones as usize];
        Problem::new(&demand, in_force, cap)
    }

    #[test]
    fn what_is_remembered_is_what_a_search_finds() {
        let searches = Searches::default();
        let mut random = Random::seeded(7);
        for _ in 0..1_000 {
            let zones = random.within(1..=3);
            let cap = f64::from(random.within(1..=3)) / 10.0;
            let problem = problem(&mut random, zones, 3, cap);
            assert_eq!(searches.distribute(&problem), distribute(&problem), "{problem:?}");
        }
        let known = searches.0.borrow().found.len();
        assert!((100..900).contains(&known), "{known}: some come up again");
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let searches = Searches::default();
        let mut random = Random::seeded(8);
        let mut has_forgotten = false;
        for _ in 0..400 {
            let before = searches.0.borrow().words;
            // Every zone may be local, which takes no long search.
            searches.distribute(&problem(&mut random, 20, 40, 50.0));
            let words = searches.0.borrow().words;
            assert!((1..=ROOM).contains(&words), "{words}");
            has_forgotten |= words < before;
        }
        assert!(has_forgotten);
    }
}
