//! What can keep the walkthrough from its end.

use crate::{closehaul, cluster, components, kubelet, net, process, proxy};
use std::io;

/// What can keep the walkthrough from its end. A step with another outcome than expected is no
/// error: the report says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Debian packages are missing and cannot be installed here.
    #[error("packages are missing; as root on Debian run `{command}`")]
    Packages {
        /// The command that installs them.
        command: String,
    },
    /// The network of namespaces.
    #[error(transparent)]
    Network(#[from] net::Error),
    /// A component's binary.
    #[error(transparent)]
    Component(#[from] components::Error),
    /// The control plane.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// A process that ended.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The kubelet stand-in.
    #[error(transparent)]
    Kubelet(#[from] kubelet::Error),
    /// A kube-proxy.
    #[error(transparent)]
    Proxy(#[from] proxy::Error),
    /// closehaul could not be built or started.
    #[error(transparent)]
    Closehaul(#[from] closehaul::Error),
    /// A command of a step failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command, as printed.
        command: String,
        /// What it wrote.
        output: String,
    },
    /// A command or a client of a pod could not be run.
    #[error("cannot run {what}: {source}")]
    Run {
        /// What was to be run.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A read from the API server.
    #[error("cannot read {what} from the API server: {source}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// An object lacks what it must have by now.
    #[error("{0}")]
    Incomplete(&'static str),
    /// Signals could not be listened to.
    #[error("cannot listen for Ctrl-C: {0}")]
    Signal(io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    pub(super) fn read(what: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Read { what, source: Box::new(source) }
    }
}
