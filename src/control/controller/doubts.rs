//! Doubts: lists that lack most of what was known before (docs/semantics.md 1.1). If such a list is
//! wrong, obeying it empties the slices of the whole cluster. What it lacks therefore stays until a
//! second list has ended, which is obeyed whatever it shows.

use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Controller;
use crate::{
    cluster::{ObjectKey, Tracked, Watched},
    model::slice::Slice,
    observe::Resolution,
};

/// After this long without a second list, the first one is obeyed.
const LIMIT: Duration = Duration::from_secs(120);

/// The lists in doubt, by kind.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// How many objects were known when the last list began.
    known: HashMap<Watched, usize>,
    open: HashMap<Watched, Doubt>,
    /// Second lists that have not been ordered yet.
    wanted: Vec<(Watched, Instant)>,
}

/// A list in doubt.
#[derive(Debug)]
struct Doubt {
    /// It is obeyed then.
    until: Instant,
    /// What it lacked, sorted.
    lacked: Vec<ObjectKey>,
    obey: fn(&mut Controller, &[ObjectKey], Instant),
}

impl Doubts {
    pub(super) fn begin_list(&mut self, kind: Watched, known: usize) {
        self.known.insert(kind, known);
    }
}

impl Controller {
    /// The kinds that must be listed a second time since the last call, and when the first list
    /// ended.
    pub fn doubted(&mut self) -> Vec<(Watched, Instant)> {
        std::mem::take(&mut self.doubts.wanted)
    }

    /// A list is complete. Removes what it lacks, unless it is in doubt. Returns whether it is.
    pub(super) fn sweep<T: Tracked>(&mut self, now: Instant) -> bool {
        let kind = Watched::of::<T>();
        let lacked = self.index.not_named::<T>();
        let known = self.doubts.known.get(&kind).copied().unwrap_or_default();
        let lacks_most = known >= T::MANY && lacked.len() > known / 2;
        if let Some(Doubt { lacked: before, .. }) = self.doubts.open.remove(&kind) {
            let resolution = if lacks_most { Resolution::Confirmed } else { Resolution::Refuted };
            self.resolved(kind, resolution, before.len());
        } else if lacks_most {
            warn!(
                %kind, known, lacks = lacked.len(),
                "a list lacks most of the objects that were known: they stay until a second list \
                 confirms that they are gone"
            );
            let (until, obey) = (now + LIMIT, Self::obey::<T> as _);
            self.doubts.open.insert(kind, Doubt { until, lacked, obey });
            self.doubts.wanted.push((kind, now));
            return true;
        }
        for key in lacked {
            self.gone::<T>(key, None, now);
        }
        false
    }

    /// Obeys lists that have been in doubt for too long.
    pub(super) fn obey_doubted(&mut self, now: Instant) {
        let overdue = self.doubts.open.extract_if(|_, doubt| doubt.until <= now);
        for (kind, Doubt { lacked, obey, .. }) in overdue.collect::<Vec<_>>() {
            self.resolved(kind, Resolution::Unanswered, lacked.len());
            obey(self, &lacked, now);
        }
    }

    /// Removes what a list lacked and nothing has shown since.
    fn obey<T: Tracked>(&mut self, lacked: &[ObjectKey], now: Instant) {
        for key in self.index.not_named::<T>() {
            if lacked.binary_search(&key).is_ok() {
                self.gone::<T>(key, None, now);
            }
        }
        if Watched::of::<T>() == Watched::of::<Slice>() {
            self.slices_listed(now);
        }
    }

    fn resolved(&mut self, kind: Watched, resolution: Resolution, lacked: usize) {
        self.reporter.tally.resolved(kind, resolution);
        match resolution {
            Resolution::Confirmed => {
                info!(%kind, lacked, "a second list confirms that most of the objects are gone");
            }
            Resolution::Refuted => warn!(
                %kind, lacked,
                "a second list has most of the objects that the list before it lacked: the API \
                 server, or what is between it and closehaul, returned an incomplete list"
            ),
            Resolution::Unanswered => warn!(
                %kind, lacked,
                "there is no second list in time, so the first one counts: removing what it lacked"
            ),
        }
    }
}
