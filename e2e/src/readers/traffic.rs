//! Requests from the clients to one Service, and the count of all requests.

use super::{Error, evidence::Witness, family::Family};
use crate::kubelet::requests::{Answer, Flow, Sender};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The interval of the requests that continue during changes.
const PACE: Duration = Duration::from_millis(250);

/// How many answers in a row must be right (upstream: 10).
const IN_A_ROW: u64 = 12;

/// How long the clients may take to see a change that is in the slices. A kube-proxy whose sync
/// failed retries after 30 s (its `syncPeriod`), so this allows two retries.
const LIMIT: Duration = Duration::from_secs(75);

/// How many requests were sent, and why some of them failed.
#[derive(Debug, Default, Clone)]
pub struct Count {
    /// All requests.
    pub sent: usize,
    /// Requests without an answer: client, Service, reason.
    pub failed: Vec<String>,
}

/// The requests of a run, by family.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<Family, Count>>);

impl Tally {
    fn add(&self, path: &Path<'_>, answers: &[Answer]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(path.family).or_default();
        count.sent += answers.len();
        let failed = answers.iter().filter_map(|answer| answer.as_ref().err());
        count.failed.extend(failed.map(|error| format!("{path}: {error}")));
    }

    pub(super) fn counts(self) -> BTreeMap<Family, Count> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path from a client to one address of a Service.
pub(super) struct Path<'a> {
    pub(super) client: &'a str,
    pub(super) family: Family,
    address: IpAddr,
    service: &'a str,
    sender: &'a Sender,
    witness: &'a Witness<'a>,
    url: String,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} by {}", self.client, self.service, self.family)
    }
}

impl<'a> Path<'a> {
    pub(super) fn new(
        client: &'a str,
        sender: &'a Sender,
        service: &'a str,
        address: IpAddr,
        witness: &'a Witness<'a>,
    ) -> Self {
        let url = match address {
            IpAddr::V4(address) => format!("http://{address}/"),
            IpAddr::V6(address) => format!("http://[{address}]/"),
        };
        Self { client, family: Family::of(address), address, service, sender, witness, url }
    }

    /// Waits until the Service is programmed. These requests do not count, because they may fail
    /// before that.
    pub(super) async fn open(&self) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let answers = self.sender.send(&self.url, 1).await.map_err(run)?;
            let last = match answers.into_iter().next() {
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => error,
                None => "nothing".to_owned(),
            };
            self.in_time(started, "a first answer", last).await?;
        }
    }

    /// Sends requests until consecutive answers are right, all expected servers have answered, and
    /// no answer has been wrong for at least `holds`.
    pub(super) async fn expect(
        &self,
        expected: &BTreeSet<String>,
        holds: Duration,
        tally: &Tally,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let mut right_since = None;
        let mut reached = BTreeSet::new();
        loop {
            let answers = self.sender.send(&self.url, IN_A_ROW).await.map_err(run)?;
            tally.add(self, &answers);
            if let Some(why) = answers.iter().find_map(|answer| answer.as_ref().err()) {
                self.witness.tell(self.client, self.address, why).await;
            }
            let answered: BTreeSet<_> = answers.into_iter().filter_map(Result::ok).collect();
            let last = format!("{answered:?}");
            if answered.is_subset(expected) {
                reached.extend(answered);
                let since = *right_since.get_or_insert_with(Instant::now);
                if reached == *expected && since.elapsed() >= holds {
                    return Ok(());
                }
            } else {
                right_since = None;
                reached.clear();
            }
            self.in_time(started, &format!("answers of {expected:?} only"), last).await?;
        }
    }

    async fn in_time(&self, started: Instant, what: &str, last: String) -> Result<(), Error> {
        if started.elapsed() < LIMIT {
            return Ok(());
        }
        let what = format!("{self}: {what}");
        let last = format!("{last}\n{}", self.witness.look(self.client, self.address).await);
        Err(Error::Late { what, seconds: LIMIT.as_secs(), last })
    }

    /// Reports the evidence when the first request of a flow fails.
    pub(super) async fn watch(&self, flow: &Flow) {
        let why = flow.failure().await;
        self.witness.tell(self.client, self.address, &why).await;
    }

    /// Starts requests that continue during other work.
    pub(super) fn flow(&self) -> Result<Flow, Error> {
        self.sender.flow(&self.url, PACE).map_err(run)
    }

    /// Ends them and counts them.
    pub(super) async fn finish(&self, flow: Flow, tally: &Tally) -> Result<(), Error> {
        let answers = flow.finish().await.map_err(run)?;
        tally.add(self, &answers);
        Ok(())
    }
}

fn run(source: io::Error) -> Error {
    Error::Run { what: "a client in its pod", source }
}
