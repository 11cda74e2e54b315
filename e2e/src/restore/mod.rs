//! etcd restored from a backup while closehaul runs (kubernetes#107457), and watches that fall
//! silent, on the real components.
//!
//! - [`Case`]: how a restore is done
//! - [`restore`]: does it, and returns how long it took until every slice was correct
//! - [`idle`]: what all this costs a cluster in which nothing happens
//! - [`silence`]: how long closehaul takes to notice that a watch is dead

mod gate;
pub mod idle;
pub mod silence;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

pub use self::gate::Gate;
use crate::{
    closehaul::{self, Ports},
    cluster::{self, Actor, Cluster, Options},
    net,
    process::{self, Process},
    world::{self, Canary, Kind, Place, World, object, until},
};

/// The goal, from the moment that the API server answers closehaul again.
pub const GOAL: Duration = Duration::from_secs(60);
/// How long other steps may take.
const SETTLE: Duration = Duration::from_secs(120);
/// Longer than the renew deadline.
const OUTAGE: Duration = Duration::from_secs(12);
const SHOP: &str = "shop";
const SERVICES: u64 = 6;
const PODS: u64 = 4;
/// Created after the backup.
const LATE: u64 = 3;

/// What can go wrong here, apart from what is measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The objects.
    #[error(transparent)]
    World(#[from] world::Error),
    /// closehaul.
    #[error(transparent)]
    Closehaul(#[from] closehaul::Error),
    /// A process.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The network.
    #[error(transparent)]
    Network(#[from] net::Error),
    /// The proxy, or a log.
    #[error("the proxy in front of the API server, or a log: {0}")]
    File(#[from] io::Error),
}

/// How etcd is restored.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// 2 with leader election, or 1 without it.
    pub replicas: usize,
    /// Whether `--bump-revision` and `--mark-compacted` are set.
    pub bumps: bool,
    /// Whether the new history is longer than the old one before closehaul is connected again.
    pub overtakes: bool,
}

impl Case {
    /// All cases.
    pub fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for replicas in [1, 2] {
            for bumps in [false, true] {
                for overtakes in [false, true] {
                    cases.push(Self { replicas, bumps, overtakes });
                }
            }
        }
        cases
    }
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas = if self.replicas == 1 { "one replica" } else { "two replicas" };
        let bumps = if self.bumps { ", revision bumped and marked compacted" } else { "" };
        let overtakes = if self.overtakes { ", new history longer than the old one" } else { "" };
        write!(out, "{replicas}{bumps}{overtakes}")
    }
}

/// The outcome of a restore.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The time from when the API server answered closehaul again until every slice was correct.
    /// `None` if that took longer than twice the goal.
    pub right: Option<Duration>,
    /// How long the API server did not answer closehaul.
    pub outage: Duration,
    /// The counted signs of all replicas that still run.
    pub rewinds: f64,
    /// Whether a replica logged that the history went back or may have.
    pub is_logged: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.right {
            Some(right) => write!(out, "correct after {:.1} s", right.as_secs_f64())?,
            None => write!(out, "NOT correct after {} s", 2 * GOAL.as_secs())?,
        }
        let Self { outage, rewinds, is_logged, .. } = self;
        let logged = if *is_logged { "logged" } else { "not logged" };
        write!(out, " (outage {:.1} s, {rewinds} signs, {logged})", outage.as_secs_f64())
    }
}

/// A replica, and the ports for its metrics.
struct Replica {
    process: Process,
    ports: Ports,
}

