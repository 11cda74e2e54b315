//! Leader election: of several copies at most one writes.
//!
//! client-go's semantics (`tools/leaderelection`) on a `coordination.k8s.io/v1` Lease, by get,
//! create and replace with a version: a conflict means that somebody else moved. A lease is free
//! once nothing about it has changed for its duration *as seen from here*; the holder's clock is
//! never read. The holder in turn counts from the start of its last successful request, so that it
//! has stopped `lease_duration - renew_deadline` before anyone can take over.

mod leadership;
mod record;
mod settings;

use std::{future::Future, io, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, api::PostParams, core::ObjectMeta};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{info, warn};

use super::history::LeaseSight;
use crate::{
    causes::causes,
    observe::{Duty, Health},
};

pub use leadership::{Leadership, LeadershipSender, Report, leadership};
pub use record::{Observed, Record, Step, decide};
use settings::random_fraction;
pub use settings::{Identity, Timing, TimingError};

/// Why a copy that held the lease has to stop.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The renew deadline has passed.
    #[error(
        "the lease {name} could not be renewed for {deadline:?}, so another copy may take over and \
         this one stops: check that the API server is reachable and answers in time"
    )]
    NotRenewed {
        /// The Lease's name.
        name: String,
        /// The renew deadline.
        deadline: Duration,
        /// The last request's error.
        source: Option<Box<kube::Error>>,
    },
    /// The record names somebody else, without this copy having been late.
    #[error(
        "the lease {name} was taken over by {holder}, so this copy stops: something other than \
         closehaul has written to it"
    )]
    Taken {
        /// The Lease's name.
        name: String,
        /// Who holds it now.
        holder: String,
    },
}

/// Waits for the lease, holds it, and gives it back at `shutdown`.
///
/// What the API server refuses is told to `health`. `shutdown` is to come after the last write has
/// ended: right after it, another copy may lead.
///
/// # Errors
///
/// When a held lease is lost. The process is to exit then, at once and without cleaning up.
pub async fn run(
    api: Api<Lease>,
    name: &str,
    identity: &Identity,
    timing: &Timing,
    leadership: LeadershipSender,
    health: &Health,
    shutdown: impl Future<Output = ()>,
) -> Result<(), LeaseError> {
    let mut candidate = Candidate {
        api,
        name,
        identity,
        timing,
        leadership,
        health,
        lease: None,
        seen: None,
        sight: None,
    };
    let lost = tokio::select! {
        lost = candidate.lead() => Some(lost),
        () = shutdown => None,
    };
    candidate.leadership.end();
    if let Some(error) = lost {
        return Err(error);
    }
    candidate.release().await;
    Ok(())
}

struct Candidate<'a> {
    api: Api<Lease>,
    name: &'a str,
    identity: &'a Identity,
    timing: &'a Timing,
    leadership: LeadershipSender,
    health: &'a Health,
    /// The object as last read or written; `None` if it is absent or may have changed since.
    lease: Option<Lease>,
    /// The record last seen, and since when.
    seen: Option<Observed>,
    /// The same with what shows whether the history went back, and when it was seen.
    sight: Option<(LeaseSight, Instant)>,
}

/// How an attempt ended that met no error.
enum Outcome {
    /// The lease is held until then.
    Held(Instant),
    /// Somebody else holds it; it is free after this at the earliest.
    Other(Duration),
}

