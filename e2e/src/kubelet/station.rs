//! The task, which handles the pods that come and go, one after the other.

use super::{
    Error, NodeAddress, NodeSpec, Options, PodKey, Request, node, pod::PodView, requests::Sender,
};
use crate::{
    net::{Addresses, Namespace},
    process::{Command, Process, Signal},
};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use kube_runtime::{
    WatchStreamExt as _,
    watcher::{self, Event, watcher},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time,
};

/// The port of a pod that declares none.
const DEFAULT_PORT: u16 = 80;

/// How long a pod's server may take to answer on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// What the task owns. Steps that wait run in separate tasks, see [`Later`].
pub(super) struct Station {
    client: Client,
    options: Options,
    nodes: BTreeSet<String>,
    pods: BTreeMap<PodKey, Running>,
    invented: u16,
    later: JoinSet<Result<Later, Error>>,
}

/// A pod from the moment its server was started.
struct Running {
    view: PodView,
    namespace: Option<String>,
    server: Option<Arc<Process>>,
    /// Waits for the server and reports the pod ready.
    starting: AbortHandle,
    terminating: bool,
}

/// What a waiting step returns.
enum Later {
    Done,
    /// The grace period of this pod is over.
    GraceOver(PodView),
}

impl Station {
    pub(super) fn new(client: Client, options: Options) -> Self {
        Self {
            client,
            options,
            nodes: BTreeSet::new(),
            pods: BTreeMap::new(),
            invented: 0,
            later: JoinSet::new(),
        }
    }

