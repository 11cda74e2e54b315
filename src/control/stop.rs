//! Stop: how writes end when the process is asked to stop. No new write begins. Requests that were
//! sent may be answered, and the next leader completes what is left of a Service.

use std::{future::pending, time::Duration};

use tokio::sync::watch;

/// From the request to stop to the end of the process, whatever happens. The kubelet kills a pod
/// after 30 s by default.
pub const LIMIT: Duration = Duration::from_secs(10);
/// How long requests that were sent may take from then on. The rest is for releasing the lease.
pub(super) const ANSWERS: Duration = Duration::from_secs(8);
/// When the lease must be released, from the request to stop. This is before [`LIMIT`], at which
/// the process is ended.
pub(super) const RELEASE: Duration = Duration::from_millis(9500);

/// Whether the process was asked to stop, as the writers see it. Cheap to clone. The default never
/// asks.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<watch::Receiver<bool>>);

/// The end that asks. The main loop holds it as long as there are writers.
#[derive(Debug)]
pub(super) struct StopSender(watch::Sender<bool>);

pub(super) fn stop() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(Some(receiver)))
}

impl StopSender {
    pub(super) fn ask(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it was asked to stop.
    pub fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| *asked.borrow())
    }

    /// Waits until it is asked to stop.
    pub async fn asked(&self) {
        let Some(asked) = &self.0 else { return pending().await };
        // An error means that the main loop has ended, which asks as well.
        let _ = asked.clone().wait_for(|is_asked| *is_asked).await;
    }
}
