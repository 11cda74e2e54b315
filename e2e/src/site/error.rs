//! What can go wrong with a cluster in namespaces and its users.

use crate::{closehaul, cluster, kubelet, net, packages, process, proxy, world};
use std::{io, process::ExitCode};

/// What can end the walkthrough or the readers' tests early. A step with an unexpected outcome,
/// failed requests and rules that disagree are not errors. The reports show them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network of namespaces.
    #[error(transparent)]
    Network(#[from] net::Error),
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
    /// An object could not be read or written.
    #[error(transparent)]
    World(#[from] world::Error),
    /// A program could not be run.
    #[error("cannot run {what}: {source}")]
    Run {
        /// What could not be run.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command as one would type it.
        command: String,
        /// What it wrote to its standard error.
        output: String,
    },
    /// The API server rejected a request or was not reachable.
    #[error("{what}: {source}")]
    Api {
        /// What could not be read or written.
        what: String,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// An object or a rule could not be understood.
    #[error("cannot read {what}: {source}")]
    Decode {
        /// What could not be read.
        what: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// An object lacks what it must have by now.
    #[error("{0}")]
    Incomplete(&'static str),
    /// Something did not happen in time.
    #[error("{what} did not come within {seconds} s; last seen: {last}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// The last observed state.
        last: String,
    },
    /// The walkthrough of policies without root.
    #[error(
        "--policies counts requests through real kube-proxies in network namespaces, which only \
         root can create: run it as root"
    )]
    NotRoot,
    /// The process could not listen for signals.
    #[error("cannot listen for Ctrl-C: {0}")]
    Signal(io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { what: what.into(), source: Box::new(source) }
    }

    pub(crate) fn decode(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Decode { what: what.into(), source }
    }

    /// The exit code of a command that ends with this error: 2 if root is required or something
    /// must be installed first, 130 after Ctrl-C as in a shell, otherwise 1.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotRoot
            | Self::Network(net::Error::Packages(packages::Error::Missing { .. })) => {
                ExitCode::from(2)
            }
            Self::Interrupted => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}
