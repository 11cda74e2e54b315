//! History: whether the API server's store went back to an earlier state, as after a restore of
//! etcd from a backup. Pure.
//!
//! A watch cannot show it. It resumes at the old, higher version, and the API server sends nothing
//! until the new history reaches that version (kubernetes#107457). It also drops bookmarks at or
//! below the version that a watch began with, and an update that changes nothing legitimately
//! returns an old version. Only the following signs count. Versions are compared only within one
//! resource, since resources may be stored in different etcds:
//!
//! - a list requested without a version has a lower version than was seen before the request: such
//!   a list is a quorum read, whichever API server answers;
//! - such a list contains an object with a lower version than the known one;
//! - the answer to a create has a lower version than was seen before it was sent;
//! - so has the answer to an update, and it differs from the version that was sent: an update that
//!   changes nothing returns the version that was sent;
//! - our Lease goes back to an earlier state ([`LeaseSight`]).
//!
//! If the new history has grown past the old one by the time that we look, there may be none of
//! these signs. Therefore a replica without a successful answer for longer than the renew deadline
//! lists everything ([`Contact`]).

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// What shows that the history went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// The version of a list.
    List,
    /// The version of an object in a list.
    Object,
    /// The answer to a create.
    Create,
    /// The answer to an update.
    Update,
    /// The Lease of the replicas.
    Lease,
}

impl Sign {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::List, Self::Object, Self::Create, Self::Update, Self::Lease];

    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Object => "object",
            Self::Create => "create",
            Self::Update => "update",
            Self::Lease => "lease",
        }
    }
}

/// The history went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewind {
    /// What shows it.
    pub sign: Sign,
    /// The new history was there at this time: lists requested from then on show it.
    pub at: Instant,
    /// When the state was seen that the sign contradicts; the history went back after this.
    pub since: Instant,
}

/// A version that an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// By a list requested without a version, or by a part of one.
    Listed(u64),
    /// By the answer to a create.
    Created(u64),
    /// By the answer to an update.
    Updated {
        /// The version that was sent.
        sent: u64,
        /// The version that was returned.
        stored: u64,
    },
}

/// The versions of one resource.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The highest version seen, and when.
    highest: Option<(u64, Instant)>,
    /// How often it was forgotten.
    epoch: u64,
}

/// What had been seen when a request was sent. Answers are compared with this: when an answer is
/// judged, watches may have shown later versions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Floor {
    highest: Option<(u64, Instant)>,
    epoch: u64,
}

impl History {
    /// Records a version that a watch shows. A lower one than before proves nothing: one of several
    /// API servers may lag behind.
    pub fn watched(&mut self, version: u64, now: Instant) {
        if self.highest.is_none_or(|(highest, _)| version >= highest) {
            self.highest = Some((version, now));
        }
    }

    /// What has been seen so far, for a request that is about to be sent.
    pub fn floor(&self) -> Floor {
        Floor { highest: self.highest, epoch: self.epoch }
    }

    /// Judges an answer to a request sent when `floor` had been seen. After a sign of a rewind,
    /// versions are compared with those of the new history.
    pub fn judge(&mut self, floor: Floor, shown: Shown, now: Instant) -> Option<Rewind> {
        let (version, sign) = match shown {
            Shown::Listed(version) => (version, Sign::List),
            Shown::Created(version) => (version, Sign::Create),
            // Nothing was changed, which proves nothing.
            Shown::Updated { sent, stored } if sent == stored => return None,
            Shown::Updated { stored, .. } => (stored, Sign::Update),
        };
        // Zero stands for a version that cannot be read.
        let known = floor.highest.filter(|_| version > 0 && floor.epoch == self.epoch);
        if let Some((_, since)) = known.filter(|(highest, _)| version < *highest) {
            *self = Self { highest: Some((version, now)), epoch: self.epoch + 1 };
            return Some(Rewind { sign, at: now, since });
        }
        self.watched(version, now);
        None
    }

    /// Forgets all versions; answers to requests sent before this are not judged.
    pub fn forget(&mut self) {
        *self = Self { highest: None, epoch: self.epoch + 1 };
    }
}

/// What a request for the replicas' Lease showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSight {
    /// Of the object.
    pub uid: String,
    /// Of the object.
    pub version: u64,
    /// Who holds it; empty: no replica.
    pub holder: String,
    /// When the holder took it, by the holder's clock.
    pub acquired: Option<Timestamp>,
    /// When the holder renewed it, by the holder's clock.
    pub renewed: Option<Timestamp>,
    /// How often the holder has changed.
    pub transitions: i32,
}

