//! A dual-stack cluster with a kube-proxy on each node.

use super::Error;
use crate::{
    closehaul,
    cluster::{self, Actor, Cluster},
    components::{self, Component, Components},
    kubelet::{self, Kubelet, NodeSpec, Termination},
    net::{self, Network},
    process::Process,
    proxy::{self, KubeProxy, Mode},
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// All that may have to be built, named at once so that the progress says how much it is.
const COMPONENTS: [Component; 5] = [
    Component::Etcd,
    Component::Etcdctl,
    Component::KubeApiserver,
    Component::Kubectl,
    Component::KubeProxy,
];

/// The ranges of Service addresses.
const SERVICES: [&str; 2] = ["10.96.0.0/16", "fd00:96::/112"];

/// How long a pod serves on after its deletion: longer than any case, so that none ends while it
/// is still needed. A case that wants its end deletes it for good.
const SERVES_FOR: Duration = Duration::from_secs(3600);

/// Everything that runs.
pub(super) struct Site {
    pub(super) api: Client,
    pub(super) server: PathBuf,
    pub(super) mode: Mode,
    components: Components,
    nodes: BTreeMap<String, Joined>,
    controller: Option<Process>,
    kubelet: Kubelet,
    cluster: Cluster,
}

struct Joined {
    namespace: String,
    proxy: KubeProxy,
}

impl Site {
    /// Builds what is missing and starts a control plane without nodes. `server` is the binary
    /// with [`kubelet::Command`].
    pub(super) async fn start(mode: Mode, server: &Path) -> Result<Self, Error> {
        if let Some(missing) = net::missing() {
            if !missing.installable() {
                return Err(Error::Packages { command: missing.command() });
            }
            missing.install()?;
        }
        let components = tokio::task::spawn_blocking(|| components::ensure(&COMPONENTS));
        let components = components.await.map_err(cluster::Error::Cancelled)??;
        let network = Network::dual_stack()?;
        let settings = cluster::Options {
            bind: IpAddr::V4(network.host()),
            service_cidrs: SERVICES.map(str::to_owned).to_vec(),
            ..Default::default()
        };
        let cluster = Cluster::start(settings).await?;
        // A copy: whoever rebuilds this package meanwhile replaces the original.
        let copy = cluster.directory().join("pod-server");
        let failed = |source| Error::Run { what: "a copy of the pods' server", source };
        tokio::fs::copy(server, &copy).await.map_err(failed)?;
        let options = kubelet::Options {
            network: Some(network),
            server: copy.clone(),
            logs: cluster.directory().to_owned(),
            termination: Termination { serves_for: SERVES_FOR, stays_ready: true },
        };
        Ok(Self {
            api: cluster.client(Actor::Admin)?,
            server: copy,
            mode,
            components,
            nodes: BTreeMap::new(),
            controller: None,
            kubelet: Kubelet::start(cluster.client(Actor::Kubelet)?, options),
            cluster,
        })
    }

    /// Lets closehaul write the slices.
    pub(super) async fn start_closehaul(&mut self) -> Result<(), Error> {
        self.controller = Some(closehaul::start(&self.cluster, &["--mode=replace"]).await?);
        Ok(())
    }

    /// Adds nodes, each with a kube-proxy, and waits until all have programmed their kernels.
    pub(super) async fn join(&mut self, nodes: Vec<NodeSpec>) -> Result<(), Error> {
        for node in nodes {
            let name = node.name.clone();
            let added = self.kubelet.add_node(node).await?;
            // There is a network, so there is a namespace.
            let namespace = added.namespace.unwrap_or_default();
            let proxy = KubeProxy::start(proxy::Options {
                binary: self.components.path(Component::KubeProxy),
                server: &self.server,
                kubeconfig: &self.cluster.kubeconfig(Actor::KubeProxy),
                node: &name,
                namespace: &namespace,
                mode: self.mode,
                directory: self.cluster.directory(),
            })?;
            self.nodes.insert(name, Joined { namespace, proxy });
        }
        for node in self.nodes.values() {
            node.proxy.ready().await?;
        }
        Ok(())
    }

    /// Gives a node another zone, as somebody does who edits its label.
    pub(super) async fn set_zone(&self, node: &str, zone: &str) -> Result<(), Error> {
        let nodes: Api<Node> = Api::all(self.api.clone());
        let labels = json!({"topology.kubernetes.io/zone": zone});
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        let patched = nodes.patch(node, &PatchParams::default(), &patch).await;
        patched.map(drop).map_err(Error::api(format!("the node {node}")))
    }

    /// The network namespaces of the nodes, by name.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.nodes.iter().map(|(name, node)| (name.as_str(), node.namespace.as_str()))
    }

    /// The network namespace of a node; empty if there is no such node.
    pub(super) fn namespace(&self, node: &str) -> &str {
        self.nodes.get(node).map_or("", |node| &node.namespace)
    }

    /// The end of the log of a node's kube-proxy.
    pub(super) fn proxy_log(&self, node: &str) -> String {
        self.nodes.get(node).map_or_else(String::new, |node| node.proxy.log_tail())
    }

    /// The network namespace of a pod, if it runs.
    pub(super) async fn pod(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.kubelet.pod_namespace("default", name).await?)
    }

    /// An error if something that must run does not.
    pub(super) async fn check(&mut self) -> Result<(), Error> {
        self.kubelet.check().await?;
        for node in self.nodes.values() {
            node.proxy.check()?;
        }
        Ok(self.controller.as_ref().map_or(Ok(()), Process::must_run)?)
    }

    /// Stops everything in good order: first who asks, then who answers.
    pub(super) async fn stop(self) -> Result<(), Error> {
        for node in self.nodes.into_values() {
            node.proxy.stop().await?;
        }
        if let Some(controller) = self.controller {
            controller.stop(Duration::from_secs(5)).await?;
        }
        self.kubelet.stop().await?;
        Ok(self.cluster.stop().await?)
    }
}
