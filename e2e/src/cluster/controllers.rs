//! kube-controller-manager and kube-scheduler beside the API server.

use std::net::Ipv4Addr;

use kube::Client;

use super::{
    Actor, Cluster, Error, ensure,
    server::{Server, client, free_port},
};
use crate::{
    components::Component,
    process::{Command, Process},
};

/// Which of upstream's controllers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControllerManager {
    /// The controllers of a cluster whose slices closehaul writes: all except the `EndpointSlice`
    /// controller and the node lifecycle controller, which would consider nodes without a heartbeat
    /// dead.
    EverythingButSlices,
    /// Only the built-in `EndpointSlice` controller, without client-side limits: rival and oracle.
    OnlySlices,
    /// Only the built-in `EndpointSlice` controller, with its default limits.
    OnlySlicesLimited,
}

impl ControllerManager {
    fn args(self) -> &'static [&'static str] {
        match self {
            Self::EverythingButSlices => &[
                "--controllers=*,-endpointslice-controller,-node-lifecycle-controller",
                "--kube-api-qps=5000",
                "--kube-api-burst=10000",
            ],
            Self::OnlySlices => &[
                "--controllers=endpointslice-controller",
                "--kube-api-qps=5000",
                "--kube-api-burst=10000",
            ],
            Self::OnlySlicesLimited => &["--controllers=endpointslice-controller"],
        }
    }
}

impl Cluster {
    /// Starts kube-controller-manager and waits until it is healthy.
    pub async fn start_controller_manager(
        &self,
        which: ControllerManager,
    ) -> Result<Process, Error> {
        self.start_controller_manager_with(which, &[]).await
    }

    /// The same with further arguments.
    pub async fn start_controller_manager_with(
        &self,
        which: ControllerManager,
        args: &[&str],
    ) -> Result<Process, Error> {
        Ok(self.controller_manager(which, args).await?.process)
    }

    /// The same, with a client for its metrics.
    pub async fn start_scraped_controller_manager(
        &self,
        which: ControllerManager,
    ) -> Result<(Process, Client), Error> {
        let server = self.controller_manager(which, &[]).await?;
        let client = client(&server.url, &self.certificates.ca, None)?;
        Ok((server.process, client))
    }

    async fn controller_manager(
        &self,
        which: ControllerManager,
        args: &[&str],
    ) -> Result<Server, Error> {
        let component = Component::KubeControllerManager;
        let components = ensure(self.kubernetes, &[Component::KubeControllerManager]).await?;
        let command = Command::new(component.name(), components.path(component))
            .args(which.args())
            .args(args)
            .arg("--use-service-account-credentials=false")
            .arg(format!("--root-ca-file={}", self.certificates.ca.display()))
            .arg(format!(
                "--service-account-private-key-file={}",
                self.certificates.service_account_key.display()
            ));
        self.start_controller(command, Actor::ControllerManager).await
    }

    /// Starts kube-scheduler and waits until it is healthy.
    pub async fn start_scheduler(&self) -> Result<Process, Error> {
        let component = Component::KubeScheduler;
        let components = ensure(self.kubernetes, &[Component::KubeScheduler]).await?;
        let command = Command::new(component.name(), components.path(component));
        Ok(self.start_controller(command, Actor::Scheduler).await?.process)
    }

    /// Adds what the two have in common: one instance, an own kubeconfig, a health endpoint that
    /// needs no permissions.
    async fn start_controller(&self, command: Command, actor: Actor) -> Result<Server, Error> {
        let address = Ipv4Addr::LOCALHOST.into();
        let port = free_port(address)?;
        let command = command
            .arg(format!("--kubeconfig={}", self.kubeconfig(actor).display()))
            .arg("--leader-elect=false")
            .arg(format!("--bind-address={address}"))
            .arg(format!("--secure-port={port}"))
            .arg(format!("--tls-cert-file={}", self.certificates.certificate.display()))
            .arg(format!("--tls-private-key-file={}", self.certificates.key.display()))
            .arg("--authorization-always-allow-paths=/healthz,/livez,/readyz,/metrics");
        let url = format!("https://{address}:{port}");
        let ca = &self.certificates.ca;
        Server::start((command, url), self.directory(), ca, "/healthz").await
    }
}
