//! Restarts of both controllers for all histories at once. Running steps end before a restart, and
//! no step begins until both controllers follow again.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{RwLock, RwLockReadGuard, watch};

use super::{Error, Pair, history::History};

/// How many histories wait for one restart.
const TOGETHER: u32 = 16;
/// How long a history waits for others, per active history, because a restart stops all of them.
const PATIENCE: Duration = Duration::from_millis(2500);
const POLL: Duration = Duration::from_millis(100);

/// Which histories run, and which wait for the next restart.
#[derive(Debug, Default)]
pub struct Restarts {
    /// Held for reading during a step, for writing during a restart.
    gate: RwLock<()>,
    desk: Mutex<Desk>,
    /// The number of restarts so far.
    done: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Desk {
    active: u32,
    waiting: u32,
    since: Option<Instant>,
}

/// An active history.
#[derive(Debug)]
pub struct Active<'r>(&'r Restarts);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.desk().active -= 1;
    }
}

impl Restarts {
    /// Starts a history, which ends when the result is dropped.
    pub fn active(&self) -> Active<'_> {
        self.desk().active += 1;
        Active(self)
    }

    /// While the result is held, nothing is restarted.
    pub async fn running(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Waits for the next restart. The caller must not hold the guard of [`Self::running`].
    pub async fn wait(&self) {
        let mut done = self.done.subscribe();
        {
            let mut desk = self.desk();
            desk.waiting += 1;
            desk.since.get_or_insert_with(Instant::now);
        }
        // The sender lives as long as this.
        let _ = done.changed().await;
    }

    /// The number of restarts so far.
    pub fn count(&self) -> u64 {
        *self.done.borrow()
    }

    /// Restarts the controllers whenever enough histories, or half of those that are left, wait for
    /// it. Returns only if something fails.
    pub async fn serve(&self, pair: &Pair) -> Result<Infallible, Error> {
        let mut canary = History::begin(pair, "restarts").await?;
        loop {
            tokio::time::sleep(POLL).await;
            if self.desk().is_due() {
                let _nobody_steps = self.gate.write().await;
                pair.restart().await?;
                // Their first work is done before any further step.
                canary.follow().await?;
                self.desk().close();
                self.done.send_modify(|count| *count += 1);
            }
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// No history waits any more.
    fn close(&mut self) {
        (self.waiting, self.since) = (0, None);
    }

    fn is_due(&self) -> bool {
        let is_late = self.since.is_some_and(|since| since.elapsed() >= PATIENCE * self.active);
        self.waiting > 0 && (is_late || 2 * self.waiting >= self.active.min(2 * TOGETHER))
    }
}
