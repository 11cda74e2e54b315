//! What can go wrong with the control plane.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{components, process};

/// What can go wrong with the control plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A component could not be built.
    #[error(transparent)]
    Component(#[from] components::Error),
    /// A component did not start, did not become ready or died.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A file or directory of the run could not be created, read or removed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A certificate or key could not be created.
    #[error("cannot make the certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The system provided no random bytes for a token.
    #[error("the system gives no random bytes for a token")]
    Random,
    /// No free port on an address.
    #[error("no free port on {address}: {source}; is the address on this machine?")]
    Port {
        /// The address.
        address: std::net::IpAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A URL of the run is invalid.
    #[error("{url} is not a URL: {source}")]
    Url {
        /// What should be a URL.
        url: String,
        /// Why it is invalid.
        source: http::uri::InvalidUri,
    },
    /// A client could not be created, or a request of the harness failed.
    #[error("the API server's client: {0}")]
    Client(#[from] kube::Error),
    /// A command line tool failed.
    #[error("{command} failed ({status}): {stderr}")]
    Tool {
        /// The tool and its arguments.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to its standard error.
        stderr: String,
    },
    /// etcdctl printed something other than an answer.
    #[error("etcdctl's answer: {0}")]
    Store(serde_json::Error),
    /// The cluster was started without `Options::audit`.
    #[error("there is no audit log: start the cluster with Options {{ audit: true, .. }}")]
    NoAudit,
    /// A line of the audit log is not an event.
    #[error("{}: {source}", path.display())]
    Audit {
        /// The log.
        path: PathBuf,
        /// What is wrong with the line.
        source: serde_json::Error,
    },
    /// A blocking step was cancelled.
    #[error("a step of the start was cancelled: {0}")]
    Cancelled(#[from] tokio::task::JoinError),
}

impl Error {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
