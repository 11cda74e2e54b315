//! Contender: a program that is measured.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{Error, floor};
use crate::{
    closehaul::{self, Profile},
    cluster::{Actor, Cluster, ControllerManager},
    components::{self, Component, Kubernetes},
    process::{Command, Process},
};

/// How long the floor may take to know all slices.
const FLOOR_START: Duration = Duration::from_secs(60);

/// A program that is compared with others. All run without leader election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// closehaul, as released
    Closehaul,
    /// kube-controller-manager with no other controller, without client-side limits
    BuiltIn,
    /// The same with its default limits: 20 requests a second
    BuiltInStock,
    /// Upstream's controller package in a small program of ours, without limits
    Library,
    /// No controller: each pod event is answered by one PUT of ready-made bytes
    Floor,
}

impl Contender {
    /// Its name on the command line and in tables.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether it can only follow pods whose slices exist.
    pub fn only_follows(self) -> bool {
        self == Self::Floor
    }

    /// The path of its binary. Builds it if necessary, which takes minutes; cargo or Go checks this
    /// each time.
    pub(super) async fn binary(self) -> Result<PathBuf, Error> {
        let component = match self {
            Self::Closehaul => return Ok(closehaul::build(Profile::Release).await?),
            Self::Floor => {
                return env::current_exe()
                    .map_err(|source| Error::File { path: "/proc/self/exe".into(), source });
            }
            Self::BuiltIn | Self::BuiltInStock => Component::KubeControllerManager,
            Self::Library => Component::Rival,
        };
        let build = move || components::ensure_of(Kubernetes::default(), &[component]);
        let components = tokio::task::spawn_blocking(build).await.map_err(Error::Cancelled)??;
        Ok(components.path(component).to_owned())
    }

    /// Starts it, with the binary of [`Self::binary`].
    pub(super) async fn start(self, cluster: &Cluster, binary: &Path) -> Result<Process, Error> {
        let directory = cluster.directory();
        match self {
            Self::Closehaul => {
                let kubeconfig = cluster.kubeconfig(Actor::Closehaul);
                let args = ["--leader-elect=false"];
                let command = closehaul::command(binary, &kubeconfig, &args);
                Ok(command.start(directory)?)
            }
            Self::BuiltIn => {
                Ok(cluster.start_controller_manager(ControllerManager::OnlySlices).await?)
            }
            Self::BuiltInStock => {
                Ok(cluster.start_controller_manager(ControllerManager::OnlySlicesLimited).await?)
            }
            Self::Library => {
                let kubeconfig = cluster.kubeconfig(Actor::ControllerManager);
                let command = Command::new("rival", binary)
                    .arg("--kubeconfig")
                    .arg(kubeconfig)
                    .args(["--kube-api-qps=5000", "--kube-api-burst=10000"]);
                Ok(command.start(directory)?)
            }
            Self::Floor => {
                let kubeconfig = cluster.kubeconfig(Actor::ControllerManager);
                let command = Command::new("floor", binary);
                let process =
                    command.arg("floor").arg("--kubeconfig").arg(kubeconfig).start(directory)?;
                let ready = async || {
                    let known = process.log_tail().contains(floor::READY);
                    known.then_some(()).ok_or("not all slices are known")
                };
                process.ready(FLOOR_START, ready).await?;
                Ok(process)
            }
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name())
    }
}