impl Candidate<'_> {
    /// Takes the lease and renews it until that fails.
    async fn lead(&mut self) -> LeaseError {
        let mut deadline = self.acquire().await;
        let mut last_error = None;
        loop {
            let next = Instant::now() + self.timing.retry_period();
            sleep_until(next.min(deadline)).await;
            match timeout_at(deadline, self.attempt()).await {
                Ok(Ok(Outcome::Held(until))) => {
                    deadline = until;
                    last_error = None;
                }
                Ok(Ok(Outcome::Other(_))) => return self.taken(),
                Ok(Err(error)) => {
                    let cause = self.told(&error);
                    warn!(lease = self.name, cause, "the lease was not renewed, trying again");
                    last_error = Some(Box::new(error));
                }
                Err(_) => {}
            }
            if deadline <= Instant::now() {
                return LeaseError::NotRenewed {
                    name: self.name.to_owned(),
                    deadline: self.timing.renew_deadline(),
                    source: last_error,
                };
            }
        }
    }

    async fn acquire(&mut self) -> Instant {
        loop {
            // Jitter, lest all candidates come at once; but not past the moment it is free.
            let retry = self.timing.retry_period().mul_f64(1.0 + 1.2 * random_fraction());
            let wait = match self.attempt().await {
                Ok(Outcome::Held(until)) => {
                    info!(lease = self.name, identity = %self.identity, "leading");
                    return until;
                }
                Ok(Outcome::Other(free)) => free.min(retry),
                // Another candidate was quicker.
                Err(kube::Error::Api(status)) if status.code == 409 => retry,
                Err(error) => {
                    let cause = self.told(&error);
                    warn!(lease = self.name, cause, "could not try for the lease, trying again");
                    retry
                }
            };
            sleep(wait).await;
        }
    }

    /// An error in words, told to whoever asks if it is a refusal.
    fn told(&self, error: &kube::Error) -> String {
        self.leadership.report(Report::Failed);
        let cause = causes(error);
        if matches!(error, kube::Error::Api(_)) {
            self.health.refused(Duty::Lease, &cause);
        }
        cause
    }

    /// Renews a lease that is known to be held; otherwise looks at it and does what it calls for.
    async fn attempt(&mut self) -> kube::Result<Outcome> {
        if self.lease.is_some() && self.holder() == Some(self.identity.as_str()) {
            match self.write().await {
                // Somebody else wrote or removed it: see who.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                outcome => return outcome,
            }
        }
        self.look().await?;
        match decide(self.seen.as_ref(), self.identity, Instant::now()) {
            Step::Wait(free) => Ok(Outcome::Other(free)),
            Step::Create | Step::Take | Step::Renew => self.write().await,
        }
    }

    async fn look(&mut self) -> kube::Result<()> {
        self.lease = limited(self.timing, self.api.get_opt(self.name)).await?;
        let mut record = self
            .lease
            .as_ref()
            .map(|lease| lease.spec.as_ref().map(Record::read).unwrap_or_default());
        if self.has_stepped_back(record.as_ref())
            && let Some(record) = record.as_mut().filter(|one| one.holder == self.identity.as_str())
        {
            // It is taken again, which shows the other replicas what has happened.
            record.acquired = None;
        }
        self.see(record);
        Ok(())
    }

    /// Writes our record over the one last seen, if nobody else has written in between.
    async fn write(&mut self) -> kube::Result<Outcome> {
        let old = self.seen.as_ref().map(|seen| &seen.record);
        let record = Record::held(old, self.identity, self.timing, Timestamp::now());
        let start = Instant::now();
        self.put(record).await?;
        let until = start + self.timing.renew_deadline();
        self.leadership.renew(until);
        Ok(Outcome::Held(until))
    }

    async fn put(&mut self, record: Record) -> kube::Result<()> {
        let params = PostParams::default();
        // Until an answer has come it is not known what the server holds.
        let written = if let Some(mut lease) = self.lease.take() {
            record.write(lease.spec.get_or_insert_default());
            limited(self.timing, self.api.replace(self.name, &params, &lease)).await?
        } else {
            let mut spec = LeaseSpec::default();
            record.write(&mut spec);
            let metadata = ObjectMeta { name: Some(self.name.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec) };
            limited(self.timing, self.api.create(&params, &lease)).await?
        };
        self.lease = Some(written);
        // What this replica has written is no sign: its clock may have been set back.
        self.sight = self.sight(&record);
        self.leadership.report(Report::Answered(Instant::now()));
        self.see(Some(record));
        Ok(())
    }

    /// Whether the Lease stepped back to this, which is reported then.
    fn has_stepped_back(&mut self, record: Option<&Record>) -> bool {
        self.leadership.report(Report::Answered(Instant::now()));
        // Without a Lease, what was seen before remains to be compared with.
        let Some(sight) = record.and_then(|record| self.sight(record)) else { return false };
        let before = self.sight.replace(sight.clone());
        let since = before.filter(|(before, _)| before.stepped_back_to(&sight.0));
        if let Some((_, since)) = &since {
            self.leadership.report(Report::SteppedBack { since: *since });
        }
        since.is_some()
    }

    fn sight(&self, record: &Record) -> Option<(LeaseSight, Instant)> {
        let metadata = &self.lease.as_ref()?.metadata;
        let sight = LeaseSight {
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata.resource_version.as_ref()?.parse().ok()?,
            holder: record.holder.clone(),
            acquired: record.acquired,
            renewed: record.renewed,
            transitions: record.transitions,
        };
        Some((sight, Instant::now()))
    }

    fn see(&mut self, record: Option<Record>) {
        self.seen = record.map(|record| match self.seen.take() {
            Some(seen) if seen.record == record => seen,
            _ => Observed { record, since: Instant::now() },
        });
    }

    fn holder(&self) -> Option<&str> {
        self.seen.as_ref().map(|seen| seen.record.holder.as_str())
    }

    fn taken(&self) -> LeaseError {
        let holder = self.holder().unwrap_or_default().to_owned();
        LeaseError::Taken { name: self.name.to_owned(), holder }
    }

    /// Gives the lease back, if it is ours: the next candidate need not wait it out.
    async fn release(&mut self) {
        match timeout(self.timing.renew_deadline(), self.try_release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(lease = self.name, cause = causes(&error), "could not give the lease back");
            }
            Err(_) => warn!(lease = self.name, "no answer to giving the lease back"),
        }
    }

    async fn try_release(&mut self) -> kube::Result<()> {
        loop {
            // A request may have been cut short: what the server holds is not known then.
            if self.lease.is_none() {
                self.look().await?;
            }
            let ours =
                self.seen.as_ref().filter(|seen| seen.record.holder == self.identity.as_str());
            let Some(seen) = ours else { return Ok(()) };
            match self.put(seen.record.released(Timestamp::now())).await {
                // A renewal that was under way came first.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                outcome => {
                    outcome?;
                    info!(lease = self.name, "gave the lease back");
                    return Ok(());
                }
            }
        }
    }
}

/// One request, which may take half the renew deadline: so that a second try fits in.
async fn limited<T>(
    timing: &Timing,
    request: impl Future<Output = kube::Result<T>>,
) -> kube::Result<T> {
    let limit = timing.renew_deadline() / 2;
    timeout(limit, request).await.unwrap_or_else(|_| {
        let error = format!("no answer in {limit:?}");
        Err(kube::Error::Service(io::Error::new(io::ErrorKind::TimedOut, error).into()))
    })
}
