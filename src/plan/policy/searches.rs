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
