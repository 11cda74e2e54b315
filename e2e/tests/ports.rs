//! Changes of a Service's ports on a real API server: with closehaul no endpoint is out of all slices
//! at any time, although writes are slow, and it writes what the built-in controller writes
//! (docs/semantics.md 4.4).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    env,
    time::{Duration, Instant},
};

use e2e::{
    closehaul::{self, Profile},
    cluster::{Actor, Cluster, ControllerManager, Options},
    faulty::{Proxy, Recorder, Written},
    world::{Kind, Place, World, normal::items, object, until},
};
use fake_api::{
    collections::SLICES,
    faults::{Effect, on},
    invariants::{ENDPOINT, Limits, violations},
    recorder::{Caller, Change},
};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(25 * 60);
/// How long the slices may take to follow a change.
const SETTLE: Duration = Duration::from_secs(90);
/// How long a quiet record shows that nothing more is written.
const QUIET: Duration = Duration::from_millis(1500);
/// How long a write of closehaul takes.
const SLOW: Duration = Duration::from_millis(150);
const MAX_ENDPOINTS: usize = 100;
const SERVICE: &str = "cart";

/// How many pods the Services have, each in a namespace of its own. One more: `PODS=2000`.
fn pods() -> Vec<u64> {
    let more = env::var("PODS").ok().map(|count| count.parse().unwrap());
    [300, 1_000].into_iter().chain(more).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_endpoint_is_missing_while_ports_change() {
    timeout(LIMIT, all()).await.expect("the time limit");
}

async fn all() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    world.create(&object::node("node", Some("zone-a"))).await.unwrap();
    try_join_all(pods().into_iter().map(|count| create(&world, count))).await.unwrap();

    let proxy = Proxy::before(cluster.client(Actor::Closehaul).unwrap()).await.unwrap();
    let kubeconfig = cluster.kubeconfig_at(Actor::Closehaul, proxy.url(), "slow").unwrap();
    let binary = closehaul::build(Profile::Dev).await.unwrap();
    let process = closehaul::command(&binary, &kubeconfig, &["--leader-elect=false"]);
    let process = process.start(cluster.directory()).unwrap();
    settled(&world, &json!([port("http", 80, 8080)])).await;
    proxy.fault(on("", "/endpointslices"), Effect::Delay(SLOW));
    let ours = changes(&cluster, &world, "closehaul").await;
    process.must_run().unwrap();
    process.stop(Duration::from_secs(10)).await.unwrap();
    let few: Vec<_> = ours.missing.iter().take(5).collect();
    assert!(few.is_empty(), "{} endpoints, such as {few:#?}", ours.missing.len());

    let built_in = cluster.start_controller_manager(ControllerManager::OnlySlices).await.unwrap();
    let theirs = changes(&cluster, &world, "built-in").await;
    built_in.stop(Duration::from_secs(10)).await.unwrap();
    cluster.stop().await.unwrap();
    assert!(!theirs.missing.is_empty(), "the check finds what is known of the built-in controller");
    assert_eq!(ours.sizes, theirs.sizes);
    // Where full slices wait for each other, one more is created first.
    for ((what, ours), (_, theirs)) in ours.writes.iter().zip(&theirs.writes) {
        println!("{what}: {ours} writes, {theirs} by the built-in controller");
        assert!((*theirs..=theirs + 1).contains(ours), "{what}: {ours} writes, not {theirs}");
    }
}

/// A Service with this many pods, which have the named ports `web`, with the same number, and `api`,
/// with one of two.
async fn create(world: &World, count: u64) -> Result<(), e2e::world::Error> {
    let namespace = &*format!("ports-{count}");
    world.create(&object::namespace(namespace)).await?;
    let mut service = object::service(namespace, SERVICE);
    service["spec"]["ports"] = json!([port("http", 80, 8080)]);
    world.create(&service).await?;
    let pods = (0..count).map(|number| {
        let [address, _] = object::addresses(count * 10 + number);
        let name = format!("{SERVICE}-{number}");
        let mut pod = object::pod(namespace, &name, SERVICE, "node", &[address]);
        let api = if number % 2 == 0 { 9090 } else { 9091 };
        pod["spec"]["containers"][0]["ports"] = json!([
            {"name": "web", "containerPort": 8080},
            {"name": "api", "containerPort": api},
        ]);
        pod
    });
    world.create_all(&pods.collect::<Vec<_>>()).await
}

fn port(name: &str, number: u16, target: impl Into<Value>) -> Value {
    json!({"name": name, "port": number, "protocol": "TCP", "targetPort": target.into()})
}

