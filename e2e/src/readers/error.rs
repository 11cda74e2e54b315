//! What can keep the readers' tests from an answer.

use crate::{closehaul, cluster, components, kubelet, net, process, proxy};
use std::io;

/// What can keep the readers' tests from an answer. Requests that went wrong and rules that
/// disagree are no errors: the reports say so.
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
    /// A program could not be run.
    #[error("cannot run {what}: {source}")]
    Run {
        /// What was to be run.
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
    /// The API server refused a request.
    #[error("{what}: {source}")]
    Api {
        /// What was to be read or written.
        what: String,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// An object or a rule could not be understood.
    #[error("cannot read {what}: {source}")]
    Decode {
        /// What was to be read.
        what: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// Something that had to come did not come in time.
    #[error("{what} did not come within {seconds} s; last seen: {last}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// What was there instead.
        last: String,
    },
}

impl Error {
    pub(super) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { what: what.into(), source: Box::new(source) }
    }

    pub(super) fn decode(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Decode { what: what.into(), source }
    }
}