/// Restores etcd while the `closehaul` at `binary` runs.
pub async fn restore(case: Case, binary: &Path) -> Result<Outcome, Error> {
    let mut cluster = Cluster::start(Options::default()).await?;
    let world = World::new(cluster.client(Actor::Admin)?);
    let gate = Gate::before(cluster.url()).await?;
    let mut canary = Canary::create(&world).await?;
    create(&world).await?;

    let mut replicas = Vec::new();
    for number in 0..case.replicas {
        replicas.push(start(&cluster, &gate, binary, case, number)?);
    }
    canary.follow(&world).await?;
    until("every slice is right", SETTLE, async || Ok(is_right(&world).await?.then_some(())))
        .await?;
    let backup = cluster.back_up("backup.db").await?;
    change(&world).await?;
    canary.follow(&world).await?;
    until("every slice is right", SETTLE, async || Ok(is_right(&world).await?.then_some(())))
        .await?;
    let lost = cluster.revision().await?;

    let away = Instant::now();
    gate.close();
    let args: &[&str] =
        if case.bumps { &["--bump-revision=1000000", "--mark-compacted"] } else { &[] };
    cluster.restore(&backup, args).await?;
    if case.overtakes {
        overtake(&cluster, &world, lost).await?;
        tokio::time::sleep(OUTAGE.saturating_sub(away.elapsed())).await;
    }
    // This change is in the gap that a resumed watch does not show.
    set_ready(&world, "cart-0-1", false).await?;
    let outage = away.elapsed();
    let back = Instant::now();
    gate.open();
    // A holder of the lease that could not renew it ends, perhaps only now. A kubelet would restart it.
    let mut failed = None;
    let mut revive = || {
        for (number, replica) in replicas.iter_mut().enumerate() {
            if !replica.process.is_running() {
                *replica = start(&cluster, &gate, binary, case, number)?;
            }
        }
        Ok(())
    };
    let right = until("every slice is right", 2 * GOAL, async || {
        failed = revive().err();
        Ok((failed.is_some() || is_right(&world).await?).then_some(()))
    });
    let right = match right.await {
        Ok(_) => Some(back.elapsed()),
        Err(world::Error::Late { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(error) = failed {
        return Err(error);
    }
    // Signs that are seen later count as well.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut rewinds, mut is_logged) = (0.0, false);
    for replica in &replicas {
        let metrics = replica.ports.metrics().await?;
        let signs = metrics.series.iter();
        let signs = signs.filter(|(name, _)| name.starts_with("closehaul_history_rewinds_total"));
        rewinds += signs.map(|(_, value)| value).sum::<f64>();
        is_logged |= fs::read_to_string(replica.process.log_path())?.contains("history");
    }
    drop(replicas);
    cluster.stop().await?;
    Ok(Outcome { right, outage, rewinds, is_logged })
}

fn start(
    cluster: &Cluster,
    gate: &Gate,
    binary: &Path,
    case: Case,
    number: usize,
) -> Result<Replica, Error> {
    let actor = if number == 0 { Actor::Closehaul } else { Actor::ClosehaulB };
    let name = format!("closehaul-{number}");
    let kubeconfig = cluster.kubeconfig_at(actor, gate.url(), &format!("{name}.kubeconfig"))?;
    let ports = Ports::free()?;
    let [metrics, health] = ports.args();
    let elect = if case.replicas == 1 { "--leader-elect=false" } else { "--leader-elect=true" };
    let command = closehaul::command(binary, &kubeconfig, &[&metrics, &health, elect]);
    let process = command.named(name).start(cluster.directory())?;
    Ok(Replica { process, ports })
}

/// Services and pods that the backup contains.
async fn create(world: &World) -> Result<(), Error> {
    world.create(&object::namespace(SHOP)).await?;
    for (number, zone) in ["zone-a", "zone-b", "zone-c"].into_iter().enumerate() {
        world.create(&object::node(&format!("node-{number}"), Some(zone))).await?;
    }
    let mut objects = Vec::new();
    for service in 0..SERVICES {
        objects.extend(service_and_pods(&format!("cart-{service}"), service * PODS));
    }
    Ok(world.create_all(&objects).await?)
}

fn service_and_pods(name: &str, first: u64) -> Vec<Value> {
    let pod = |number| {
        let [address, _] = object::addresses(first + number);
        let node = format!("node-{}", number % 3);
        object::pod(SHOP, &format!("{name}-{number}"), name, &node, &[address])
    };
    (0..PODS).map(pod).chain([object::service(SHOP, name)]).collect()
}

/// What the restore undoes: new Services, deleted pods, and pods whose readiness changed.
async fn change(world: &World) -> Result<(), Error> {
    let mut objects = Vec::new();
    for service in 0..LATE {
        objects.extend(service_and_pods(&format!("late-{service}"), 1000 + service * PODS));
    }
    world.create_all(&objects).await?;
    for service in 0..SERVICES {
        let name = format!("cart-{service}");
        world.delete(&Place::new(Kind::Pod, SHOP, &format!("{name}-0"))).await?;
        set_ready(world, &format!("{name}-1"), service % 2 == 0).await?;
        set_ready(world, &format!("{name}-2"), false).await?;
    }
    Ok(())
}

async fn set_ready(world: &World, pod: &str, is_ready: bool) -> Result<(), Error> {
    let status = json!({"conditions": object::ready(is_ready)});
    world.patch_status(&Place::new(Kind::Pod, SHOP, pod), &status).await?;
    Ok(())
}

/// Writes until the store's version is past `lost`.
async fn overtake(cluster: &Cluster, world: &World, lost: u64) -> Result<(), Error> {
    let node = Place::node("node-0");
    while cluster.revision().await? <= lost + 20 {
        for round in 0..50 {
            let label = json!({"metadata": {"labels": {"round": round.to_string()}}});
            world.patch(&node, &label).await?;
        }
    }
    Ok(())
}

/// Whether the slices of each Service show its pods as they are.
async fn is_right(world: &World) -> Result<bool, world::Error> {
    let mut wanted = BTreeMap::new();
    for service in world.list(Kind::Service, Some(SHOP)).await? {
        wanted.insert(text(&service["metadata"]["name"]), BTreeMap::new());
    }
    for pod in world.list(Kind::Pod, Some(SHOP)).await? {
        let is_ready = pod["status"]["conditions"][0]["status"] == "True";
        if let Some(pods) = wanted.get_mut(&text(&pod["metadata"]["labels"]["app"])) {
            pods.insert(text(&pod["metadata"]["uid"]), is_ready);
        }
    }
    let mut shown = wanted.keys().map(|name| (name.clone(), BTreeMap::new())).collect();
    let shown: &mut BTreeMap<String, BTreeMap<String, bool>> = &mut shown;
    for slice in world.list(Kind::Slice, Some(SHOP)).await? {
        let service = text(&slice["metadata"]["labels"]["kubernetes.io/service-name"]);
        // Slices of a deleted Service are left to the garbage collector, which does not run here.
        let Some(pods) = shown.get_mut(&service) else { continue };
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            let is_ready = endpoint["conditions"]["ready"] == true;
            pods.insert(text(&endpoint["targetRef"]["uid"]), is_ready);
        }
    }
    Ok(*shown == wanted)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
