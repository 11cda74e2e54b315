//! Builds and starts the `closehaul` command.

use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::{
    cluster::{self, Actor, Cluster, free_port},
    during::during,
    process::{self, Command, Process, tail},
    scrape::{self, Scraped},
};

/// What can go wrong on the way to a running closehaul.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// cargo could not be run.
    #[error("cannot run {cargo} to build closehaul: {source}")]
    Cargo {
        /// The program.
        cargo: String,
        /// The system's error.
        source: io::Error,
    },
    /// The build failed.
    #[error("building closehaul failed; the end of cargo's output:\n{tail}")]
    Build {
        /// The last lines that cargo printed.
        tail: String,
    },
    /// The process could not be started.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// No free port.
    #[error(transparent)]
    Port(#[from] cluster::Error),
    /// It serves no metrics or health.
    #[error(transparent)]
    Scrape(#[from] scrape::Error),
}

/// How closehaul is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Quick to build, for everything that is not measured.
    #[default]
    Dev,
    /// As released, for measurements. The build takes minutes.
    Release,
}

/// Builds the `closehaul` command from this checkout, into the target directory that cargo uses
/// here, and returns its path. Quick when nothing has changed.
pub async fn build(profile: Profile) -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let failed = |source| Error::Cargo { cargo: cargo.display().to_string(), source };
    let mut command = tokio::process::Command::new(&cargo);
    // `cargo run` and `cargo test` set these for this package. ring's build script reads them, so
    // this build and the outer one would invalidate each other, which costs minutes each time.
    let ours = env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    for name in ours {
        command.env_remove(name);
    }
    let child = command
        .args(["build", "--quiet", "--bin", "closehaul"])
        .arg("--message-format=json-render-diagnostics")
        .args(match profile {
            // With the features that the workspace uses: its dependencies are built already.
            Profile::Dev => "--workspace".split(' '),
            Profile::Release => "--package=closehaul --release".split(' '),
        })
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let output = during("building closehaul", child.wait_with_output()).await.map_err(failed)?;
    let executable = executable(&String::from_utf8_lossy(&output.stdout));
    match executable.filter(|_| output.status.success()) {
        Some(path) => Ok(path),
        None => Err(Error::Build { tail: tail(&String::from_utf8_lossy(&output.stderr), 40) }),
    }
}

/// What is read of cargo's message about one thing that it has built.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

/// The executable among cargo's messages, one JSON object per line.
fn executable(messages: &str) -> Option<PathBuf> {
    let artifact = |line| serde_json::from_str::<Artifact>(line).ok()?.executable;
    messages.lines().rev().find_map(artifact)
}

/// Starts `closehaul run` against the cluster with its own permissions and the further `args`;
/// builds it first, once in this process. It is not waited for: its readiness is what tests look
/// at.
pub async fn start(cluster: &Cluster, args: &[&str]) -> Result<Process, Error> {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let binary = BINARY.get_or_try_init(|| build(Profile::Dev)).await?;
    let kubeconfig = cluster.kubeconfig(Actor::Closehaul);
    Ok(command(binary, &kubeconfig, args).start(cluster.directory())?)
}

/// `closehaul run` as [`start`] starts it, for another binary or kubeconfig (such as that of a
/// proxy, [`Cluster::kubeconfig_at`]). Before its start, it can get a prefix, an environment or, as
/// one of several replicas, a name. It serves metrics and health only if the `args` set their
/// ports, see [`Ports`], because a machine has only one default port for each.
pub fn command(binary: &Path, kubeconfig: &Path, args: &[&str]) -> Command {
    let off = |command: Command, name| command.env(name, "0");
    let command = Command::new("closehaul", binary).args(["run", "--kubeconfig"]).arg(kubeconfig);
    ["CLOSEHAUL_METRICS_BIND_ADDRESS", "CLOSEHAUL_HEALTH_PROBE_BIND_ADDRESS"]
        .into_iter()
        .fold(command.args(args), off)
}

/// Where a closehaul serves metrics and health that is started with [`Ports::args`].
#[derive(Debug, Clone)]
pub struct Ports {
    metrics: SocketAddr,
    health: SocketAddr,
}

impl Ports {
    /// Two ports that were free a moment ago.
    pub fn free() -> Result<Self, Error> {
        let free = || -> Result<SocketAddr, Error> {
            let address = Ipv4Addr::LOCALHOST.into();
            Ok((address, free_port(address)?).into())
        };
        Ok(Self { metrics: free()?, health: free()? })
    }

    /// The arguments of closehaul that set them.
    pub fn args(&self) -> [String; 2] {
        let Self { metrics, health } = self;
        [
            format!("--metrics-bind-address={metrics}"),
            format!("--health-probe-bind-address={health}"),
        ]
    }

    /// Its metrics.
    pub async fn metrics(&self) -> Result<Scraped, Error> {
        Ok(scrape::scrape(&scrape::client(&format!("http://{}", self.metrics))?).await?)
    }

    /// The status code and the text at a path such as `/readyz`.
    pub async fn health(&self, path: &str) -> Result<(u16, String), Error> {
        Ok(scrape::get(&scrape::client(&format!("http://{}", self.health))?, path).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_other_messages() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
            {"reason":"compiler-artifact","executable":"/target/debug/closehaul"}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some("/target/debug/closehaul".into()));
        assert_eq!(executable(r#"{"reason":"build-finished","success":false}"#), None);
    }
}
