//! A stand-in for the kubelets of a cluster: one task for all nodes.
//!
//! It registers nodes. It gives each pod that is bound to one of them a network namespace with a
//! small HTTP server, reports what a kubelet would report, and terminates pods after their grace
//! period. There are no containers, probes, volumes or images. Each pod runs the server of this
//! package, which answers `POD@NODE`.
//!
//! Without a [`Network`], pods get an address and a status, but nothing listens there.

mod http;
mod node;
mod pod;
pub mod requests;
mod server;
mod station;

use crate::net::{Addresses, Network};
use kube::Client;
use std::{path::PathBuf, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

pub use node::NodeSpec;
pub use server::Command;

/// What the stand-in works with.
#[derive(Debug)]
pub struct Options {
    /// Where nodes and pods are created. With `None`, addresses are invented and nothing listens
    /// there.
    pub network: Option<Network>,
    /// The binary with the commands of [`Command`]: `walkthrough`.
    pub server: PathBuf,
    /// The directory for the servers' logs.
    pub logs: PathBuf,
    /// How a pod ends.
    pub termination: Termination,
}

/// What happens between a pod's deletionTimestamp and its end.
#[derive(Debug, Clone, Copy)]
pub struct Termination {
    /// How long the server continues to serve. Proxies need this time to notice; below a second
    /// requests may fail that would not in a real cluster.
    pub serves_for: Duration,
    /// Whether it stays Ready during that time, so the endpoint is serving and terminating.
    pub stays_ready: bool,
}

impl Default for Termination {
    fn default() -> Self {
        Self { serves_for: Duration::from_secs(2), stays_ready: false }
    }
}

/// What went wrong in the stand-in, which then stops. See [`Kubelet::check`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A namespace or link could not be created.
    #[error("the stand-in for the kubelet: {0}")]
    Network(#[from] crate::net::Error),
    /// The API server did not accept a write for half a minute.
    #[error("the stand-in for the kubelet could not write {object}: {source}")]
    Write {
        /// Kind and name of the object.
        object: String,
        /// The last answer.
        source: Box<kube::Error>,
    },
    /// The server of a pod did not start or does not answer.
    #[error("a pod's server: {0}")]
    Server(#[from] crate::process::Error),
    /// It received a request after it had ended.
    #[error("the stand-in for the kubelet has ended")]
    Ended,
}

/// A running stand-in.
#[derive(Debug)]
pub struct Kubelet {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<Result<(), Error>>,
}

/// A node that is registered and, with a network, has a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// The `InternalIP`s.
    pub addresses: Addresses,
    /// The network namespace.
    pub namespace: Option<String>,
}

/// A request of the owner to the task.
#[derive(Debug)]
enum Request {
    AddNode(NodeSpec, oneshot::Sender<Result<NodeAddress, Error>>),
    RemoveNode(String, oneshot::Sender<Result<(), Error>>),
    PodNamespace(PodKey, oneshot::Sender<Option<String>>),
}

/// Namespace and name of a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PodKey {
    namespace: String,
    name: String,
}

impl Kubelet {
    /// Starts the stand-in, with no nodes. `client` needs a kubelet's permissions.
    pub fn start(client: Client, options: Options) -> Self {
        let (requests, received) = mpsc::channel(16);
        let station = station::Station::new(client, options);
        Self { requests, task: tokio::spawn(station.run(received)) }
    }

    /// Creates a node's network, registers its Node and reports it Ready.
    pub async fn add_node(&self, node: NodeSpec) -> Result<NodeAddress, Error> {
        self.ask(|reply| Request::AddNode(node, reply)).await?
    }

    /// Stops the servers of the node's pods and removes its network. The caller deletes the Node
    /// object and must not leave a process in the node's namespace.
    pub async fn remove_node(&self, name: &str) -> Result<(), Error> {
        self.ask(|reply| Request::RemoveNode(name.to_owned(), reply)).await?
    }

    /// The network namespace of a running pod.
    pub async fn pod_namespace(&self, namespace: &str, pod: &str) -> Result<Option<String>, Error> {
        let key = PodKey { namespace: namespace.to_owned(), name: pod.to_owned() };
        self.ask(|reply| Request::PodNamespace(key, reply)).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)
    }

    /// Checks whether it still works. The error says why not.
    pub async fn check(&mut self) -> Result<(), Error> {
        if self.task.is_finished() {
            return (&mut self.task).await.unwrap_or(Err(Error::Ended));
        }
        Ok(())
    }

    /// Stops all servers, removes the network, and leaves the objects as they are.
    pub async fn stop(self) -> Result<(), Error> {
        drop(self.requests);
        self.task.await.unwrap_or(Err(Error::Ended))
    }
}
