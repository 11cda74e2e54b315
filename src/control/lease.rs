//! Leader election: of several replicas, at most one writes.
//!
//! client-go's semantics (`tools/leaderelection`) on a `coordination.k8s.io/v1` Lease, by get,
//! create and replace with a version: a conflict means that another client was quicker. A lease is
//! free once nothing about it has changed for its duration *as seen from here*; the holder's clock
//! is never read. The holder in turn counts from the start of its last successful request, so that
//! it has stopped `lease_duration - renew_deadline` before another replica can take over.
//!
//! The election is one future, [`Election::run`], which `closehaul run` polls on its own thread.
//! Whatever the main loop does, the lease is renewed as long as that loop makes progress, and no
//! longer.

mod hang;
mod leadership;
mod record;
mod settings;

use std::{future::Future, io, time::Duration};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, api::PostParams, core::ObjectMeta};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::history::LeaseSight;
use crate::{
    causes::causes,
    clock::{Clock, Moment, WallClock},
    observe::{Duty, Health},
    pulse::{Hang, Pulse},
    random::Random,
};

pub use leadership::{Leadership, LeadershipSender, Report, leadership};
pub use record::{Observed, Record, Step, decide};
pub use settings::{Identity, Timing, TimingError};

/// Why a replica has to stop.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The renew deadline has passed.
    #[error(
        "the lease {name} could not be renewed for {deadline:?}, so another replica may take over \
         and this one stops: check that the API server is reachable and answers in time"
    )]
    NotRenewed {
        /// The Lease's name.
        name: String,
        /// The renew deadline.
        deadline: Duration,
        /// The last request's error.
        source: Option<Box<kube::Error>>,
    },
    /// The record names another holder, without this replica having been late.
    #[error(
        "the lease {name} was taken over by {holder}, so this replica stops: something other than \
         closehaul has written to it"
    )]
    Taken {
        /// The Lease's name.
        name: String,
        /// Who holds it now.
        holder: String,
    },
    /// The main loop hangs.
    #[error(
        "{hang}: this replica neither renews nor takes the lease {name} and stops, so that another \
         one can lead; if a Service is named, check its ports and pods, and report this"
    )]
    Hangs {
        /// The Lease's name.
        name: String,
        /// What is known about it.
        hang: Hang,
    },
}

/// What becomes of the lease when the process is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// Release it, so that another replica leads at once. The requests may take this long.
    Release(Duration),
    /// Let it expire: a write that was sent may still be applied.
    Keep,
}

/// A replica's part in the election.
#[derive(Debug)]
pub struct Election {
    /// The Leases of the lease's namespace. The client must serve nothing else, and must be built
    /// on the runtime on which this runs.
    pub leases: Api<Lease>,
    /// The Lease's name.
    pub name: String,
    /// This replica.
    pub identity: Identity,
    /// The times of the election.
    pub timing: Timing,
    /// Informs the writers whether they may write.
    pub leadership: LeadershipSender,
    /// The clock that decides when the leadership ends.
    pub clock: Clock,
    /// The clock for the times in the Lease at which it was taken and renewed.
    pub wall: WallClock,
    /// Spreads the attempts of several candidates.
    pub random: Random,
    /// The pulse of the main loop. While the loop hangs, the lease is neither taken nor renewed.
    pub pulse: Pulse,
    /// Where refusals of the API server are reported.
    pub health: Health,
}

impl Election {
    /// Waits for the lease, holds it, and releases it at `shutdown`, unless that returns otherwise.
    ///
    /// `shutdown` must come after the last write has ended: right after it, another replica may
    /// lead.
    ///
    /// # Errors
    ///
    /// When a held lease is lost, or the main loop hangs. The process must then exit at once and
    /// without cleaning up.
    pub async fn run(self, shutdown: impl Future<Output = Farewell>) -> Result<(), LeaseError> {
        let mut candidate = Candidate {
            api: &self.leases,
            name: &self.name,
            identity: &self.identity,
            timing: &self.timing,
            leadership: &self.leadership,
            clock: &self.clock,
            wall: &self.wall,
            random: self.random,
            pulse: &self.pulse,
            health: &self.health,
            lease: None,
            seen: None,
            sight: None,
        };
        let ended = tokio::select! {
            biased;
            hang = hang::hangs(&self.pulse) => {
                Err(LeaseError::Hangs { name: self.name.clone(), hang })
            }
            farewell = shutdown => Ok(farewell),
            lost = candidate.lead() => Err(lost),
        };
        self.leadership.end();
        match ended? {
            Farewell::Release(within) => candidate.release(within).await,
            Farewell::Keep => candidate.keep(),
        }
        Ok(())
    }
}

struct Candidate<'a> {
    api: &'a Api<Lease>,
    name: &'a str,
    identity: &'a Identity,
    timing: &'a Timing,
    leadership: &'a LeadershipSender,
    clock: &'a Clock,
    wall: &'a WallClock,
    random: Random,
    pulse: &'a Pulse,
    health: &'a Health,
    /// The object as last read or written; `None` if it is absent or may have changed since.
    lease: Option<Lease>,
    /// The record last seen, and since when.
    seen: Option<Observed>,
    /// The same with what shows whether the history went back, and when it was seen.
    sight: Option<(LeaseSight, Instant)>,
}

/// The result of an attempt that met no error.
enum Outcome {
    /// The lease is held until then.
    Held(Moment),
    /// Another replica holds it. It is free after this at the earliest.
    Other(Duration),
}

