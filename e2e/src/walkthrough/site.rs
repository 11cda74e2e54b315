//! The cluster of the walkthrough: started, changed, watched and stopped.

use super::{
    Controller, Error, Options, Script,
    console::{Console, line},
    model::Model,
    steps::{Action, SERVICE},
    traffic::Traffic,
};
use crate::{
    closehaul::{self, Profile},
    cluster::{self, Actor, ControllerManager},
    components::Component,
    during::during,
    kubelet::{NodeSpec, Termination, requests::Sender},
    machine,
    net::{self, Network},
    packages,
    process::Process,
    site,
};
use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, api::ListParams};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};
use tokio::process::Command;

/// All components that may have to be built.
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
    site: site::Site,
    /// The `closehaul` command.
    closehaul: PathBuf,
    pub(super) console: Console,
    pub(super) has_network: bool,
    controllers: Vec<Process>,
    script: &'static Script,
}

impl Site {
    /// Builds what is missing and starts everything, with the initial nodes.
    pub(super) async fn start(
        options: Options,
        server: &Path,
        console: Console,
    ) -> Result<Self, Error> {
        let script = Script::of(options);
        let network = network(console, options.policies)?;
        let has_network = network.is_some();
        let kubernetes = options.kubernetes;
        let components = cluster::ensure(kubernetes, &COMPONENTS).await?;
        let closehaul = closehaul::build(Profile::Dev).await?;
        console.note(format_args!(
            "starting etcd, and kube-apiserver, kube-controller-manager and kube-scheduler \
             {kubernetes}"
        ));
        let site = site::Site::start(site::Options {
            network,
            components,
            cluster: cluster::Options { kubernetes, ..Default::default() },
            termination: Termination::default(),
            proxy: options.proxy,
            server,
        });
        let site = during("starting", Box::pin(site)).await?;
        let cluster = &site.cluster;
        let (manager, scheduler) = tokio::try_join!(
            cluster.start_controller_manager(ControllerManager::EverythingButSlices),
            cluster.start_scheduler(),
        )?;
        let slices = match options.controller {
            Controller::Closehaul => {
                console.note("starting closehaul in replace mode");
                let kubeconfig = cluster.kubeconfig(Actor::Closehaul);
                let command = closehaul::command(&closehaul, &kubeconfig, &["--mode=replace"]);
                command.start(cluster.directory())?
            }
            Controller::BuiltIn => {
                console.note("starting the built-in EndpointSlice controller");
                cluster.start_controller_manager(ControllerManager::OnlySlices).await?
            }
        };
        let proxies = if has_network {
            format!(", each with a kube-proxy ({})", options.proxy)
        } else {
            String::new()
        };
        console.note(format_args!("adding three nodes{proxies}"));
        let controllers = vec![manager, scheduler, slices];
        let mut site = Self { site, closehaul, console, has_network, controllers, script };
        for (name, zone) in script.nodes {
            let control_plane = || NodeSpec::control_plane(name);
            let node = zone.map_or_else(control_plane, |zone| NodeSpec::worker(name, zone));
            site.site.join(node).await?;
        }
        site.site.ready().await?;
        Ok(site)
    }

    /// Performs one action of a step.
    pub(super) async fn act(&mut self, action: &Action) -> Result<(), Error> {
        match action {
            Action::Run(command) => self.run(command).await.map(drop),
            Action::Join { node, zone } => {
                self.console.note(format_args!("{node} joins, in {zone}"));
                self.site.join(NodeSpec::worker(node, zone)).await?;
                self.site.ready().await
            }
            Action::Leave { node } => {
                self.console.note(format_args!("{node} is switched off"));
                self.site.leave(node).await
            }
        }
    }

    /// Prints a shell command, runs it and prints its output. Returns its standard output.
    pub(super) async fn run(&self, command: &str) -> Result<String, Error> {
        self.console.command(command);
        let output = self.shell(command).await?;
        text(&output.stdout).lines().for_each(line);
        let stdout = success(command, &output)?;
        text(&output.stderr).lines().for_each(line);
        Ok(stdout)
    }

    /// Runs a shell command without a word. Returns its standard output.
    pub(super) async fn output(&self, command: &str) -> Result<String, Error> {
        success(command, &self.shell(command).await?)
    }

