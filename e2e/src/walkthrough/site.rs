//! The cluster of the walkthrough: started, changed, watched and stopped.

use super::{
    Controller, Error, Options,
    console::{Console, line},
    model::Model,
    steps::{Action, CLIENT_NODE, SERVICE},
    traffic::Traffic,
};
use crate::{
    closehaul::{self, Profile},
    cluster::{self, Actor, Cluster, ControllerManager},
    components::{self, Component},
    kubelet::{self, Kubelet, NodeSpec},
    net::{self, Network},
    process::Process,
    proxy::{self, KubeProxy},
};
use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, api::ListParams};
use std::{
    collections::BTreeMap,
    env,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

/// All that may have to be built, named at once so that the progress says how much it is.
const COMPONENTS: [Component; 7] = [
    Component::Etcd,
    Component::Etcdctl,
    Component::KubeApiserver,
    Component::KubeControllerManager,
    Component::KubeScheduler,
    Component::KubeProxy,
    Component::Kubectl,
];

/// Everything that runs.
pub(super) struct Site {
    options: Options,
    server: PathBuf,
    /// The `closehaul` command.
    closehaul: PathBuf,
    pub(super) console: Console,
    pub(super) has_network: bool,
    components: components::Components,
    api: Client,
    proxies: BTreeMap<String, KubeProxy>,
    controllers: Vec<Process>,
    kubelet: Kubelet,
    cluster: Cluster,
}

impl Site {
    /// Builds what is missing and starts everything, with the three nodes of the beginning.
    pub(super) async fn start(
        options: Options,
        server: &Path,
        console: Console,
    ) -> Result<Self, Error> {
        let network = network(console)?;
        let has_network = network.is_some();
        let kubernetes = options.kubernetes;
        let components =
            tokio::task::spawn_blocking(move || components::ensure_of(kubernetes, &COMPONENTS));
        let components = components.await.map_err(cluster::Error::Cancelled)??;
        let closehaul = closehaul::build(Profile::Dev).await?;
        console.note(format_args!(
            "starting etcd, and kube-apiserver, kube-controller-manager and kube-scheduler \
             {kubernetes}"
        ));
        let bind = network.as_ref().map_or(Ipv4Addr::LOCALHOST, Network::host);
        let settings =
            cluster::Options { kubernetes, bind: IpAddr::V4(bind), ..Default::default() };
        let cluster = Cluster::start(settings).await?;
        // A copy: whoever rebuilds this package meanwhile replaces the original.
        let copy = cluster.directory().join("pod-server");
        let failed = |source| Error::Run { what: "a copy of the pods' server", source };
        tokio::fs::copy(server, &copy).await.map_err(failed)?;
        let kubelet = Kubelet::start(
            cluster.client(Actor::Kubelet)?,
            kubelet::Options {
                network,
                server: copy.clone(),
                logs: cluster.directory().to_owned(),
                termination: kubelet::Termination::default(),
            },
        );
        let mut site = Self {
            options,
            server: copy,
            closehaul,
            console,
            has_network,
            components,
            api: cluster.client(Actor::Admin)?,
            proxies: BTreeMap::new(),
            controllers: Vec::new(),
            kubelet,
            cluster,
        };
        let (manager, scheduler) = tokio::try_join!(
            site.cluster.start_controller_manager(ControllerManager::EverythingButSlices),
            site.cluster.start_scheduler(),
        )?;
        let slices = match options.controller {
            Controller::Closehaul => {
                console.note("starting closehaul in replace mode");
                let kubeconfig = site.cluster.kubeconfig(Actor::Closehaul);
                let command = closehaul::command(&site.closehaul, &kubeconfig, &["--mode=replace"]);
                command.start(site.cluster.directory())?
            }
            Controller::BuiltIn => {
                console.note("starting the built-in EndpointSlice controller");
                site.cluster.start_controller_manager(ControllerManager::OnlySlices).await?
            }
        };
        site.controllers = vec![manager, scheduler, slices];
        let proxies = if has_network {
            format!(", each with a kube-proxy ({})", options.proxy)
        } else {
            String::new()
        };
        console.note(format_args!("adding three nodes{proxies}"));
        for node in [
            NodeSpec::control_plane("mnode"),
            NodeSpec::worker(CLIENT_NODE, "zone-a"),
            NodeSpec::worker("mnode-m03", "zone-b"),
        ] {
            site.join(node).await?;
        }
        for proxy in site.proxies.values() {
            proxy.ready().await?;
        }
        Ok(site)
    }

    async fn join(&mut self, node: NodeSpec) -> Result<(), Error> {
        let name = node.name.clone();
        let added = self.kubelet.add_node(node).await?;
        if let Some(namespace) = added.namespace {
            let proxy = KubeProxy::start(proxy::Options {
                binary: self.components.path(Component::KubeProxy),
                server: &self.server,
                kubeconfig: &self.cluster.kubeconfig(Actor::KubeProxy),
                node: &name,
                namespace: &namespace,
                mode: self.options.proxy,
                directory: self.cluster.directory(),
            })?;
            self.proxies.insert(name, proxy);
        }
        Ok(())
    }

    async fn leave(&mut self, node: &str) -> Result<(), Error> {
        if let Some(proxy) = self.proxies.remove(node) {
            proxy.stop().await?;
        }
        Ok(self.kubelet.remove_node(node).await?)
    }

    /// Does one thing of a step.
    pub(super) async fn act(&mut self, action: &Action) -> Result<(), Error> {
        match action {
            Action::Run(command) => self.run(command).await.map(drop),
            Action::Join { node, zone } => {
                self.console.note(format_args!("{node} joins, in {zone}"));
                self.join(NodeSpec::worker(node, zone)).await?;
                match self.proxies.get(*node) {
                    Some(proxy) => Ok(proxy.ready().await?),
                    None => Ok(()),
                }
            }
            Action::Leave { node } => {
                self.console.note(format_args!("{node} is switched off"));
                self.leave(node).await
            }
        }
    }

    /// Prints a shell command, runs it and prints what it says. Returns its standard output.
    pub(super) async fn run(&self, command: &str) -> Result<String, Error> {
        self.console.command(command);
        let commands = [self.components.path(Component::Kubectl), &self.closehaul];
        let folders = commands.into_iter().filter_map(Path::parent).map(Path::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(folders.chain(env::split_paths(&path)));
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/walkthrough"))
            .env("KUBECONFIG", self.cluster.kubeconfig(Actor::Admin))
            // kubectl keeps a cache there.
            .env("HOME", self.cluster.directory())
            .envs(path.ok().map(|path| ("PATH", path)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Error::Run { what: "sh", source })?;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        stdout.lines().for_each(line);
        if output.status.success() {
            stderr.lines().for_each(line);
            return Ok(stdout.into_owned());
        }
        Err(Error::Command { command: command.to_owned(), output: stderr.trim().to_owned() })
    }

    /// An error if something that must run does not.
    pub(super) async fn check(&mut self) -> Result<(), Error> {
        self.kubelet.check().await?;
        for proxy in self.proxies.values() {
            proxy.check()?;
        }
        for controller in &self.controllers {
            controller.must_run()?;
        }
        Ok(())
    }

    /// The slices of the Service.
    pub(super) async fn slices(&self) -> Result<Vec<EndpointSlice>, Error> {
        let slices: Api<EndpointSlice> = Api::default_namespaced(self.api.clone());
        let of_service =
            ListParams::default().labels(&format!("kubernetes.io/service-name={SERVICE}"));
        let list = slices.list(&of_service).await.map_err(Error::read("the slices"))?;
        Ok(list.items)
    }

    /// The zones of the nodes that have one.
    pub(super) async fn zones(&self) -> Result<BTreeMap<String, String>, Error> {
        let nodes: Api<Node> = Api::all(self.api.clone());
        let nodes = nodes.list(&ListParams::default()).await.map_err(Error::read("the nodes"))?;
        let zone = |node: Node| {
            let zone = node.metadata.labels?.remove("topology.kubernetes.io/zone")?;
            Some((node.metadata.name?, zone))
        };
        Ok(nodes.into_iter().filter_map(zone).collect())
    }

    /// How the client's requests travel, once the client and the Service are there.
    pub(super) async fn traffic(&self) -> Result<Traffic, Error> {
        if !self.has_network {
            return Ok(Traffic::Model(Model::new(self.api.clone())));
        }
        let namespace = self.kubelet.pod_namespace("default", "client").await?;
        let namespace = namespace.ok_or(Error::Incomplete("the pod client does not run"))?;
        Ok(Traffic::real(&self.server, &namespace, &self.address().await?))
    }

    async fn address(&self) -> Result<String, Error> {
        let services: Api<Service> = Api::default_namespaced(self.api.clone());
        let service = services.get(SERVICE).await.map_err(Error::read("the Service"))?;
        let address = service.spec.and_then(|spec| spec.cluster_ip);
        address.ok_or(Error::Incomplete("the Service has no address"))
    }

    /// Says how to go on with a cluster that is kept.
    pub(super) async fn invite(&self) -> Result<(), Error> {
        let client = self.kubelet.pod_namespace("default", "client").await?;
        let kubeconfig = self.cluster.kubeconfig(Actor::Admin);
        let kubectl = self.components.path(Component::Kubectl);
        let console = self.console;
        console.heading("The cluster stays up until Ctrl-C, which removes everything");
        line(format_args!("  export KUBECONFIG={}", kubeconfig.display()));
        line(format_args!("  alias kubectl={}", kubectl.display()));
        line(format_args!("  ls {}    # logs", self.cluster.directory().display()));
        if let Some(client) = client {
            let address = self.address().await?;
            line("  # a request from the pod client:");
            let server = self.server.display();
            line(format_args!("  ip netns exec {client} {server} get http://{address}/"));
        }
        Ok(())
    }

    /// Stops everything in good order: first who asks, then who answers.
    pub(super) async fn stop(self) -> Result<(), Error> {
        for proxy in self.proxies.into_values() {
            proxy.stop().await?;
        }
        for controller in self.controllers.into_iter().rev() {
            controller.stop(Duration::from_secs(5)).await?;
        }
        self.kubelet.stop().await?;
        Ok(self.cluster.stop().await?)
    }
}

/// The network of namespaces, or none without root; installs the packages it needs.
fn network(console: Console) -> Result<Option<Network>, Error> {
    if !net::is_root() {
        console
            .note("not root: no network namespaces and no kube-proxy; a model picks the answers");
        return Ok(None);
    }
    if let Some(missing) = net::missing() {
        let command = missing.command();
        if !missing.installable() {
            return Err(Error::Packages { command });
        }
        console.note(format_args!("installing: {command}"));
        missing.install()?;
    }
    Ok(Some(Network::new()?))
}
