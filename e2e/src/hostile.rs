//! The most expensive Services that the API server accepts. Meanwhile, closehaul must keep a
//! healthy Service up to date and keep the lease.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::{
    closehaul::{self, Ports, Profile},
    cluster::{self, Actor, Cluster},
    process,
    progress::Progress,
    scrape::Scraped,
    world::{self, Canary, Kind, Place, World, object, until},
};

/// The namespace of the expensive Service.
const NAMESPACE: &str = "hostile";
/// That Service, and the label of its pods.
const NAME: &str = "hostile";
const NODE: &str = "hostile";
/// The time between two changes of a pod of that Service.
const CHURN: Duration = Duration::from_secs(2);
/// Pods that are created at the same time. Each may be larger than a megabyte.
const IN_FLIGHT: usize = 4;
/// How long the slices of that Service may take.
const SETTLE: Duration = Duration::from_secs(300);
const STOP: Duration = Duration::from_secs(10);
/// The series of the histogram of the loop's iterations, up to the bound.
const BUCKET: &str = "closehaul_loop_hold_seconds_bucket{le=\"";

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// closehaul.
    #[error(transparent)]
    Closehaul(#[from] closehaul::Error),
    /// closehaul's process.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// An object.
    #[error(transparent)]
    World(#[from] world::Error),
    /// The lease.
    #[error("the lease cannot be read: {0}")]
    Lease(#[source] kube::Error),
}

/// A Service that is as expensive as possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Ports of the Service.
    pub ports: u32,
    /// Its pods.
    pub pods: u32,
    /// What its ports lead to.
    pub targets: Targets,
}

/// What the ports of a Service lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// Names. Each pod declares all of them under different numbers, in the opposite order.
    Named,
    /// Numbers.
    Numbers,
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (targets, pods) = match self.targets {
            Targets::Named => ("named ports", "different pods"),
            Targets::Numbers => ("plain ports", "equal pods"),
        };
        write!(out, "{} {targets} x {} {pods}", self.ports, self.pods)
    }
}

/// The shapes, and how long each one runs.
#[derive(Args, Debug, Clone, Copy)]
pub struct Options {
    /// For how many seconds the largest shape runs
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=3_600))]
    pub seconds: u64,
}

/// The largest shape, which runs longest, and two smaller ones.
pub const SHAPES: [Shape; 3] = [
    Shape { ports: 10_000, pods: 60, targets: Targets::Named },
    Shape { ports: 5_000, pods: 50, targets: Targets::Named },
    Shape { ports: 20_000, pods: 5_000, targets: Targets::Numbers },
];

/// What happened while a Service of a shape existed.
#[derive(Debug, Clone)]
pub struct Endured {
    /// The shape.
    pub shape: Shape,
    /// How long it ran.
    pub time: Duration,
    /// The number of changes of the healthy Service, and how long the slowest took to appear in a
    /// slice.
    pub healthy: (usize, Duration),
    /// The time until all slices of the expensive Service existed.
    pub settled: Duration,
    /// The number of loop iterations, and the lowest histogram bound that none of them exceeded, in
    /// seconds.
    pub turns: (u64, f64),
    /// Whether the same process held the lease all the time.
    pub is_lease_kept: bool,
}

impl fmt::Display for Endured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changes, slowest) = self.healthy;
        let (turns, longest) = self.turns;
        write!(
            out,
            "{}, {:.0} s: {}, {changes} healthy changes written (slowest {:.2} s), all slices \
             correct after {:.1} s, longest of {turns} loop iterations at most {longest} s",
            self.shape,
            self.time.as_secs_f64(),
            if self.is_lease_kept { "lease kept" } else { "LEASE LOST" },
            slowest.as_secs_f64(),
            self.settled.as_secs_f64(),
        )
    }
}

