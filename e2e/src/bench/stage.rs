//! One contender on a cluster that was started from a kept state.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use kube::Client;
use serde_json::json;

use super::{
    Error,
    connections::{self, Connections},
    contender::Contender,
    garbage,
    measure::{Measure, Measures, megabytes},
    seed,
    shape::Shape,
    usage::{self, RESTING, RESTING_SERVER, Usage},
    witness::Witness,
};
use crate::{
    cluster::{Actor, Cluster},
    process::Process,
    world::{Canary, Place, World},
};

/// How long a process may stay busy.
const REST: Duration = Duration::from_secs(300);
/// How long a contender may take to end.
pub(super) const STOP: Duration = Duration::from_secs(20);

/// A running contender, and what measures it.
pub(super) struct Stage<'a> {
    pub(super) cluster: &'a Cluster,
    client: Client,
    pub(super) contender: Contender,
    pub(super) shape: Shape,
    pub(super) world: World,
    pub(super) witness: Witness,
    canary: Canary,
    process: Process,
    started: Instant,
    /// The pods that were made unready.
    unready: BTreeSet<u32>,
    /// The number of changes so far. The next one affects another pod.
    changes: u32,
}

impl<'a> Stage<'a> {
    /// Waits until the control plane is idle, then starts the contender. The measurement begins
    /// before the start.
    pub(super) async fn open(
        cluster: &'a Cluster,
        shape: Shape,
        canary: Canary,
        contender: Contender,
        binary: &Path,
    ) -> Result<(Self, Meter), Error> {
        let world = World::new(cluster.client(Actor::Admin)?);
        let client = cluster.client(Actor::Admin)?;
        let witness = Witness::start(client.clone()).await?;
        let collections = garbage::collect(&client).await?;
        for process in [cluster.apiserver(), cluster.etcd()] {
            usage::at_rest(process.pid(), process.name(), RESTING_SERVER, REST).await?;
        }
        let meter = Meter {
            begun: Instant::now(),
            cpu: [
                0.0,
                Usage::of(cluster.apiserver().pid())?.cpu(),
                Usage::of(cluster.etcd().pid())?.cpu(),
            ],
            connections: Some(Connections::new()),
            writes: witness.writes(),
            collections,
        };
        let started = Instant::now();
        let process = contender.start(cluster, binary).await?;
        let (unready, changes) = (BTreeSet::new(), 0);
        let stage = Self {
            cluster,
            client,
            contender,
            shape,
            world,
            witness,
            canary,
            process,
            started,
            unready,
            changes,
        };
        Ok((stage, meter))
    }

    /// When the contender's process was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Starts a measurement.
    pub(super) async fn meter(&self) -> Result<Meter, Error> {
        let collections = garbage::collect(&self.client).await?;
        usage::forget_peak(self.process.pid())?;
        Ok(Meter {
            connections: connections::of(self.process.pid()).await,
            begun: Instant::now(),
            cpu: self.cpu()?,
            writes: self.witness.writes(),
            collections,
        })
    }

    fn cpu(&self) -> Result<[f64; 3], Error> {
        let pids = [self.process.pid(), self.cluster.apiserver().pid(), self.cluster.etcd().pid()];
        let [ours, apiserver, etcd] = pids.map(|pid| Usage::of(pid).map(Usage::cpu));
        Ok([ours?, apiserver?, etcd?])
    }

    /// Waits until the contender is idle. Returns what everything has cost since the meter began.
    pub(super) async fn read(&self, meter: Meter) -> Result<Measures, Error> {
        self.process.must_run()?;
        let (pid, name) = (self.process.pid(), self.contender.name());
        let usage = usage::at_rest(pid, &name, RESTING, REST).await?;
        let now = self.cpu()?;
        let [ours, apiserver, etcd] = [0, 1, 2].map(|index| now[index] - meter.cpu[index]);
        let collections = garbage::collections(&self.client).await?;
        let mut measures = Measures::from([
            (Measure::Cpu, ours),
            (Measure::ApiserverCpu, apiserver),
            (Measure::Collections, count(collections.saturating_sub(meter.collections))),
            (Measure::EtcdCpu, etcd),
            (Measure::Peak, megabytes(usage.peak)),
            (Measure::Resident, megabytes(usage.resident)),
            (Measure::Writes, count(self.witness.writes() - meter.writes)),
        ]);
        if let (Some(before), Some(after)) = (meter.connections, connections::of(pid).await) {
            measures.insert(Measure::Received, megabytes(connections::received(&before, &after)));
        }
        Ok(measures)
    }

