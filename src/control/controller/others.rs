//! Others: which events of slices are signs of another writer, and what follows from them
//! ([`crate::control::other_writer`]).

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Controller;
use crate::{
    control::{
        expectations::{Foreign, Sight},
        other_writer::{Finding, Forgotten, QUIET},
        queue::Class,
    },
    model::name::ServiceKey,
    observe::announce::News,
};

/// For so long after the lease was taken, what the watch shows may be the last holder's work.
const HANDOVER: Duration = Duration::from_secs(10);
/// The least time between a slice that somebody else changed and its repair, so that two
/// writers who disagree do not exchange blows without end (docs/semantics.md 1.4).
const SLICE_DELAY: Duration = Duration::from_secs(1);

impl Controller {
    /// Whether an event that shows a new slice, or other endpoints or ports, is a sign of another
    /// writer, unless it shows an own write. Not so
    ///
    /// - to a copy that does not lead: to it all writes are somebody else's;
    /// - just after it has begun to lead, unless the version is later than an own write's;
    /// - in a list: it does not tell when and in which order its slices were written, and after a
    ///   restore from a backup it shows old ones;
    /// - while a Service ends, when whoever cleans up behind it may do as he likes;
    /// - a slice's end: the garbage collector and namespaces that go away delete slices, too.
    pub(super) fn is_sign(&self, service: &ServiceKey, sight: &Sight, now: Instant) -> bool {
        let Sight::Version(version) = sight else { return false };
        let Some(leads_since) = self.leads_since else { return false };
        let is_after_own = self.first_write.is_some_and(|own| own < *version);
        let is_settled = now.saturating_duration_since(leads_since) >= HANDOVER;
        let service = self.index.service(service);
        self.slices_list.is_none()
            && (is_after_own || is_settled)
            && service.is_some_and(|service| service.is_served() && !service.terminating)
    }

    /// Takes note of what events show of others.
    pub(super) fn saw_others(&mut self, service: &ServiceKey, foreign: Foreign, now: Instant) {
        if foreign.signs > 0 {
            self.tally.foreign(foreign.signs);
            self.other_writer.wrote(service, now);
        }
    }

    /// Reports what a plan has shown of another writer.
    pub(super) fn tell_finding(&mut self, service: &ServiceKey, finding: Finding) {
        if finding.is_active {
            warn!(
                %service,
                "another controller writes the slices that closehaul manages, too: if it is \
                 kube-controller-manager, append -endpointslice-controller to its --controllers; \
                 if it is a second installation of closehaul, remove one"
            );
        }
        if finding.is_contested {
            warn!(
                %service,
                "another client overwrites the slices of this Service again and again: closehaul \
                 repairs them with growing delays, up to a minute"
            );
        }
        if finding != Finding::default() {
            self.count_others();
            self.announce(service, News::Overwritten);
        }
    }

    /// Forgets another writer of which nothing has been seen for long.
    pub(super) fn forget_others(&mut self, now: Instant) {
        let Forgotten { is_gone, freed } = self.other_writer.tick(now);
        for service in freed {
            // Nothing is to be written, but its decision is another one.
            self.enqueue(service, Class::Endpoints, now);
        }
        if is_gone {
            info!(after = ?QUIET, "no other controller writes closehaul's slices any more");
        }
        self.count_others();
    }

    fn count_others(&self) {
        let is_active = self.other_writer.is_active();
        self.health.other_writer(is_active);
        self.tally.others(is_active, self.other_writer.contested());
    }

    /// When a slice of a Service is repaired that somebody else has changed.
    pub(super) fn repair_due(&self, service: &ServiceKey, now: Instant) -> Instant {
        let delay = SLICE_DELAY.max(self.other_writer.delay(service));
        now + self.settings.batch_period.max(delay)
    }
}