/// Runs closehaul with a lease and each shape for its time, one after the other.
pub async fn run(
    profile: Profile,
    shapes: &[(Shape, Duration)],
    mut report: impl FnMut(&Endured),
) -> Result<(), Error> {
    let binary = closehaul::build(profile).await?;
    let cluster = Cluster::start(cluster::Options::default()).await?;
    let admin = cluster.client(Actor::Admin)?;
    let world = World::new(admin.clone());
    let ports = Ports::free()?;
    let args = ports.args();
    let kubeconfig = cluster.kubeconfig(Actor::Closehaul);
    let command = closehaul::command(&binary, &kubeconfig, &args.each_ref().map(String::as_str));
    let closehaul = command.start(cluster.directory())?;
    let canary = Canary::create(&world).await?;
    world.create(&object::namespace(NAMESPACE)).await?;
    world.create(&object::node(NODE, Some("zone-a"))).await?;
    let mut trial = Trial { world, admin, ports, canary };
    trial.canary.follow(&trial.world).await?;
    for (shape, time) in shapes {
        report(&trial.endure(*shape, *time).await?);
        closehaul.must_run()?;
    }
    closehaul.stop(STOP).await?;
    cluster.stop().await?;
    Ok(())
}

struct Trial {
    world: World,
    admin: Client,
    ports: Ports,
    canary: Canary,
}

impl Trial {
    async fn endure(&mut self, shape: Shape, time: Duration) -> Result<Endured, Error> {
        let lease = self.lease().await?;
        let before = turns(&self.ports.metrics().await?);
        let started = Instant::now();
        let (settled, changes, slowest) = self.follow_meanwhile(shape, time, started).await?;
        let endured = started.elapsed();
        let after = turns(&self.ports.metrics().await?);
        let is_lease_kept = lease == self.lease().await?;
        self.clear().await?;
        Ok(Endured {
            shape,
            time: endured,
            healthy: (changes, slowest),
            settled,
            turns: longest(&before, &after),
            is_lease_kept,
        })
    }

    /// Creates the expensive Service, changes one of its pods repeatedly, and follows the healthy
    /// Service all the while. Returns how long it took until all slices existed, how many changes
    /// of the healthy Service were followed, and how long the slowest took.
    async fn follow_meanwhile(
        &mut self,
        shape: Shape,
        time: Duration,
        started: Instant,
    ) -> Result<(Duration, usize, Duration), Error> {
        let mut progress = Progress::new(format!("running {shape}"));
        let Self { world, canary, .. } = self;
        let world = &*world;
        let hostile = async {
            world.create(&service(shape)).await?;
            let pods = stream::iter(0..shape.pods)
                .map(async |number| world.create(&pod(shape, number)).await.map(drop));
            pods.buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
            let settled = until_listed(world, shape, started).await?;
            for number in (0..shape.pods).cycle() {
                if started.elapsed() >= time {
                    break;
                }
                flip(world, number % 2 == 0).await?;
                tokio::time::sleep(CHURN).await;
            }
            Ok::<_, Error>(settled)
        };
        let mut hostile = std::pin::pin!(hostile);
        let (mut changes, mut slowest) = (0, Duration::ZERO);
        let settled = loop {
            let follow = async {
                let (_, took) = canary.follow(world).await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
                Ok::<_, Error>(took)
            };
            tokio::select! {
                settled = &mut hostile => break settled?,
                took = follow => {
                    (changes, slowest) = (changes + 1, slowest.max(took?));
                    progress.tick();
                }
            }
        };
        progress.done();
        Ok((settled, changes, slowest))
    }

    /// Who holds the lease, and how often it has changed hands.
    async fn lease(&self) -> Result<(Option<String>, Option<i32>), Error> {
        let leases: Api<Lease> = Api::namespaced(self.admin.clone(), "kube-system");
        let lease = leases.get("closehaul").await.map_err(Error::Lease)?;
        let spec = lease.spec.unwrap_or_default();
        Ok((spec.holder_identity, spec.lease_transitions))
    }

    async fn clear(&self) -> Result<(), Error> {
        self.world.delete(&Place::new(Kind::Service, NAMESPACE, NAME)).await?;
        self.world.delete_all(Kind::Pod, NAMESPACE).await?;
        self.world.delete_all(Kind::Slice, NAMESPACE).await?;
        Ok(())
    }
}

