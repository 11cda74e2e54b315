//! A dual-stack cluster with a kube-proxy on each node.

use super::Error;
use crate::{
    closehaul, cluster,
    components::{Component, Kubernetes},
    kubelet::{NodeSpec, Termination},
    machine,
    net::{self, Network},
    packages,
    process::Process,
    proxy::Mode,
    site,
};
use std::{ops::Deref, path::Path, time::Duration};

/// All components that may have to be built.
const COMPONENTS: [Component; 5] = [
    Component::Etcd,
    Component::Etcdctl,
    Component::KubeApiserver,
    Component::Kubectl,
    Component::KubeProxy,
];

/// The ranges of Service addresses.
const SERVICES: [&str; 2] = ["10.96.0.0/16", "fd00:96::/112"];

/// How long a pod continues to serve after its deletion. This is longer than any case, so no pod
/// ends while it is still needed. A case that needs its end deletes it without a grace period.
const SERVES_FOR: Duration = Duration::from_secs(3600);

/// Everything that runs.
pub(super) struct Site {
    site: site::Site,
    controller: Option<Process>,
}

impl Deref for Site {
    type Target = site::Site;

    fn deref(&self) -> &Self::Target {
        &self.site
    }
}

impl Site {
    /// Builds what is missing and starts a control plane without nodes. `server` is the binary
    /// with [`crate::kubelet::Command`].
    pub(super) async fn start(mode: Mode, server: &Path) -> Result<Self, Error> {
        packages::ensure(machine::NETWORK).map_err(net::Error::from)?;
        let components = cluster::ensure(Kubernetes::default(), &COMPONENTS).await?;
        let service_cidrs = SERVICES.map(str::to_owned).to_vec();
        let site = site::Site::start(site::Options {
            network: Some(Network::dual_stack()?),
            components,
            cluster: cluster::Options { service_cidrs, ..Default::default() },
            termination: Termination { serves_for: SERVES_FOR, stays_ready: true },
            proxy: mode,
            server,
        })
        .await?;
        Ok(Self { site, controller: None })
    }

    /// Lets closehaul write the slices.
    pub(super) async fn start_closehaul(&mut self) -> Result<(), Error> {
        self.controller = Some(closehaul::start(&self.cluster, &["--mode=replace"]).await?);
        Ok(())
    }

    /// Adds nodes, each with a kube-proxy, and waits until all have programmed their kernels.
    pub(super) async fn join(&mut self, nodes: Vec<NodeSpec>) -> Result<(), Error> {
        for node in nodes {
            self.site.join(node).await?;
        }
        self.site.ready().await
    }

    /// Returns an error if something that must run does not.
    pub(super) async fn check(&mut self) -> Result<(), Error> {
        self.site.check().await?;
        Ok(self.controller.as_ref().map_or(Ok(()), Process::must_run)?)
    }

    /// Stops everything in order: clients before servers.
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        self.site.stop_proxies().await?;
        if let Some(controller) = self.controller {
            controller.stop(Duration::from_secs(5)).await?;
        }
        self.site.stop().await
    }
}
