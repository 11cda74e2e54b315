//! What closehaul costs beside the built-in controller, on one state whose slices are right.
//!
//! Both are started in turn on the same API server, first on an empty cluster, then on a full one,
//! and measured by `/proc` when they have caught up and come to rest. A run that writes a slice
//! fails: then the state was not right, and the two have not done the same work.

pub mod relabel;
mod report;
mod seed;
mod usage;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;

pub use self::report::{Figure, Report};
use self::usage::Usage;
use crate::{
    closehaul::{self, Profile},
    cluster::{self, Actor, Cluster, ControllerManager, UNLIMITED},
    components::{self, Component},
    process::{self, Process},
    progress::Progress,
    world::{self, Canary, World, quiet},
};

/// How long the built-in controller may take to write all slices.
const SETTLE: Duration = Duration::from_secs(300);
/// How long a controller may take to end.
const STOP: Duration = Duration::from_secs(20);

/// What can go wrong with the measurements.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// A component's binary.
    #[error(transparent)]
    Component(#[from] components::Error),
    /// closehaul could not be built or started.
    #[error(transparent)]
    Closehaul(#[from] closehaul::Error),
    /// A process.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// Requests to the API server.
    #[error(transparent)]
    World(#[from] world::Error),
    /// A request to etcd.
    #[error("filling etcd: {0}")]
    Seed(#[from] kube::Error),
    /// The slices could not be watched.
    #[error("the watch of slices, or a request for a change, ended early: measure again")]
    Watch,
    /// A file of `/proc` or a binary.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A controller did not come to rest.
    #[error("{name} was still busy {limit:?} after it had caught up")]
    Busy {
        /// Which.
        name: &'static str,
        /// For how long it was watched.
        limit: Duration,
    },
    /// The state was not right for one of the two.
    #[error(
        "{name} wrote slices of a state that should have been right: what it did more than the other cannot be told apart"
    )]
    Wrote {
        /// Which.
        name: &'static str,
    },
}

/// The size of the full state, and how often it is measured.
#[derive(Args, Debug, Clone, Copy)]
pub struct Options {
    /// How many Services there are, with 10 pods each
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=6_000))]
    pub services: u32,
    /// How many nodes there are, in 3 zones
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub nodes: u32,
    /// How often each controller is started on each state
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
}

/// One of the two that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Closehaul,
    BuiltIn,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Closehaul => "closehaul",
            Self::BuiltIn => "kube-controller-manager",
        }
    }
}

/// What one start of a controller cost.
#[derive(Debug, Clone, Copy)]
struct Sample {
    usage: Usage,
    caught_up: Duration,
}

/// Measures and compares. Takes a few minutes, more if the release build is not there yet.
pub async fn run(options: Options) -> Result<Report, Error> {
    let binary = closehaul::build(Profile::Release).await?;
    let cluster = Cluster::start(cluster::Options {
        extra_apiserver_args: UNLIMITED.map(str::to_owned).to_vec(),
        ..cluster::Options::default()
    })
    .await?;
    let mut bench = Bench::new(&cluster, &binary).await?;
    let idle = bench.rounds("on an empty cluster", options.runs).await?;

    let state = seed::State { services: options.services, nodes: options.nodes };
    let pod_bytes = seed::fill(cluster.etcd_url(), state).await?;
    let mut progress = Progress::new("the built-in controller writes all slices".to_owned());
    let manager = bench.start(Contender::BuiltIn).await?;
    bench.canary.follow(&bench.world).await?;
    quiet(&cluster, Duration::from_secs(3), SETTLE).await?;
    manager.stop(STOP).await?;
    progress.tick();
    progress.done();

    let what = format!("at {} pods", state.pods());
    let full = bench.rounds(&what, options.runs).await?;
    let rival = Component::KubeControllerManager;
    let rival = components::ensure(&[rival])?.path(rival).to_owned();
    cluster.stop().await?;
    Ok(Report::new(state, pod_bytes, options.runs, [size(&binary)?, size(&rival)?], &idle, &full))
}

/// A cluster with the two controllers.
struct Bench<'a> {
    cluster: &'a Cluster,
    binary: &'a Path,
    world: World,
    canary: Canary,
}

impl<'a> Bench<'a> {
    async fn new(cluster: &'a Cluster, binary: &'a Path) -> Result<Self, Error> {
        let world = World::new(cluster.client(Actor::Admin)?);
        let canary = Canary::create(&world).await?;
        let mut bench = Self { cluster, binary, world, canary };
        // The canary's slice is there before anything is measured.
        let closehaul = bench.start(Contender::Closehaul).await?;
        bench.canary.follow(&bench.world).await?;
        closehaul.stop(STOP).await?;
        Ok(bench)
    }

    /// Starts the two in turn, `runs` times each; what they cost, closehaul first.
    async fn rounds(&mut self, what: &str, runs: u32) -> Result<[Vec<Sample>; 2], Error> {
        let mut progress = Progress::new(format!("{runs} starts of each controller {what}"));
        let mut samples = [Vec::new(), Vec::new()];
        for _ in 0..runs {
            for (contender, samples) in
                [Contender::Closehaul, Contender::BuiltIn].into_iter().zip(&mut samples)
            {
                samples.push(self.measure(contender).await?);
                progress.tick();
            }
        }
        progress.done();
        Ok(samples)
    }

    async fn measure(&mut self, contender: Contender) -> Result<Sample, Error> {
        let before = self.cluster.stored_slices().await?;
        let started = Instant::now();
        let process = self.start(contender).await?;
        let (version, _) = self.canary.follow(&self.world).await?;
        let caught_up = started.elapsed();
        let usage = usage::at_rest(process.pid(), contender.name()).await?;
        let after = self.cluster.stored_slices().await?;
        process.must_run()?;
        process.stop(STOP).await?;
        if (after.count, after.revision) != (before.count, version) {
            return Err(Error::Wrote { name: contender.name() });
        }
        Ok(Sample { usage, caught_up })
    }

    async fn start(&self, contender: Contender) -> Result<Process, Error> {
        match contender {
            Contender::Closehaul => {
                let kubeconfig = self.cluster.kubeconfig(Actor::Closehaul);
                let args = ["--leader-elect=false"];
                let command = closehaul::command(self.binary, &kubeconfig, &args);
                Ok(command.start(self.cluster.directory())?)
            }
            Contender::BuiltIn => {
                Ok(self.cluster.start_controller_manager(ControllerManager::OnlySlices).await?)
            }
        }
    }
}

fn size(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path);
    metadata
        .map(|metadata| metadata.len())
        .map_err(|source| Error::File { path: path.to_owned(), source })
}
