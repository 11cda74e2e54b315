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

#[cfg(test)]
mod tests;

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

    /// Forgets all versions. Answers to requests sent before this are not judged.
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
    /// Who holds it. Empty if no replica does.
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
    /// Times are compared only under one holder, since clocks of replicas differ. A holder that
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
    /// `limit` is the renew deadline.
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
