//! Back-off: the wait after an error of a list or a watch.
//!
//! The same as kube-runtime's `DefaultBackoff`, which is that of client-go's reflector. Waits
//! double from 0.8 s to 30 s, and each is lengthened by up to as much again. After two minutes
//! without an error, they start over. kube-runtime's cannot be seeded, so a run could not be
//! repeated.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube_runtime::{utils::ResetTimerBackoff, watcher::ExponentialBackoff};

use crate::random::Random;

/// The wait after the first error, before it is lengthened at random.
const FIRST: Duration = Duration::from_millis(800);
/// The longest wait, before it is lengthened at random.
const LONGEST: Duration = Duration::from_secs(30);
/// After this long without an error, the next one counts as the first.
const QUIET: Duration = Duration::from_secs(120);

/// The waits of one follower.
pub(super) type Backoff = ResetTimerBackoff<ExponentialBackoff>;

/// The waits of a follower that has met no error yet.
pub(super) fn backoff(random: &mut Random) -> Backoff {
    let curve = ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(random.bits());
    ResetTimerBackoff::new(curve.into(), QUIET)
}

#[cfg(test)]
mod tests {
    use kube_runtime::utils::Backoff as _;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_to_half_a_minute_and_begin_anew_after_a_quiet_time() {
        let mut backoff = backoff(&mut Random::seeded(1));
        let mut is_lengthened = |least: Duration| {
            let wait = backoff.next().unwrap();
            assert!(least <= wait && wait < 2 * least, "{wait:?} for {least:?}");
            wait != least
        };
        let mut lengthened = false;
        for least in [800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000] {
            lengthened |= is_lengthened(Duration::from_millis(least));
            advance(QUIET).await;
        }
        assert!(lengthened, "at random");
        advance(Duration::from_millis(1)).await;
        is_lengthened(FIRST);
        advance(QUIET).await;
        is_lengthened(2 * FIRST);
    }

    #[test]
    fn waits_follow_from_the_seed() {
        let waits = |seed| backoff(&mut Random::seeded(seed)).take(5).collect::<Vec<_>>();
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[tokio::test]
    async fn a_reset_begins_anew() {
        let mut backoff = backoff(&mut Random::seeded(1));
        backoff.next();
        backoff.reset();
        assert!(backoff.next().unwrap() < 2 * FIRST);
    }
}