impl LeaseSight {
    /// Whether the Lease went back to an earlier state, which is `next`.
    ///
    /// Times are compared under one holder only, as each replica has its own clock. A holder that
    /// sees its Lease go back takes it again, so that `acquired` shows the rewind to the other
    /// replicas, even if they see the Lease later than the holder renewed it. A Lease that was
    /// deleted and created again starts its own count, but under a higher version.
    pub fn stepped_back_to(&self, next: &Self) -> bool {
        if next.version < self.version {
            return true;
        }
        if next.uid != self.uid {
            return false;
        }
        let is_same_holder = next.holder == self.holder && !next.holder.is_empty();
        next.transitions < self.transitions
            || is_same_holder
                && next.transitions == self.transitions
                && (next.renewed < self.renewed || next.acquired != self.acquired)
    }
}

/// Which lists are needed because the history went back or may have. One order serves all signs of
/// one rewind.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// The last order: all lists requested before this belong to a lost history.
    before: Option<Instant>,
}

impl Orders {
    /// Handles a sign. Returns whether it needs a new order: not if it contradicts what was seen
    /// before the last order.
    pub fn rewound(&mut self, rewind: Rewind) -> bool {
        if self.before.is_some_and(|before| rewind.since <= before) {
            return false;
        }
        self.order(rewind.at);
        true
    }

    /// Everything must be listed by requests sent from `at` on.
    pub fn order(&mut self, at: Instant) {
        self.before = self.before.max(Some(at));
    }
}

/// Whether the API server answers.
#[derive(Debug, Clone)]
pub struct Contact {
    limit: Duration,
    /// The last successful answer, or any part of one.
    answered: Option<Instant>,
    /// The failures since.
    outage: Option<Outage>,
}

/// There has been no answer since something failed.
#[derive(Debug, Clone, Copy)]
struct Outage {
    /// When it failed.
    failed: Instant,
    /// Since when the API server may have been away.
    since: Instant,
}

impl Contact {
    /// `limit`: the renew deadline.
    pub fn new(limit: Duration) -> Self {
        Self { limit, answered: None, outage: None }
    }

    /// Records a failure. If `is_prompt`, the connection broke, and until then nothing was wrong:
    /// quiet watches receive no byte for more than a minute. Otherwise the API server may have been
    /// away since its last answer. It may also have been away since then if that answer came within
    /// the limit, as it does where a lease is renewed.
    pub fn failed(&mut self, at: Instant, is_prompt: bool) {
        let Some(last) = self.answered else { return };
        let is_quiet = at.saturating_duration_since(last) > self.limit;
        let since = if is_prompt && is_quiet { at } else { last };
        let outage = self.outage.get_or_insert(Outage { failed: at, since });
        outage.since = outage.since.min(since);
    }

