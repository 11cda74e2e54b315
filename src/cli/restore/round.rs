//! Round: a list of the cluster, and the writes that follow from it.

use std::time::Duration;

use futures::{StreamExt, stream};
use kube::Client;
use tokio::time::{Instant, sleep_until};

use super::{Mode, RestoreError, say};
use crate::{
    admission::mark::{is_marked, mark},
    cli::live::{Cluster, LiveError},
    clock::WallClock,
    cluster::Index,
    control::{
        lease::Leadership,
        stop::Stop,
        write::{Answers, Limit, Outcome, WriteEncoding, WriteError, Writer},
    },
    model::{name::ServiceKey, service::Service},
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
        mode: Option<Mode>,
    ) -> Result<Self, LiveError> {
        let objects = cluster.objects(None).await?;
        let index = objects.index(wall.now());
        let has_mark = |service: &Service| index.slices_of(&service.key).into_iter().any(is_marked);
        let is_in_place = match mode {
            Some(mode) => mode == Mode::Assist,
            None => index.services().any(has_mark),
        };
        let mut writes: Vec<_> = index
            .services()
            .filter_map(|service| {
                let changes = if is_in_place {
                    in_place(&index, service, settings)?
                } else {
                    let key = &service.key;
                    let plan = index.plan(key, None, settings, Circumstances::default())?;
                    plan.hints_only(&index.slices_of(key))
                };
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

/// What is patched into the slices of a Service that another controller writes: in those that are marked,
/// the hints by the Service's own fields.
fn in_place(index: &Index, service: &Service, settings: Settings) -> Option<Vec<Changes>> {
    let (key, circumstances) = (&service.key, Circumstances::default());
    let mut plan = index.plan_in_place(key, None, settings, circumstances, is_marked)?;
    mark(&mut plan, service, index.topology());
    let changes = plan.families.into_iter().map(|family| family.changes);
    Some(changes.filter(|changes| !changes.is_empty()).collect())
}

impl Written {
    fn add(&mut self, outcome: Outcome) {
        self.slices += outcome.written.len();
        self.services += usize::from(!outcome.written.is_empty());
        self.node_hints_dropped |= outcome.node_hints_dropped;
        self.failures.extend(outcome.failures);
    }
}
