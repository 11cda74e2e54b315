//! closehaul leaves a cluster whose policies it enforces: all policies are deleted, they are switched
//! off, or the chart is uninstalled, also in the middle of an evacuation. Afterwards all endpoints
//! are as before the first policy, byte by byte. Last, mode `advise` with the rights that its chart
//! grants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod advise;
mod helm;
mod hook;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use e2e::{
    closehaul,
    cluster::{Actor, Cluster, Options},
    process::Process,
    world::{Canary, Kind, World, object, quiet, until},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::helm::Helm;

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(15);
/// How long after closehaul was told to leave a hint of its own may be left.
const GONE: Duration = Duration::from_secs(10);

const SHOP: &str = "shop";
const SERVICES: u64 = 200;
/// The zones of the pods of each Service.
const ZONES: [&str; 4] = ["zone-a", "zone-a", "zone-b", "zone-c"];

#[tokio::test(flavor = "multi_thread")]
async fn no_hint_stays_that_upstream_would_not_write() {
    tokio::time::timeout(LIMIT, leave()).await.expect("the time limit");
}

async fn leave() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let helm = Helm::new(&cluster).await;
    helm.install(&["--set", "mode=replace"]).await;
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let mut canary = Canary::create(&world).await.unwrap();
    create(&world).await;
    let closehaul = closehaul::start(&cluster, &[]).await.unwrap();
    canary.follow(&world).await.unwrap();
    settle(&cluster).await;
    let before = endpoints(&world).await;
    assert_eq!(before.len() as u64, SERVICES);

    // All policies are deleted.
    apply(&cluster, &policy()).await;
    changed(&cluster, &world, &before, 100).await;
    let since = Instant::now();
    cluster.kubectl(&["delete", "clocpol", "--all"]).await.unwrap().success().unwrap();
    unchanged("all policies are deleted", &world, &before, since).await;

    // They are switched off, in the middle of an evacuation.
    apply(&cluster, &policy()).await;
    apply(&cluster, &evacuation()).await;
    changed(&cluster, &world, &before, 150).await;
    let since = Instant::now();
    stop(closehaul).await;
    let closehaul = closehaul::start(&cluster, &["--policies=false"]).await.unwrap();
    unchanged("--policies=false", &world, &before, since).await;
    stop(closehaul).await;

    // The chart is uninstalled in the middle of it.
    let closehaul = closehaul::start(&cluster, &[]).await.unwrap();
    changed(&cluster, &world, &before, 150).await;
    statuses_are_written(&cluster).await;
    hook::refuses_beside_a_leader(&cluster).await;
    let since = Instant::now();
    let (uninstalled, ()) = tokio::join!(
        helm.run(&["uninstall", "closehaul"]),
        hook::play(&cluster, &world, closehaul)
    );
    unchanged("helm uninstall", &world, &before, since).await;
    assert!(uninstalled.contains("release \"closehaul\" uninstalled"), "{uninstalled}");
    hook::left_nothing(&cluster).await;

    advise::only_reads(&cluster, &helm, &world).await;
    cluster.stop().await.unwrap();
}

/// 200 Services of all sorts with four pods each: two in zone a, and one in each of the others.
async fn create(world: &World) {
    world.create(&object::namespace(SHOP)).await.unwrap();
    for zone in ["zone-a", "zone-b", "zone-c"] {
        world.create(&object::node(&format!("node-{zone}"), Some(zone))).await.unwrap();
    }
    let name = |number: u64| format!("web-{number}");
    let service = |number: u64| {
        let mut service = object::service(SHOP, &name(number));
        match number % 4 {
            0 => {}
            1 => service["spec"]["trafficDistribution"] = json!("PreferSameZone"),
            2 => service["spec"]["trafficDistribution"] = json!("PreferSameNode"),
            _ => {
                let auto = json!({"service.kubernetes.io/topology-mode": "Auto"});
                service["metadata"]["annotations"] = auto;
            }
        }
        service
    };
    let pod = |number: u64| {
        let (app, at) = (name(number / 4), number % 4);
        let node = format!("node-{}", ZONES[usize::try_from(at).unwrap()]);
        object::pod(SHOP, &format!("{app}-{at}"), &app, &node, &object::addresses(number)[..1])
    };
    world.create_all(&(0..SERVICES).map(service).collect::<Vec<_>>()).await.unwrap();
    world.create_all(&(0..4 * SERVICES).map(pod).collect::<Vec<_>>()).await.unwrap();
}

