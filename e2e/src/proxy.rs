//! kube-proxy, one per node, in the node's network namespace.

use crate::{
    kubelet::requests::Sender,
    net::{Namespace, Network},
    process::{self, Command, Process, tail},
};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How kube-proxy programs the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Mode {
    /// The nftables API, the default of newer clusters.
    #[default]
    Nftables,
    /// Rules of iptables.
    Iptables,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        })
    }
}

/// What a kube-proxy is started with.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The `kube-proxy` binary.
    pub binary: &'a Path,
    /// The binary with [`crate::kubelet::Command`], which checks whether it is healthy.
    pub server: &'a Path,
    /// A kubeconfig of the user `system:kube-proxy`.
    pub kubeconfig: &'a Path,
    /// The node, whose Node object must exist with its address.
    pub node: &'a str,
    /// The node's network namespace.
    pub namespace: &'a str,
    /// How it programs the kernel.
    pub mode: Mode,
    /// The directory for its configuration and log.
    pub directory: &'a Path,
}

/// What went wrong with a kube-proxy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its configuration could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It did not start, did not become healthy or ended too early.
    #[error(transparent)]
    Process(#[from] process::Error),
}

/// How long a kube-proxy may take until it is healthy on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What a kube-proxy logs when it adopts its node's zone.
const ZONE_HEARD: &str = "Updated proxier node topology labels";

/// How many lines of the log are evidence.
const ABOUT: usize = 30;

/// A running kube-proxy.
#[derive(Debug)]
pub struct KubeProxy {
    process: Process,
    sender: Sender,
}

impl KubeProxy {
    /// Starts a kube-proxy. [`KubeProxy::ready`] waits for it, so several can start at once.
    pub fn start(options: Options<'_>) -> Result<Self, Error> {
        let name = format!("kube-proxy-{}", options.node);
        let config = options.directory.join(format!("{name}.yaml"));
        fs::write(&config, configuration(options))
            .map_err(|source| Error::Config { path: config.clone(), source })?;
        let process = Command::new(name, options.binary)
            .prefix(Namespace::enter(options.namespace))
            .arg(format!("--config={}", config.display()))
            // Logs syncs and zones, which explain a failed request.
            .arg("--v=4")
            .start(options.directory)?;
        Ok(Self { process, sender: Sender::new(options.server, options.namespace) })
    }

    /// Waits until it has programmed the kernel once.
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.sender.wait(&self.process, "http://127.0.0.1:10256/healthz", LIMIT).await?)
    }

    /// Waits until it has received that its node is in `zone`.
    pub async fn hears(&self, zone: &str) -> Result<(), Error> {
        let heard = async || {
            let log = tokio::fs::read_to_string(self.process.log_path()).await;
            let log = log.map_err(|error| error.to_string())?;
            let mut lines = log.lines().filter(|line| line.contains(ZONE_HEARD));
            lines
                .next_back()
                .filter(|line| line.contains(&format!("\"{zone}\"")))
                .map(drop)
                .ok_or_else(|| format!("no \"{ZONE_HEARD}\" with {zone} in its log"))
        };
        Ok(self.process.ready(LIMIT, heard).await?)
    }

    /// The last lines of its log that name one of `words`, or that are errors or warnings.
    pub fn log_about(&self, words: &[&str]) -> String {
        let log = fs::read_to_string(self.process.log_path()).unwrap_or_default();
        let about = log.lines().filter(|line| {
            line.starts_with(['E', 'W']) || words.iter().any(|word| line.contains(word))
        });
        tail(&about.collect::<Vec<_>>().join("\n"), ABOUT)
    }

    /// Returns an error if it no longer runs.
    pub fn check(&self) -> Result<(), Error> {
        Ok(self.process.must_run()?)
    }

    /// Ends it. Its rules stay in the kernel as long as the namespace exists.
    pub async fn stop(self) -> Result<(), Error> {
        self.process.stop(Duration::from_secs(5)).await?;
        Ok(())
    }
}

fn configuration(options: Options<'_>) -> String {
    // In a namespace, the conntrack sysctl cannot be written, and kube-proxy would exit.
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {mode}
hostnameOverride: {node}
clientConnection: {{kubeconfig: {kubeconfig}}}
clusterCIDR: {pods}
detectLocalMode: ClusterCIDR
conntrack: {{maxPerCore: 0, min: 0}}
nodePortAddresses: [primary]
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
",
        mode = options.mode,
        node = options.node,
        kubeconfig = options.kubeconfig.display(),
        pods = Network::PODS,
    )
}
