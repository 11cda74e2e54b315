//! Rewinds: what the controller does if the API server's history went back
//! ([`crate::control::history`]). It lists all kinds, and forgets what it remembered by version.

use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;
use tracing::warn;

use super::Controller;
use crate::{
    api::Object,
    clock::Now,
    cluster::{ObjectKey, Tracked, Watched},
    control::{
        history::{Contact, History, Orders, Rewind, Shown, Sign},
        lease::Report,
    },
    model::name::ServiceKey,
};

/// What is known about the history.
#[derive(Debug)]
pub(super) struct Rewinds {
    /// What has been ordered.
    orders: Orders,
    /// Whether the API server answers.
    pub(super) contact: Contact,
    /// The versions of slices, which writes return.
    pub(super) slices: History,
    lists: HashMap<Watched, Lists>,
    /// What the followers must do, since this was last fetched.
    wanted: Wanted,
    /// Whether all kinds have been listed without leading.
    is_standby: bool,
}

/// What all followers must do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// List with a request sent at this time or later.
    pub list: Option<Instant>,
    /// List one object, to see whether the history went back.
    pub probe: bool,
}

/// The lists of one kind.
#[derive(Clone, Copy, Debug)]
struct Lists {
    /// When the last one was requested.
    asked: Instant,
    /// When the one before it was.
    before: Option<Instant>,
    is_under_way: bool,
    /// It has shown an object that stepped back.
    has_stepped_back: bool,
    /// What watches show belongs to a lost history until a list begins that was requested then.
    lost_until: Option<Instant>,
}

impl Rewinds {
    pub(super) fn new(renew_deadline: Duration) -> Self {
        Self {
            orders: Orders::default(),
            contact: Contact::new(renew_deadline),
            slices: History::default(),
            lists: HashMap::default(),
            wanted: Wanted::default(),
            is_standby: false,
        }
    }

    pub(super) fn begin_list(&mut self, kind: Watched, asked: Instant) {
        let previous = self.lists.get(&kind);
        let list = Lists {
            asked,
            // A list that was not completed shows nothing.
            before: previous
                .and_then(|list| if list.is_under_way { list.before } else { Some(list.asked) }),
            is_under_way: true,
            has_stepped_back: false,
            lost_until: previous.and_then(|list| list.lost_until).filter(|until| asked < *until),
        };
        self.lists.insert(kind, list);
    }

    pub(super) fn end_list(&mut self, kind: Watched) {
        if let Some(list) = self.lists.get_mut(&kind) {
            list.is_under_way = false;
        }
    }

    /// Whether what watches show of a kind belongs to a lost history.
    pub(super) fn is_lost(&self, kind: Watched) -> bool {
        self.lists.get(&kind).is_some_and(|list| list.lost_until.is_some())
    }

    /// Records whether this replica leads. A replica that takes over from another relies on watches
    /// that may have been blind for a long time.
    pub(super) fn lead(&mut self, is_complete: bool, is_leading: bool) {
        self.wanted.probe |= is_leading && self.is_standby;
        self.is_standby = is_complete && !is_leading;
    }

    fn order(&mut self, at: Instant) {
        self.wanted.list = self.wanted.list.max(Some(at));
        self.slices.forget();
        for list in self.lists.values_mut().filter(|list| list.asked < at) {
            list.lost_until = Some(at);
        }
    }
}

impl Controller {
    /// What the followers of all kinds must do since the last call. `None` means nothing.
    pub fn wanted(&mut self) -> Option<Wanted> {
        let wanted = std::mem::take(&mut self.rewinds.wanted);
        (wanted != Wanted::default()).then_some(wanted)
    }

    /// Handles a sign that the history went back. All signs of a rewind lead to one list per kind.
    pub(super) fn rewound(&mut self, rewind: Rewind, now: Instant) {
        self.reporter.tally.rewound(rewind.sign);
        let is_new = self.rewinds.orders.rewound(rewind);
        warn!(
            sign = rewind.sign.as_str(),
            "the API server's history went back, as after a restore of etcd from a backup: {}",
            if is_new {
                "listing all kinds again"
            } else {
                "all kinds have been listed again since, or are about to be"
            }
        );
        if is_new {
            self.forget_history(rewind.at, now);
        }
    }

    /// Handles a report of the election.
    pub fn reported(&mut self, report: Report, now: Now) {
        let now = now.monotonic;
        match report {
            Report::Answered(at) => self.answered(at, now),
            Report::Failed => self.rewinds.contact.failed(now, false),
            Report::SteppedBack { since } => {
                self.rewound(Rewind { sign: Sign::Lease, at: now, since }, now);
            }
        }
    }

    /// Records when each kind's watch, or a list, last received anything.
    pub fn received(&mut self, kinds: &[(Watched, Option<Instant>)], now: Now) {
        let now = now.monotonic;
        for (kind, received) in kinds {
            self.reporter.tally.received(*kind, *received, now);
        }
        if let Some(last) = kinds.iter().filter_map(|(_, received)| *received).max() {
            self.answered(last, now);
        }
    }

    /// Handles a successful answer. After a longer time without one, versions prove nothing: the
    /// new history may have grown past the old one.
    fn answered(&mut self, at: Instant, now: Instant) {
        let Some(silence) = self.rewinds.contact.answered(at) else { return };
        warn!(
            ?silence,
            "the API server has not answered for longer than the renew deadline, and its history \
             may have gone back meanwhile: listing all kinds again"
        );
        self.rewinds.orders.order(at);
        self.forget_history(at, now);
    }

    /// Judges the versions that the writes of a Service returned.
    pub(super) fn returned(&mut self, key: &ServiceKey, shown: &[Shown], now: Instant) {
        let Some(progress) = self.progress.get(key) else { return };
        let floor = progress.floor;
        for shown in shown {
            if let Some(rewind) = self.rewinds.slices.judge(floor, *shown, now) {
                self.rewound(rewind, now);
            }
        }
    }

    /// Compares an object with its known version. A list is a consistent read: none can be older.
    pub(super) fn compare<T: Tracked>(&mut self, object: &Object<T>, now: Instant) {
        let list = self.rewinds.lists.get_mut(&Watched::of::<T>());
        let Some(list) = list.filter(|list| list.is_under_way && !list.has_stepped_back) else {
            return;
        };
        let Some(since) = list.before else { return };
        let known = self.index.version_of::<T>(&ObjectKey::of(object));
        if known.is_some_and(|known| object.value.version() < known) {
            list.has_stepped_back = true;
            let at = list.asked;
            self.rewound(Rewind { sign: Sign::Object, at, since }, now);
        }
    }

    /// Handles that lists requested before `at` belong to a lost history: all kinds are listed
    /// again, and what is remembered by version is forgotten.
    fn forget_history(&mut self, at: Instant, now: Instant) {
        self.rewinds.order(at);
        self.index.void_plans();
        self.others.first_write = None;
        if self.lists.slices.is_none() {
            self.lists.slices_seen = 0;
        }
        self.progress.values_mut().for_each(|progress| progress.expectations.forget());
        for key in self.unseen.clone() {
            self.settle(&key, now);
            // The list decides whether these writes are part of the new history.
            self.unseen.insert(key);
        }
    }
}