    async fn shell(&self, command: &str) -> Result<Output, Error> {
        let commands = [self.site.components.path(Component::Kubectl), &self.closehaul];
        let folders = commands.into_iter().filter_map(Path::parent).map(Path::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(folders.chain(env::split_paths(&path)));
        Command::new("sh")
            .args(["-c", command])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/walkthrough"))
            .env("KUBECONFIG", self.site.cluster.kubeconfig(Actor::Admin))
            // kubectl keeps a cache there.
            .env("HOME", self.site.cluster.directory())
            .envs(path.ok().map(|path| ("PATH", path)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Error::Run { what: "sh", source })
    }

    /// Where the page about all Services goes: the folder of what was built.
    pub(super) fn page(&self) -> PathBuf {
        let folder = self.closehaul.ancestors().nth(2).unwrap_or_else(|| Path::new("."));
        folder.join("closehaul-plan.html")
    }

    /// Returns an error if something that must run does not.
    pub(super) async fn check(&mut self) -> Result<(), Error> {
        self.site.check().await?;
        for controller in &self.controllers {
            controller.must_run()?;
        }
        Ok(())
    }

    /// The slices of the Service.
    pub(super) async fn slices(&self) -> Result<Vec<EndpointSlice>, Error> {
        let slices: Api<EndpointSlice> = Api::default_namespaced(self.site.api.clone());
        let of_service =
            ListParams::default().labels(&format!("kubernetes.io/service-name={SERVICE}"));
        let list = slices.list(&of_service).await.map_err(Error::api("reading the slices"))?;
        Ok(list.items)
    }

    /// The zones of the nodes that have one.
    pub(super) async fn zones(&self) -> Result<BTreeMap<String, String>, Error> {
        let nodes: Api<Node> = Api::all(self.site.api.clone());
        let nodes =
            nodes.list(&ListParams::default()).await.map_err(Error::api("reading the nodes"))?;
        let zone = |node: Node| {
            let zone = node.metadata.labels?.remove("topology.kubernetes.io/zone")?;
            Some((node.metadata.name?, zone))
        };
        Ok(nodes.into_iter().filter_map(zone).collect())
    }

    /// How the client's requests travel, once the client and the Service exist.
    pub(super) async fn traffic(&self) -> Result<Traffic, Error> {
        if !self.has_network {
            return Ok(Traffic::Model(Model::new(self.site.api.clone())));
        }
        let address = self.address().await?;
        Ok(Traffic::real(self.sender(self.script.client).await?, &address))
    }

    /// Sends requests from a pod.
    pub(super) async fn sender(&self, pod: &str) -> Result<Sender, Error> {
        let namespace = self.site.pod(pod).await?;
        let namespace = namespace.ok_or(Error::Incomplete("the client's pod does not run"))?;
        Ok(Sender::new(&self.site.server, &namespace))
    }

    /// A client of the API server with the actor's permissions.
    pub(super) fn client(&self, actor: Actor) -> Result<Client, Error> {
        Ok(self.site.cluster.client(actor)?)
    }

    async fn address(&self) -> Result<String, Error> {
        let services: Api<Service> = Api::default_namespaced(self.site.api.clone());
        let service =
            services.get(self.script.service).await.map_err(Error::api("reading the Service"))?;
        let address = service.spec.and_then(|spec| spec.cluster_ip);
        address.ok_or(Error::Incomplete("the Service has no address"))
    }

    /// Prints how to use a cluster that is kept.
    pub(super) async fn invite(&self) -> Result<(), Error> {
        let Script { client: name, .. } = self.script;
        let client = self.site.pod(name).await?;
        let kubeconfig = self.site.cluster.kubeconfig(Actor::Admin);
        let kubectl = self.site.components.path(Component::Kubectl);
        let console = self.console;
        console.heading("The cluster stays up until Ctrl-C, which removes everything");
        line(format_args!("  export KUBECONFIG={}", kubeconfig.display()));
        line(format_args!("  alias kubectl={}", kubectl.display()));
        line(format_args!("  ls {}    # logs", self.site.cluster.directory().display()));
        if let Some(client) = client {
            let address = self.address().await?;
            line(format_args!("  # a request from the pod {name}:"));
            let server = self.site.server.display();
            line(format_args!("  ip netns exec {client} \\"));
            line(format_args!("    {server} get http://{address}/"));
        }
        Ok(())
    }

    /// Stops everything in order: clients before servers.
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        self.site.stop_proxies().await?;
        for controller in self.controllers.into_iter().rev() {
            controller.stop(Duration::from_secs(5)).await?;
        }
        self.site.stop().await
    }
}

/// What a command printed, if it succeeded.
fn success(command: &str, output: &Output) -> Result<String, Error> {
    if output.status.success() {
        return Ok(text(&output.stdout).into_owned());
    }
    let stderr = text(&output.stderr).trim().to_owned();
    Err(Error::Command { command: command.to_owned(), output: stderr })
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The network of namespaces, or `None` without root, unless it is required. Installs the packages
/// that it needs.
fn network(console: Console, is_required: bool) -> Result<Option<Network>, Error> {
    if !packages::is_root() {
        if is_required {
            return Err(Error::NotRoot);
        }
        console
            .note("not root: no network namespaces and no kube-proxy; a model picks the answers");
        return Ok(None);
    }
    packages::ensure(machine::NETWORK).map_err(net::Error::from)?;
    Ok(Some(Network::new()?))
}
