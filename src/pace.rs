//! A token bucket in Instants alone: no fractions to drift, no background refill.

use std::time::Duration;

use tokio::time::Instant;

/// Lets something happen once per `interval`, with up to `burst` at once after a quiet time.
///
/// Kept as the "theoretical arrival time" of the generic cell rate algorithm: the moment at which
/// the bucket would be full again.
#[derive(Debug, Clone)]
pub struct Pace {
    interval: Duration,
    /// How far ahead of `full_at` one may be and still go: `(burst - 1) * interval`.
    slack: Duration,
    full_at: Option<Instant>,
}

impl Pace {
    /// `burst` below 1 counts as 1.
    pub fn new(interval: Duration, burst: f64) -> Self {
        let slack =
            Duration::try_from_secs_f64(interval.as_secs_f64() * (burst - 1.0)).unwrap_or_default();
        Self { interval, slack, full_at: None }
    }

    /// When the next one may go; `None` if it may at any time.
    pub fn ready_at(&self) -> Option<Instant> {
        self.full_at?.checked_sub(self.slack)
    }

    /// Whether all tokens are there at `now`.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full| full <= now)
    }

    /// Spends one token for use at `at`, which the caller has checked against [`Self::ready_at`].
    pub fn spend(&mut self, at: Instant) {
        let from = self.full_at.map_or(at, |full| full.max(at));
        self.full_at = Some(from + self.interval);
    }

    /// Spends the next free token and says when it may be used, `now` at the earliest.
    pub fn book(&mut self, now: Instant) -> Instant {
        let at = self.ready_at().map_or(now, |ready| ready.max(now));
        self.spend(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_per_interval() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut pace = Pace::new(second, 2.0);
        let booked: Vec<_> = (0..4).map(|_| pace.book(start) - start).collect();
        assert_eq!(booked, [Duration::ZERO, Duration::ZERO, second, 2 * second]);

        let later = start + 60 * second;
        let booked: Vec<_> = (0..3).map(|_| pace.book(later) - later).collect();
        assert_eq!(
            booked,
            [Duration::ZERO, Duration::ZERO, second],
            "quiet time refills, not more"
        );
    }
}
