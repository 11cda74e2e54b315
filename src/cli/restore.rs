//! `closehaul restore`: writes back the hints that the built-in controller would write, so that
//! closehaul can leave a cluster whose policies it has enforced.

mod admission;
mod departure;
mod round;

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::time::{Instant, sleep};

use self::{
    departure::{Deployment, LeaseWatch, Scaled},
    round::Round,
};
use super::{
    connection::{ConnectError, Connection, own_namespace},
    duration,
    live::{Cluster, LiveError, Purpose},
    rate,
    say::say,
};
use crate::{
    causes::causes,
    clock::WallClock,
    control::write::{Limit, WriteError},
    observe::MetricsError,
    plan::Settings,
};

/// Between two rounds after the first failure, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Between two looks at what must end first.
const LOOK: Duration = Duration::from_secs(1);

/// Write back the hints that EndpointSlices have without closehaul
///
/// Where policies or zone evacuations have changed the hints of a slice, this writes those that the
/// built-in controller would write, by the Service's own fields. It changes hints alone, and only in
/// slices that closehaul manages. Run it after closehaul has stopped; the built-in controller may already
/// run. It refuses to run beside a replica that leads.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Restore {
    /// Who writes the slices. Without it, the built-in controller if any slice is marked by assist
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,

    /// Delete the admission policies of mode assist before anything is written
    #[arg(long, env = "CLOSEHAUL_DELETE_ADMISSION", hide_env = true)]
    delete_admission: bool,

    /// Repeat until no slice differs, even if some change meanwhile
    #[arg(long, env = "CLOSEHAUL_WAIT", hide_env = true)]
    wait: bool,

    /// How long all of it may take
    #[arg(long, value_parser = duration::parse, default_value = "5m", value_name = "DURATION", env = "CLOSEHAUL_TIMEOUT", hide_env = true)]
    timeout: Duration,

    /// First scale this Deployment of closehaul to 0, and wait until its pods have ended
    #[arg(long, value_name = "NAMESPACE/NAME", env = "CLOSEHAUL_SCALE_DOWN", hide_env = true)]
    scale_down: Option<Deployment>,

    /// How many slices a second are written; 0 means no limit
    #[arg(long, value_parser = rate::parse, default_value = "100", value_name = "QPS", env = "CLOSEHAUL_REPLAN_QPS", hide_env = true)]
    replan_qps: f64,

    /// The most endpoints in a slice; give the value that closehaul ran with
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000), default_value_t = 100, value_name = "N", env = "CLOSEHAUL_MAX_ENDPOINTS_PER_SLICE", hide_env = true)]
    max_endpoints_per_slice: u16,

    /// Name of closehaul's lease
    #[arg(
        long,
        default_value = "closehaul",
        value_name = "NAME",
        env = "CLOSEHAUL_LEADER_ELECT_RESOURCE_NAME",
        hide_env = true
    )]
    leader_elect_resource_name: String,

    /// Namespace of the lease; without it the pod's own, else kube-system
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "CLOSEHAUL_LEADER_ELECT_RESOURCE_NAMESPACE",
        hide_env = true
    )]
    leader_elect_resource_namespace: Option<String>,
}

/// Who writes the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// closehaul, or after it the built-in controller
    Replace,
    /// The built-in controller: only slices that closehaul has marked are patched, and the marks are
    /// removed
    Assist,
}

const EXAMPLES: &str = "\
Examples:
  # Before closehaul is uninstalled by a tool that runs no hooks: stop it, and restore all hints
  closehaul restore --context prod --scale-down kube-system/closehaul --wait

  # The same where closehaul has stopped already
  closehaul restore --context prod --wait

  # The same in mode assist
  closehaul restore --context prod --mode assist --scale-down closehaul-system/closehaul \
    --delete-admission --wait

Exit codes: 0 done, 1 it ran and something is wrong (such as a replica that leads), 2 wrong usage.";