impl Candidate<'_> {
    /// Takes the lease and renews it until that fails.
    async fn lead(&mut self) -> LeaseError {
        let clock = self.clock;
        let mut deadline = self.acquire().await;
        let mut last_error = None;
        loop {
            let next = clock.now() + self.timing.retry_period();
            clock.reached(next.min(deadline)).await;
            if deadline <= clock.now() {
                return LeaseError::NotRenewed {
                    name: self.name.to_owned(),
                    deadline: self.timing.renew_deadline(),
                    source: last_error,
                };
            }
            let outcome = tokio::select! {
                biased;
                outcome = self.attempt() => outcome,
                () = clock.reached(deadline) => continue,
            };
            match outcome {
                Ok(Outcome::Held(until)) => {
                    deadline = until;
                    last_error = None;
                }
                Ok(Outcome::Other(_)) => return self.taken(),
                Err(error) => {
                    let cause = self.cause_of(&error);
                    warn!(lease = self.name, cause, "the lease was not renewed, retrying");
                    last_error = Some(Box::new(error));
                }
            }
        }
    }

    async fn acquire(&mut self) -> Moment {
        loop {
            hang::turns(self.pulse).await;
            // Jitter, so that not all candidates come at once; but not past the moment it is free.
            let retry = self.timing.retry_period().mul_f64(1.0 + 1.2 * self.random.fraction());
            let wait = match self.attempt().await {
                Ok(Outcome::Held(until)) => {
                    info!(lease = self.name, identity = %self.identity, "leading");
                    return until;
                }
                Ok(Outcome::Other(free)) => free.min(retry),
                // Another candidate was quicker.
                Err(kube::Error::Api(status)) if status.code == 409 => retry,
                Err(error) => {
                    let cause = self.cause_of(&error);
                    warn!(lease = self.name, cause, "could not acquire the lease, retrying");
                    retry
                }
            };
            sleep(wait).await;
        }
    }

    /// An error in words, which is reported by `/readyz?verbose` if it is a refusal.
    fn cause_of(&self, error: &kube::Error) -> String {
        if !is_turned_away(error) {
            self.leadership.report(Report::Failed);
        }
        let cause = causes(error);
        if matches!(error, kube::Error::Api(_)) {
            self.health.refused(Duty::Lease, &cause);
        }
        cause
    }

    /// Renews a lease that is known to be held; otherwise reads it and does what it requires.
    async fn attempt(&mut self) -> kube::Result<Outcome> {
        if self.lease.is_some() && self.holder() == Some(self.identity.as_str()) {
            match self.write().await {
                // Another client wrote or removed it: see who.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                outcome => return outcome,
            }
        }
        self.look().await?;
        match decide(self.seen.as_ref(), self.identity, self.clock.now()) {
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
            // Taking it again shows the other replicas what happened.
            record.acquired = None;
        }
        self.see(record);
        Ok(())
    }

    /// Writes our record over the one last seen, if no other client has written in between.
    async fn write(&mut self) -> kube::Result<Outcome> {
        let old = self.seen.as_ref().map(|seen| &seen.record);
        let record = Record::held(old, self.identity, self.timing, self.wall.now());
        let start = self.clock.now();
        self.put(record).await?;
        let until = start + self.timing.renew_deadline();
        self.leadership.renew(until);
        Ok(Outcome::Held(until))
    }

    async fn put(&mut self, record: Record) -> kube::Result<()> {
        let params = PostParams::default();
        // Until an answer arrives, it is not known what the server holds.
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
        // What this replica has written is not a sign: its clock may have been set back.
        self.sight = self.sight(&record);
        self.leadership.report(Report::Answered(Instant::now()));
        self.see(Some(record));
        Ok(())
    }

    /// Whether the Lease stepped back to this. If so, reports it.
    fn has_stepped_back(&mut self, record: Option<&Record>) -> bool {
        self.leadership.report(Report::Answered(Instant::now()));
        // Without a Lease, later states are compared with what was seen before.
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
            _ => Observed { record, since: self.clock.now() },
        });
    }

    fn holder(&self) -> Option<&str> {
        self.seen.as_ref().map(|seen| seen.record.holder.as_str())
    }

    fn taken(&self) -> LeaseError {
        let holder = self.holder().unwrap_or_default().to_owned();
        LeaseError::Taken { name: self.name.to_owned(), holder }
    }

    /// Keeps the lease, which expires by itself.
    fn keep(&self) {
        if self.holder() == Some(self.identity.as_str()) {
            warn!(
                lease = self.name,
                runs_out = ?self.timing.lease_duration(),
                "not releasing the lease: a write was sent and not answered, and may still be \
                 applied; another replica leads when the lease has expired"
            );
        }
    }

    /// Releases the lease, if it is ours, so that the next candidate does not have to wait until it
    /// expires.
    async fn release(&mut self, within: Duration) {
        match timeout(within, self.try_release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(lease = self.name, cause = causes(&error), "could not release the lease");
            }
            Err(_) => warn!(lease = self.name, "no answer to the release of the lease"),
        }
    }

    async fn try_release(&mut self) -> kube::Result<()> {
        loop {
            // A request may have been cut short, so it is not known what the server holds.
            if self.lease.is_none() {
                self.look().await?;
            }
            let ours =
                self.seen.as_ref().filter(|seen| seen.record.holder == self.identity.as_str());
            let Some(seen) = ours else { return Ok(()) };
            match self.put(seen.record.released(self.wall.now())).await {
                // A renewal that was under way came first.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                outcome => {
                    outcome?;
                    info!(lease = self.name, "released the lease");
                    return Ok(());
                }
            }
        }
    }
}

/// Whether the API server answered and turned this replica away: it lacks a permission, or another
/// client was quicker. Either way, the API server is there.
fn is_turned_away(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 409))
}

/// One request, which may take half the renew deadline, so that a second attempt fits in.
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
