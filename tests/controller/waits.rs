//! How long the changes of a Service take beside others.

use std::time::Duration;

/// The wanted limit for nearly all changes.
const LIMIT: Duration = Duration::from_millis(100);

/// Asserts that nearly all changes were written within the limit.
#[track_caller]
pub fn assert_short(mut waits: Vec<Duration>, beside: &str) {
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() * percent / 100).min(waits.len() - 1)];
    let (half, nearly_all, most) = (at(50), at(99), at(100));
    println!("{beside}: p50 {half:?}, p99 {nearly_all:?}, most {most:?}");
    assert!(nearly_all <= LIMIT, "{beside}: {nearly_all:?}");
}
