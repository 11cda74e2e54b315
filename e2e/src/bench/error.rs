//! What can go wrong with the bench.

use std::{io, path::PathBuf, time::Duration};

use crate::{closehaul, cluster, components, process, scrape, world};

/// What can go wrong with the bench.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// A component's binary.
    #[error(transparent)]
    Component(#[from] components::Error),
    /// closehaul could not be built or started.
    #[error(transparent)]
    Closehaul(#[from] closehaul::Error),
    /// A process.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// Requests to the API server.
    #[error(transparent)]
    World(#[from] world::Error),
    /// A request to etcd.
    #[error("filling etcd: {0}")]
    Seed(kube::Error),
    /// The watch that sees the writes, or one of the floor's requests.
    #[error("watching slices: {0}")]
    Watch(kube::Error),
    /// A request to the API server's profile.
    #[error("collecting kube-apiserver's garbage: {0}")]
    Garbage(kube::Error),
    /// The API server's profile does not contain it.
    #[error("kube-apiserver's {path} tells no number of garbage collections")]
    Uncounted {
        /// Where the profile is.
        path: String,
    },
    /// The API server's metrics.
    #[error(transparent)]
    Scrape(#[from] scrape::Error),
    /// A change of a pod or of a slice.
    #[error("changing an object: {0}")]
    Change(kube::Error),
    /// A file of `/proc`, a binary or a result.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that is not a result of an earlier run.
    #[error("{} is not the raw.json of a run: {source}", path.display())]
    Raw {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The floor's kubeconfig.
    #[error("{}: {source}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// A task was cancelled.
    #[error("a step was cancelled: {0}")]
    Cancelled(tokio::task::JoinError),
    /// A process did not become idle.
    #[error("{name} was still busy after {limit:?}")]
    Busy {
        /// Which.
        name: String,
        /// For how long it was observed.
        limit: Duration,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {limit:?}")]
    Late {
        /// What.
        what: String,
        /// For how long it was waited for.
        limit: Duration,
    },
    /// Slices were written although there was nothing to write.
    #[error(
        "{writes} slice writes where all slices were right: not the same work as the others' \
         (the last of them: {last})"
    )]
    Wrote {
        /// How many.
        writes: f64,
        /// What the last ones did.
        last: String,
    },
    /// Not all work was done.
    #[error("not the same work as the others': {what}")]
    Undone {
        /// What was not done.
        what: String,
    },
}
