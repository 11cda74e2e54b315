//! `closehaul run`: the controller.

use std::{io::IsTerminal, time::Duration};

use clap::{Args, ValueEnum};
use kube::{Api, Client, Config};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::{
    connection::{ConnectError, Connection},
    duration,
};
use crate::{
    control::{
        client::{client, watching},
        controller::{Controller, Settings},
        lease::{self, Identity, Leadership, LeaseError, Timing, TimingError},
        run::{self, Reading},
        write::{Limit, Spoken, Writer},
    },
    observe::{
        self, Address, Health, ListenError, Metrics, MetricsError, Subject, announce::Reporter,
    },
    random::Random,
};

/// How long one write may take where no lease limits it.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// From which `-v` on there is more to read.
const DEBUG: u8 = 4;
const TRACE: u8 = 6;

/// Write EndpointSlices in place of the built-in controller
///
/// Takes over Services, Pods and Nodes as they are and writes only what differs: slices that the
/// built-in endpointslice-controller left behind are adopted without a write. That controller must
/// be off: append -endpointslice-controller to --controllers of kube-controller-manager.
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    connection: Connection,

    /// Who writes the slices: `replace` means closehaul alone, whole slices
    #[arg(long, value_enum, default_value_t = Mode::Replace, env = "CLOSEHAUL_MODE")]
    mode: Mode,

    /// Let only the holder of a lease write, so that several copies can run
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", value_name = "BOOL", env = "CLOSEHAUL_LEADER_ELECT")]
    leader_elect: bool,

    /// How long a copy that falls silent keeps the lease
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

    /// How many Services a second are rewritten for zones and hints alone; 0 means no limit
    #[arg(long, value_parser = rate, default_value = "100", value_name = "QPS", env = "CLOSEHAUL_REPLAN_QPS")]
    replan_qps: f64,

    /// How many writes a second are sent; 0 means no limit
    #[arg(long, value_parser = rate, default_value = "0", value_name = "QPS", env = "CLOSEHAUL_KUBE_API_QPS")]
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
    #[arg(short, default_value_t = 0, value_name = "LEVEL", env = "CLOSEHAUL_V")]
    v: u8,
}

/// Who writes the slices.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// closehaul alone, whole slices
    Replace,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// Why the controller did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Times of the lease that do not fit together.
    #[error("{0}; see --leader-elect-lease-duration, -renew-deadline and -retry-period")]
    Timing(#[from] TimingError),
    /// The lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// An address for metrics or health.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signal(#[source] std::io::Error),
}

impl RunError {
    /// Whether the words of the command are wrong rather than the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Timing(_))
    }
}

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// It could not start, or it lost the lease: then it must not go on.
pub async fn run(args: Run) -> Result<(), RunError> {
    start_log(args.log_format, args.v);
    let Mode::Replace = args.mode;
    let timing = Timing::new(
        args.leader_elect_lease_duration,
        args.leader_elect_renew_deadline,
        args.leader_elect_retry_period,
    )?;
    let metrics_listener = args.metrics_bind_address.listen("--metrics-bind-address")?;
    let health_listener = args.health_probe_bind_address.listen("--health-probe-bind-address")?;
    let config = args.connection.config().await?;
    info!(version = env!("CARGO_PKG_VERSION"), server = %config.cluster_url, mode = ?args.mode, "closehaul starts");

    let (sender, leadership) = args.leader_elect.then(lease::leadership).unzip();
    let leadership = leadership.unwrap_or_else(Leadership::always);
    let metrics = Metrics::with_services(args.metrics_service_limit.try_into().unwrap_or(0))?;
    let held = leadership.clone();
    let health = Health::new(Some(Box::new(move || held.deadline())));
    serve(metrics_listener, Subject::Metrics(metrics.clone()), "metrics");
    serve(health_listener, Subject::Health(health.clone()), "health");

    let settings = Settings {
        max_endpoints: args.max_endpoints_per_slice.into(),
        batch_period: args.endpointslice_updates_batch_period,
        replan_qps: args.replan_qps,
        renew_deadline: timing.renew_deadline(),
    };
    let controller = Controller::new(settings, metrics.clone(), health.clone());
    let mut writer = Writer {
        client: connect(&config)?,
        leadership,
        timeout: WRITE_LIMIT,
        limit: Limit::new(args.kube_api_qps, args.kube_api_burst),
        spoken: Spoken::default(),
        metrics: metrics.clone(),
    };
    let concurrency = args.concurrent_service_endpoint_syncs.into();
    let (election_reports, reports) = mpsc::unbounded_channel();
    let client = watching(config.clone()).map_err(|source| unusable(&config, source))?;
    let reading = Reading { client, random: Random::new(), reports };
    let identity = Identity::new();
    let instance = identity.to_string();
    let reporter =
        Reporter { client: connect(&config)?, instance, metrics, health: health.clone() };
    let terminated = terminated(health.clone())?;
    let Some(sender) = sender else {
        drop(election_reports);
        run::run(controller, reading, writer, reporter, concurrency, terminated).await;
        return Ok(());
    };

    let namespace = args.leader_elect_resource_namespace;
    let namespace = namespace.or_else(own_namespace).unwrap_or_else(|| "kube-system".into());
    let leases = Api::namespaced(connect(&config)?, &namespace);
    // A write that was sent at the last moment must have ended before another copy can lead.
    let margin = timing.lease_duration().saturating_sub(timing.renew_deadline());
    writer.timeout = WRITE_LIMIT.min(margin.mul_f64(0.8));
    let (drained, released) = oneshot::channel::<()>();
    let released = async { drop(released.await) };
    let name = args.leader_elect_resource_name;
    let sender = sender.reporting(election_reports);
    let election = lease::run(leases, &name, &identity, &timing, sender, &health, released);
    let work = async {
        run::run(controller, reading, writer, reporter, concurrency, terminated).await;
        drop(drained);
    };
    // If the lease is lost, the work is dropped where it stands.
    tokio::pin!(election);
    tokio::select! {
        lost = &mut election => return Ok(lost?),
        () = work => {}
    }
    Ok(election.await?)
}

