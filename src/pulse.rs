//! Pulse: whether the main loop makes progress, and what it is planning, as other threads see it.
//!
//! The election renews the lease only while the loop makes progress, and `/livez` reports a loop
//! that does not. Both run on their own threads, since the loop cannot report that it hangs.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::model::name::ServiceKey;

/// The main loop's pulse. It is cheap to clone, and all clones show the same loop.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    /// The last turn of the loop, in milliseconds after the start.
    turned: AtomicU64,
    /// The loop holds this lock only briefly, and others read only when the loop hangs.
    planning: Mutex<Option<Planning>>,
}

/// The Service that is being planned, and when that began.
type Planning = (ServiceKey, Instant);

impl Pulse {
    /// A loop that has turned just now.
    pub fn new() -> Self {
        let (turned, planning) = (AtomicU64::default(), Mutex::default());
        Self(Arc::new(State { start: Instant::now(), turned, planning }))
    }

    /// Records a turn of the loop.
    pub fn turned(&self, now: Instant) {
        let after = now.saturating_duration_since(self.0.start).as_millis();
        self.0.turned.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When the loop turned last, in whole milliseconds.
    pub fn last_turn(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.turned.load(Ordering::Relaxed))
    }

    /// Records that the planning of a Service begins.
    pub fn begin(&self, service: &ServiceKey, now: Instant) {
        *self.planning() = Some((service.clone(), now));
    }

    /// Records that the planning of that Service has ended.
    pub fn end(&self) {
        *self.planning() = None;
    }

    /// What is known of a loop that has not turned lately.
    pub fn hang(&self, now: Instant) -> Hang {
        let silence = now.saturating_duration_since(self.last_turn());
        let planning = self.planning().clone();
        let planning =
            planning.map(|(service, since)| (service, now.saturating_duration_since(since)));
        Hang { silence, planning }
    }

    fn planning(&self) -> MutexGuard<'_, Option<Planning>> {
        self.0.planning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known of a loop that hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hang {
    /// How long it has not turned.
    pub silence: Duration,
    /// The Service that it is planning, and for how long.
    pub planning: Option<(ServiceKey, Duration)>,
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the main loop has made no progress for {} s", self.silence.as_secs())?;
        match &self.planning {
            Some((service, time)) => {
                write!(f, "; it has been planning Service {service} for {} s", time.as_secs())
            }
            None => f.write_str("; it is not planning a Service"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_hang_names_the_service_being_planned() {
        let pulse = Pulse::new();
        tokio::time::advance(3 * SECOND).await;
        pulse.turned(Instant::now());
        assert_eq!(pulse.last_turn(), Instant::now());
        tokio::time::advance(SECOND).await;
        let service = ServiceKey { namespace: "shop".into(), name: "web".into() };
        pulse.begin(&service, Instant::now());
        tokio::time::advance(20 * SECOND).await;
        let hang = "the main loop has made no progress for 21 s; it has been planning Service \
                    shop/web for 20 s";
        assert_eq!(pulse.hang(Instant::now()).to_string(), hang);
        pulse.end();
        let hang = "the main loop has made no progress for 21 s; it is not planning a Service";
        assert_eq!(pulse.hang(Instant::now()).to_string(), hang);
    }
}
