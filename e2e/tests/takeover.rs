//! closehaul takes over from the built-in controller and hands back without a write, and both at
//! once do not lose an endpoint.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    time::{Duration, Instant},
};

use e2e::{
    closehaul,
    cluster::{Actor, Cluster, ControllerManager, Options},
    process::Process,
    world::{Canary, Kind, Place, Random, World, mixed::Mixed, normal, object, quiet, until},
};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// How long both controllers may need to agree.
const SETTLE: Duration = Duration::from_secs(90);
/// A controller that has caught up and writes nothing for this long is idle. This is longer than
/// either controller waits before it repairs a slice (1 s) or rewrites hints.
const IDLE: Duration = Duration::from_secs(3);
/// How long both controllers run at once.
const CHURN: Duration = Duration::from_secs(60);
/// How long an endpoint may be missing after its pod became ready, with two writers that interfere
/// with each other.
const SERVED_AFTER: Duration = Duration::from_secs(5);
const STOP: Duration = Duration::from_secs(10);

async fn cluster() -> Cluster {
    let cidrs = ["10.96.0.0/16", "fd00:96::/112"].map(str::to_owned).to_vec();
    let options = Options { audit: true, service_cidrs: cidrs, ..Options::default() };
    Cluster::start(options).await.unwrap()
}

/// Which controller.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    BuiltIn,
    Closehaul,
}

impl Writer {
    async fn start(self, cluster: &Cluster) -> Process {
        match self {
            Self::BuiltIn => {
                cluster.start_controller_manager(ControllerManager::OnlySlices).await.unwrap()
            }
            Self::Closehaul => closehaul::start(cluster, &["--leader-elect=false"]).await.unwrap(),
        }
    }

    fn user(self) -> &'static str {
        match self {
            Self::BuiltIn => Actor::ControllerManager.user(),
            Self::Closehaul => Actor::Closehaul.user(),
        }
    }
}

/// The slices, except the canary's, that `writer` writes when it starts on the current state and
/// has time to process everything, according to the API, the store and the audit log.
async fn written_by(
    writer: Writer,
    cluster: &Cluster,
    world: &World,
    canary: &mut Canary,
) -> Vec<String> {
    let before = world.slice_versions().await.unwrap();
    let stored = cluster.stored_slices().await.unwrap();
    let logged = cluster.audit().unwrap().len();
    let process = writer.start(cluster).await;
    let (version, _) = canary.follow(world).await.unwrap();
    let after = quiet(cluster, IDLE, SETTLE).await.unwrap();
    process.must_run().unwrap();
    assert!(process.stop(STOP).await.unwrap().is_some(), "{writer:?} had to be killed");

    let versions = world.slice_versions().await.unwrap();
    let names = before.keys().chain(versions.keys()).collect::<HashSet<_>>();
    let mut changed = names
        .into_iter()
        .filter(|name| !Canary::owns(name) && before.get(*name) != versions.get(*name))
        .cloned()
        .collect::<Vec<_>>();
    changed.sort_unstable();
    let logged = cluster.audit().unwrap().split_off(logged);
    let sent = logged.iter().filter(|event| {
        event.user == writer.user()
            && event.resource == "endpointslices"
            && event.namespace != "canary"
    });
    let sent = sent.map(|event| (&event.verb, &event.name)).collect::<Vec<_>>();
    if changed.is_empty() {
        assert_eq!(sent, [], "{writer:?} sent writes that changed nothing");
        // The last slice that was written at all is the canary's, and none was deleted.
        assert_eq!((after.revision, after.count), (version, stored.count), "{writer:?}");
    } else {
        assert!(!sent.is_empty(), "another client wrote {changed:?}");
    }
    changed
}

