//! Told: what is logged and announced of a Service.

use tracing::{debug, info, warn};

use super::Controller;
use crate::{
    causes::causes,
    control::write::WriteError,
    model::name::ServiceKey,
    observe::{
        Duty,
        announce::{Announcement, News},
    },
};

/// Of the failures of one Service in a row, every so manieth is told: the first, and then about
/// one in ten minutes. When the API server is away, thousands of Services fail.
const TELL_EVERY: u32 = 10;

/// So many failures in a row are announced, and no fewer: the first tries again come within a second,
/// and most failures are over then.
const TROUBLE: u32 = 3;

impl Controller {
    /// What is to be announced since the last call.
    pub fn announcements(&mut self) -> Vec<Announcement> {
        std::mem::take(&mut self.announcements)
    }

    pub(super) fn announce(&mut self, service: &ServiceKey, news: News) {
        let uid = self.index.service(service).and_then(|service| service.uid.clone());
        self.announcements.push(Announcement { service: service.clone(), uid, news });
    }

    /// Tells of the failures, if any, of a Service's writes, which have failed `before` times in a
    /// row.
    pub(super) fn tell_failures(
        &mut self,
        service: &ServiceKey,
        failures: &[WriteError],
        before: u32,
    ) {
        for failure in failures {
            tell(service, failure, before);
            if matches!(failure, WriteError::Refused { .. }) {
                self.health.refused(Duty::Writes, &causes(failure));
            }
        }
        let Some(progress) = self.progress.get_mut(service) else { return };
        if failures.is_empty() {
            progress.is_failure_told = false;
        } else if before + 1 >= TROUBLE
            && !progress.is_failure_told
            && let Some(trouble) = failures.iter().find(|failure| failure.is_trouble())
        {
            progress.is_failure_told = true;
            let cause = causes(trouble);
            if trouble.is_invalid() {
                self.announce(service, News::WriteRefused(cause.clone()));
            }
            if !matches!(trouble, WriteError::Trimmed { .. }) {
                self.announce(service, News::UpdateFailed(cause));
            }
        }
    }
}

/// Logs a failed write of a Service that has failed `before` times in a row.
fn tell(key: &ServiceKey, failure: &WriteError, before: u32) {
    let cause = causes(failure);
    if !before.is_multiple_of(TELL_EVERY) {
        debug!(service = %key, cause, before, "a write failed again");
        return;
    }
    match failure {
        WriteError::Conflict { .. } | WriteError::NotLeading { .. } => {
            info!(service = %key, cause, before, "a slice was not written, retrying");
        }
        WriteError::Stopping { .. } => info!(service = %key, cause, "a slice was not written"),
        _ => warn!(service = %key, cause, before, "a write failed, retrying"),
    }
}
