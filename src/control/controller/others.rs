//! Others: which events of slices are signs of another writer, and what follows from them
//! ([`crate::control::other_writer`]).

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::Controller;
use crate::{
    control::{
        expectations::{Foreign, Sight},
        other_writer::{Forgotten, OtherWriter, QUIET},
        queue::Class,
    },
    model::name::ServiceKey,
};

/// For this long after the lease was taken, what the watch shows may be the previous holder's work.
const HANDOVER: Duration = Duration::from_secs(10);
/// The least time between a slice that another client changed and its repair, so that two
/// writers that disagree do not overwrite each other without end (docs/semantics.md 1.4).
const SLICE_DELAY: Duration = Duration::from_secs(1);

/// What is known about other writers.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) writer: OtherWriter,
    /// Since when this replica leads, or advises.
    pub(super) leads_since: Option<Instant>,
    /// The version of the first local write.
    pub(super) first_write: Option<u64>,
}

impl Controller {
    /// Whether an event that shows a new slice, or other endpoints or ports, is a sign of another
    /// writer, unless it shows a local write. It is not a sign
    ///
    /// - to a replica that does not lead: to it, all writes are by other clients;
    /// - in assist mode, where another controller writes the slices;
    /// - just after it has begun to lead, unless the version is later than a local write's;
    /// - in a list: it does not show when and in which order its slices were written, and after a
    ///   restore from a backup it shows old ones;
    /// - while a Service ends, when the client that cleans up after it may do anything;
    /// - if a slice is deleted: the garbage collector and ending namespaces also delete slices.
    pub(super) fn is_sign(&self, service: &ServiceKey, sight: &Sight, now: Instant) -> bool {
        let Sight::Version(version) = sight else { return false };
        let Some(leads_since) = self.others.leads_since else { return false };
        let is_after_own = self.others.first_write.is_some_and(|own| own < *version);
        let is_settled = now.saturating_duration_since(leads_since) >= HANDOVER;
        let service = self.index.service(service);
        self.lists.slices.is_none()
            && !self.is_assisting()
            && (is_after_own || is_settled)
            && service.is_some_and(|service| service.is_served() && !service.terminating)
    }

    /// Records what events show of other writers.
    pub(super) fn saw_others(&mut self, service: &ServiceKey, foreign: Foreign, now: Instant) {
        if foreign.signs > 0 {
            self.reporter.tally.foreign(foreign.signs);
            self.others.writer.wrote(service, now);
        }
    }

    /// Forgets another writer that has not been seen for a long time.
    pub(super) fn forget_others(&mut self, now: Instant) {
        let Forgotten { is_gone, freed } = self.others.writer.tick(now);
        for service in freed {
            // Nothing needs to be written, but its decision changes.
            self.enqueue(service, Class::Endpoints, now);
        }
        if is_gone {
            info!(after = ?QUIET, "no other controller writes closehaul's slices any more");
        }
        self.reporter.other_writer(&self.others.writer);
    }

    /// When to repair a slice of a Service that another client has changed. In assist mode, that is what
    /// happens all the time.
    pub(super) fn repair_due(&self, service: &ServiceKey, now: Instant) -> Instant {
        if self.is_assisting() {
            return now + self.settings.batch_period;
        }
        let delay = SLICE_DELAY.max(self.others.writer.delay(service));
        now + self.settings.batch_period.max(delay)
    }
}
