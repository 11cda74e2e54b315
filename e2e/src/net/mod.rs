//! Network namespaces in which kube-proxies and pods meet, created and removed by the run itself.
//!
//! ```text
//! host ---- chl-N-lan ------ chl-N-node-A ---- chl-N-pod-NAMESPACE-NAME
//!           (a bridge)  \
//!                        --- chl-N-node-B ---- …
//! ```
//!
//! The bridge has a namespace of its own, so the host gets one link and one address and keeps its
//! own forwarding, firewall and sysctls untouched. Nodes reach each other's pods by routes, pods
//! reach their node by a routed link. There is always IPv4, and IPv6 if requested. The host itself
//! takes no part in IPv6.
//!
//! Nothing here depends on Kubernetes.

mod addresses;
mod claim;
mod ip;
mod namespace;
mod network;

use std::{io, path::PathBuf};

use crate::packages;

pub use addresses::Addresses;
pub use namespace::Namespace;
pub use network::{Network, Node, Pod};

/// What can go wrong with the kernel's network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `ip` could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command as one would type it.
        command: String,
        /// Why it did not start.
        source: io::Error,
    },
    /// `ip` ran and failed.
    #[error("`{command}` failed: {stderr}")]
    Refused {
        /// The command as one would type it. For a batch, the line that failed.
        command: String,
        /// What it wrote to its standard error.
        stderr: String,
    },
    /// The lock file that marks a network as taken.
    #[error("cannot lock {path}: {source}; networks are only made by root")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why it could not be opened or locked.
        source: io::Error,
    },
    /// Every network is in use by another live run or by the host.
    #[error("all networks 192.168.77.0/24 to 192.168.99.0/24 are in use; stop another run first")]
    NoneFree,
    /// More than 250 nodes, or two with the same name.
    #[error("cannot add node {0} to the network: the name is taken or there are 250 nodes already")]
    Node(String),
    /// The node of an operation is not in the network.
    #[error("node {0} is not in the network")]
    UnknownNode(String),
    /// More than 250 pods at a time on one node.
    #[error("cannot add pod {0} to the network: 250 pods are on its node already")]
    Pod(String),
    /// Network namespaces require root.
    #[error(
        "network namespaces require root: run these tests as root, or leave them out with \
         `cargo test --workspace --exclude e2e`"
    )]
    NotRoot,
    /// A program is missing.
    #[error(transparent)]
    Packages(#[from] packages::Error),
}
