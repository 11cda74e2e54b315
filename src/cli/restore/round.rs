//! Round: a list of the cluster, and the writes that follow from it.

use std::time::Duration;

use futures::{StreamExt, stream};
use kube::Client;
use tokio::time::{Instant, sleep_until};

use super::{RestoreError, say};
use crate::{
    cli::live::{Cluster, LiveError},
    clock::WallClock,
    control::{
        lease::Leadership,
        stop::Stop,
        write::{Answers, Limit, Outcome, WriteEncoding, WriteError, Writer},
    },
    model::name::ServiceKey,
    observe::Metrics,
    plan::{Circumstances, Settings, changes::Changes},
};

/// How many Services are written at the same time.
const CONCURRENT: usize = 5;
/// How long one write may take.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(5);

/// What must be written to restore all hints.
pub(super) struct Round(Vec<(ServiceKey, Vec<Changes>)>);

/// What was written.
pub(super) struct Written {
    /// How many slices.
    pub(super) slices: usize,
    /// Of how many Services.
    pub(super) services: usize,
    /// What could not be written.
    pub(super) failures: Vec<WriteError>,
    /// Whether the API server stored a slice without its hints for nodes.
    pub(super) node_hints_dropped: bool,
}

impl Round {
    /// Lists the cluster and compares all hints with those of a plan without policies.
    pub(super) async fn read(
        cluster: &mut Cluster,
        settings: Settings,
        wall: &WallClock,
    ) -> Result<Self, LiveError> {
        let objects = cluster.objects(None).await?;
        let index = objects.index(wall.now());
        let mut writes: Vec<_> = index
            .services()
            .filter_map(|service| {
                let plan = index.plan(&service.key, None, settings, Circumstances::default())?;
                let changes = plan.hints_only(&index.slices_of(&service.key));
                (!changes.is_empty()).then(|| (service.key.clone(), changes))
            })
            .collect();
        writes.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self(writes))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many slices there are to write.
    pub(super) fn slices(&self) -> usize {
        self.0.iter().flat_map(|(_, changes)| changes).map(Changes::len).sum()
    }

    /// Writes them until `deadline`. What is left then counts as not written.
    pub(super) async fn write(
        self,
        client: Client,
        limit: Limit,
        deadline: Instant,
    ) -> Result<Written, RestoreError> {
        let all = self.slices();
        let writer = Writer {
            client,
            leadership: Leadership::always(),
            stop: Stop::default(),
            timeout: WRITE_LIMIT,
            limit,
            encoding: WriteEncoding::default(),
            metrics: Metrics::new()?,
            answers: Answers::default(),
        };
        let services = stream::iter(self.0);
        let outcomes = services.map(|(key, changes)| writer.clone().write(key, changes));
        let mut outcomes = outcomes.buffer_unordered(CONCURRENT);
        let mut written =
            Written { slices: 0, services: 0, failures: Vec::new(), node_hints_dropped: false };
        let mut shown = Instant::now();
        loop {
            let outcome = tokio::select! {
                outcome = outcomes.next() => outcome,
                () = sleep_until(deadline) => break,
            };
            let Some(outcome) = outcome else { break };
            written.add(outcome);
            if shown.elapsed() >= PROGRESS {
                shown = Instant::now();
                say(format!("written: {} of {all} slices", written.slices));
            }
        }
        Ok(written)
    }
}

impl Written {
    fn add(&mut self, outcome: Outcome) {
        self.slices += outcome.written.len();
        self.services += usize::from(!outcome.written.is_empty());
        self.node_hints_dropped |= outcome.node_hints_dropped;
        self.failures.extend(outcome.failures);
    }
}
