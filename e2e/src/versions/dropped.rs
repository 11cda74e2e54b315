//! An API server that drops hints for nodes, as 1.34 does with its gate off: Services that prefer
//! the same node are created while it is on, their slices are cleared by hand, and the server is
//! started again with it off. What closehaul writes then is counted by the audit log and by what
//! etcd has.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Check, Error};
use crate::{
    closehaul,
    cluster::{Actor, AuditEvent, Cluster, Options},
    components::Kubernetes,
    process::Process,
    walkthrough::console::Console,
    world::{Canary, Kind, World, object, quiet, until},
};

const NAMESPACE: &str = "shop";
const GATE: &str = "PreferSameTrafficDistribution";
/// More Services than closehaul writes at the same time.
const SERVICES: u64 = 20;
/// This many Services are written at the same time, so this many may be tried before the first
/// answer.
const AT_ONCE: usize = 5;
const PODS: [(&str, &str); 3] = [("node-a", "zone-a"), ("node-b", "zone-b"), ("node-c", "zone-c")];
/// How long nothing may be written.
const QUIET: Duration = Duration::from_secs(12);
/// After this long without a write, the slices count as settled. It is longer than the second after
/// which closehaul checks a slice that another client has edited.
const SETTLED: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(10);

/// The result of a step, or what was wrong.
type Verdict = Result<String, String>;

/// The cluster and what runs on it.
struct Scene {
    cluster: Cluster,
    world: World,
    canary: Canary,
    controller: Option<Process>,
}

/// How many endpoints have hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hinted {
    endpoints: usize,
    zones: usize,
    nodes: usize,
}

/// Runs the scenario. If an error ends it early, that is the last row.
pub(super) async fn run(console: Console, kubernetes: Kubernetes) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut tell = |step: &str, verdict: Verdict| {
        let problems: Vec<_> = verdict.clone().err().into_iter().collect();
        let text = format!("{step}: {}", verdict.as_deref().unwrap_or_default());
        console.verdict(&text, &problems);
        checks.push(Check { kubernetes, step: step.to_owned(), result: verdict });
    };
    if let Err(error) = play(kubernetes, &mut tell).await {
        tell("to the end", Err(error.to_string()));
    }
    checks
}

async fn play(kubernetes: Kubernetes, tell: &mut impl FnMut(&str, Verdict)) -> Result<(), Error> {
    let mut scene = Scene::start(kubernetes).await?;
    scene.start_closehaul().await?;
    tell("gate on", scene.first_hints().await?);

    scene.stop_closehaul().await?;
    scene.clear_hints().await?;
    scene.gate(false).await?;
    let mark = scene.mark()?;
    scene.start_closehaul().await?;
    tell("off, hints cleared", scene.written_once(mark).await?);
    tell("left alone", scene.nothing_written().await?);
    tell("all looked at again", scene.nothing_written_for_a_touch().await?);
    tell("told", scene.told(1)?);
    tell("a new endpoint", scene.new_endpoint().await?);

    let before = scene.slices().await?;
    let mark = scene.mark()?;
    scene.restart_closehaul().await?;
    tell("closehaul restarted", scene.tried_again(mark, &before).await?);
    tell("all looked at again", scene.nothing_written_for_a_touch().await?);

    scene.gate(true).await?;
    tell("gate on again", scene.nothing_written_for_a_touch().await?);
    let mark = scene.mark()?;
    scene.restart_closehaul().await?;
    tell("closehaul restarted", scene.hinted_again(mark).await?);
    scene.stop().await
}

impl Scene {
    async fn start(kubernetes: Kubernetes) -> Result<Self, Error> {
        let options = Options { kubernetes, audit: true, ..Options::default() };
        let cluster = Cluster::start(options).await?;
        let world = World::new(cluster.client(Actor::Admin)?);
        let canary = Canary::create(&world).await?;
        world.create(&object::namespace(NAMESPACE)).await?;
        let nodes = PODS.map(|(node, zone)| object::node(node, Some(zone)));
        world.create_all(&nodes).await?;
        let mut services: Vec<_> =
            (0..SERVICES).map(|number| object::service(NAMESPACE, &service(number))).collect();
        for service in &mut services {
            service["spec"]["trafficDistribution"] = json!("PreferSameNode");
        }
        world.create_all(&services).await?;
        let pods: Vec<_> = (0..SERVICES)
            .flat_map(|number| {
                (0_u64..).zip(PODS).map(move |(at, (node, _))| pod(number, at, node))
            })
            .collect();
        world.create_all(&pods).await?;
        Ok(Self { cluster, world, canary, controller: None })
    }

    async fn stop(mut self) -> Result<(), Error> {
        self.stop_closehaul().await?;
        Ok(self.cluster.stop().await?)
    }