    /// The contender's resident memory now, in MB.
    pub(super) fn resident(&self) -> Result<f64, Error> {
        Ok(megabytes(Usage::of(self.process.pid())?.resident))
    }

    /// Returns an error with the end of its log if the contender has ended.
    pub(super) fn must_run(&self) -> Result<(), Error> {
        Ok(self.process.must_run()?)
    }

    /// Waits until the contender has followed the canary, and so has seen everything before.
    pub(super) async fn follow(&mut self) -> Result<(), Error> {
        self.canary.follow(&self.world).await?;
        Ok(())
    }

    /// The next pod of `pods` whose readiness is changed, with the body of the request and whether
    /// it becomes ready. Services take turns, and no pod changes twice before each has had its
    /// turn.
    pub(super) fn change(&mut self, pods: u32) -> Change {
        let number = scattered(self.changes, self.shape, pods);
        self.changes += 1;
        let ready = self.unready.remove(&number);
        if !ready {
            self.unready.insert(number);
        }
        Change {
            place: self.shape.place(number),
            ready,
            body: json!({"status": {"conditions": seed::conditions(ready)}}).to_string(),
        }
    }

    /// Ends the contender, which must still run.
    pub(super) async fn close(self) -> Result<(), Error> {
        self.process.must_run()?;
        self.process.stop(STOP).await?;
        Ok(())
    }
}

/// A change of a pod's readiness.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) place: Place,
    pub(super) ready: bool,
    pub(super) body: String,
}

/// The values at the start of a measurement.
pub(super) struct Meter {
    pub(super) begun: Instant,
    /// CPU seconds of the contender, the API server and etcd.
    cpu: [f64; 3],
    connections: Option<Connections>,
    writes: u64,
    collections: u64,
}

/// The pod of a turn. Consecutive pods belong to different Services and, if there are many, to
/// different namespaces.
fn scattered(turn: u32, shape: Shape, pods: u32) -> u32 {
    // Uses all complete Services among those pods, or the pods of an incomplete one.
    let services = (pods / shape.pods_per_service).max(1);
    let each = shape.pods_per_service.min(pods);
    let stride = stride(services);
    let (round, turn) = (turn / services % each, turn % services);
    let service = u64::from(turn) * u64::from(stride) % u64::from(services);
    u32::try_from(service).unwrap_or_default() * shape.pods_per_service + round
}

/// A number without a common divisor with `count`, about two fifths of it.
fn stride(count: u32) -> u32 {
    let common = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (count * 2 / 5..=count).find(|it| common(*it, count) == 1).unwrap_or(1)
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_pod_has_its_turn_before_one_has_a_second() {
        for shape in [Shape::spread(2_000), Shape::dense(7), Shape::single(300)] {
            for pods in [shape.pods(), shape.pods() / 2] {
                let whole = pods / shape.pods_per_service * shape.pods_per_service;
                let turns = if whole == 0 { pods } else { whole };
                let all = (0..turns).map(|turn| scattered(turn, shape, pods));
                let all = all.collect::<HashSet<_>>();
                assert_eq!(all.len(), turns as usize, "{shape}");
                assert!(all.iter().all(|number| *number < pods), "{shape}");
            }
        }
    }

    #[test]
    fn neighbours_are_of_other_namespaces() {
        let shape = Shape::spread(50_000);
        let [first, second] = [0, 1].map(|turn| scattered(turn, shape, shape.pods()));
        assert_ne!(shape.namespace_of_pod(first), shape.namespace_of_pod(second));
    }
}
