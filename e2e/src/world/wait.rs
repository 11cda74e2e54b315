//! Waiting until something happens, or until nothing happens any more.

use std::time::{Duration, Instant};

use super::Error;
use crate::{
    cluster::{Cluster, StoredSlices},
    progress::Progress,
};

/// How often a world is checked.
const POLL: Duration = Duration::from_millis(50);
/// How often the store is queried. Each query starts a process.
const STORE_POLL: Duration = Duration::from_millis(300);
/// A wait that takes this long is shown.
const SHOWN: Duration = Duration::from_secs(10);

/// Calls `ask` repeatedly until it returns an answer. Returns the answer and how long it took.
///
/// # Errors
///
/// [`Error::Late`] after `limit`, and any error of `ask` at once.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, Error>,
) -> Result<(T, Duration), Error> {
    let started = Instant::now();
    let mut progress = Progress::after(SHOWN, format!("waiting: {what}"));
    loop {
        if let Some(answer) = ask().await? {
            let elapsed = started.elapsed();
            progress.done();
            return Ok((answer, elapsed));
        }
        if started.elapsed() >= limit {
            return Err(Error::Late { what: what.to_owned(), limit });
        }
        progress.tick();
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until no slice in the store has been written for `quiet`. Returns the slices.
///
/// # Errors
///
/// [`Error::Late`] if there is no such time within `limit`.
pub async fn quiet(
    cluster: &Cluster,
    quiet: Duration,
    limit: Duration,
) -> Result<StoredSlices, Error> {
    let started = Instant::now();
    let mut progress = Progress::after(SHOWN, "waiting: slices settle".to_owned());
    let mut last = cluster.stored_slices().await?;
    let mut since = Instant::now();
    while since.elapsed() < quiet {
        if started.elapsed() >= limit {
            let what = format!("{quiet:?} without a write of a slice");
            return Err(Error::Late { what, limit });
        }
        progress.tick();
        tokio::time::sleep(STORE_POLL).await;
        let now = cluster.stored_slices().await?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    progress.done();
    Ok(last)
}