/// What came of all changes.
struct Came {
    /// The endpoints that were missing, at any time.
    missing: Vec<String>,
    /// The numbers of writes, with the changes.
    writes: Vec<(String, usize)>,
    /// The sizes of the slices, after each change.
    sizes: Vec<Vec<usize>>,
}

/// Makes the changes, one after the other, in all namespaces.
async fn changes(cluster: &Cluster, world: &World, controller: &str) -> Came {
    let recorder = Recorder::start(&cluster.client(Actor::Admin).unwrap()).await.unwrap();
    // It begins with what exists.
    quiet(&recorder).await;
    let (mut sizes, mut steps) = (Vec::new(), Vec::new());
    let http = || port("http", 80, 8080);
    for (what, ports) in [
        ("a second port", json!([http(), port("https", 443, 8443)])),
        ("one port again", json!([http()])),
        ("another number", json!([port("http", 81, 8080)])),
        ("another target", json!([port("http", 81, 8081)])),
        ("another name", json!([port("web", 81, 8081)])),
        ("a named target", json!([port("web", 81, "web")])),
        ("a target with two numbers", json!([port("web", 81, "api")])),
        ("and back", json!([port("web", 81, "web")])),
        ("as at first", json!([http()])),
    ] {
        let began = Instant::now();
        let before = recorder.count();
        for count in pods() {
            let place = Place::new(Kind::Service, &format!("ports-{count}"), SERVICE);
            world.patch(&place, &json!({"spec": {"ports": ports}})).await.unwrap();
        }
        settled(world, &ports).await;
        quiet(&recorder).await;
        for count in pods() {
            sizes.push(sizes_of(&slices(world, count).await.unwrap()));
        }
        steps.push((what, before..recorder.count()));
        eprintln!("ports: {controller}: {what}  {:.1} s", began.elapsed().as_secs_f64());
    }
    let mut record = recorder.record(&Written::default());
    // Only writes of a replica are checked, and this controller is the only one.
    for change in record.iter_mut().filter(|change| change.collection == SLICES) {
        change.by = Caller::Replica(1);
    }
    let mut writes = Vec::new();
    for (what, step) in steps {
        for count in pods() {
            let is_write = |change: &&Change| {
                change.collection == SLICES && change.namespace == format!("ports-{count}")
            };
            let count_of = record[step.clone()].iter().filter(is_write).count();
            writes.push((format!("{count} pods, {what}"), count_of));
        }
    }
    let limits = Limits {
        max_endpoints: MAX_ENDPOINTS,
        // Nothing but ports changes, so nothing needs to be known first.
        staleness: Some(Duration::ZERO),
        stores_node_hints: true,
        lag: None,
    };
    let found = violations(&record, limits).into_iter();
    let missing = found.filter(|found| found.invariant == ENDPOINT).map(|found| found.what);
    let missing: Vec<_> = missing.collect();
    println!("{controller}: {} endpoints missing at any time", missing.len());
    Came { missing, writes, sizes }
}

/// Waits until nothing is recorded for a while.
async fn quiet(recorder: &Recorder) {
    let mut before = 0;
    loop {
        sleep(QUIET).await;
        let now = recorder.count();
        if std::mem::replace(&mut before, now) == now {
            return;
        }
    }
}

/// Waits until all slices have these ports, resolved, and together all pods.
async fn settled(world: &World, ports: &Value) {
    let numbers = |target: &Value| match target.as_str() {
        Some("web") => vec![json!(8080)],
        Some(_) => vec![json!(9090), json!(9091)],
        None => vec![target.clone()],
    };
    let wanted: Vec<_> =
        items(ports).map(|port| (&port["name"], numbers(&port["targetPort"]))).collect();
    let is_wanted = |port: &Value| {
        wanted
            .iter()
            .any(|(name, numbers)| **name == port["name"] && numbers.contains(&port["port"]))
    };
    for count in pods() {
        let what = format!("the slices of {count} pods");
        let right = until(&what, SETTLE, async || {
            let slices = slices(world, count).await?;
            let is_right = slices.iter().all(|slice| {
                items(&slice["ports"]).count() == wanted.len()
                    && items(&slice["ports"]).all(is_wanted)
            });
            let endpoints: usize = sizes_of(&slices).iter().sum();
            Ok((is_right && endpoints as u64 == count).then_some(()))
        });
        right.await.unwrap();
    }
}

/// The slices of the Service with this many pods.
async fn slices(world: &World, count: u64) -> Result<Vec<Value>, e2e::world::Error> {
    world.slices_of(&format!("ports-{count}"), SERVICE).await
}

fn sizes_of(slices: &[Value]) -> Vec<usize> {
    let sizes = slices.iter().map(|slice| items(&slice["endpoints"]).count());
    let mut sizes: Vec<_> = sizes.collect();
    sizes.sort_unstable();
    sizes
}
