//! Who may write, and until when.

use std::{future::pending, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// Some thirty: for ever, and not beyond what an [`Instant`] can hold.
const YEARS: Duration = Duration::from_secs(1_000_000_000);

/// Whether this copy leads: a deadline, not a flag, so that it ends by itself when nobody is left
/// to end it. Writers check it before each write, and no request lasts until the
/// lease itself runs out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leadership(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Always,
    Until(watch::Receiver<Option<Instant>>),
}

/// The end that the lease writes to.
#[derive(Debug)]
pub struct LeadershipSender {
    deadline: watch::Sender<Option<Instant>>,
    reports: Option<mpsc::UnboundedSender<Report>>,
}

/// What the election reports of the API server, for [`crate::control::history`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It answered.
    Answered(Instant),
    /// A request failed.
    Failed,
    /// The Lease stepped back, against what was seen at this time.
    SteppedBack {
        /// When the later state was seen.
        since: Instant,
    },
}

/// A leadership that is not held yet.
pub fn leadership() -> (LeadershipSender, Leadership) {
    let (sender, receiver) = watch::channel(None);
    let sender = LeadershipSender { deadline: sender, reports: None };
    (sender, Leadership(Kind::Until(receiver)))
}

impl LeadershipSender {
    /// The same, with reports sent to `reports`.
    #[must_use]
    pub fn reporting(self, reports: mpsc::UnboundedSender<Report>) -> Self {
        Self { reports: Some(reports), ..self }
    }

    pub(super) fn report(&self, report: Report) {
        // An error means that the controller has stopped.
        let _ = self.reports.as_ref().map(|reports| reports.send(report));
    }

    /// It is held until then.
    pub(super) fn renew(&self, until: Instant) {
        self.deadline.send_replace(Some(until));
    }

    /// It is held no more.
    pub(super) fn end(&self) {
        self.deadline.send_replace(None);
    }
}

impl Leadership {
    /// For `--leader-elect=false`: the one copy leads for ever.
    pub fn always() -> Self {
        Self(Kind::Always)
    }

    /// Until when it is held, as far as is known: possibly a time that has passed. `None` if it is
    /// not held. [`Self::always`] is held for as long as a process may last.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            Kind::Always => Some(Instant::now() + YEARS),
            Kind::Until(deadline) => *deadline.borrow(),
        }
    }

    /// Whether it is held at `now`.
    pub fn holds(&self, now: Instant) -> bool {
        match &self.0 {
            Kind::Always => true,
            Kind::Until(deadline) => deadline.borrow().is_some_and(|deadline| now < deadline),
        }
    }

    /// Ends when it is held.
    pub async fn acquired(&self) {
        let Kind::Until(deadline) = &self.0 else { return };
        let mut deadline = deadline.clone();
        let held = |deadline: &Option<Instant>| deadline.is_some_and(|at| Instant::now() < at);
        if deadline.wait_for(held).await.is_err() {
            // The lease's task has ended: it never will be.
            pending::<()>().await;
        }
    }

    /// Ends when it is not held, be it given up, taken, or run out.
    pub async fn lost(&self) {
        let Kind::Until(deadline) = &self.0 else { return pending().await };
        let mut deadline = deadline.clone();
        loop {
            let Some(at) = *deadline.borrow_and_update() else { return };
            tokio::select! {
                changed = deadline.changed() => if changed.is_err() {
                    return sleep_until(at).await;
                },
                () = sleep_until(at) => return,
            }
        }
    }
}