    /// Records the time of the last successful answer. Returns how long there was none, if that was
    /// longer than the limit.
    pub fn answered(&mut self, at: Instant) -> Option<Duration> {
        if self.answered.is_some_and(|last| at <= last) {
            return None;
        }
        self.answered = Some(at);
        if let Some(outage) = self.outage.as_mut().filter(|outage| at <= outage.failed) {
            // It came before the failure, and is read late.
            outage.since = outage.since.max(at);
            return None;
        }
        let silence = at - self.outage.take()?.since;
        (silence > self.limit).then_some(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What an answer means that comes when versions up to 100 have been seen.
    #[test]
    fn what_answers_show() {
        let start = Instant::now();
        for (what, shown, expected) in [
            ("a list that went on", Shown::Listed(101), None),
            ("a list of an idle store", Shown::Listed(100), None),
            ("a list that went back", Shown::Listed(99), Some(Sign::List)),
            ("a list without a version", Shown::Listed(0), None),
            ("a create", Shown::Created(101), None),
            ("a create that went back", Shown::Created(90), Some(Sign::Create)),
            ("an update", Shown::Updated { sent: 50, stored: 101 }, None),
            ("an update that changes nothing", Shown::Updated { sent: 50, stored: 50 }, None),
            (
                "an update that went back",
                Shown::Updated { sent: 50, stored: 60 },
                Some(Sign::Update),
            ),
        ] {
            let mut history = History::default();
            history.watched(100, start);
            // Another API server, which lags behind.
            history.watched(80, start + SECOND);
            let floor = history.floor();
            let rewind = history.judge(floor, shown, start + 2 * SECOND);
            assert_eq!(rewind.map(|rewind| rewind.sign), expected, "{what}");
            assert!(rewind.is_none_or(|rewind| rewind.since == start), "{what}");
        }
    }

    #[test]
    fn an_answer_is_compared_with_what_was_seen_before_its_request() {
        let now = Instant::now();
        let mut history = History::default();
        history.watched(100, now);
        let floor = history.floor();
        history.watched(200, now);
        assert_eq!(history.judge(floor, Shown::Created(150), now), None, "the watch was faster");
    }

    #[test]
    fn one_rewind_is_reported_once() {
        let now = Instant::now();
        let mut history = History::default();
        history.watched(100, now);
        let floor = history.floor();
        assert!(history.judge(floor, Shown::Listed(40), now).is_some());
        assert_eq!(history.judge(floor, Shown::Created(41), now), None, "sent before that");
        assert_eq!(history.judge(history.floor(), Shown::Listed(41), now), None);
        assert!(history.judge(history.floor(), Shown::Listed(30), now).is_some(), "a second one");
        let floor = history.floor();
        history.forget();
        assert_eq!(history.judge(floor, Shown::Listed(1), now), None);
        assert_eq!(history.judge(history.floor(), Shown::Listed(1), now), None);
    }

    #[test]
    fn when_a_lease_has_stepped_back() {
        let at = |second: i64| Some(Timestamp::from_second(second).unwrap());
        let seen = LeaseSight {
            uid: "one".into(),
            version: 100,
            holder: "a".into(),
            acquired: at(1000),
            renewed: at(2000),
            transitions: 3,
        };
        let lease = |change: fn(&mut LeaseSight)| {
            let mut next = LeaseSight { version: 110, ..seen.clone() };
            change(&mut next);
            next
        };
        let to = |next: &mut LeaseSight, holder: &str, transitions| {
            next.holder = holder.to_owned();
            next.transitions = transitions;
            next.acquired = Some(Timestamp::from_second(1).unwrap());
            next.renewed = next.acquired;
        };
        for (what, next, expected) in [
            ("nothing new", seen.clone(), false),
            ("renewed", lease(|next| next.renewed = Some(Timestamp::MAX)), false),
            ("a lower version", lease(|next| next.version = 99), true),
            ("the holder's time", lease(|next| next.renewed = Some(Timestamp::MIN)), true),
            ("fewer transitions", lease(|next| next.transitions = 2), true),
            ("taken again", lease(|next| next.acquired = Some(Timestamp::MAX)), true),
            (
                "taken over by a replica whose clock is behind",
                {
                    let mut next = lease(|_| ());
                    to(&mut next, "b", 4);
                    next
                },
                false,
            ),
            (
                "given back, whoever wrote it",
                {
                    let mut next = lease(|_| ());
                    to(&mut next, "", 3);
                    next
                },
                false,
            ),
            (
                "deleted and created again",
                {
                    let mut next = lease(|next| next.uid = "two".into());
                    to(&mut next, "b", 0);
                    next
                },
                false,
            ),
            (
                "created again in an earlier history",
                lease(|next| {
                    next.uid = "two".into();
                    next.version = 10;
                }),
                true,
            ),
        ] {
            assert_eq!(seen.stepped_back_to(&next), expected, "{what}");
        }
    }

    #[test]
    fn all_signs_of_one_rewind_lead_to_one_order() {
        let start = Instant::now();
        let rewind = |since: u32, at: u32| {
            let (since, at) = (start + since * SECOND, start + at * SECOND);
            Rewind { sign: Sign::List, since, at }
        };
        let mut orders = Orders::default();
        assert!(orders.rewound(rewind(1, 10)));
        assert!(!orders.rewound(rewind(2, 11)), "the same, seen in another resource");
        assert!(
            !orders.rewound(rewind(9, 40)),
            "the same, seen by a list that waited for its turn"
        );
        assert!(orders.rewound(rewind(41, 42)), "another one");
        orders.order(start + 60 * SECOND);
        assert!(!orders.rewound(rewind(59, 61)), "what an outage called for already");
    }

    #[test]
    fn how_long_there_was_no_answer() {
        let start = Instant::now();
        let at = |second: u32| start + second * SECOND;
        // After an answer at 100 s, failures at these times, and the next answer.
        for (what, failures, is_prompt, next, expected) in [
            ("quiet, but nothing failed", &[][..], true, 180, None),
            ("a connection broke after a quiet time", &[150], true, 151, None),
            ("a watch was silent", &[165], false, 167, Some(67)),
            ("away for longer than the limit", &[101, 102, 105], true, 111, Some(11)),
            ("away for the limit", &[101, 105], true, 110, None),
            ("away after a quiet time", &[150, 155], true, 161, Some(11)),
        ] {
            let mut contact = Contact::new(10 * SECOND);
            contact.failed(at(90), true);
            assert_eq!(contact.answered(at(100)), None, "{what}: the first answer of all");
            for second in failures {
                contact.failed(at(*second), is_prompt);
            }
            assert_eq!(contact.answered(at(99)), None, "{what}: an older answer");
            assert_eq!(contact.answered(at(next)), expected.map(|many| many * SECOND), "{what}");
            assert_eq!(contact.answered(at(next + 60)), None, "{what}: the failures were before");
        }
    }

    #[test]
    fn an_answer_from_before_a_failure_does_not_end_an_outage() {
        let start = Instant::now();
        let at = |second: u32| start + second * SECOND;
        let mut contact = Contact::new(10 * SECOND);
        assert_eq!(contact.answered(at(100)), None);
        contact.failed(at(103), true);
        assert_eq!(contact.answered(at(102)), None, "read late");
        assert_eq!(contact.answered(at(113)), Some(11 * SECOND));
    }
}
