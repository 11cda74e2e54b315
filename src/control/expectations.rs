//! Expectations: own writes that the watch has not shown yet. A Service is not planned again
//! before it has, since the plan would be made on slices that are no longer so
//! (endpointslice-semantics 1.5). No event is counted twice and none is waited for in vain:
//! versions grow over all slices, so a write is seen once the watch is past its version.

use std::collections::HashSet;

use crate::plan::name::Name;

/// What an event shows of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// It stands in this version.
    Version(u64),
    /// The slice of this name is gone, or about to go.
    Gone(Name),
}

/// The own writes for one Service.
#[derive(Debug, Default)]
pub struct Expectations {
    awaited: HashSet<Sight>,
    /// Events seen while writes are under way, whose answers may still be to come.
    undecided: Option<Vec<Sight>>,
}

impl Expectations {
    /// Writes begin.
    pub fn begin(&mut self) {
        self.undecided = Some(Vec::new());
    }

    /// Takes note of an event; returns whether it shows somebody else's write. An event that
    /// comes while writes are under way is judged by [`Self::end`].
    pub fn see(&mut self, sight: Sight) -> bool {
        match &mut self.undecided {
            Some(undecided) => {
                undecided.push(sight);
                false
            }
            None => !self.awaited.remove(&sight),
        }
    }

    /// Writes have ended: `written` is what they did, `seen` the version that the watch has
    /// reached. Returns whether one of the events in between shows somebody else's write.
    pub fn end(&mut self, written: impl IntoIterator<Item = Sight>, seen: u64) -> bool {
        self.awaited.extend(written);
        let undecided = self.undecided.take().unwrap_or_default();
        let is_foreign =
            undecided.into_iter().filter(|sight| !self.awaited.remove(sight)).count() > 0;
        self.reach(seen);
        is_foreign
    }

    /// The watch has reached this version.
    pub fn reach(&mut self, seen: u64) {
        self.awaited.retain(|sight| !matches!(sight, Sight::Version(version) if *version <= seen));
    }

    /// Whether all own writes have been seen.
    pub fn are_met(&self) -> bool {
        self.undecided.is_none() && self.awaited.is_empty()
    }

    /// Gives up waiting.
    pub fn drop_all(&mut self) {
        self.awaited.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_write_is_no_news() {
        let mut own = Expectations::default();
        own.begin();
        assert!(!own.end([Sight::Version(7)], 5));
        assert!(!own.are_met());
        assert!(!own.see(Sight::Version(7)));
        assert!(own.are_met());
        assert!(own.see(Sight::Version(8)), "somebody else's");
    }

    #[test]
    fn an_event_may_come_before_the_answer() {
        let mut own = Expectations::default();
        own.begin();
        assert!(!own.see(Sight::Version(7)));
        assert!(!own.see(Sight::Gone("a".into())));
        assert!(!own.end([Sight::Version(7), Sight::Gone("a".into())], 7));
        assert!(own.are_met());

        own.begin();
        own.see(Sight::Version(8));
        assert!(own.end([Sight::Version(9)], 9), "8 was not ours");
        assert!(own.are_met());
    }

    /// kubernetes#141592: the slice was deleted before its creation had been noted.
    #[test]
    fn a_slice_that_is_gone_already_is_not_waited_for() {
        let mut own = Expectations::default();
        own.begin();
        own.see(Sight::Version(7));
        own.see(Sight::Gone("a".into()));
        assert!(own.end([Sight::Version(7)], 9));
        assert!(own.are_met());
    }
}
