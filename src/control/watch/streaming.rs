//! Streaming: whether a list is streamed or read in pages.
//!
//! Streaming may be switched off (1.33), unknown, or behind a proxy that buffers or cuts. It may
//! also have failed only because the API server was overloaded. Pages therefore replace it for a
//! while, and a list after that tries it again. The while grows with each attempt in vain, as a hung
//! one delays the list by more than a minute.

use std::time::Duration;

use tokio::time::Instant;

/// How often in a row a streamed list may break for no clear reason before pages replace it. An API
/// server that restarts breaks one.
pub(super) const BREAKS: u32 = 2;
/// How long pages replace streaming at first.
const FIRST: Duration = Duration::from_secs(600);
/// How long at most.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Whether a follower streams its lists.
#[derive(Debug)]
pub(super) struct Streaming {
    /// Lists are read in pages until then.
    paused_until: Option<Instant>,
    /// For how long the next time.
    pause: Duration,
    /// How much counts against streaming, out of [`BREAKS`].
    breaks: u32,
}

impl Default for Streaming {
    fn default() -> Self {
        Self { paused_until: None, pause: FIRST, breaks: 0 }
    }
}

impl Streaming {
    /// Whether the current list is streamed.
    pub(super) fn is_on(&self) -> bool {
        self.paused_until.is_none()
    }

    /// A list is about to begin.
    pub(super) fn begin_list(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            // It has failed before, so one more break is enough.
            self.breaks = BREAKS - 1;
        }
    }

    /// A list is complete.
    pub(super) fn listed(&mut self) {
        self.breaks = 0;
        if self.is_on() {
            self.pause = FIRST;
        }
    }

    /// A streamed list failed, which counts this much. If that is enough, returns for how long
    /// pages replace it.
    pub(super) fn failed(&mut self, weight: u32, now: Instant) -> Option<Duration> {
        self.breaks += weight;
        if self.breaks < BREAKS {
            return None;
        }
        let pause = self.pause;
        self.paused_until = Some(now + pause);
        self.pause = (2 * pause).min(LONGEST);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_day_and_begin_anew_once_a_list_was_streamed() {
        let (mut streaming, mut now) = (Streaming::default(), Instant::now());
        assert_eq!(streaming.failed(1, now), None);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let pause = streaming.failed(1, now).unwrap();
            pauses.push(pause.as_secs() / 60);
            streaming.begin_list(now + pause - Duration::from_secs(1));
            assert!(!streaming.is_on());
            // A list in pages is no success of streaming.
            streaming.listed();
            now += pause;
            streaming.begin_list(now);
            assert!(streaming.is_on());
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
        streaming.listed();
        assert_eq!(streaming.failed(1, now), None, "the first in a row");
        assert_eq!(streaming.failed(1, now), Some(FIRST));
    }
}