fn policy() -> Value {
    json!({
        "apiVersion": "closehaul.io/v1alpha1",
        "kind": "ClusterLocalityPolicy",
        "metadata": {"name": "all"},
        "spec": {"prefer": ["Zone"], "guard": {"maxOverloadPercent": 10, "releaseOverloadPercent": 20}},
    })
}

fn evacuation() -> Value {
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    json!({
        "apiVersion": "closehaul.io/v1alpha1",
        "kind": "ZoneEvacuation",
        "metadata": {"name": "zone-a-x7k2p"},
        "spec": {"zones": ["zone-a"], "until": until.to_string(), "reason": "a test"},
    })
}

async fn apply(cluster: &Cluster, object: &Value) {
    let file = cluster.directory().join("applied.json");
    fs::write(&file, object.to_string()).unwrap();
    let args = ["apply", "-f", &file.display().to_string()];
    cluster.kubectl(&args).await.unwrap().success().unwrap();
}

async fn stop(closehaul: Process) {
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
}

async fn settle(cluster: &Cluster) {
    quiet(cluster, Duration::from_secs(2), SETTLE).await.unwrap();
}

/// The endpoints of each slice, as their text.
async fn endpoints(world: &World) -> BTreeMap<String, String> {
    let slices = world.list(Kind::Slice, Some(SHOP)).await.unwrap();
    let of = |slice: &Value| {
        (slice["metadata"]["name"].as_str().unwrap().to_owned(), slice["endpoints"].to_string())
    };
    slices.iter().map(of).collect()
}

/// In how many slices they differ.
fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> usize {
    let changed = before.iter().filter(|(name, endpoints)| now.get(*name) != Some(endpoints));
    changed.count() + now.keys().filter(|name| !before.contains_key(*name)).count()
}

/// Waits until so many slices have other hints than before.
async fn changed(
    cluster: &Cluster,
    world: &World,
    before: &BTreeMap<String, String>,
    least: usize,
) {
    let mut differ = 0;
    let enforced = until("policies are enforced", SETTLE, async || {
        differ = differences(before, &endpoints(world).await);
        Ok((differ >= least).then_some(()))
    });
    let enforced = enforced.await;
    enforced.unwrap_or_else(|error| panic!("{differ} slices differ: {error}"));
    settle(cluster).await;
    let differ = differences(before, &endpoints(world).await);
    eprintln!("leaving: {differ} of {} slices differ under policies", before.len());
}

/// Waits until all endpoints are as before, and stay so.
async fn unchanged(what: &str, world: &World, before: &BTreeMap<String, String>, since: Instant) {
    let left = until(what, SETTLE, async || {
        let differ = differences(before, &endpoints(world).await);
        Ok((differ == 0).then(|| since.elapsed()))
    });
    let (took, _) = left.await.unwrap();
    eprintln!("leaving: {what}: 0 of {} slices differ after {took:?}", before.len());
    assert!(took <= GONE, "{took:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(differences(before, &endpoints(world).await), 0, "{what}");
}

/// With the rights of the chart alone.
async fn statuses_are_written(cluster: &Cluster) {
    until("statuses", SETTLE, async || {
        let args = ["get", "clocpol,zevac", "-o", "json"];
        let shown = cluster.kubectl(&args).await?.success()?;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let items = shown["items"].as_array().unwrap();
        let all =
            items.len() == 2 && items.iter().all(|item| item["status"]["conditions"].is_array());
        Ok(all.then_some(()))
    })
    .await
    .unwrap();
}
