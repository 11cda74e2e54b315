//! Expectations: local writes that the watch has not shown yet. A Service is not planned again
//! before it has, since the plan would be based on slices that have changed
//! (docs/semantics.md 1.5). No event is counted twice and none is waited for in vain:
//! versions grow over all slices, so a write is seen once the watch is past its version.

use foldhash::HashSet;

use crate::model::name::Name;

/// What an event shows about a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// It exists in this version.
    Version(u64),
    /// The slice with this name is gone, or about to be removed.
    Gone(Name),
}

/// An event of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it shows.
    pub sight: Sight,
    /// Whether it is a sign of another controller at work, unless it shows a local write.
    pub is_sign: bool,
}

/// What events show of other writers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Events that show no local write.
    pub events: usize,
    /// Those of them that are signs of another controller.
    pub signs: usize,
}

impl Foreign {
    fn count(&mut self, shown: &Shown) {
        self.events += 1;
        self.signs += usize::from(shown.is_sign);
    }
}

/// The local writes for one Service.
#[derive(Debug, Default)]
pub struct Expectations {
    awaited: HashSet<Sight>,
    /// Versions that are no longer waited for. If they are shown after all, they are news, but not
    /// from another client.
    given_up: HashSet<Sight>,
    /// Events seen while writes are under way, whose answers may still be to come.
    undecided: Option<Vec<Shown>>,
}

impl Expectations {
    /// Writes begin.
    pub fn begin(&mut self) {
        self.undecided = Some(Vec::new());
    }

    /// Records an event; returns what it shows of other writers. An event that comes while writes
    /// are under way is judged by [`Self::end`].
    pub fn see(&mut self, shown: Shown) -> Foreign {
        let mut foreign = Foreign::default();
        match &mut self.undecided {
            Some(undecided) => undecided.push(shown),
            None => self.judge(shown, &mut foreign),
        }
        foreign
    }

    /// Writes have ended: `written` is what they did, `seen` the version that the watch has
    /// reached. Returns what the events in between show of other writers.
    pub fn end(&mut self, written: impl IntoIterator<Item = Sight>, seen: u64) -> Foreign {
        self.awaited.extend(written);
        let mut foreign = Foreign::default();
        for shown in self.undecided.take().unwrap_or_default() {
            self.judge(shown, &mut foreign);
        }
        self.reach(seen);
        foreign
    }

    fn judge(&mut self, mut shown: Shown, foreign: &mut Foreign) {
        if !self.awaited.remove(&shown.sight) {
            shown.is_sign &= !self.given_up.remove(&shown.sight);
            foreign.count(&shown);
        }
    }

    /// The watch has reached this version.
    pub fn reach(&mut self, seen: u64) {
        let is_ahead =
            |sight: &Sight| !matches!(sight, Sight::Version(version) if *version <= seen);
        self.awaited.retain(is_ahead);
        self.given_up.retain(is_ahead);
    }

    /// Whether all local writes have been seen.
    pub fn are_met(&self) -> bool {
        self.undecided.is_none() && self.awaited.is_empty()
    }

    /// The history went back: the expected versions will not be shown.
    pub fn forget(&mut self) {
        self.awaited.clear();
        self.given_up.clear();
    }

    /// A local write is known already. If it is shown, that is no sign of another client.
    pub fn know(&mut self, version: u64) {
        self.given_up.insert(Sight::Version(version));
    }

    /// Gives up waiting.
    pub fn drop_all(&mut self) {
        let is_version = |sight: &Sight| matches!(sight, Sight::Version(_));
        self.given_up.extend(self.awaited.drain().filter(is_version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u64) -> Shown {
        Shown { sight: Sight::Version(version), is_sign: true }
    }

    fn gone(name: &str) -> Shown {
        Shown { sight: Sight::Gone(name.into()), is_sign: false }
    }

    const NONE: Foreign = Foreign { events: 0, signs: 0 };
    const ONE: Foreign = Foreign { events: 1, signs: 1 };

    #[test]
    fn an_own_write_is_no_news() {
        let mut own = Expectations::default();
        own.begin();
        assert_eq!(own.end([Sight::Version(7)], 5), NONE);
        assert!(!own.are_met());
        assert_eq!(own.see(version(7)), NONE);
        assert!(own.are_met());
        assert_eq!(own.see(version(8)), ONE, "another client's");
        assert_eq!(own.see(gone("a")), Foreign { events: 1, signs: 0 }, "so is this, but no sign");
    }

    #[test]
    fn an_event_may_come_before_the_answer() {
        let mut own = Expectations::default();
        own.begin();
        assert_eq!(own.see(version(7)), NONE);
        assert_eq!(own.see(gone("a")), NONE);
        assert_eq!(own.end([Sight::Version(7), Sight::Gone("a".into())], 7), NONE);
        assert!(own.are_met());

        own.begin();
        own.see(version(8));
        assert_eq!(own.end([Sight::Version(9)], 9), ONE, "8 was not ours");
        assert!(own.are_met());
    }

    /// Upstream's `StaleSlices` (docs/semantics.md 1.5) are a slice that is older than the local
    /// write, one whose deletion has not been shown, and a new one that has not been shown. What is
    /// as new or newer, or was never written, is not stale.
    #[test]
    fn what_is_waited_for() {
        let met_after = |written: &[Sight], seen: u64, shown: &[Shown]| {
            let mut own = Expectations::default();
            own.begin();
            own.end(written.iter().cloned(), seen);
            for shown in shown {
                if let Sight::Version(version) = shown.sight {
                    own.reach(version);
                }
                own.see(shown.clone());
            }
            own.are_met()
        };
        let write = [Sight::Version(7)];
        let deletion = [Sight::Gone("a".into())];
        for (what, written, seen, shown, expected) in [
            ("nothing was written", &[][..], 5, &[][..], true),
            ("nothing was written, and another client has", &[], 5, &[version(6)], true),
            ("an older version", &write, 5, &[version(6)], false),
            ("the own version", &write, 5, &[version(7)], true),
            ("a newer version", &write, 5, &[version(8)], true),
            ("the watch was there already", &write, 7, &[], true),
            ("the deletion has not shown", &deletion, 9, &[version(10)], false),
            ("another slice is gone", &deletion, 9, &[gone("b")], false),
            ("the deletion has shown", &deletion, 9, &[gone("a")], true),
        ] {
            assert_eq!(met_after(written, seen, shown), expected, "{what}");
        }
    }

    /// kubernetes#141592: the slice was deleted before its creation had been recorded.
    #[test]
    fn a_slice_that_is_gone_already_is_not_waited_for() {
        let mut own = Expectations::default();
        own.begin();
        own.see(version(7));
        own.see(gone("a"));
        assert_eq!(own.end([Sight::Version(7)], 9), Foreign { events: 1, signs: 0 });
        assert!(own.are_met());
    }

    #[test]
    fn an_own_write_that_shows_too_late_is_news_but_nobody_elses() {
        let mut own = Expectations::default();
        own.begin();
        own.end([Sight::Version(7), Sight::Version(8)], 5);
        own.drop_all();
        assert!(own.are_met());
        assert_eq!(own.see(version(7)), Foreign { events: 1, signs: 0 });
        own.reach(8);
        assert_eq!(own.see(version(8)), ONE, "versions do not come twice");
    }
}
