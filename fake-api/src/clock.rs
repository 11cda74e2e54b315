//! The time of day on a server.

use std::sync::atomic::{AtomicI64, Ordering};

use closehaul::clock::WallClock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Follows tokio's time from an arbitrary start. Each reading is a microsecond later than the one
/// before, because two readings of a real clock are never equal. Names of Events depend on that.
pub fn wall_clock() -> WallClock {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let (begun, readings) = (Instant::now(), AtomicI64::new(0));
    WallClock::new(move || {
        let elapsed = SignedDuration::try_from(begun.elapsed()).unwrap();
        start + elapsed + SignedDuration::from_micros(readings.fetch_add(1, Ordering::Relaxed))
    })
}