    /// Starts closehaul and waits until it has processed everything.
    async fn start_closehaul(&mut self) -> Result<(), Error> {
        self.controller = Some(closehaul::start(&self.cluster, &["--leader-elect=false"]).await?);
        self.canary.follow(&self.world).await?;
        Ok(())
    }

    async fn stop_closehaul(&mut self) -> Result<(), Error> {
        if let Some(controller) = self.controller.take() {
            controller.must_run()?;
            controller.stop(STOP).await?;
        }
        Ok(())
    }

    async fn restart_closehaul(&mut self) -> Result<(), Error> {
        self.stop_closehaul().await?;
        self.start_closehaul().await
    }

    /// Restarts the API server with the gate on or off.
    async fn gate(&mut self, on: bool) -> Result<(), Error> {
        let gate = format!("--feature-gates={GATE}={on}");
        Ok(self.cluster.restart_apiserver_with(&[&gate]).await?)
    }

    async fn slices(&self) -> Result<Vec<Value>, Error> {
        Ok(self.world.list(Kind::Slice, Some(NAMESPACE)).await?)
    }

    async fn hinted(&self) -> Result<Hinted, Error> {
        Ok(hinted(&self.slices().await?))
    }

    /// Removes all hints from the slices, as `kubectl edit` would.
    async fn clear_hints(&self) -> Result<(), Error> {
        self.edit_slices(|slice| {
            for endpoint in slice["endpoints"].as_array_mut().into_iter().flatten() {
                endpoint.as_object_mut().map(|endpoint| endpoint.remove("hints"));
            }
        })
        .await
    }

    /// Annotates all slices. closehaul checks a Service whose slice another client has written, and
    /// finds nothing to do. Waits until it must have done so.
    async fn touch(&mut self) -> Result<(), Error> {
        self.edit_slices(|slice| {
            let version = slice["metadata"]["resourceVersion"].clone();
            slice["metadata"]["annotations"]["example.com/touched"] = version;
        })
        .await?;
        sleep(SETTLED).await;
        self.canary.follow(&self.world).await?;
        Ok(())
    }

    async fn edit_slices(&self, edit: impl Fn(&mut Value)) -> Result<(), Error> {
        for mut slice in self.slices().await? {
            // Objects in a list have no kind.
            slice["apiVersion"] = json!("discovery.k8s.io/v1");
            slice["kind"] = json!("EndpointSlice");
            edit(&mut slice);
            self.world.replace(&slice).await?;
        }
        Ok(())
    }

    /// How many events the audit log contains.
    fn mark(&self) -> Result<usize, Error> {
        Ok(self.cluster.audit()?.len())
    }

    /// What closehaul has written since then, except for the canary's slice.
    fn written_since(&self, mark: usize) -> Result<Vec<AuditEvent>, Error> {
        let mut events = self.cluster.audit()?.split_off(mark);
        events.retain(|event| {
            event.user == Actor::Closehaul.user()
                && event.resource == "endpointslices"
                && event.namespace == NAMESPACE
        });
        Ok(events)
    }
}

// === the checks ===

impl Scene {
    async fn first_hints(&self) -> Result<Verdict, Error> {
        let all = count(SERVICES) * PODS.len();
        let wanted = Hinted { endpoints: all, zones: all, nodes: all };
        let found = until("hints for nodes everywhere", LIMIT, async || {
            let found = hinted(&self.world.list(Kind::Slice, Some(NAMESPACE)).await?);
            Ok((found == wanted).then_some(()))
        });
        found.await?;
        quiet(&self.cluster, SETTLED, LIMIT).await?;
        Ok(Ok(format!("{all} of {all} endpoints with forZones and forNodes")))
    }

    /// Every slice was cleared, so each is written once. The first writes lose their hints for
    /// nodes.
    async fn written_once(&self, mark: usize) -> Result<Verdict, Error> {
        quiet(&self.cluster, SETTLED, LIMIT).await?;
        let written = self.written_since(mark)?;
        let tried = written.iter().filter(|event| for_nodes(&event.request) > 0).count();
        let kept = written.iter().filter(|event| for_nodes(&event.response) > 0).count();
        let found = self.hinted().await?;
        let all = count(SERVICES) * PODS.len();
        let text = format!(
            "{} writes, {tried} with forNodes, {kept} kept; of {all} hints {} zones, {} nodes",
            written.len(),
            found.zones,
            found.nodes,
        );
        let is_right = written.len() == count(SERVICES)
            && (1..=AT_ONCE).contains(&tried)
            && kept == 0
            && found == Hinted { endpoints: all, zones: all, nodes: 0 };
        Ok(verdict(is_right, text))
    }

    async fn nothing_written(&self) -> Result<Verdict, Error> {
        self.nothing_written_since(self.mark()?).await
    }