/// Answers at `listener`, if there is one, to the end of the process.
fn serve(listener: Option<TcpListener>, subject: Subject, what: &str) {
    let Some(listener) = listener else { return };
    if let Ok(address) = listener.local_addr() {
        info!(%address, "serving {what}");
    }
    tokio::spawn(observe::serve(listener, subject));
}

/// The namespace of the pod that this runs in.
fn own_namespace() -> Option<String> {
    std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok()
}

/// A client of its own: the lease must not queue behind writes, nor writes behind watches.
fn connect(config: &Config) -> Result<Client, ConnectError> {
    client(config.clone()).map_err(|source| unusable(config, source))
}

fn unusable(config: &Config, source: kube::Error) -> ConnectError {
    ConnectError::client(config.cluster_url.to_string(), source)
}

/// Waits for SIGTERM or SIGINT.
fn terminated(health: Health) -> Result<impl Future<Output = ()>, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("got SIGTERM"),
            _ = interrupt.recv() => info!("got SIGINT"),
        }
        health.stopping();
    })
}

/// Sends logs to standard error.
fn start_log(format: Option<LogFormat>, verbosity: u8) {
    let filter = EnvFilter::new(filter(verbosity));
    let is_terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first log.
    let _ = match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.with_ansi(is_terminal).with_target(false).try_init(),
    };
}

/// What is logged. kube reports each failed connection by itself, which is ours to tell, and an
/// answer that it cannot decode it prints as a whole: that may be a list of pods, with what their
/// environment holds.
fn filter(verbosity: u8) -> String {
    let (own, requests) = match verbosity {
        TRACE.. => ("trace", "debug"),
        DEBUG.. => ("debug", "off"),
        _ => ("info", "off"),
    };
    format!(
        "warn,closehaul={own},closehaul::control::client={requests},kube_client::client=off,\
         kube_client::client::tls=warn"
    )
}

/// Reads a rate: a number that is not negative.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| {
        format!("`{text}` is not a rate; write a number of writes a second, 0 for no limit")
    })
}

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled, subscriber::with_default};
    use tracing_subscriber::{layer::SubscriberExt, registry};

    use super::*;

    #[test]
    fn no_log_level_shows_the_body_of_an_answer() {
        for (verbosity, writes, requests) in
            [(0, false, false), (3, false, false), (4, true, false), (6, true, true)]
        {
            with_default(registry().with(EnvFilter::new(filter(verbosity))), || {
                assert!(!enabled!(target: "kube_client::client", Level::WARN));
                assert!(enabled!(target: "kube_client::client::tls", Level::WARN));
                assert_eq!(enabled!(target: "closehaul::control::write", Level::DEBUG), writes);
                let shown = enabled!(target: "closehaul::control::client", Level::DEBUG);
                assert_eq!(shown, requests);
            });
        }
    }
}
