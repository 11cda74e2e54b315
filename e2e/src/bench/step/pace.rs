//! Changes at a rate, several at the same time if necessary.

use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::time::{MissedTickBehavior, interval};

use super::Error;
use crate::progress::Progress;

/// Does `count` actions, `rate` of them per second and at most `in_flight` at the same time.
/// Returns how long that took. If that rate is impossible, it takes longer, as for all contenders.
pub(super) async fn paced<F: Future<Output = Result<(), Error>>>(
    what: &str,
    count: u32,
    rate: u32,
    in_flight: usize,
    mut action: impl FnMut(u32) -> F,
) -> Result<Duration, Error> {
    let started = Instant::now();
    let mut progress = Progress::after(Duration::from_secs(5), what.to_owned());
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running = FuturesUnordered::new();
    for number in 0..count {
        loop {
            tokio::select! {
                _ = ticks.tick(), if running.len() < in_flight => break,
                Some(done) = running.next() => done?,
            }
        }
        progress.tick();
        running.push(action(number).boxed_local());
    }
    while let Some(done) = running.next().await {
        done?;
    }
    progress.done();
    Ok(started.elapsed())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn all_are_done_and_no_more_than_allowed_at_once() {
        let (now, most, done) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let action = |_| async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.set(now.get() - 1);
            done.set(done.get() + 1);
            Ok(())
        };
        paced("testing", 20, 1_000, 3, action).await.unwrap();
        assert_eq!(done.get(), 20);
        assert!((2..=3).contains(&most.get()), "{}", most.get());
    }
}