/// Waits until every pod has its endpoint.
async fn until_listed(world: &World, shape: Shape, started: Instant) -> Result<Duration, Error> {
    until("every pod has its endpoint", SETTLE, async || {
        let slices = world.slices_of(NAMESPACE, NAME).await?;
        let endpoints =
            slices.iter().map(|slice| slice["endpoints"].as_array().map_or(0, Vec::len));
        let is_whole = endpoints.sum::<usize>() == shape.pods as usize
            && slices.iter().all(|slice| {
                slice["ports"].as_array().is_some_and(|ports| ports.len() == shape.ports as usize)
            });
        // Each request reads tens of megabytes.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(is_whole.then_some(()))
    })
    .await?;
    Ok(started.elapsed())
}

/// Flips the readiness of one pod.
async fn flip(world: &World, is_ready: bool) -> Result<(), Error> {
    let place = Place::new(Kind::Pod, NAMESPACE, &pod_name(0));
    world.patch_status(&place, &json!({"conditions": object::ready(is_ready)})).await?;
    Ok(())
}

fn pod_name(number: u32) -> String {
    format!("{NAME}-{number}")
}

fn service(shape: Shape) -> Value {
    let mut service = object::service(NAMESPACE, NAME);
    let port = |number: u32| {
        let target = match shape.targets {
            Targets::Named => json!(target(number)),
            Targets::Numbers => json!(number),
        };
        json!({"name": format!("p{number}"), "port": number, "targetPort": target})
    };
    service["spec"]["ports"] = (1..=shape.ports).map(port).collect();
    untracked(service)
}

fn pod(shape: Shape, number: u32) -> Value {
    let addresses = object::addresses(u64::from(number));
    let mut pod = object::pod(NAMESPACE, &pod_name(number), NAME, NODE, &addresses);
    if shape.targets == Targets::Named {
        let declared = (1..=shape.ports).rev().map(|port| {
            let own = (port + number * 997) % 65_000 + 1;
            json!({"name": target(port), "containerPort": own})
        });
        pod["spec"]["containers"][0]["ports"] = declared.collect();
    }
    untracked(pod)
}

fn target(port: u32) -> String {
    format!("t{port}")
}

/// Removes the managed fields, which are larger than the ports themselves. etcd rejects objects
/// larger than 1.5 MB.
fn untracked(mut object: Value) -> Value {
    object["metadata"]["managedFields"] = json!([{}]);
    object
}

/// How many loop iterations took no longer than each bound, by the text of the bound.
fn turns(scraped: &Scraped) -> BTreeMap<String, f64> {
    let bounds = scraped.series.iter().filter_map(|(series, count)| {
        let bound = series.strip_prefix(BUCKET)?.strip_suffix("\"}")?;
        Some((bound.to_owned(), *count))
    });
    bounds.collect()
}

/// How many iterations there were between two scrapes, and the lowest bound that none of them
/// exceeded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn longest(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> (u64, f64) {
    let more = |bound: &str| {
        let count = |turns: &BTreeMap<String, f64>| turns.get(bound).copied().unwrap_or_default();
        count(after) - count(before)
    };
    let all = more("+Inf");
    let enough = after.keys().filter(|bound| more(bound) >= all);
    let bounds = enough.filter_map(|bound| bound.replace("+Inf", "inf").parse::<f64>().ok());
    (all as u64, bounds.fold(f64::INFINITY, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_read_off_the_histogram() {
        let turns = |counts: [f64; 4]| {
            let bounds = ["0.01", "0.1", "1", "+Inf"].map(str::to_owned);
            bounds.into_iter().zip(counts).collect::<BTreeMap<_, _>>()
        };
        let before = turns([5.0, 5.0, 6.0, 6.0]);
        assert_eq!(longest(&before, &turns([7.0, 9.0, 10.0, 10.0])), (4, 0.1));
        assert_eq!(longest(&before, &turns([7.0, 7.0, 8.0, 9.0])), (3, f64::INFINITY));
    }
}
