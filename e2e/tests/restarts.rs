//! closehaul is killed in the middle of a rollout, and is asked to end in the middle of its writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use e2e::{
    closehaul,
    cluster::{Actor, Cluster, Options},
    process::{Process, Signal},
    world::{Canary, Kind, Place, Random, World, normal, object, quiet, until},
};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
/// Longer than any wait of closehaul before a repair.
const IDLE: Duration = Duration::from_secs(3);
/// How soon closehaul ends when it is asked to, with writes in progress.
const STOP: Duration = Duration::from_secs(5);

const SHOP: &str = "shop";
/// The maximum number of endpoints in a slice.
const MOST: usize = 100;

async fn cluster() -> (Cluster, World) {
    let cidrs = ["10.96.0.0/16", "fd00:96::/112"].map(str::to_owned).to_vec();
    let options = Options { service_cidrs: cidrs, ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    world.create(&object::namespace(SHOP)).await.unwrap();
    for (number, zone) in ["zone-a", "zone-b", "zone-c"].into_iter().enumerate() {
        world.create(&object::node(&format!("node-{number}"), Some(zone))).await.unwrap();
    }
    (cluster, world)
}

async fn start(cluster: &Cluster, args: &[&str]) -> Process {
    closehaul::start(cluster, &[&["--leader-elect=false"], args].concat()).await.unwrap()
}

/// `count` ready pods of `app`, starting at a number.
fn pods(app: &str, first: u64, count: u64) -> Vec<Value> {
    let pod = |number: u64| {
        let node = format!("node-{}", number % 3);
        object::pod(SHOP, &format!("{app}-{number}"), app, &node, &object::addresses(number))
    };
    (first..first + count).map(pod).collect()
}

fn sizes(slices: &[Value]) -> Vec<usize> {
    let mut sizes =
        slices.iter().map(|slice| normal::items(&slice["endpoints"]).count()).collect::<Vec<_>>();
    sizes.sort_unstable();
    sizes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_out_survives_kills() {
    tokio::time::timeout(LIMIT, kills()).await.expect("the time limit");
}

/// The pods of the Service, and how many are replaced at a time.
const PODS: u64 = 500;
const WAVE: u64 = 20;
/// The minimum number of kills during the rollout.
const KILLS: usize = 6;

async fn kills() {
    let (cluster, world) = cluster().await;
    let mut canary = Canary::create(&world).await.unwrap();
    let mut service = object::service(SHOP, "big");
    service["spec"]["trafficDistribution"] = json!("PreferSameNode");
    world.create(&service).await.unwrap();
    world.create_all(&pods("big", 0, PODS)).await.unwrap();

    let mut closehaul = start(&cluster, &[]).await;
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    assert_eq!(sizes(&world.slices_of(SHOP, "big").await.unwrap()), [MOST; 5]);

    let mut rolling = Box::pin(roll_out(&world));
    let mut random = Random::new(11);
    let mut lives = Vec::new();
    let mut rolled = false;
    while !rolled {
        let life = Duration::from_millis(150 + random.below(1200));
        tokio::select! {
            () = &mut rolling => rolled = true,
            () = tokio::time::sleep(life) => {}
        }
        closehaul.must_run().unwrap();
        closehaul.signal(Signal::KILL).unwrap();
        closehaul.wait(STOP).await.expect("killed");
        closehaul = start(&cluster, &[]).await;
        lives.push(life.as_millis());
    }
    drop(rolling);
    eprintln!("restarts: killed {} times, after ms: {lives:?}", lives.len());
    assert!(lives.len() >= KILLS, "{lives:?}");

    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    let slices = world.slices_of(SHOP, "big").await.unwrap();
    let survived = normal::form(&slices);
    eprintln!("restarts: slices of {:?} endpoints", sizes(&slices));
    assert!(sizes(&slices).iter().all(|size| *size <= MOST), "{:?}", sizes(&slices));
    let endpoints = slices.iter().flat_map(|slice| normal::items(&slice["endpoints"]));
    let mut there = endpoints
        .map(|endpoint| endpoint["targetRef"]["name"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    there.sort_unstable();
    let mut wanted = (PODS..2 * PODS).map(|number| format!("big-{number}")).collect::<Vec<_>>();
    wanted.sort_unstable();
    assert_eq!(there, wanted, "each new pod once, and no old one");

    // The same as one that was never disturbed creates from nothing.
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    for slice in &slices {
        let name = slice["metadata"]["name"].as_str().unwrap();
        world.delete(&Place::new(Kind::Slice, SHOP, name)).await.unwrap();
    }
    let fresh = start(&cluster, &[]).await;
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    let undisturbed = normal::form(&world.slices_of(SHOP, "big").await.unwrap());
    assert_eq!(normal::differences(&survived, &undisturbed), [""; 0]);
    assert!(fresh.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

/// Replaces all pods, wave by wave: new ones are ready before old ones are deleted.
async fn roll_out(world: &World) {
    for wave in 0..PODS / WAVE {
        world.create_all(&pods("big", PODS + wave * WAVE, WAVE)).await.unwrap();
        let old = (wave * WAVE..(wave + 1) * WAVE)
            .map(|number| Place::new(Kind::Pod, SHOP, &format!("big-{number}")))
            .collect::<Vec<_>>();
        world.for_all("deleting", &old, async |pod| world.delete(pod).await).await.unwrap();
        // A rollout waits for its pods to start, which sets the pace of the waves.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_the_middle_of_writes_is_completed_by_the_next_replica() {
    tokio::time::timeout(LIMIT, ends()).await.expect("the time limit");
}

/// Services of two families with slices for 130 endpoints: four writes each.
const SERVICES: u64 = 60;
const SLICES: usize = 4;

async fn ends() {
    let (cluster, world) = cluster().await;
    world.create_all(&pods("shared", 0, 130)).await.unwrap();
    let services = (0..SERVICES).map(|number| {
        let mut service = object::service(SHOP, &format!("service-{number}"));
        service["spec"]["selector"] = json!({"app": "shared"});
        service["spec"]["ipFamilyPolicy"] = json!("RequireDualStack");
        service
    });
    world.create_all(&services.collect::<Vec<_>>()).await.unwrap();

    // Slow enough to be interrupted in the middle of Services, of which 5 are written at a time.
    let slow = start(&cluster, &["--kube-api-qps=40", "--kube-api-burst=1"]).await;
    until("some slices are there", SETTLE, async || {
        slow.must_run().map_err(e2e::cluster::Error::from)?;
        Ok((world.list(Kind::Slice, Some(SHOP)).await?.len() >= 61).then_some(()))
    })
    .await
    .unwrap();
    let asked = Instant::now();
    slow.signal(Signal::TERM).unwrap();
    let status = slow.wait(STOP).await.expect("it ends when it is asked to");
    let elapsed = asked.elapsed();
    assert!(status.success(), "{status}");

    let before = world.list(Kind::Slice, Some(SHOP)).await.unwrap();
    let done = by_service(&before);
    eprintln!(
        "restarts: ended after {} ms with {} of {SERVICES} Services written",
        elapsed.as_millis(),
        done.len()
    );
    // Requests that were sent are answered, and no others are sent.
    assert!((1..60).contains(&done.len()), "not in the middle: {} Services", done.len());
    for (service, slices) in &done {
        assert!(sizes(slices).iter().all(|size| [30, 100].contains(size)), "{service}");
    }

    // The next replica does the rest and does not change what is done.
    let next = start(&cluster, &[]).await;
    until("all slices are there", SETTLE, async || {
        let slices = world.list(Kind::Slice, Some(SHOP)).await?;
        Ok((slices.len() >= usize::try_from(SERVICES).unwrap() * SLICES).then_some(()))
    })
    .await
    .unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    let slices = world.list(Kind::Slice, Some(SHOP)).await.unwrap();
    let all = by_service(&slices);
    assert!(all.values().all(|slices| sizes(slices) == [30, 30, 100, 100]));
    let version = |slice: &Value| slice["metadata"]["resourceVersion"].clone();
    let after = all.values().flatten().map(version).collect::<Vec<_>>();
    assert!(before.iter().all(|slice| after.contains(&version(slice))));
    assert!(next.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

/// Slices by their Service, in the API's order.
fn by_service(slices: &[Value]) -> BTreeMap<String, Vec<Value>> {
    let mut services = BTreeMap::<_, Vec<_>>::new();
    for slice in slices {
        let service = &slice["metadata"]["labels"]["kubernetes.io/service-name"];
        services.entry(service.as_str().unwrap().to_owned()).or_default().push(slice.clone());
    }
    services
}