/// Why not all hints are restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No cluster, or it cannot be listed.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// No cluster was named.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A replica leads and would write its own hints again.
    #[error(
        "{holder} leads by the lease {lease} and would enforce its policies again, so nothing is \
         written beside it; stop closehaul first (--scale-down NAMESPACE/DEPLOYMENT does), or run it with \
         --policies=false, and it restores all hints by itself"
    )]
    Leads {
        /// Who holds the lease.
        holder: String,
        /// The lease: namespace/name.
        lease: String,
    },
    /// Something about the Deployment, its pods or the lease cannot be read or changed.
    #[error("cannot {what}: {}; {advice}", causes(source))]
    Request {
        /// What was tried.
        what: String,
        /// What to do.
        advice: &'static str,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// There was not enough time.
    #[error(
        "not done after {limit:?}: {left}; run the command again, with a longer --timeout if the \
         cluster is large"
    )]
    Late {
        /// The time that there was.
        limit: Duration,
        /// What is left.
        left: String,
    },
    /// Writes failed in a way that a retry does not change.
    #[error("{left} of {all} slices were not written: {}; {}", causes(source), advice(source))]
    Write {
        /// How many were not written.
        left: usize,
        /// How many there were to write.
        all: usize,
        /// Why one of them failed.
        source: Box<WriteError>,
    },
    /// The counters of writes.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// What to do about a write that failed.
fn advice(error: &WriteError) -> &'static str {
    match error {
        WriteError::Refused { what, status } if status.code == 403 => {
            if what.starts_with("patch") {
                "ask for the permission to patch endpointslices"
            } else {
                "ask for the permission to update endpointslices"
            }
        }
        _ => "correct what the API server says, and run the command again",
    }
}

impl RestoreError {
    /// Whether it may be over soon, such as an API server that restarts.
    fn may_pass(&self) -> bool {
        let (Self::Request { source, .. } | Self::Live(LiveError::List { source, .. })) = self
        else {
            return false;
        };
        !matches!(&**source, kube::Error::Api(status) if status.code < 500 && status.code != 429)
    }

    /// Whether the command is wrong, and not the environment.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Live(LiveError::Connect(error)) => error.is_usage(),
            _ => false,
        }
    }
}

/// Restores the hints of the cluster that the arguments name.
///
/// # Errors
/// No cluster, a replica that leads, something that may not be read or written, or no time left.
pub async fn run(args: Restore, connection: &Connection) -> Result<(), RestoreError> {
    connection.named()?;
    let cluster = Cluster::connect(connection, Purpose::Restore).await?;
    let namespace = args.leader_elect_resource_namespace.or_else(own_namespace);
    let restoration = Restoration {
        cluster,
        wall: WallClock::system(),
        lease: (namespace.unwrap_or_else(|| "kube-system".into()), args.leader_elect_resource_name),
        deployment: args.scale_down,
        mode: args.mode,
        deletes_admission: args.delete_admission,
        until_none_differs: args.wait,
        limit: args.timeout,
        qps: args.replan_qps,
        settings: Settings::with(args.max_endpoints_per_slice.into()),
    };
    let Restored { slices, services } = restoration.run().await?;
    say(if slices == 0 {
        "nothing to do: no slice has other hints than upstream's".to_owned()
    } else {
        format!("done: {slices} slices of {services} Services have upstream's hints again")
    });
    Ok(())
}

/// All that is done by one command.
pub struct Restoration {
    /// The cluster.
    pub cluster: Cluster,
    /// The time of day.
    pub wall: WallClock,
    /// Namespace and name of closehaul's lease.
    pub lease: (String, String),
    /// What is scaled to 0 first.
    pub deployment: Option<Deployment>,
    /// Who writes the slices; `None` if their marks show it.
    pub mode: Option<Mode>,
    /// Whether the admission policies of assist mode are deleted first.
    pub deletes_admission: bool,
    /// Whether to repeat until a list shows no slice that differs.
    pub until_none_differs: bool,
    /// How long all of it may take.
    pub limit: Duration,
    /// How many slices a second are written; 0 means no limit.
    pub qps: f64,
    /// How slices are planned.
    pub settings: Settings,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How often slices were written.
    pub slices: usize,
    /// The same for Services.
    pub services: usize,
}

impl Restoration {
    /// Stops closehaul if that is requested, and writes what differs.
    ///
    /// # Errors
    /// As [`run`], except that there is a cluster.
    pub async fn run(mut self) -> Result<Restored, RestoreError> {
        let deadline = Instant::now() + self.limit;
        let client = self.cluster.client.clone();
        let mut lease = LeaseWatch::new(client.clone(), self.lease.clone(), self.wall.clone());
        if let Some(deployment) = self.deployment.take() {
            let scaled = deployment.scale_down(&client).await?;
            self.ended(&scaled, &mut lease, deadline).await?;
        }
        if self.deletes_admission {
            lease.must_be_free().await?;
            admission::delete(&client).await?;
        }
        self.rounds(&mut lease, deadline).await
    }

