//! How long a change of a pod's readiness takes while the hints of all Services are rewritten
//! because their nodes have moved to other zones, beside how long it takes otherwise.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use futures::TryStreamExt;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{
    Api,
    api::{ListParams, WatchParams},
    core::WatchEvent,
};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Error, SETTLE, STOP,
    seed::{self, PODS_PER_SERVICE, State},
};
use crate::{
    closehaul::{self, Profile},
    cluster::{self, Actor, Cluster, UNLIMITED},
    progress::Progress,
    world::{self, Canary, Place, Random, World, object, quiet, until},
};

/// How long the rewrite may take.
const REWRITE: Duration = Duration::from_secs(200);
/// How long after the last change its slice may still be on its way.
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
    /// How many pods change their readiness, a second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rate: u32,
    /// For how many seconds they do while nothing else happens
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// closehaul's own flag: how many Services a second are rewritten for zones and hints alone
    #[arg(long, default_value_t = 100)]
    pub replan_qps: u32,
}

/// From the answer to a change of readiness to the slice that shows it, in order of length.
#[derive(Debug, Clone)]
pub struct Delays(Vec<Duration>);

impl Delays {
    /// That of which `percent` are not longer.
    fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// What was measured. Its text is a Markdown table.
#[derive(Debug, Clone)]
pub struct Relabel {
    options: Options,
    /// While nothing else happened.
    pub at_rest: Delays,
    /// While slices were rewritten.
    pub during: Delays,
    /// How long that took.
    pub took: Duration,
    /// Writes in that time, those for the changes included.
    pub writes: u64,
}

impl fmt::Display for Relabel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { services, nodes, rate, replan_qps, .. } = self.options;
        writeln!(
            out,
            "{} pods behind {services} Services on {nodes} nodes, which all move to another zone: \
             {} writes in {:.1} s with --replan-qps={replan_qps}. Meanwhile and before, {rate} pods a \
             second change their readiness; from the answer to that to the slice that shows it, ms:\n",
            services * PODS_PER_SERVICE,
            self.writes,
            self.took.as_secs_f64(),
        )?;
        writeln!(out, "| | changes | p50 | p99 | longest |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for (name, delays) in [("at rest", &self.at_rest), ("during the rewrite", &self.during)] {
            let [half, most, all] =
                [50, 99, 100].map(|part| delays.percentile(part).as_secs_f64() * 1000.0);
            writeln!(out, "| {name} | {} | {half:.1} | {most:.1} | {all:.1} |", delays.0.len())?;
        }
        Ok(())
    }
}

/// Measures. Takes some minutes, and a few GB of memory at the usual size.
pub async fn run(options: Options) -> Result<Relabel, Error> {
    let binary = closehaul::build(Profile::Release).await?;
    let cluster = Cluster::start(cluster::Options {
        extra_apiserver_args: UNLIMITED.map(str::to_owned).to_vec(),
        ..cluster::Options::default()
    })
    .await?;
    let state = State { services: options.services, nodes: options.nodes };
    seed::fill(cluster.etcd_url(), state).await?;
    let world = World::new(cluster.client(Actor::Admin)?);
    let mut canary = Canary::create(&world).await?;
    let pace = format!("--replan-qps={}", options.replan_qps);
    let args = ["--leader-elect=false", &pace];
    let command = closehaul::command(&binary, &cluster.kubeconfig(Actor::Closehaul), &args);
    let closehaul = command.start(cluster.directory())?;
    let mut progress = Progress::new("closehaul writes all slices".to_owned());
    canary.follow(&world).await?;
    quiet(&cluster, Duration::from_secs(3), SETTLE).await?;
    progress.tick();
    progress.done();

    let seen = Seen::default();
    let slices = Api::<EndpointSlice>::all(cluster.client(Actor::Admin)?);
    let now = slices.list_metadata(&ListParams::default().limit(1)).await?.metadata;
    let from = now.resource_version.unwrap_or_default();
    let watch = tokio::spawn(watch(slices, from, seen.clone()));
    let churn = Churn { world: world.clone(), options, seen: seen.clone() };
    let rest = sleep(Duration::from_secs(options.seconds.into()));
    let at_rest = churn.run("nothing else happens", 0, rest).await;
    if watch.is_finished() {
        return Err(Error::Watch);
    }
    let (at_rest, ()) = at_rest?;
    let before = seen.lock().writes;
    let moving = move_nodes(&world, options, &seen);
    let during = churn.run("nodes move", 1, moving).await;
    if watch.is_finished() {
        return Err(Error::Watch);
    }
    let (during, moved) = during?;
    let (took, writes) = moved?;
    watch.abort();
    closehaul.must_run()?;
    closehaul.stop(STOP).await?;
    cluster.stop().await?;
    Ok(Relabel { options, at_rest, during, took, writes: writes - before })
}

