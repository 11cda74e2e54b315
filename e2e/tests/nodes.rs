//! What happens to a Service's endpoints when a node is added, changed or deleted, and nothing else
//! happens. closehaul follows within moments, but the built-in controller does not
//! (docs/semantics.md 1.4).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::time::{Duration, Instant};

use e2e::{
    closehaul,
    cluster::{Actor, Cluster, ControllerManager, Options},
    world::{Canary, Kind, Place, World, normal, object, quiet, until},
};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
/// How soon closehaul must have followed.
const SOON: Duration = Duration::from_secs(2);
/// How long the test checks that the built-in controller does not follow.
const NEVER: Duration = Duration::from_secs(5);
/// How long a deleted node may be absent before its endpoints leave (product 1), and by when they
/// must have left.
const LEAVE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(14)];
const STOP: Duration = Duration::from_secs(10);

/// The name of the one Service of each namespace.
const SERVICE: &str = "cart";
/// A node that stays as it is.
const STABLE: &str = "stable";

/// What happens to a node with two of a Service's three pods. Each situation has a namespace and a
/// node with its name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Situation {
    /// It appears after its pods.
    Late,
    /// Its zone's label changes.
    Moved,
    /// Its zone's label is removed.
    Unlabelled,
    /// It is deleted and created again at once, in another zone.
    Recreated,
    /// It is deleted.
    Deleted,
}

use Situation::{Deleted, Late, Moved, Recreated, Unlabelled};

impl Situation {
    fn name(self) -> &'static str {
        match self {
            Late => "late",
            Moved => "moved",
            Unlabelled => "unlabelled",
            Recreated => "recreated",
            Deleted => "deleted",
        }
    }

    fn node(self, zone: &str) -> Value {
        object::node(self.name(), Some(zone))
    }

    async fn prepare(self, world: &World, number: u64) {
        let name = self.name();
        world.create(&object::namespace(name)).await.unwrap();
        if self != Late {
            world.create(&self.node("zone-a")).await.unwrap();
        }
        let mut service = object::service(name, SERVICE);
        service["spec"]["trafficDistribution"] = json!("PreferSameNode");
        world.create(&service).await.unwrap();
        for (pod, node) in [name, name, STABLE].into_iter().enumerate() {
            let [address, _] = object::addresses(number * 10 + pod as u64);
            let pod = object::pod(name, &format!("pod-{pod}"), SERVICE, node, &[address]);
            world.create(&pod).await.unwrap();
        }
    }

    /// What happens to the node.
    async fn happen(self, world: &World) {
        let place = Place::node(self.name());
        match self {
            Late => drop(world.create(&self.node("zone-b")).await.unwrap()),
            Moved | Unlabelled => {
                let zone = (self == Moved).then_some("zone-b");
                let labels = json!({"topology.kubernetes.io/zone": zone});
                let patch = json!({"metadata": {"labels": labels}});
                world.patch(&place, &patch).await.unwrap();
            }
            Recreated => {
                world.delete(&place).await.unwrap();
                world.create(&self.node("zone-b")).await.unwrap();
            }
            Deleted => world.delete(&place).await.unwrap(),
        }
    }

    /// Node, zone and hints of each endpoint, as they must be afterwards.
    fn expected(self) -> Vec<String> {
        let zone = (self != Unlabelled).then_some("zone-b");
        let own = shown(self.name(), zone);
        let own = if self == Deleted { Vec::new() } else { vec![own.clone(), own] };
        sorted(own.into_iter().chain([shown(STABLE, Some("zone-c"))]))
    }

    async fn endpoints(self, world: &World) -> Vec<String> {
        let slices = world.slices_of(self.name(), SERVICE).await.unwrap();
        let endpoints = slices.iter().flat_map(|slice| normal::items(&slice["endpoints"]));
        sorted(endpoints.map(|endpoint| {
            json!([endpoint["nodeName"], endpoint["zone"], endpoint["hints"]]).to_string()
        }))
    }

    async fn is_right(self, world: &World) -> bool {
        self.endpoints(world).await == self.expected()
    }
}

/// An endpoint on a node, as [`Situation::endpoints`] shows it.
fn shown(node: &str, zone: Option<&str>) -> String {
    let mut hints = json!({"forNodes": [{"name": node}]});
    if let Some(zone) = zone {
        hints["forZones"] = json!([{"name": zone}]);
    }
    json!([node, zone, hints]).to_string()
}

fn sorted(all: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all = all.into_iter().collect::<Vec<_>>();
    all.sort_unstable();
    all
}

/// A cluster in which each situation is about to happen.
async fn cluster() -> (Cluster, World) {
    let cluster = Cluster::start(Options { audit: true, ..Options::default() }).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    world.create(&object::node(STABLE, Some("zone-c"))).await.unwrap();
    for (number, situation) in [Late, Moved, Unlabelled, Recreated, Deleted].iter().enumerate() {
        situation.prepare(&world, number as u64).await;
    }
    (cluster, world)
}

