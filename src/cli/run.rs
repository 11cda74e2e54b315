//! `closehaul run`: the controller.
//!
//! Three threads run, each with its own runtime. The main one has the loop and everything that
//! reads and writes slices. `outside` answers probes, scrapes and signals, and `election` holds the
//! lease. Neither may depend on a loop that hangs, and either may have to end the process.

mod credentials;
mod ending;
mod log;
mod signals;
mod thread;

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{Args, ValueEnum};
use kube::{Api, Client};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tracing::{error, info, warn};

use self::{
    credentials::Credentials, ending::Ending, log::LogFormat, signals::Signals, thread::Thread,
};
use super::{
    connection::{ConnectError, Connection, Found, own_namespace},
    duration, rate,
};
use crate::{
    client::connection::watching,
    clock::{Clock, WallClock},
    control::{
        admission::{self, Absence},
        controller::{self, Controller, Settings},
        lease::{
            self, Election, Farewell, Identity, Leadership, LeadershipSender, Timing, TimingError,
        },
        run::{self, Reading},
        stop::Stop,
        write::{Answers, Limit, WriteEncoding, Writer},
    },
    observe::{
        self, Address, Health, ListenError, Metrics, MetricsError, Subject, events::Recorder,
    },
    plan,
    random::Random,
};

/// How long one write may take where no lease limits it.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// The names of threads.
const OUTSIDE: &str = "outside";
const ELECTION: &str = "election";

/// Write EndpointSlices in place of the built-in controller
///
/// Takes over Services, Pods and Nodes as they are and writes only what differs: slices that the
/// built-in endpointslice-controller left behind are adopted without a write. That controller must
/// be off: append -endpointslice-controller to --controllers of kube-controller-manager.
#[derive(Args, Debug)]
pub struct Run {
    /// Who writes the slices
    #[arg(long, value_enum, default_value_t = Mode::Replace, env = "CLOSEHAUL_MODE")]
    mode: Mode,

    /// In mode assist, change hints of kube-system's Services, too
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", value_name = "BOOL", env = "CLOSEHAUL_ASSIST_KUBE_SYSTEM")]
    assist_kube_system: bool,

    /// Follow policies and zone evacuations; with false, they are ignored
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", value_name = "BOOL", env = "CLOSEHAUL_POLICIES")]
    policies: bool,

    /// Let only the holder of a lease write, so that several replicas can run
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", value_name = "BOOL", env = "CLOSEHAUL_LEADER_ELECT")]
    leader_elect: bool,

    /// How long a replica that falls silent keeps the lease
    #[arg(long, value_parser = duration::parse, default_value = "15s", value_name = "DURATION", env = "CLOSEHAUL_LEADER_ELECT_LEASE_DURATION")]
    leader_elect_lease_duration: Duration,

    /// How long the holder tries to renew the lease before it stops
    #[arg(long, value_parser = duration::parse, default_value = "10s", value_name = "DURATION", env = "CLOSEHAUL_LEADER_ELECT_RENEW_DEADLINE")]
    leader_elect_renew_deadline: Duration,

    /// Time between two tries to get or renew the lease
    #[arg(long, value_parser = duration::parse, default_value = "2s", value_name = "DURATION", env = "CLOSEHAUL_LEADER_ELECT_RETRY_PERIOD")]
    leader_elect_retry_period: Duration,