async fn assert_no_writes(writer: Writer, cluster: &Cluster, world: &World, canary: &mut Canary) {
    let written = written_by(writer, cluster, world, canary).await;
    assert_eq!(written, Vec::<String>::new(), "{writer:?} wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_over_and_handing_back_write_nothing() {
    tokio::time::timeout(LIMIT, mixed_world()).await.expect("the time limit");
}

async fn mixed_world() {
    let cluster = cluster().await;
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let mixed = Mixed::new(20_261_123, 216);
    assert!(mixed.services() >= 200);

    // The built-in controller runs while the world is created, so its slices have a history.
    let built_in = Writer::BuiltIn.start(&cluster).await;
    mixed.create(&world).await.unwrap();
    let mut canary = Canary::create(&world).await.unwrap();
    canary.follow(&world).await.unwrap();
    let settled = quiet(&cluster, IDLE, SETTLE).await.unwrap();
    built_in.stop(STOP).await.unwrap();
    assert!(settled.count > 250, "{settled:?}");
    eprintln!(
        "takeover: {} Services, {} pods, {} slices",
        mixed.services(),
        mixed.pods(),
        settled.count
    );

    assert_no_writes(Writer::Closehaul, &cluster, &world, &mut canary).await;
    assert_no_writes(Writer::BuiltIn, &cluster, &world, &mut canary).await;

    // Nothing was left to do because everything was there: what closehaul creates from nothing is
    // the same.
    let before = normal::form(&world.list(Kind::Slice, None).await.unwrap());
    let managed = delete_managed(&world).await;
    assert!(managed > 250, "{managed}");
    let process = Writer::Closehaul.start(&cluster).await;
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    process.stop(STOP).await.unwrap();
    let after = normal::form(&world.list(Kind::Slice, None).await.unwrap());
    assert_eq!(normal::differences(&without_canary(before), &without_canary(after)), [""; 0]);
    assert_no_writes(Writer::BuiltIn, &cluster, &world, &mut canary).await;
    cluster.stop().await.unwrap();
}

fn without_canary(mut form: normal::Normal) -> normal::Normal {
    form.retain(|group, _| group.namespace != "canary");
    form
}

/// Deletes the slices that closehaul or the built-in controller manages. Returns how many.
async fn delete_managed(world: &World) -> usize {
    let slices = world.list(Kind::Slice, None).await.unwrap();
    let ours = slices.iter().filter(|slice| {
        slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
            == "endpointslice-controller.k8s.io"
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let place = |slice: &Value| {
        let metadata = &slice["metadata"];
        Place::new(Kind::Slice, &text(&metadata["namespace"]), &text(&metadata["name"]))
    };
    let places = ours.map(place).collect::<Vec<_>>();
    world.for_all("deleting", &places, async |place| world.delete(place).await).await.unwrap();
    places.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_with_the_auto_annotation_are_adopted() {
    tokio::time::timeout(LIMIT, auto()).await.expect("the time limit");
}

/// The built-in controller may strip hints when it starts (docs/semantics.md 5.3), so that
/// only its own restart shows what closehaul may write.
async fn auto() {
    let cluster = cluster().await;
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    world.create(&object::namespace("auto")).await.unwrap();
    for (number, zone) in ["zone-a", "zone-b", "zone-c"].into_iter().enumerate() {
        world.create(&object::node(&format!("node-{number}"), Some(zone))).await.unwrap();
    }
    let mut canary = Canary::create(&world).await.unwrap();
    let mut random = Random::new(5);
    let mut pods = Vec::new();
    let mut services = Vec::new();
    for number in 0..12_u64 {
        let name = format!("service-{number}");
        let mut service = object::service("auto", &name);
        service["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-mode": "Auto"});
        services.push(service);
        // Too few, just enough, uneven, and more than one slice holds.
        for pod in 0..[2, 3, 9, 10, 17, 120][usize::try_from(number % 6).unwrap()] {
            let node = format!("node-{}", random.below(3));
            let addresses = object::addresses(pods.len() as u64);
            pods.push(object::pod("auto", &format!("{name}-{pod}"), &name, &node, &addresses));
        }
    }
    world.create_all(&pods).await.unwrap();
    world.create_all(&services).await.unwrap();

    let mut adopted = false;
    for _ in 0..3 {
        let own = written_by(Writer::BuiltIn, &cluster, &world, &mut canary).await;
        if own.is_empty() {
            assert_no_writes(Writer::Closehaul, &cluster, &world, &mut canary).await;
            adopted = true;
            break;
        }
        eprintln!("takeover: the built-in controller wrote {} slices at its start", own.len());
    }
    assert!(adopted, "the built-in controller never came to rest with itself");
    let slices = world.list(Kind::Slice, Some("auto")).await.unwrap();
    let hinted = slices.iter().filter(|slice| !slice["endpoints"][0]["hints"].is_null()).count();
    assert!(hinted >= 8, "only {hinted} slices with hints");
    let back = written_by(Writer::BuiltIn, &cluster, &world, &mut canary).await;
    eprintln!("takeover: handed back, the built-in controller wrote {} Auto slices", back.len());
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_at_once_lose_no_endpoint() {
    tokio::time::timeout(LIMIT, both_at_once()).await.expect("the time limit");
}

async fn both_at_once() {
    let cluster = cluster().await;
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let mut canary = Canary::create(&world).await.unwrap();
    let mut churn = Churn::create(&world, 7).await;
    let writers = [Writer::BuiltIn.start(&cluster).await, Writer::Closehaul.start(&cluster).await];
    until("all endpoints are there", SETTLE, async || {
        let missing = churn.missing(&world, Duration::ZERO).await;
        Ok(missing.is_empty().then_some(()))
    })
    .await
    .unwrap();

    let started = Instant::now();
    let (mut steps, mut samples, mut shown) = (0, 0, Instant::now());
    let mut noticed = None;
    let mut lost = BTreeMap::new();
    while started.elapsed() < CHURN {
        churn.step(&world).await;
        steps += 1;
        if steps % 5 == 0 {
            samples += 1;
            for (pod, since) in churn.missing(&world, SERVED_AFTER).await {
                lost.entry(pod).or_insert_with(|| (started.elapsed(), since));
            }
        }
        if noticed.is_none() && has_noticed(&writers[1]) {
            noticed = Some(started.elapsed());
        }
        if shown.elapsed() > Duration::from_secs(15) {
            eprintln!("takeover: {} s of both at once", started.elapsed().as_secs());
            shown = Instant::now();
        }
        for writer in &writers {
            writer.must_run().unwrap();
        }
    }
    let last_step = Instant::now();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    eprintln!(
        "takeover: {steps} changes, {samples} samples, {} pods lost, quiet {:.1} s after the last change",
        lost.len(),
        (last_step.elapsed().checked_sub(IDLE).unwrap_or_default()).as_secs_f64(),
    );
    assert!(lost.is_empty(), "ready, but in no slice (when, ready for): {lost:?}");
    assert!(steps > 200 && samples > 40, "{steps} steps, {samples} samples");
    let noticed = noticed.expect("closehaul does not notice that it is not alone");
    eprintln!("takeover: noticed after {:.1} s", noticed.as_secs_f64());
    let events = cluster.audit().unwrap();
    for writer in [Writer::BuiltIn, Writer::Closehaul] {
        let sent = events.iter().filter(|event| {
            event.user == writer.user() && event.resource == "endpointslices" && event.code < 300
        });
        let sent = sent.count();
        eprintln!("takeover: {writer:?} wrote {sent} times");
        assert!(sent > 100, "{writer:?} hardly took part: {sent} writes");
    }
    for writer in writers {
        assert!(writer.stop(STOP).await.unwrap().is_some());
    }
    // They have converged to the same state, and each of them alone agrees.
    churn.assert_each_pod_once(&world).await;
    assert_no_writes(Writer::Closehaul, &cluster, &world, &mut canary).await;
    assert_no_writes(Writer::BuiltIn, &cluster, &world, &mut canary).await;
    cluster.stop().await.unwrap();
}

/// Whether closehaul has logged that another client writes its slices.
fn has_noticed(closehaul: &Process) -> bool {
    let log = fs::read_to_string(closehaul.log_path()).unwrap();
    log.contains("append -endpointslice-controller")
}

/// Services whose pods and preferences change all the time.
struct Churn {
    random: Random,
    /// The number of pods created so far.
    made: u64,
    /// The pods, by name, with their Service and since when they have been ready.
    pods: HashMap<String, (String, Option<Instant>)>,
}

const SHOP: &str = "shop";
const SERVICES: u64 = 8;
/// More endpoints in each Service than one slice holds.
const PODS: u64 = 110;

impl Churn {
    async fn create(world: &World, seed: u64) -> Self {
        world.create(&object::namespace(SHOP)).await.unwrap();
        for (node, zone) in ["zone-a", "zone-b", "zone-c"].into_iter().enumerate() {
            world.create(&object::node(&format!("node-{node}"), Some(zone))).await.unwrap();
        }
        let mut churn = Self { random: Random::new(seed), made: 0, pods: HashMap::new() };
        let services = (0..SERVICES).map(|it| object::service(SHOP, &format!("service-{it}")));
        world.create_all(&services.collect::<Vec<_>>()).await.unwrap();
        let pods = (0..SERVICES * PODS).map(|number| churn.new_pod(number % SERVICES));
        let pods = pods.collect::<Vec<_>>();
        world.create_all(&pods).await.unwrap();
        for (_, since) in churn.pods.values_mut() {
            *since = Some(Instant::now());
        }
        churn
    }

    fn new_pod(&mut self, service: u64) -> Value {
        let (name, service) = (format!("pod-{}", self.made), format!("service-{service}"));
        let node = format!("node-{}", self.random.below(3));
        let addresses = object::addresses(self.made);
        self.made += 1;
        let pod = object::pod(SHOP, &name, &service, &node, &addresses);
        self.pods.insert(name, (service, None));
        pod
    }

    /// One change: of a pod's readiness, of the set of pods, or of a Service's preference.
    async fn step(&mut self, world: &World) {
        let mut names = self.pods.keys().cloned().collect::<Vec<_>>();
        names.sort_unstable();
        let name = self.random.pick(&names).unwrap().clone();
        let place = Place::new(Kind::Pod, SHOP, &name);
        match self.random.below(10) {
            0..6 => {
                let ready = self.pods[&name].1.is_none();
                self.pods.get_mut(&name).unwrap().1 = None;
                let status = json!({"conditions": object::ready(ready)});
                world.patch_status(&place, &status).await.unwrap();
                self.pods.get_mut(&name).unwrap().1 = ready.then(Instant::now);
            }
            6 | 7 => {
                let service = self.random.below(SERVICES);
                let pod = self.new_pod(service);
                world.create(&pod).await.unwrap();
                let name = pod["metadata"]["name"].as_str().unwrap();
                self.pods.get_mut(name).unwrap().1 = Some(Instant::now());
            }
            8 => {
                self.pods.remove(&name);
                world.delete(&place).await.unwrap();
            }
            _ => {
                let name = format!("service-{}", self.random.below(SERVICES));
                let values = [None, Some("PreferSameZone"), Some("PreferSameNode")];
                let value = self.random.pick(&values).unwrap();
                let patch = json!({"spec": {"trafficDistribution": value}});
                world.patch(&Place::new(Kind::Service, SHOP, &name), &patch).await.unwrap();
            }
        }
    }

    /// The pods that have been ready for longer than `ready_for` and that are ready in no slice
    /// of their Service, with the time that they have been ready.
    async fn missing(&self, world: &World, ready_for: Duration) -> BTreeMap<String, Duration> {
        let asked = Instant::now();
        let slices = world.list(Kind::Slice, Some(SHOP)).await.unwrap();
        let served = endpoints(&slices)
            .filter(|(_, endpoint)| endpoint["conditions"]["ready"] == true)
            .map(|(service, endpoint)| (service, text(&endpoint["targetRef"]["name"])))
            .collect::<HashSet<_>>();
        let missing = self.pods.iter().filter_map(|(name, (service, since))| {
            let since = asked.duration_since((*since)?);
            let missing = since > ready_for && !served.contains(&(service, name));
            missing.then(|| (name.clone(), since))
        });
        missing.collect()
    }

    /// Each pod is in exactly one slice of its Service.
    async fn assert_each_pod_once(&self, world: &World) {
        let slices = world.list(Kind::Slice, Some(SHOP)).await.unwrap();
        let mut there = endpoints(&slices)
            .map(|(service, endpoint)| {
                let name = text(&endpoint["targetRef"]["name"]);
                (service.to_owned(), name.to_owned())
            })
            .collect::<Vec<_>>();
        there.sort_unstable();
        let pods = self.pods.iter().map(|(name, (service, _))| (service.clone(), name.clone()));
        let mut wanted = pods.collect::<Vec<_>>();
        wanted.sort_unstable();
        assert_eq!(there, wanted);
    }
}

/// The endpoints of slices, each with its Service.
fn endpoints(slices: &[Value]) -> impl Iterator<Item = (&str, &Value)> {
    slices.iter().flat_map(|slice| {
        let service = text(&slice["metadata"]["labels"]["kubernetes.io/service-name"]);
        normal::items(&slice["endpoints"]).map(move |endpoint| (service, endpoint))
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
