//! Who may write, and until when.

use std::{future::pending, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::clock::{Clock, Moment};

/// Whether this replica leads. It is a deadline, not a flag, so that leadership ends by itself even
/// when the election hangs. Writers check it before each write, and no request lasts until the
/// lease itself expires. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leadership(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Always,
    Until(watch::Receiver<Option<Moment>>, Clock),
}

/// The end to which the election writes.
#[derive(Debug)]
pub struct LeadershipSender {
    deadline: watch::Sender<Option<Moment>>,
    reports: Option<mpsc::UnboundedSender<Report>>,
}

/// What the election reports about the API server, for [`crate::control::history`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It answered.
    Answered(Instant),
    /// A request failed.
    Failed,
    /// The Lease went back to a state earlier than one that was seen before.
    SteppedBack {
        /// When the later state was seen.
        since: Instant,
    },
}

/// A leadership that is not held yet. `clock` decides when it ends.
pub fn leadership(clock: Clock) -> (LeadershipSender, Leadership) {
    let (sender, receiver) = watch::channel(None);
    let sender = LeadershipSender { deadline: sender, reports: None };
    (sender, Leadership(Kind::Until(receiver, clock)))
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
    pub(super) fn renew(&self, until: Moment) {
        self.deadline.send_replace(Some(until));
    }

    /// It is no longer held.
    pub(super) fn end(&self) {
        self.deadline.send_replace(None);
    }
}

impl Leadership {
    /// For `--leader-elect=false`: the only replica always leads.
    pub fn always() -> Self {
        Self(Kind::Always)
    }

    /// For a replica that never writes.
    pub fn never() -> Self {
        Self(Kind::Until(watch::channel(None).1, Clock::runtime()))
    }

    /// Whether it is held now.
    pub fn holds(&self) -> bool {
        match &self.0 {
            Kind::Always => true,
            Kind::Until(deadline, clock) => {
                deadline.borrow().is_some_and(|deadline| clock.now() < deadline)
            }
        }
    }

    /// When it ends unless it is renewed, or when it ended. `None` if it never ends, was given up,
    /// or has never been held.
    pub fn deadline(&self) -> Option<Moment> {
        let Kind::Until(deadline, _) = &self.0 else { return None };
        *deadline.borrow()
    }

    /// How long ago it expired, if it did.
    pub fn overdue(&self) -> Option<Duration> {
        let Kind::Until(deadline, clock) = &self.0 else { return None };
        let deadline = (*deadline.borrow())?;
        Some(clock.now().saturating_since(deadline)).filter(|overdue| !overdue.is_zero())
    }

    /// Ends when it is held.
    pub async fn acquired(&self) {
        let Kind::Until(deadline, clock) = &self.0 else { return };
        let mut deadline = deadline.clone();
        let held = |deadline: &Option<Moment>| deadline.is_some_and(|at| clock.now() < at);
        if deadline.wait_for(held).await.is_err() {
            // The election has ended, so it will never be held.
            pending::<()>().await;
        }
    }

    /// Ends when it is not held, whether it was given up, was taken, or has expired.
    pub async fn lost(&self) {
        let Kind::Until(deadline, clock) = &self.0 else { return pending().await };
        let mut deadline = deadline.clone();
        loop {
            let Some(at) = *deadline.borrow_and_update() else { return };
            tokio::select! {
                biased;
                changed = deadline.changed() => if changed.is_err() {
                    return clock.reached(at).await;
                },
                () = clock.reached(at) => return,
            }
        }
    }
}