    /// Name of the lease
    #[arg(
        long,
        default_value = "closehaul",
        value_name = "NAME",
        env = "CLOSEHAUL_LEADER_ELECT_RESOURCE_NAME"
    )]
    leader_elect_resource_name: String,

    /// Namespace of the lease; without it the pod's own, else kube-system
    #[arg(long, value_name = "NAMESPACE", env = "CLOSEHAUL_LEADER_ELECT_RESOURCE_NAMESPACE")]
    leader_elect_resource_namespace: Option<String>,

    /// How many Services are written at the same time
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=50), default_value_t = 5, value_name = "N", env = "CLOSEHAUL_CONCURRENT_SERVICE_ENDPOINT_SYNCS")]
    concurrent_service_endpoint_syncs: u8,

    /// The most endpoints in a slice
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000), default_value_t = 100, value_name = "N", env = "CLOSEHAUL_MAX_ENDPOINTS_PER_SLICE")]
    max_endpoints_per_slice: u16,

    /// How long to gather changes of pods before a Service is written
    #[arg(long, value_parser = duration::parse, default_value = "0s", value_name = "DURATION", env = "CLOSEHAUL_ENDPOINTSLICE_UPDATES_BATCH_PERIOD")]
    endpointslice_updates_batch_period: Duration,

    /// How many Services a second are rewritten for zones and hints alone; 0 means no limit. Without
    /// it 100, and 5 in mode assist, where an evacuation takes twice as many
    #[arg(long, value_parser = rate::parse, value_name = "QPS", env = "CLOSEHAUL_REPLAN_QPS")]
    replan_qps: Option<f64>,

    /// How many writes a second are sent; 0 means no limit
    #[arg(long, value_parser = rate::parse, default_value = "0", value_name = "QPS", env = "CLOSEHAUL_KUBE_API_QPS")]
    kube_api_qps: f64,

    /// How many writes may be sent at once where --kube-api-qps sets a limit; 0 is 1
    #[arg(long, default_value_t = 0, value_name = "N", env = "CLOSEHAUL_KUBE_API_BURST")]
    kube_api_burst: u32,

    /// Where /metrics is served: :PORT for all addresses, IP:PORT, [IPv6]:PORT; 0 switches it off
    #[arg(
        long,
        default_value = ":8080",
        value_name = "ADDRESS",
        env = "CLOSEHAUL_METRICS_BIND_ADDRESS"
    )]
    metrics_bind_address: Address,

    /// Where /livez and /readyz are served; 0 switches them off
    #[arg(
        long,
        default_value = ":8081",
        value_name = "ADDRESS",
        env = "CLOSEHAUL_HEALTH_PROBE_BIND_ADDRESS"
    )]
    health_probe_bind_address: Address,

    /// How many Services have metrics of their own, three series each; 0: none
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=10_000), default_value_t = 0, value_name = "N", env = "CLOSEHAUL_METRICS_SERVICE_LIMIT")]
    metrics_service_limit: u32,

    /// How log lines look; json in a cluster, text on a terminal
    #[arg(long, value_enum, value_name = "FORMAT", env = "CLOSEHAUL_LOG_FORMAT")]
    log_format: Option<LogFormat>,

    /// How much is logged: 4 and more adds every write, 6 and more the requests
    #[arg(short, long, default_value_t = 0, value_name = "LEVEL", env = "CLOSEHAUL_V")]
    v: u8,
}

/// Who writes the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// closehaul alone, whole slices
    Replace,
    /// The built-in controller; closehaul patches hints into its slices, and an admission policy keeps
    /// them there (Kubernetes 1.36 and newer)
    Assist,
    /// The built-in controller; closehaul reads and reports what policies would do, and needs no
    /// permission to write
    Advise,
}

impl Mode {
    /// The mode of the controller.
    fn of_controller(self, kube_system: bool) -> controller::Mode {
        match self {
            Self::Replace => controller::Mode::Replace,
            Self::Assist => controller::Mode::Assist { kube_system },
            Self::Advise => controller::Mode::Advise,
        }
    }

    /// How many Services a second are rewritten for hints alone. The built-in controller answers each
    /// patch with one of its 20 writes a second.
    fn replan_qps(self) -> f64 {
        match self {
            Self::Assist => 5.0,
            Self::Replace | Self::Advise => 100.0,
        }
    }
}

