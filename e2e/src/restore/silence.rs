//! Watches that fall silent while their connections stay open.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{Error, Gate, SETTLE};
use crate::{
    closehaul,
    cluster::{Actor, Cluster, Options},
    net::{Namespace, Network},
    process::{Process, Signal},
    world::{Canary, World, until},
};

/// The goal: a watch lasts at most 80 s, and is dead after 5 s more of silence.
pub const GOAL: Duration = Duration::from_secs(85);
/// A margin for checks of the log and a busy machine.
pub const MARGIN: Duration = Duration::from_secs(3);
const ARGS: [&str; 1] = ["--leader-elect=false"];

/// How long it took until watches were found dead after they fell silent.
#[derive(Debug, Clone)]
pub struct Noticed {
    /// The first of the four kinds.
    pub first: Duration,
    /// The last of the four kinds.
    pub last: Duration,
    /// The first reason that was logged.
    pub reason: String,
    /// The time from when the server was reachable again until a change was written.
    pub right: Duration,
}

/// Stops the API server's process behind a proxy. Both keep all connections open and answer TCP
/// keepalive.
pub async fn stopped_process(binary: &Path) -> Result<Noticed, Error> {
    let cluster = Cluster::start(Options::default()).await?;
    let gate = Gate::before(cluster.url()).await?;
    let world = World::new(cluster.client(Actor::Admin)?);
    let mut canary = Canary::create(&world).await?;
    let kubeconfig = cluster.kubeconfig_at(Actor::Closehaul, gate.url(), "gate.kubeconfig")?;
    let process = closehaul::command(binary, &kubeconfig, &ARGS).start(cluster.directory())?;
    canary.follow(&world).await?;
    cluster.apiserver().signal(Signal::STOP)?;
    let (first, last, reason) = noticed(&process).await?;
    cluster.apiserver().signal(Signal::CONT)?;
    let (_, right) = canary.follow(&world).await?;
    drop(process);
    cluster.stop().await?;
    Ok(Noticed { first, last, reason, right })
}

/// Drops all packets between closehaul and the API server. Requires root.
pub async fn dropped_packets(binary: &Path) -> Result<Noticed, Error> {
    const NODE: &str = "silent";
    let mut network = Network::new()?;
    let namespace = network.add_node(NODE)?.namespace().name().to_owned();
    let options = Options { bind: network.host().into(), ..Options::default() };
    let cluster = Cluster::start(options).await?;
    let world = World::new(cluster.client(Actor::Admin)?);
    let mut canary = Canary::create(&world).await?;
    let kubeconfig = cluster.kubeconfig(Actor::Closehaul);
    let command = closehaul::command(binary, &kubeconfig, &ARGS);
    let command = command.prefix(Namespace::enter(&namespace));
    let process = command.start(cluster.directory())?;
    canary.follow(&world).await?;
    network.cut(NODE)?;
    let (first, last, reason) = noticed(&process).await?;
    network.mend(NODE)?;
    let (_, right) = canary.follow(&world).await?;
    drop(process);
    cluster.stop().await?;
    Ok(Noticed { first, last, reason, right })
}

/// How long it takes until the watches of the first and of all four kinds are logged as broken.
async fn noticed(process: &Process) -> Result<(Duration, Duration, String), Error> {
    let start = Instant::now();
    let failures = || {
        let log = fs::read_to_string(process.log_path()).unwrap_or_default();
        let failed = log.lines().filter(|line| line.contains("watching failed"));
        failed.map(str::to_owned).collect::<Vec<_>>()
    };
    let ((reason, first), _) = until("a watch is found dead", SETTLE, async || {
        Ok(failures().first().map(|line| (line.clone(), start.elapsed())))
    })
    .await?;
    let kinds = ["Services", "Pods", "Nodes", "Slices"];
    let (last, _) = until("all watches are found dead", SETTLE, async || {
        let failures = failures();
        let all = kinds.iter().all(|kind| failures.iter().any(|line| line.contains(kind)));
        Ok(all.then(|| start.elapsed()))
    })
    .await?;
    Ok((first, last, reason))
}