    /// Runs until the owner is gone or something fails.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), Error> {
        let bound = watcher::Config::default().fields("spec.nodeName!=");
        let pods: Api<Pod> = Api::all(self.client.clone());
        let mut events = watcher(pods, bound).default_backoff().boxed();
        let mut listed = BTreeSet::new();
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return self.stop().await,
                },
                Some(step) = self.later.join_next() => {
                    // A step is aborted only when its pod ends.
                    if let Later::GraceOver(pod) = step.unwrap_or(Ok(Later::Done))? {
                        self.end(&pod.key);
                        self.later(async move |client| pod.delete(&client).await.map(|()| Later::Done));
                    }
                }
                Some(event) = events.next() => match event {
                    Ok(Event::Init) => listed.clear(),
                    Ok(Event::InitApply(pod)) => {
                        if let Some(pod) = PodView::new(&pod) {
                            listed.insert(pod.key.clone());
                            self.see(pod)?;
                        }
                    }
                    Ok(Event::InitDone) => {
                        let gone = self.pods.keys().filter(|key| !listed.contains(key));
                        for key in gone.cloned().collect::<Vec<_>>() {
                            self.end(&key);
                        }
                    }
                    Ok(Event::Apply(pod)) => if let Some(pod) = PodView::new(&pod) {
                        self.see(pod)?;
                    },
                    Ok(Event::Delete(pod)) => if let Some(pod) = PodView::new(&pod) {
                        self.end_if_same(&pod);
                    },
                    // The watcher retries.
                    Err(_) => {}
                },
            }
        }
    }

    fn later<F>(&mut self, step: impl FnOnce(Client) -> F) -> AbortHandle
    where
        F: Future<Output = Result<Later, Error>> + Send + 'static,
    {
        self.later.spawn(step(self.client.clone()))
    }

    async fn answer(&mut self, request: Request) {
        // If sending fails, the caller no longer waits for an answer.
        match request {
            Request::AddNode(spec, reply) => drop(reply.send(self.add_node(spec).await)),
            Request::RemoveNode(name, reply) => drop(reply.send(self.remove_node(&name))),
            Request::PodNamespace(key, reply) => {
                let namespace = self.pods.get(&key).and_then(|pod| pod.namespace.clone());
                drop(reply.send(namespace));
            }
        }
    }

    async fn add_node(&mut self, spec: NodeSpec) -> Result<NodeAddress, Error> {
        let address = if let Some(network) = &mut self.options.network {
            let node = network.add_node(&spec.name)?;
            let namespace = Some(node.namespace().name().to_owned());
            NodeAddress { addresses: node.addresses(), namespace }
        } else {
            let addresses = self.invent(Ipv4Addr::new(192, 168, 0, 0));
            NodeAddress { addresses, namespace: None }
        };
        self.nodes.insert(spec.name.clone());
        node::register(&self.client, &spec, address.addresses).await?;
        Ok(address)
    }

    fn remove_node(&mut self, name: &str) -> Result<(), Error> {
        self.nodes.remove(name);
        let on_it = self.pods.iter().filter(|(_, pod)| pod.view.node == name);
        for key in on_it.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.end(&key);
        }
        if let Some(network) = &mut self.options.network {
            network.remove_node(name)?;
        }
        Ok(())
    }

    /// An address in a /16, on which nothing listens.
    fn invent(&mut self, range: Ipv4Addr) -> Addresses {
        self.invented += 1;
        Ipv4Addr::from_bits(range.to_bits() + u32::from(self.invented)).into()
    }

    /// Starts a new pod, and ends one that is deleted.
    fn see(&mut self, pod: PodView) -> Result<(), Error> {
        if !self.nodes.contains(&pod.node) {
            return Ok(());
        }
        let running = self.pods.get(&pod.key).filter(|running| running.view.uid == pod.uid);
        let (known, terminating) = (running.is_some(), running.is_some_and(|pod| pod.terminating));
        match (known, pod.deleted) {
            (false, false) => self.begin(pod),
            (false, true) => {
                // It was deleted before it ran, so there is nothing to wait for.
                self.later(async move |client| pod.delete(&client).await.map(|()| Later::Done));
                Ok(())
            }
            (true, true) if !terminating => {
                self.terminate(pod);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, pod: PodView) -> Result<(), Error> {
        // Ends a predecessor of the same name whose end was not observed.
        self.end(&pod.key);
        let (addresses, namespace) = match &mut self.options.network {
            Some(network) => {
                let added = network.add_pod(&pod.node, &net_name(&pod.key))?;
                (added.addresses(), Some(added.namespace().name().to_owned()))
            }
            None => (self.invent(Ipv4Addr::new(10, 244, 0, 0)), None),
        };
        let server =
            namespace.as_deref().map(|namespace| self.serve(&pod, namespace)).transpose()?;
        let server = server.map(Arc::new);
        let (key, view) = (pod.key.clone(), pod.clone());
        let serving = server.clone();
        let sender = namespace.as_ref().map(|name| Sender::new(&self.options.server, name));
        let starting = self.later(async move |client| {
            if let (Some(server), Some(sender)) = (serving, sender) {
                // It listens some milliseconds after its start. A kubelet would also probe it.
                let port = pod.ports.first().unwrap_or(&DEFAULT_PORT);
                sender.wait(&server, &format!("http://127.0.0.1:{port}/healthz"), READY).await?;
            }
            pod.report_running(&client, addresses).await.map(|()| Later::Done)
        });
        self.pods.insert(key, Running { view, namespace, server, starting, terminating: false });
        Ok(())
    }

    fn serve(&self, pod: &PodView, namespace: &str) -> Result<Process, Error> {
        let ports = if pod.ports.is_empty() { &[DEFAULT_PORT][..] } else { &pod.ports };
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(["--answer".to_owned(), format!("{}@{}", pod.key.name, pod.node)]);
        arguments.extend(ports.iter().flat_map(|port| ["--port".to_owned(), port.to_string()]));
        let process = Command::new(net_name(&pod.key), &self.options.server)
            .prefix(Namespace::enter(namespace))
            .args(arguments)
            .start(&self.options.logs)?;
        Ok(process)
    }

    fn terminate(&mut self, pod: PodView) {
        if let Some(running) = self.pods.get_mut(&pod.key) {
            running.terminating = true;
        }
        let termination = self.options.termination;
        self.later(async move |client| {
            if !termination.stays_ready {
                pod.report_not_ready(&client).await?;
            }
            time::sleep(termination.serves_for).await;
            Ok(Later::GraceOver(pod))
        });
    }

    fn end_if_same(&mut self, pod: &PodView) {
        if self.pods.get(&pod.key).is_some_and(|running| running.view.uid == pod.uid) {
            self.end(&pod.key);
        }
    }

    /// Stops a pod's server and removes its network.
    fn end(&mut self, key: &PodKey) {
        if let Some(running) = self.pods.remove(key) {
            running.starting.abort();
            if let Some(server) = running.server {
                // If it has ended by itself, there is nothing to do.
                let _ = server.signal(Signal::KILL);
            }
            if let Some(network) = &mut self.options.network {
                network.remove_pod(&running.view.node, &net_name(key));
            }
        }
    }

    async fn stop(mut self) -> Result<(), Error> {
        self.later.shutdown().await;
        for key in self.pods.keys().cloned().collect::<Vec<_>>() {
            self.end(&key);
        }
        Ok(())
    }
}

/// The pod's name in the network, which is also the name of its log.
fn net_name(key: &PodKey) -> String {
    format!("{}-{}", key.namespace, key.name)
}
