//! Measures how long a change of a pod's readiness takes while the slices of all Services are
//! rewritten because their nodes have moved to other zones, compared with how long it takes
//! otherwise.

use std::{
    collections::HashMap,
    fmt,
    pin::pin,
    time::{Duration, Instant},
};

use clap::Args;
use kube::Client;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Error, seed,
    shape::Shape,
    stage::{Change, STOP},
    state,
    statistics::percentile,
    step::churn::{latencies, patch},
    witness::{Shown, Witness},
};
use crate::{
    closehaul::{self, Profile},
    cluster::{Actor, Cluster},
    progress::Progress,
    world::{Canary, Place, Random, World},
};

/// How long the rewrite may take.
const REWRITE: Duration = Duration::from_secs(200);
/// How long the slice for the last change may take.
const LAST: Duration = Duration::from_secs(60);

/// The size of the state, and how much happens to it.
#[derive(Args, Debug, Clone, Copy)]
pub struct Options {
    /// How many Services there are, with 10 pods each; all prefer their zone
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=6_000))]
    pub services: u32,
    /// How many nodes there are, in 3 zones; all of them move
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub nodes: u32,
    /// How many pods change their readiness per second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rate: u32,
    /// For how many seconds they do so while nothing else happens
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// closehaul's flag: how many Services per second are rewritten only for zones and hints
    #[arg(long, default_value_t = 100)]
    pub replan_qps: u32,
}

/// What was measured. Its text is a Markdown table.
#[derive(Debug, Clone)]
pub struct Relabel {
    options: Options,
    shape: Shape,
    /// The time from the answer to a change until a slice shows it, in ms, while nothing else
    /// happened.
    pub at_rest: Vec<f64>,
    /// The same while slices were rewritten.
    pub during: Vec<f64>,
    /// How long the rewrite took.
    pub took: Duration,
    /// Writes in that time, including those for the changes.
    pub writes: u64,
}

impl fmt::Display for Relabel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { nodes, rate, replan_qps, .. } = self.options;
        writeln!(
            out,
            "{} on {nodes} nodes, which all move to another zone: {} writes in {:.1} s with \
             --replan-qps={replan_qps}. Meanwhile and before, {rate} pods a second change their \
             readiness; from the answer to that to the slice that shows it, ms:\n",
            self.shape,
            self.writes,
            self.took.as_secs_f64(),
        )?;
        writeln!(out, "| | changes | p50 | p99 | longest |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for (name, delays) in [("at rest", &self.at_rest), ("during the rewrite", &self.during)] {
            let [half, most, all] = [50.0, 99.0, 100.0].map(|part| percentile(delays, part));
            writeln!(out, "| {name} | {} | {half:.1} | {most:.1} | {all:.1} |", delays.len())?;
        }
        Ok(())
    }
}

/// Measures. Takes some minutes, and a few GB of memory at the default size.
pub async fn run(options: Options) -> Result<Relabel, Error> {
    let binary = closehaul::build(Profile::Release).await?;
    let cluster = Cluster::start(state::options()).await?;
    let world = World::new(cluster.client(Actor::Admin)?);
    let mut canary = Canary::create(&world).await?;
    let shape = Shape { nodes: options.nodes, ..Shape::spread(options.services * 10) };
    seed::fill(cluster.etcd_url(), shape).await?;
    let pace = format!("--replan-qps={}", options.replan_qps);
    let args = ["--leader-elect=false", &pace];
    let command = closehaul::command(&binary, &cluster.kubeconfig(Actor::Closehaul), &args);
    let closehaul = command.start(cluster.directory())?;
    state::settled(&cluster, &world, &mut canary, "closehaul").await?;

    let witness = Witness::start(cluster.client(Actor::Admin)?).await?;
    let client = cluster.client(Actor::Admin)?;
    let churn = Churn { client, options, shape, witness: &witness };
    let rest = sleep(Duration::from_secs(options.seconds.into()));
    let (at_rest, ()) = churn.run("nothing else happens", 0, rest).await?;
    let before = witness.writes();
    let moving = move_nodes(&world, shape, &witness);
    let (during, moved) = churn.run("nodes move", 1, moving).await?;
    let (took, writes) = moved?;
    closehaul.must_run()?;
    closehaul.stop(STOP).await?;
    cluster.stop().await?;
    Ok(Relabel { options, shape, at_rest, during, took, writes: writes - before })
}

/// Pods that become unready.
struct Churn<'a> {
    client: Client,
    options: Options,
    shape: Shape,
    witness: &'a Witness,
}

impl Churn<'_> {
    /// Makes one pod after the other unready until `meanwhile` ends. In each Service, that is the
    /// pod with this `number`. Returns how long their slices took, and the result of `meanwhile`.
    async fn run<T>(
        &self,
        what: &str,
        number: u32,
        meanwhile: impl Future<Output = T>,
    ) -> Result<(Vec<f64>, T), Error> {
        let mut progress = Progress::new(format!("pods change while {what}"));
        let mut meanwhile = pin!(meanwhile);
        let mut ticks = interval(Duration::from_secs(1) / self.options.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut services = Random::new(1).shuffled((0..self.shape.services).collect::<Vec<_>>());
        let mut changes = JoinSet::new();
        let outcome = loop {
            tokio::select! {
                outcome = &mut meanwhile => break outcome,
                _ = ticks.tick() => {
                    progress.tick();
                    let Some(service) = services.pop() else { continue };
                    let place = self.shape.place(service * self.shape.pods_per_service + number);
                    self.witness.await_pod(&place.name, false);
                    changes.spawn(unready(self.client.clone(), place));
                }
            }
        };
        let mut acknowledged = HashMap::new();
        while let Some(change) = changes.join_next().await {
            let (pod, at) = change.map_err(Error::Cancelled)??;
            acknowledged.insert(pod, at);
        }
        let seen = self.witness.all_seen(LAST).await?;
        progress.done();
        Ok((latencies(&acknowledged, &seen), outcome))
    }
}

/// Makes a pod unready. Returns its name, and when the API server answered.
async fn unready(client: Client, place: Place) -> Result<(String, Instant), Error> {
    let body = json!({"status": {"conditions": seed::conditions(false)}}).to_string();
    let change = Change { place, ready: false, body };
    let at = patch(&client, &change).await?;
    Ok((change.place.name, at))
}

/// Moves all nodes to the next zone and waits until all slices show it. Returns how long it took,
/// and how many writes there were until then.
async fn move_nodes(
    world: &World,
    shape: Shape,
    witness: &Witness,
) -> Result<(Duration, u64), Error> {
    let started = Instant::now();
    let nodes = (0..shape.nodes).collect::<Vec<_>>();
    let relabel = async |number: &u32| {
        let labels = json!({"topology.kubernetes.io/zone": Shape::zone(number + 1)});
        let patch = json!({"metadata": {"labels": labels}});
        world.patch(&Place::node(&Shape::node(*number)), &patch).await.map(drop)
    };
    world.for_all("moving", &nodes, relabel).await?;
    let is_moved = |shown: &Shown| {
        let number = shown.pod.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
        number.is_some_and(|number| {
            shown.zone.as_deref() == Some(&Shape::zone(shape.node_of_pod(number) + 1))
        })
    };
    let all = "all slices follow their nodes";
    witness.endpoints_are(all, REWRITE, |slices| slices.values().flatten().all(is_moved)).await?;
    Ok((started.elapsed(), witness.writes()))
}