/// Why the controller did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another system than Linux, where the clocks that decide when leadership ends are missing.
    #[error(
        "closehaul run works on Linux only; install it in the cluster with the chart. The commands \
         that only read, such as closehaul plan, work here"
    )]
    NotLinux,
    /// No cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Times of the lease that do not fit together.
    #[error("{0}; see --leader-elect-lease-duration, -renew-deadline and -retry-period")]
    Timing(#[from] TimingError),
    /// An address for metrics or health.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nothing would keep hints in the slices of another controller.
    #[error(
        "--mode assist cannot run here: {why}; {advice}. Without the admission policy, the controller \
         that writes the slices would overwrite each patch",
        why = .0,
        advice = .0.advice()
    )]
    Admission(#[from] Absence),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Signals cannot be handled.
    #[error("cannot wait for signals: {0}")]
    Signal(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start the thread {0}: {1}; check the limits of this user and container")]
    Thread(&'static str, #[source] io::Error),
    /// A thread ended that must run as long as the process does.
    #[error("the thread {0} ended unexpectedly; please report this with the log")]
    Ended(&'static str),
    /// The clients were created from what is not valid any more.
    #[error(
        "the kubeconfig, or a certificate or key that it names, has changed; start closehaul again, \
         as the kubelet does, so that it uses the new one"
    )]
    Outdated,
}

impl RunError {
    /// Whether the command is wrong, and not the environment.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Timing(_) | Self::NotLinux => true,
            Self::Connect(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// Runs the controller until SIGTERM or SIGINT, or until its credentials have changed.
///
/// A lost lease, a main loop that hangs under a lease, a second signal and a stop that takes too
/// long end the process from other threads. In these cases this function never returns.
///
/// # Errors
/// It could not start, or its credentials have changed.
pub async fn run(args: Run, connection: Connection) -> Result<(), RunError> {
    if !cfg!(target_os = "linux") {
        return Err(RunError::NotLinux);
    }
    log::start(args.log_format, args.v);
    let timing = Timing::new(
        args.leader_elect_lease_duration,
        args.leader_elect_renew_deadline,
        args.leader_elect_retry_period,
    )?;
    let outside = Thread::new(OUTSIDE)?;
    let listen = |address: Address, flag| outside.make(|| address.listen(flag));
    let metrics_listener = listen(args.metrics_bind_address, "--metrics-bind-address")?;
    let health_listener = listen(args.health_probe_bind_address, "--health-probe-bind-address")?;
    connection.named()?;
    let found = connection.find().await?;
    let config = &found.config;
    for note in &found.notes {
        warn!("{note}");
    }
    info!(version = env!("CARGO_PKG_VERSION"), server = %config.cluster_url, mode = ?args.mode, "closehaul starts");

    let (clock, wall) = (Clock::boot(), WallClock::system());
    let (sender, leadership) = leadership(args.mode, args.leader_elect, &clock);
    let metrics = Metrics::with_services(args.metrics_service_limit.try_into().unwrap_or(0))?;
    let held = leadership.clone();
    let health = Health::new(Some(Box::new(move || held.overdue())));
    let served = [
        (metrics_listener, Subject::Metrics(metrics.clone()), "metrics"),
        (health_listener, Subject::Health(health.clone()), "health"),
    ];
    let outdated = Arc::new(AtomicBool::new(false));
    let credentials = Credentials::new(connection, config);
    let terminated = attend(outside, served, health.clone(), credentials, outdated.clone())?;

    if args.mode == Mode::Assist {
        admission::expect(&found.client()?).await?;
    }
    let settings = settings(&args, &timing);
    let controller = Controller::new(settings, metrics.clone(), health.clone());
    let mut writer = Writer {
        client: found.client()?,
        leadership,
        stop: Stop::default(),
        timeout: WRITE_LIMIT,
        limit: Limit::new(args.kube_api_qps, args.kube_api_burst),
        encoding: WriteEncoding::default(),
        metrics: metrics.clone(),
        answers: Answers::default(),
    };
    let (election_reports, reports) = mpsc::unbounded_channel();
    let client = watching(config.clone()).map_err(|source| ConnectError::client(config, source))?;
    let mut random = Random::new();
    let reading = Reading { client, random: random.fork(), reports, wall: wall.clone() };
    let identity = Identity::new(&mut random);
    let instance = identity.to_string();
    let recorder = Recorder {
        client: found.client()?,
        instance,
        metrics,
        health: health.clone(),
        wall: wall.clone(),
    };
    let Some(leadership) = sender else {
        drop(election_reports);
        run::run(controller, reading, writer, recorder, terminated).await;
        return ended(&outdated);
    };

    let namespace = args.leader_elect_resource_namespace;
    let namespace = namespace.or_else(own_namespace).unwrap_or_else(|| "kube-system".into());
    // A write that was sent at the last moment must end before another replica can lead.
    let margin = timing.lease_duration().saturating_sub(timing.renew_deadline());
    writer.timeout = WRITE_LIMIT.min(margin.mul_f64(0.8));
    let (farewell, said) = oneshot::channel();
    let election = move |leases| Election {
        leases: Api::namespaced(leases, &namespace),
        name: args.leader_elect_resource_name,
        identity,
        timing,
        leadership: leadership.reporting(election_reports),
        clock,
        wall,
        random,
        pulse: health.pulse().clone(),
        health,
    };
    let mut elected = elect(found, election, said)?;
    let work = run::run(controller, reading, writer, recorder, terminated);
    tokio::select! {
        ended = &mut elected => {
            // It has not been asked to end yet.
            ended.unwrap_or(Ok(()))?;
            return Err(RunError::Ended(ELECTION));
        }
        // Without a receiver the thread has ended, which is found next.
        said = work => drop(farewell.send(said)),
    }
    elected.await.unwrap_or(Err(RunError::Ended(ELECTION)))?;
    ended(&outdated)
}

/// What the controller does, by the flags.
fn settings(args: &Run, timing: &Timing) -> Settings {
    Settings {
        policies: args.policies,
        mode: args.mode.of_controller(args.assist_kube_system),
        plan: plan::Settings::with(args.max_endpoints_per_slice.into()),
        batch_period: args.endpointslice_updates_batch_period,
        replan_qps: args.replan_qps.unwrap_or_else(|| args.mode.replan_qps()),
        concurrency: args.concurrent_service_endpoint_syncs.into(),
        renew_deadline: timing.renew_deadline(),
    }
}

/// Who may write, with what an election needs if there is one.
fn leadership(mode: Mode, elects: bool, clock: &Clock) -> (Option<LeadershipSender>, Leadership) {
    match mode {
        Mode::Advise => (None, Leadership::never()),
        Mode::Replace | Mode::Assist if elects => {
            let (sender, leadership) = lease::leadership(clock.clone());
            (Some(sender), leadership)
        }
        Mode::Replace | Mode::Assist => (None, Leadership::always()),
    }
}

/// The result of a controller that has stopped as it was asked to.
fn ended(outdated: &AtomicBool) -> Result<(), RunError> {
    if outdated.load(Ordering::Relaxed) { Err(RunError::Outdated) } else { Ok(()) }
}

/// Starts the thread that serves metrics and health, waits for signals, and watches the credentials.
/// The returned future ends at the first signal, or when the credentials are `outdated`.
fn attend(
    outside: Thread,
    served: [(Option<TcpListener>, Subject, &'static str); 2],
    health: Health,
    credentials: Credentials,
    outdated: Arc<AtomicBool>,
) -> Result<impl Future<Output = ()>, RunError> {
    let signals = outside.make(Signals::new)?;
    let (first, asked) = oneshot::channel();
    let (renewed, changed) = oneshot::channel();
    let stopping = health.clone();
    outside.start(async move {
        tokio::spawn(async move {
            credentials.changed().await;
            // Without a receiver the main loop has ended already.
            let _ = renewed.send(());
        });
        for (listener, subject, what) in served {
            serve(listener, subject, what);
        }
        signals.attend(first, &health).await.end()
    });
    Ok(async move {
        tokio::select! {
            biased;
            Ok(()) = changed => {
                warn!("stopping: the kubeconfig, or what it names, has changed");
                outdated.store(true, Ordering::Relaxed);
                stopping.stopping();
            }
            asked = asked => if let Ok(asked) = asked {
                info!("got {}", asked.name());
            } else {
                error!(
                    "the thread {OUTSIDE} ended unexpectedly; stopping, since signals are no longer \
                     seen"
                );
            }
        }
    })
}

/// Starts the thread that holds the lease. The main loop's message ends it, and decides whether the
/// lease is released.
fn elect(
    found: Found,
    election: impl FnOnce(Client) -> Election + Send + 'static,
    said: oneshot::Receiver<Farewell>,
) -> Result<oneshot::Receiver<Result<(), RunError>>, RunError> {
    let work = async move {
        // A separate client: the lease must not queue behind writes, nor writes behind watches. It is
        // built here, since a client has a task on the runtime that builds it.
        let election = election(found.client()?);
        // A main loop that ended without a message may have writes in flight.
        let farewell = async { said.await.unwrap_or(Farewell::Keep) };
        match election.run(farewell).await {
            Ok(()) => Ok(()),
            Err(lost) => Ending::Lease(lost).end(),
        }
    };
    Ok(Thread::new(ELECTION)?.start(work))
}

/// Answers at `listener`, if there is one, until the process ends.
fn serve(listener: Option<TcpListener>, subject: Subject, what: &str) {
    let Some(listener) = listener else { return };
    if let Ok(address) = listener.local_addr() {
        info!(%address, "serving {what}");
    }
    tokio::spawn(observe::serve(listener, subject));
}