    async fn nothing_written_for_a_touch(&mut self) -> Result<Verdict, Error> {
        let mark = self.mark()?;
        self.touch().await?;
        self.nothing_written_since(mark).await
    }

    /// Nothing was written since the mark, and nothing is for a while.
    async fn nothing_written_since(&self, mark: usize) -> Result<Verdict, Error> {
        let before = self.cluster.stored_slices().await?;
        sleep(QUIET).await;
        let (written, after) = (self.written_since(mark)?, self.cluster.stored_slices().await?);
        let revisions = after.revision - before.revision;
        let text = format!(
            "{} writes; in {} s revision in etcd up by {revisions}",
            written.len(),
            QUIET.as_secs(),
        );
        Ok(verdict(written.is_empty() && before == after, text))
    }

    /// Each process logs it once.
    fn told(&self, times: usize) -> Result<Verdict, Error> {
        let Some(controller) = &self.controller else { return Ok(Err("not running".to_owned())) };
        let log = fs::read_to_string(controller.log_path()).map_err(Error::Log)?;
        let lines: Vec<_> = log.lines().filter(|line| line.contains(GATE)).collect();
        let is_warning = lines.iter().all(|line| line.contains("WARN"));
        let text = format!("{} of {times} warnings", lines.len());
        Ok(verdict(lines.len() == times && is_warning, text))
    }

    async fn new_endpoint(&self) -> Result<Verdict, Error> {
        let mark = self.mark()?;
        let (node, _) = PODS[0];
        self.world.create(&pod(0, 9, node)).await?;
        let wanted = Hinted { endpoints: 4, zones: 4, nodes: 0 };
        let shown = until("the new endpoint", LIMIT, async || {
            let slices = self.world.slices_of(NAMESPACE, &service(0)).await?;
            Ok((hinted(&slices) == wanted).then_some(()))
        });
        shown.await?;
        sleep(SETTLED).await;
        // A pod is created and becomes ready in two writes, and each may be seen alone.
        let written = self.written_since(mark)?.len();
        Ok(verdict((1..=2).contains(&written), format!("{written} writes, with zone hints")))
    }

    /// A new process tries again, with as many slices as it writes at the same time. The server
    /// stores each with a new generation, which it increments before it drops hints, and with the
    /// same endpoints.
    async fn tried_again(&self, mark: usize, before: &[Value]) -> Result<Verdict, Error> {
        quiet(&self.cluster, SETTLED, LIMIT).await?;
        let written = self.written_since(mark)?.len();
        let after = self.slices().await?;
        let changed = after.iter().zip(before).filter(|(a, b)| a["endpoints"] != b["endpoints"]);
        let is_same = after.len() == before.len() && changed.count() == 0;
        let stored = if is_same { "no endpoint changed" } else { "endpoints changed" };
        let is_right = is_same && (1..=AT_ONCE).contains(&written);
        let told = self.told(2)?;
        let text = format!("{written} tried with forNodes, {stored}");
        Ok(told.and_then(|_| verdict(is_right, text)))
    }

    async fn hinted_again(&self, mark: usize) -> Result<Verdict, Error> {
        quiet(&self.cluster, SETTLED, LIMIT).await?;
        let (written, found) = (self.written_since(mark)?.len(), self.hinted().await?);
        let all = count(SERVICES) * PODS.len() + 1;
        let text = format!("{written} writes, {} of {all} endpoints with forNodes", found.nodes);
        let is_right = written == count(SERVICES)
            && found == Hinted { endpoints: all, zones: all, nodes: all };
        Ok(verdict(is_right, text))
    }
}

fn verdict(is_right: bool, text: String) -> Verdict {
    if is_right { Ok(text) } else { Err(text) }
}

fn service(number: u64) -> String {
    format!("service-{number}")
}

fn pod(service: u64, ordinal: u64, node: &str) -> Value {
    let app = self::service(service);
    let [address, _] = object::addresses(service * 10 + ordinal);
    object::pod(NAMESPACE, &format!("{app}-{ordinal}"), &app, node, &[address])
}

fn hinted(slices: &[Value]) -> Hinted {
    let endpoints = || slices.iter().filter_map(|slice| slice["endpoints"].as_array()).flatten();
    let zones = endpoints().filter(|endpoint| !endpoint["hints"]["forZones"].is_null()).count();
    Hinted { endpoints: endpoints().count(), zones, nodes: slices.iter().map(for_nodes).sum() }
}

/// How many endpoints of a slice have hints for nodes.
fn for_nodes(slice: &Value) -> usize {
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    endpoints.filter(|endpoint| !endpoint["hints"]["forNodes"].is_null()).count()
}

fn count(services: u64) -> usize {
    usize::try_from(services).unwrap_or(usize::MAX)
}
