//! Two replicas of closehaul with one lease: at any time only one of them writes, and one that
//! hangs gives way to the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    fs::{File, OpenOptions},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use e2e::{
    closehaul::{self, Ports, Profile},
    cluster::{Actor, Cluster, Options},
    process::{Process, Signal},
    world::{Canary, Kind, Place, Random, World, object, quiet, until},
};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::json;
use tokio::task::JoinHandle;

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(5);
/// How long the replicas run at the same time before something happens.
const SIDE_BY_SIDE: Duration = Duration::from_secs(3);

/// The lease of the replicas. It is shorter than in a cluster, with the same proportions.
const LEASE: Duration = Duration::from_secs(3);
const TIMES: [&str; 3] = [
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=400ms",
];
/// A released lease is taken at the next check, which comes after 0.4 to 0.9 s.
const GIVEN_BACK: Duration = Duration::from_secs(2);
/// A lease that is not released is taken at the next check after it has expired.
const RUN_OUT: Duration = Duration::from_secs(6);

use Actor::{Closehaul as A, ClosehaulB as B};

const SHOP: &str = "shop";
const PODS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_the_lease_writes() {
    tokio::time::timeout(LIMIT, leases()).await.expect("the time limit");
}

async fn leases() {
    let cluster = Cluster::start(Options { audit: true, ..Options::default() }).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let binary = closehaul::build(Profile::Dev).await.unwrap();
    let mut canary = Canary::create(&world).await.unwrap();
    let churn = churn(&world).await;

    let a = start(&cluster, &binary, A);
    canary.follow(&world).await.unwrap();
    let b = start(&cluster, &binary, B);
    tokio::time::sleep(SIDE_BY_SIDE).await;
    assert_eq!(turns(&cluster), [A]);

    // When asked to end, the leader releases the lease.
    let asked = Timestamp::now();
    assert!(a.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    let gap = first_write(&cluster, B, asked).await;
    eprintln!("lease: after SIGTERM the other one wrote after {gap:?}");
    assert!(gap < GIVEN_BACK, "{gap:?}");

    // When killed, it cannot.
    let a = start(&cluster, &binary, A);
    tokio::time::sleep(SIDE_BY_SIDE).await;
    assert_eq!(turns(&cluster), [A, B]);
    let killed = Timestamp::now();
    b.signal(Signal::KILL).unwrap();
    let gap = first_write(&cluster, A, killed).await;
    eprintln!("lease: after SIGKILL the other one wrote after {gap:?}");
    assert!(gap < RUN_OUT, "{gap:?}");
    drop(b);

    // When stopped in the middle of its writes and continued after another one leads, it must not
    // finish what it was about to write.
    let b = start(&cluster, &binary, B);
    tokio::time::sleep(SIDE_BY_SIDE).await;
    assert_eq!(turns(&cluster), [A, B, A]);
    let stopped = Timestamp::now();
    a.signal(Signal::STOP).unwrap();
    let gap = first_write(&cluster, B, stopped).await;
    eprintln!("lease: after SIGSTOP the other one wrote after {gap:?}");
    assert!(LEASE / 2 < gap && gap < RUN_OUT, "{gap:?}");
    assert!(a.is_running());
    let continued = Instant::now();
    a.signal(Signal::CONT).unwrap();
    let status = a.wait(STOP).await.expect("it ends when it sees that its lease is over");
    assert_eq!(status.code(), Some(1), "{status}");
    eprintln!("lease: continued, it ended after {:?}", continued.elapsed());
    assert!(a.log_tail().contains("lease"), "{}", a.log_tail());
    tokio::time::sleep(SIDE_BY_SIDE).await;
    assert_eq!(turns(&cluster), [A, B, A, B]);

    // Nothing was left undone at any change of the leader.
    churn.abort();
    assert!(churn.await.is_err_and(|end| end.is_cancelled()), "the churn failed");
    canary.follow(&world).await.unwrap();
    quiet(&cluster, Duration::from_secs(2), SETTLE).await.unwrap();
    assert_right(&world).await;
    assert!(b.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

/// How long the main loop may hang before its process ends.
const HANG: Duration = Duration::from_secs(20);
/// What the process needs in addition. It checks every second, and a message that nothing receives
/// may cost another second.
const NOTICED: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_main_loop_hangs_ends_and_another_leads() {
    tokio::time::timeout(LIMIT, hang()).await.expect("the time limit");
}

/// The loop hangs in the middle of planning while it logs the names of many pods without a node,
/// because its standard error is a pipe that is full and is not read.
async fn hang() {
    let cluster = Cluster::start(Options { audit: true, ..Options::default() }).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let leases = Api::<Lease>::namespaced(cluster.client(Actor::Admin).unwrap(), "kube-system");
    let binary = closehaul::build(Profile::Dev).await.unwrap();
    let mut canary = Canary::create(&world).await.unwrap();

    let fifo = cluster.directory().join("unread");
    let _unread = unread(&fifo);
    let script = format!("exec \"$@\" 2>{}", fifo.display());
    let ports = Ports::free().unwrap();
    let [metrics, health] = ports.args();
    let args = [&TIMES[..], &["-v4", &metrics, &health]].concat();
    let command = closehaul::command(&binary, &cluster.kubeconfig(A), &args);
    let a = command.named("closehaul-a").prefix(["/bin/sh", "-c", &script, "sh"]);
    let a = a.start(cluster.directory()).unwrap();
    canary.follow(&world).await.unwrap();
    let b = start(&cluster, &binary, B);
    tokio::time::sleep(SIDE_BY_SIDE).await;
    assert_eq!(turns(&cluster), [A]);

    let pods = (0..300).map(|number| {
        let name = format!("{}-{number}", "long-name".repeat(25));
        object::pod(SHOP, &name, "hang", "no-such-node", &[object::addresses(number)[0].clone()])
    });
    world.create(&object::namespace(SHOP)).await.unwrap();
    world.create_all(&pods.collect::<Vec<_>>()).await.unwrap();
    // Only now is there anything to plan: creating the pods takes seconds on a slow machine.
    let (hung, hung_at) = (Instant::now(), Timestamp::now());
    world.create(&object::service(SHOP, "hang")).await.unwrap();

    // While it hangs, other tasks answer requests.
    tokio::time::sleep(HANG / 2).await;
    assert!(a.is_running());
    let asked = Instant::now();
    assert_eq!(ports.health("/livez").await.unwrap().0, 200);
    assert!(ports.metrics().await.is_ok());
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert!(renewed(&leases).await.duration_since(hung_at).is_positive(), "it still leads");

    let status = a.wait(HANG + NOTICED).await.expect("it ends when its loop hangs");
    let (ended, ended_at) = (hung.elapsed(), Timestamp::now());
    assert_eq!(status.code(), Some(1), "{status}");
    let silent = ended_at.duration_since(renewed(&leases).await).unsigned_abs();
    canary.follow(&world).await.unwrap();
    let gap = first_write(&cluster, B, hung_at).await;
    eprintln!(
        "lease: a loop that hung ended its process after {ended:?}, {silent:?} after the last \
         renewal; the other one wrote after {gap:?}"
    );
    assert!(silent < LEASE, "{silent:?}: within the lease's duration");
    assert!(gap < ended + RUN_OUT, "{gap:?}");
    assert_eq!(turns(&cluster), [A, B]);
    assert!(b.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

/// A pipe whose other end is open and is not read.
fn unread(path: &Path) -> File {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    // Opens it for reading and writing, because opening it only for reading would wait for a
    // writer.
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// When the lease was renewed last, by the clock of this machine.
async fn renewed(leases: &Api<Lease>) -> Timestamp {
    let lease = leases.get("closehaul").await.unwrap();
    lease.spec.unwrap().renew_time.unwrap().0
}

fn start(cluster: &Cluster, binary: &Path, actor: Actor) -> Process {
    let command = closehaul::command(binary, &cluster.kubeconfig(actor), &TIMES);
    let name = if actor == A { "closehaul-a" } else { "closehaul-b" };
    command.named(name).start(cluster.directory()).unwrap()
}

/// Which replicas wrote slices, in the order of the audit log, each turn once.
fn turns(cluster: &Cluster) -> Vec<Actor> {
    let events = cluster.audit().unwrap();
    let slices = events.iter().filter(|event| event.resource == "endpointslices");
    let writer = |user: &str| [A, B].into_iter().find(|actor| actor.user() == user);
    let mut turns = slices.filter_map(|event| writer(&event.user)).collect::<Vec<_>>();
    turns.dedup();
    turns
}

/// How long after `since` the actor wrote its first slice.
async fn first_write(cluster: &Cluster, actor: Actor, since: Timestamp) -> Duration {
    let (time, _) = until("the other replica writes", SETTLE, async || {
        let written = cluster.audit()?.into_iter().find(|event| {
            event.user == actor.user() && event.resource == "endpointslices" && event.time > since
        });
        Ok(written.map(|event| event.time))
    })
    .await
    .unwrap();
    time.duration_since(since).unsigned_abs()
}

/// Pods that change their readiness all the time, each behind a separate Service.
async fn churn(world: &World) -> JoinHandle<()> {
    world.create(&object::namespace(SHOP)).await.unwrap();
    world.create(&object::node("node-0", Some("zone-a"))).await.unwrap();
    let names = (0..PODS).map(|number| format!("cart-{number}")).collect::<Vec<_>>();
    for (number, name) in names.iter().enumerate() {
        let [address, _] = object::addresses(number as u64);
        world.create(&object::service(SHOP, name)).await.unwrap();
        world.create(&object::pod(SHOP, name, name, "node-0", &[address])).await.unwrap();
    }
    let world = world.clone();
    let mut random = Random::new(13);
    tokio::spawn(async move {
        loop {
            let name = random.pick(&names).unwrap();
            let conditions = object::ready(random.chance(50));
            let pod = Place::new(Kind::Pod, SHOP, name);
            world.patch_status(&pod, &json!({"conditions": conditions})).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

/// Each Service's slice shows its pod as it is.
async fn assert_right(world: &World) {
    for pod in world.list(Kind::Pod, Some(SHOP)).await.unwrap() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let slices = world.slices_of(SHOP, name).await.unwrap();
        assert_eq!(slices.len(), 1, "{name}");
        let endpoint = &slices[0]["endpoints"][0];
        let ready = pod["status"]["conditions"][0]["status"] == "True";
        assert_eq!(endpoint["targetRef"]["uid"], pod["metadata"]["uid"], "{name}");
        assert_eq!(endpoint["conditions"]["ready"], ready, "{name}");
    }
}
