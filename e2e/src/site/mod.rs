//! A cluster in network namespaces: a control plane, the stand-in for the kubelets, and a
//! kube-proxy on each node. The walkthrough and the tests of readers and policies use it.

mod command;
mod error;

use crate::{
    cluster::{self, Actor, Cluster},
    components::{Component, Components},
    kubelet::{self, Kubelet, NodeSpec, Termination},
    net::Network,
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
    mem,
    net::IpAddr,
    path::{Path, PathBuf},
};

pub use command::command;
pub use error::Error;

/// How a site is started.
#[derive(Debug)]
pub struct Options<'a> {
    /// Without a network, nothing listens and there are no kube-proxies.
    pub network: Option<Network>,
    /// They include kube-proxy if there is a network.
    pub components: Components,
    /// The control plane, which listens on the host's address in the network.
    pub cluster: cluster::Options,
    /// How pods end.
    pub termination: Termination,
    /// How the kube-proxies program the kernel.
    pub proxy: Mode,
    /// The binary with [`kubelet::Command`].
    pub server: &'a Path,
}

/// Everything that runs, except the controller that writes the slices.
pub struct Site {
    /// A client with the permissions of the test.
    pub api: Client,
    /// The binary with [`kubelet::Command`].
    pub server: PathBuf,
    /// How the kube-proxies program the kernel.
    pub proxy: Mode,
    /// What it is made of.
    pub components: Components,
    /// The control plane.
    pub cluster: Cluster,
    proxies: BTreeMap<String, Proxied>,
    /// Zones that nodes get when their kube-proxies run.
    zones: Vec<(String, String)>,
    kubelet: Kubelet,
}

/// A node with a network namespace and a kube-proxy in it.
struct Proxied {
    namespace: String,
    proxy: KubeProxy,
}

impl Site {
    /// Starts a control plane without nodes.
    pub async fn start(options: Options<'_>) -> Result<Self, Error> {
        let Options { network, components, mut cluster, termination, proxy, server } = options;
        if let Some(network) = &network {
            cluster.bind = IpAddr::V4(network.host());
        }
        let cluster = Cluster::start(cluster).await?;
        // A copy: a build of this package in the meantime replaces the original.
        let copy = cluster.directory().join("pod-server");
        let failed = |source| Error::Run { what: "a copy of the pods' server", source };
        tokio::fs::copy(server, &copy).await.map_err(failed)?;
        let kubelet = kubelet::Options {
            network,
            server: copy.clone(),
            logs: cluster.directory().to_owned(),
            termination,
        };
        Ok(Self {
            api: cluster.client(Actor::Admin)?,
            server: copy,
            proxy,
            components,
            proxies: BTreeMap::new(),
            zones: Vec::new(),
            kubelet: Kubelet::start(cluster.client(Actor::Kubelet)?, kubelet),
            cluster,
        })
    }

    /// Adds a node and starts its kube-proxy. [`Site::ready`] waits for it and gives the node its
    /// zone, so several can start at once.
    ///
    /// The zone must not be set earlier, because kube-proxy (1.37.2) may lose the zone that its
    /// node has when it starts. On a busy machine, its `NodeTopologyConfig` sees the node before
    /// the proxier is registered, and calls the proxier again only when the zone changes. Until
    /// then, every Service is spread over all zones. kube-proxy does not lose a zone that is set
    /// later.
    pub async fn join(&mut self, mut node: NodeSpec) -> Result<(), Error> {
        let name = node.name.clone();
        self.zones.extend(node.zone.take().map(|zone| (name.clone(), zone)));
        let added = self.kubelet.add_node(node).await?;
        if let Some(namespace) = added.namespace {
            let proxy = KubeProxy::start(proxy::Options {
                binary: self.components.path(Component::KubeProxy),
                server: &self.server,
                kubeconfig: &self.cluster.kubeconfig(Actor::KubeProxy),
                node: &name,
                namespace: &namespace,
                mode: self.proxy,
                directory: self.cluster.directory(),
            })?;
            self.proxies.insert(name, Proxied { namespace, proxy });
        }
        Ok(())
    }

    /// Waits until every kube-proxy has programmed its kernel once, and then until those of nodes
    /// that have joined since know their zones.
    pub async fn ready(&mut self) -> Result<(), Error> {
        for node in self.proxies.values() {
            node.proxy.ready().await?;
        }
        let zones = mem::take(&mut self.zones);
        for (node, zone) in &zones {
            self.set_zone(node, zone).await?;
        }
        for (node, zone) in &zones {
            if let Some(node) = self.proxies.get(node) {
                node.proxy.hears(zone).await?;
            }
        }
        Ok(())
    }

    /// Gives a node another zone, as a user does who edits its label.
    pub async fn set_zone(&self, node: &str, zone: &str) -> Result<(), Error> {
        let nodes: Api<Node> = Api::all(self.api.clone());
        let labels = json!({"topology.kubernetes.io/zone": zone});
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        let patched = nodes.patch(node, &PatchParams::default(), &patch).await;
        patched.map(drop).map_err(Error::api(format!("the node {node}")))
    }

    /// Switches a node off. Its object stays.
    pub async fn leave(&mut self, node: &str) -> Result<(), Error> {
        if let Some(node) = self.proxies.remove(node) {
            node.proxy.stop().await?;
        }
        Ok(self.kubelet.remove_node(node).await?)
    }

    /// The network namespaces of the nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.proxies.iter().map(|(name, node)| (name.as_str(), node.namespace.as_str()))
    }

    /// The network namespace of a node. It is empty if there is no such node.
    pub fn namespace(&self, node: &str) -> &str {
        self.proxies.get(node).map_or("", |node| &node.namespace)
    }

    /// What the log of a node's kube-proxy says about `words`.
    pub fn proxy_log(&self, node: &str, words: &[&str]) -> String {
        self.proxies.get(node).map_or_else(String::new, |node| node.proxy.log_about(words))
    }

    /// The network namespace of a pod of the namespace `default`, if it runs.
    pub async fn pod(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.kubelet.pod_namespace("default", name).await?)
    }

    /// Returns an error if something that must run does not.
    pub async fn check(&mut self) -> Result<(), Error> {
        self.kubelet.check().await?;
        for node in self.proxies.values() {
            node.proxy.check()?;
        }
        Ok(())
    }

    /// Stops the kube-proxies: clients before servers.
    pub async fn stop_proxies(&mut self) -> Result<(), Error> {
        while let Some((_, node)) = self.proxies.pop_first() {
            node.proxy.stop().await?;
        }
        Ok(())
    }

    /// Stops everything that is left and removes what was created.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stop_proxies().await?;
        self.kubelet.stop().await?;
        Ok(self.cluster.stop().await?)
    }
}