    /// Waits until the pods of the Deployment have ended and nobody holds the lease.
    async fn ended(
        &self,
        scaled: &Scaled,
        lease: &mut LeaseWatch,
        deadline: Instant,
    ) -> Result<(), RestoreError> {
        let mut said = String::new();
        loop {
            let left = match self.what_runs(scaled, lease).await {
                Ok(None) => return Ok(()),
                Ok(Some(left)) => left,
                Err(error) if error.may_pass() => error.to_string(),
                Err(error) => return Err(error),
            };
            if left != said {
                say(format!("waiting: {left}"));
                said.clone_from(&left);
            }
            self.pause(LOOK, deadline, left).await?;
        }
    }

    /// What of closehaul still runs; `None` if nothing does.
    async fn what_runs(
        &self,
        scaled: &Scaled,
        lease: &mut LeaseWatch,
    ) -> Result<Option<String>, RestoreError> {
        let running = scaled.running(&self.cluster.client, self.wall.now()).await?;
        Ok(match (running, lease.holder().await?) {
            (0, None) => None,
            (0, Some(holder)) => Some(format!("{holder} still holds the lease {}", lease.name())),
            (1, _) => Some("1 pod of closehaul has not ended".to_owned()),
            (pods, _) => Some(format!("{pods} pods of closehaul have not ended")),
        })
    }

    /// Writes what differs, and again what could not be written.
    async fn rounds(
        &mut self,
        lease: &mut LeaseWatch,
        deadline: Instant,
    ) -> Result<Restored, RestoreError> {
        let (mut restored, mut pause) = (Restored::default(), PAUSE);
        let limit = Limit::new(self.qps, 1);
        loop {
            let (left, all) = match self.round(lease, &limit, deadline, &mut restored).await {
                Ok(None) => return Ok(restored),
                Ok(Some(left)) => left,
                Err(error) if self.until_none_differs && error.may_pass() => {
                    say(format!("trying again: {error}"));
                    pause = LONGEST_PAUSE.min(pause * 2);
                    self.pause(pause, deadline, error.to_string()).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            pause = if left == 0 { PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
            self.pause(pause, deadline, format!("{left} of {all} slices were not written")).await?;
        }
    }

    /// Writes what differs once. Returns how many slices are left to write, and of how many; `None` if
    /// that is all.
    async fn round(
        &mut self,
        lease: &mut LeaseWatch,
        limit: &Limit,
        deadline: Instant,
        restored: &mut Restored,
    ) -> Result<Option<(usize, usize)>, RestoreError> {
        lease.must_be_free().await?;
        let round = Round::read(&mut self.cluster, self.settings, &self.wall, self.mode).await?;
        std::mem::take(&mut self.cluster.notes).into_iter().for_each(say);
        if round.is_empty() {
            return Ok(None);
        }
        let all = round.slices();
        say(format!("slices whose hints are not upstream's: {all}"));
        let written = round.write(self.cluster.client.clone(), limit.clone(), deadline).await?;
        restored.slices += written.slices;
        restored.services += written.services;
        // Services that prefer the same node have hints for the zone alone then.
        self.settings.node_hints &= !written.node_hints_dropped;
        let left = all.saturating_sub(written.slices);
        if let Some(fatal) = written.failures.into_iter().find(is_final) {
            return Err(RestoreError::Write { left, all, source: Box::new(fatal) });
        }
        let is_done = left == 0 && !self.until_none_differs && !written.node_hints_dropped;
        Ok((!is_done).then_some((left, all)))
    }

    /// Waits, unless there is no time left.
    async fn pause(
        &self,
        time: Duration,
        deadline: Instant,
        left: String,
    ) -> Result<(), RestoreError> {
        if Instant::now() + time >= deadline {
            return Err(RestoreError::Late { limit: self.limit, left });
        }
        sleep(time).await;
        Ok(())
    }
}

/// Whether a retry does not help.
fn is_final(error: &WriteError) -> bool {
    matches!(error, WriteError::Refused { status, .. } if matches!(status.code, 400..500))
        || matches!(error, WriteError::Trimmed { .. })
}