/// Every Service has its endpoints, except those on the node that does not exist yet.
async fn settled(cluster: &Cluster, world: &World) {
    Canary::create(world).await.unwrap().follow(world).await.unwrap();
    quiet(cluster, Duration::from_secs(2), SETTLE).await.unwrap();
    for situation in [Late, Moved, Unlabelled, Recreated, Deleted] {
        let endpoints = situation.endpoints(world).await;
        assert_eq!(endpoints.len(), if situation == Late { 1 } else { 3 }, "{situation:?}");
        assert_ne!(endpoints, situation.expected(), "{situation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closehaul_follows_nodes() {
    tokio::time::timeout(LIMIT, follows()).await.expect("the time limit");
}

async fn follows() {
    let (cluster, world) = cluster().await;
    let closehaul = closehaul::start(&cluster, &["--leader-elect=false"]).await.unwrap();
    settled(&cluster, &world).await;

    let leaving = Instant::now();
    Deleted.happen(&world).await;
    for situation in [Late, Moved, Unlabelled, Recreated] {
        situation.happen(&world).await;
        let ((), elapsed) = until(situation.name(), SOON, async || {
            Ok(situation.is_right(&world).await.then_some(()))
        })
        .await
        .unwrap();
        eprintln!("nodes: closehaul, {}: {} ms", situation.name(), elapsed.as_millis());
    }

    // The deleted one's endpoints leave in their time; the recreated one keeps its own.
    let (left, _) = until("the endpoints of the deleted node leave", LEAVE[1], async || {
        let gone = Deleted.is_right(&world).await.then(|| leaving.elapsed());
        assert!(Recreated.is_right(&world).await, "{:?}", Recreated.endpoints(&world).await);
        Ok(gone)
    })
    .await
    .unwrap();
    eprintln!("nodes: closehaul, deleted: {:.2} s", left.as_secs_f64());
    assert!(LEAVE[0] <= left && left <= LEAVE[1], "left after {left:?}");
    // Well past the time at which the recreated one would have lost its endpoints.
    let revision = quiet(&cluster, Duration::from_secs(3), SETTLE).await.unwrap();
    assert!(Recreated.is_right(&world).await);

    // A node that comes back after its time brings its endpoints back, in its current zone.
    world.create(&Deleted.node("zone-b")).await.unwrap();
    let ((), elapsed) = until("the endpoints come back", SOON, async || {
        Ok((Deleted.endpoints(&world).await.len() == 3).then_some(()))
    })
    .await
    .unwrap();
    eprintln!("nodes: closehaul, back: {} ms", elapsed.as_millis());

    // A node's heartbeats are no reason to write.
    quiet(&cluster, Duration::from_secs(2), SETTLE).await.unwrap();
    let before = cluster.stored_slices().await.unwrap();
    assert!(before.revision > revision.revision);
    for number in 0..20 {
        let heartbeat =
            json!({"metadata": {"annotations": {"example.com/beat": number.to_string()}}});
        world.patch(&Place::node(STABLE), &heartbeat).await.unwrap();
    }
    assert_eq!(quiet(&cluster, Duration::from_secs(2), SETTLE).await.unwrap(), before);

    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_controller_does_not_follow_nodes() {
    tokio::time::timeout(LIMIT, does_not_follow()).await.expect("the time limit");
}

async fn does_not_follow() {
    let (cluster, world) = cluster().await;
    let built_in = cluster.start_controller_manager(ControllerManager::OnlySlices).await.unwrap();
    settled(&cluster, &world).await;
    let all = [Late, Moved, Unlabelled, Recreated];

    // It retries the Service of the missing node by itself, with growing gaps. The test must show
    // only how it responds to the node, so the node comes at the beginning of a long gap.
    until("a long gap between its tries", SETTLE, async || {
        let tries = cluster.audit()?.into_iter().filter(|event| {
            event.user == Actor::ControllerManager.user()
                && event.resource == "events"
                && event.namespace == Late.name()
        });
        let times = tries.map(|event| event.time).collect::<Vec<_>>();
        let gap = times.last_chunk().map(|[before, last]| last.duration_since(*before));
        Ok(gap.filter(|gap| gap.as_secs_f64() > NEVER.as_secs_f64()))
    })
    .await
    .unwrap();

    let leaving = Instant::now();
    Deleted.happen(&world).await;
    for situation in all {
        situation.happen(&world).await;
    }
    let happened = Instant::now();
    while happened.elapsed() < NEVER {
        for situation in all {
            assert!(!situation.is_right(&world).await, "{situation:?} {:?}", happened.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    // Nothing happens: endpoints stay on a deleted node for longer than closehaul keeps them.
    while leaving.elapsed() < LEAVE[1] {
        assert_eq!(Deleted.endpoints(&world).await.len(), 3);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    built_in.must_run().unwrap();

    // It does follow other changes of the Service.
    for situation in all {
        let touch = json!({"metadata": {"annotations": {"example.com/touch": "me"}}});
        let place = Place::new(Kind::Service, situation.name(), SERVICE);
        world.patch(&place, &touch).await.unwrap();
        until(situation.name(), SETTLE, async || {
            Ok(situation.is_right(&world).await.then_some(()))
        })
        .await
        .unwrap();
    }
    eprintln!("nodes: the built-in controller, all but deleted: not within {NEVER:?}");
    built_in.stop(STOP).await.unwrap();
    cluster.stop().await.unwrap();
}