/// What the watch of slices has shown.
#[derive(Debug, Default)]
struct Sights {
    /// When a slice first showed that the pod of this name is not ready.
    unready: HashMap<String, Instant>,
    /// The slices whose endpoints all have the zones that their nodes move to.
    moved: HashSet<String>,
    /// Updates.
    writes: u64,
}

#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Sights>>);

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Sights> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, slice: EndpointSlice) {
        let now = Instant::now();
        let mut sights = self.lock();
        for endpoint in &slice.endpoints {
            let is_ready = endpoint.conditions.as_ref().is_none_or(|it| it.ready != Some(false));
            let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.as_ref());
            if let Some(pod) = pod.filter(|_| !is_ready) {
                sights.unready.entry(pod.clone()).or_insert(now);
            }
        }
        let is_moved = |endpoint: &Endpoint| {
            let node = endpoint.node_name.as_deref();
            let number = node.and_then(|node| node.strip_prefix("node-")?.parse::<u32>().ok());
            number.is_some_and(|number| endpoint.zone == Some(seed::zone(number + 1)))
        };
        if !slice.endpoints.is_empty() && slice.endpoints.iter().all(is_moved) {
            sights.moved.extend(slice.metadata.name);
        }
    }
}

/// Notes what slices show from now on, until the watch ends.
async fn watch(slices: Api<EndpointSlice>, from: String, seen: Seen) -> kube::Result<()> {
    // The longest that it takes.
    let mut events = pin!(slices.watch(&WatchParams::default().timeout(290), &from).await?);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Modified(slice) = event {
            seen.see(slice);
            seen.lock().writes += 1;
        }
    }
    Ok(())
}

/// Pods that change their readiness.
struct Churn {
    world: World,
    options: Options,
    seen: Seen,
}

impl Churn {
    /// Makes one pod after the other not ready until `meanwhile` ends, of each Service the one of
    /// this `number`; how long their slices took, and what came of `meanwhile`.
    async fn run<T>(
        &self,
        what: &str,
        number: u32,
        meanwhile: impl Future<Output = T>,
    ) -> Result<(Delays, T), Error> {
        let mut progress = Progress::new(format!("pods change while {what}"));
        let mut meanwhile = pin!(meanwhile);
        let mut ticks = interval(Duration::from_secs(1) / self.options.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut services = Random::new(1).shuffled((0..self.options.services).collect::<Vec<_>>());
        let mut changes = JoinSet::new();
        let outcome = loop {
            tokio::select! {
                outcome = &mut meanwhile => break outcome,
                _ = ticks.tick() => {
                    progress.tick();
                    let Some(service) = services.pop() else { continue };
                    let (_, pod) = seed::pod(service * PODS_PER_SERVICE + number, self.options.nodes);
                    changes.spawn(unready(self.world.clone(), Place::of(&pod)?));
                }
            }
        };
        let mut delays = Vec::new();
        while let Some(change) = changes.join_next().await {
            let (pod, answered) = change.map_err(|_| Error::Watch)??;
            let what = format!("the slice that shows {pod} not ready");
            let seen = until(&what, LAST, async || Ok(self.seen.lock().unready.get(&pod).copied()))
                .await?
                .0;
            // The slice may be there before the answer has come.
            delays.push(seen.saturating_duration_since(answered));
        }
        progress.done();
        delays.sort_unstable();
        Ok((Delays(delays), outcome))
    }
}

/// Makes a pod not ready; its name, and when the API server had answered.
async fn unready(world: World, pod: Place) -> Result<(String, Instant), world::Error> {
    world.patch_status(&pod, &json!({"conditions": object::ready(false)})).await?;
    Ok((pod.name, Instant::now()))
}

/// Moves all nodes to the next zone and waits until all slices show it; how long it took, and how
/// many writes the watch has shown then.
async fn move_nodes(
    world: &World,
    options: Options,
    seen: &Seen,
) -> Result<(Duration, u64), world::Error> {
    let started = Instant::now();
    let nodes = (0..options.nodes).collect::<Vec<_>>();
    let relabel = async |number: &u32| {
        let labels = json!({"topology.kubernetes.io/zone": seed::zone(number + 1)});
        let patch = json!({"metadata": {"labels": labels}});
        world.patch(&Place::node(&seed::node(*number)), &patch).await.map(drop)
    };
    world.for_all("moving", &nodes, relabel).await?;
    let all = usize::try_from(options.services).unwrap_or(usize::MAX);
    until("all slices follow their nodes", REWRITE, async || {
        let sights = seen.lock();
        Ok((sights.moved.len() >= all).then_some((started.elapsed(), sights.writes)))
    })
    .await
    .map(|(found, _)| found)
}
