//! Whether a writer's requests are answered in time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A writer that waits longer than this for an answer is slow from then on.
const PATIENCE: Duration = Duration::from_secs(1);

/// Since when a writer has waited for an answer. It stays if the answer came late.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Mutex<Option<Instant>>>);

impl Answers {
    /// A request is sent.
    pub(super) fn asked(&self, now: Instant) {
        self.since().get_or_insert(now);
    }

    /// It was answered, or is no longer waited for.
    pub(super) fn answered(&self, now: Instant) {
        self.since().take_if(|since| now.saturating_duration_since(*since) < PATIENCE);
    }

    /// When the writer became slow, or will if no answer comes before.
    pub fn slow_at(&self) -> Option<Instant> {
        self.since().map(|since| since + PATIENCE)
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
