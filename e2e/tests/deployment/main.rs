//! The chart's Deployment at work: its containers' command, user, file system, token, probes and
//! permissions, against a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod audit;
mod bootstrap;
mod container;
mod webhook;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use audit::{Audit, Rights, allowed};
use container::Pod;
use e2e::{
    chart::{Tools, documents},
    closehaul::{self, Profile},
    cluster::{Actor, Cluster, Options},
    machine,
    net::Network,
    process::{Process, Signal},
    world::{Canary, Place, World, object, until},
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
/// How long two replicas run at the same time before something happens.
const SIDE_BY_SIDE: Duration = Duration::from_secs(5);
/// A released lease is taken at the next check, 2.0 to 4.4 s after the previous one.
const GIVEN_BACK: Duration = Duration::from_secs(8);
/// A lease that is not released is taken at the next check after its 15 s have expired.
const RUN_OUT: Duration = Duration::from_secs(30);

const SHOP: &str = "shop";

/// Each test has the machine to itself, because one of them measures.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What the role allows, but this run does not show.
const UNSEEN: [(&str, &str, &str); 10] = [
    // Used where the answer to a create was lost. The test of faults does that, with these permissions.
    ("discovery.k8s.io", "endpointslices", "get"),
    // Checked by an admission plugin inside the API server, for each new slice.
    ("", "services/finalizers", "update"),
    // Namespaces are watched once a policy selects by their labels.
    ("", "namespaces", "list"),
    ("", "namespaces", "watch"),
    // A status is written once there is a policy. The test of leaving has some.
    ("closehaul.io", "localitypolicies/status", "get"),
    ("closehaul.io", "localitypolicies/status", "patch"),
    ("closehaul.io", "clusterlocalitypolicies/status", "get"),
    ("closehaul.io", "clusterlocalitypolicies/status", "patch"),
    ("closehaul.io", "zoneevacuations/status", "get"),
    ("closehaul.io", "zoneevacuations/status", "patch"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_deployment_works_as_the_chart_says() {
    machine::require_namespaces().unwrap();
    let _alone = ALONE.lock().await;
    tokio::time::timeout(LIMIT, deployment()).await.expect("the time limit");
}

async fn deployment() {
    let tools = tokio::task::spawn_blocking(Tools::ensure).await.unwrap().unwrap();
    // Few endpoints in a slice, so that there are slices to delete.
    let values = ["--set", "controller.maxEndpointsPerSlice=2"];
    let manifest = tools.render("kube-system", &values).unwrap();
    let objects = documents(&manifest).unwrap();
    let deployment = objects.iter().find(|it| it["kind"] == "Deployment").unwrap();

    let mut network = Network::new().unwrap();
    let audit = Audit::create();
    let options = Options {
        bind: network.host().into(),
        extra_apiserver_args: audit.args(),
        ..Options::default()
    };
    let cluster = Cluster::start(options).await.unwrap();
    install(&cluster, &manifest).await;
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let binary = closehaul::build(Profile::Dev).await.unwrap();

    // Two control-plane nodes and, on each, a pod of the Deployment, because of the anti-affinity.
    assert_eq!(deployment["spec"]["replicas"], 2);
    let mut pods = Vec::new();
    for node in ["one", "two"] {
        let namespace = network.add_node(node).unwrap().namespace().name().to_owned();
        world.create(&object::node(node, Some("zone-a"))).await.unwrap();
        pods.push(Pod::create(&cluster, deployment, node, &namespace).await);
    }
    let [one, two] = &pods[..] else { unreachable!() };
    let started = Instant::now();
    let first = one.start(&cluster, &binary);
    one.ready(&first).await;
    eprintln!("deployment: from start to ready {:?} (dev build)", started.elapsed());
    eprintln!("deployment: resident memory then {} (dev build)", resident(&first));
    assert_locked_in(&first);
    let mut canary = Canary::create(&world).await.unwrap();
    canary.follow(&world).await.unwrap();

    // The standby is ready and alive too, but does not lead.
    let second = two.start(&cluster, &binary);
    two.ready(&second).await;
    for pod in &pods {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(pod.probe(probe).unwrap(), "ok", "{} {probe}", pod.name);
        }
    }
    assert_eq!(leaders(&pods), [1, 0]);
    for pod in &pods {
        parse(&metrics(pod));
        // Other hosts cannot read them.
        let address = network_address(pod);
        assert!(pod.get(&address, "metrics", "/metrics").is_err(), "{address}");
    }

    let churn = churn(&world).await;
    tokio::time::sleep(SIDE_BY_SIDE).await;
    assert_eq!(writers(&audit), [one.name.as_str()]);

    // When asked to end, the leader finishes and releases the lease.
    let asked = Timestamp::now();
    let grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
    let ended = first.stop(Duration::from_secs(grace.unwrap())).await.unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let gap = first_write(&audit, two, asked).await;
    eprintln!("deployment: after SIGTERM the other one wrote after {gap:?}");
    assert!(gap < GIVEN_BACK, "{gap:?}");

    // When killed, it cannot. The kubelet restarts the container of the other pod.
    let first = one.start(&cluster, &binary);
    one.ready(&first).await;
    tokio::time::sleep(SIDE_BY_SIDE).await;
    assert_eq!(leaders(&pods), [0, 1]);
    let killed = Timestamp::now();
    second.signal(Signal::KILL).unwrap();
    let gap = first_write(&audit, one, killed).await;
    eprintln!("deployment: after SIGKILL the other one wrote after {gap:?}");
    assert!(gap < RUN_OUT, "{gap:?}");
    drop(second);

    // When stopped past its lease and continued, it writes nothing and ends.
    let second = two.start(&cluster, &binary);
    two.ready(&second).await;
    tokio::time::sleep(SIDE_BY_SIDE).await;
    let stopped = Timestamp::now();
    first.signal(Signal::STOP).unwrap();
    let gap = first_write(&audit, two, stopped).await;
    eprintln!("deployment: after SIGSTOP the other one wrote after {gap:?}");
    assert!(gap < RUN_OUT, "{gap:?}");
    first.signal(Signal::CONT).unwrap();
    let status = first.wait(SETTLE).await.expect("it ends when it sees that its lease is over");
    assert_eq!(status.code(), Some(1), "{status}");
    tokio::time::sleep(SIDE_BY_SIDE).await;
    let order = [one, two, one, two].map(|pod| pod.name.as_str());
    assert_eq!(writers(&audit), order);

    churn.abort();
    assert!(churn.await.is_err_and(|end| end.is_cancelled()), "the churn failed");
    canary.follow(&world).await.unwrap();
    let whole = Timestamp::now();
    without_finalizers(&cluster, &world, &second).await;
    assert_rights(&audit, &objects, whole);
    without_a_right(&cluster, &binary, one).await;
    assert!(second.stop(SETTLE).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

/// Installs the chart as helm would, and removes the permissions that the harness grants to
/// closehaul.
async fn install(cluster: &Cluster, manifest: &str) {
    let roles = ["clusterrole/closehaul", "clusterrolebinding/closehaul"];
    kubectl(cluster, &[&["delete"], &roles[..]].concat()).await;
    let roles = ["--namespace=kube-system", "role/closehaul", "rolebinding/closehaul"];
    kubectl(cluster, &[&["delete"], &roles[..]].concat()).await;
    let file = cluster.directory().join("chart.yaml");
    fs::write(&file, manifest).unwrap();
    kubectl(cluster, &["create", "-f", &file.display().to_string()]).await;
}

async fn kubectl(cluster: &Cluster, args: &[&str]) -> String {
    cluster.kubectl(args).await.unwrap().success().unwrap()
}

/// The container's process has the user and the restrictions that the chart specifies.
fn assert_locked_in(process: &Process) {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(field("Name"), "closehaul");
    assert_eq!(field("Uid"), "65532 65532 65532 65532");
    assert_eq!(field("Gid"), "65532 65532 65532 65532");
    assert_eq!(field("Groups"), "");
    assert_eq!(field("NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", process.pid())).unwrap();
    // /proc belongs to the kernel. An unprivileged user cannot write there for other users.
    let writable = mounts.lines().filter(|line| {
        let words = line.split(' ').collect::<Vec<_>>();
        words[1] != "/proc" && !words[3].split(',').any(|option| option == "ro")
    });
    assert_eq!(writable.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// The resident memory of the process.
fn resident(process: &Process) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().to_owned()
}

/// The pod's metrics, as its node can read them.
fn metrics(pod: &Pod) -> String {
    pod.get("127.0.0.1", "metrics", "/metrics").unwrap()
}

/// The address of the pod's node, where nothing may listen.
fn network_address(pod: &Pod) -> String {
    let shown = pod.run(&["ip", "-4", "-brief", "address", "show", "scope", "global"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let address = text.split_whitespace().find_map(|word| word.split_once('/')).unwrap();
    address.0.to_owned()
}

/// What each pod reports about its leadership.
fn leaders(pods: &[Pod]) -> Vec<u32> {
    let leads = |pod: &Pod| {
        let text = metrics(pod);
        let line = text.lines().find_map(|line| line.strip_prefix("closehaul_leader ")).unwrap();
        line.parse().unwrap()
    };
    pods.iter().map(leads).collect()
}

/// promtool can parse the metrics. Another test checks its complaints about names.
fn parse(metrics: &str) {
    let output = e2e::promtool::run(&["check", "metrics"], metrics).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // 3: it parsed and there is something to lint.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
}

/// Which pods wrote slices, in the order of the audit log, each turn once.
fn writers(audit: &Audit) -> Vec<String> {
    let writes = audit.requests().into_iter().filter(audit::Request::is_slice_write);
    let mut pods = writes.map(|request| request.pod).collect::<Vec<_>>();
    pods.dedup();
    pods
}

/// How long after `since` the pod wrote its first slice.
async fn first_write(audit: &Audit, pod: &Pod, since: Timestamp) -> Duration {
    let (time, _) = until("the other replica writes", SETTLE, async || {
        let requests = audit.requests();
        let mut writes = requests.iter().filter(|it| it.pod == pod.name && it.is_slice_write());
        Ok(writes.find(|request| request.time > since).map(|request| request.time))
    })
    .await
    .unwrap();
    time.duration_since(since).unsigned_abs()
}

/// Pods that come and go behind one Service, so that slices are created, changed and deleted all
/// the time.
async fn churn(world: &World) -> tokio::task::JoinHandle<()> {
    world.create(&object::namespace(SHOP)).await.unwrap();
    world.create(&object::service(SHOP, "cart")).await.unwrap();
    let world = world.clone();
    let pods = (0..3_u64).map(|number| {
        let [address, _] = object::addresses(number);
        object::pod(SHOP, &format!("cart-{number}"), "cart", "one", &[address])
    });
    let pods = pods.collect::<Vec<_>>();
    tokio::spawn(async move {
        loop {
            for pod in &pods {
                world.create(pod).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            for pod in &pods {
                world.delete(&Place::of(pod).unwrap()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    })
}

/// Each permission in the chart's roles was used, and none was missing before `until`, when one was
/// taken away.
fn assert_rights(audit: &Audit, objects: &[Value], until: Timestamp) {
    let roles = objects.iter().filter(|it| it["kind"] == "ClusterRole" || it["kind"] == "Role");
    // The others are for people.
    let roles = roles.filter(|it| it["metadata"]["name"] == "closehaul");
    let allowed = roles.flat_map(|role| allowed(&role["rules"])).collect::<Rights>();
    // Some requests of the harness use the same account.
    let requests = audit.requests().into_iter().filter(|request| !request.pod.is_empty());
    let requests = requests.collect::<Vec<_>>();
    let denied = requests.iter().filter(|request| request.code == 403 && request.time < until);
    let denied = denied.map(|it| format!("{} {}", it.verb, it.resource)).collect::<BTreeSet<_>>();
    assert!(denied.is_empty(), "{denied:?}");
    // Every account may read which resources there are.
    let of_resources = requests.into_iter().filter(|request| !request.resource.is_empty());
    let used = of_resources.map(|it| (it.group, it.resource, it.verb)).collect::<Rights>();
    let beyond = used.difference(&allowed).collect::<Vec<_>>();
    assert!(beyond.is_empty(), "{beyond:?}");
    let unused = allowed.difference(&used).cloned().collect::<Rights>();
    let unseen = UNSEEN.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(unused, Rights::from(unseen));
}

/// Without one of its permissions it says which: in the log, and to clients that ask whether it is
/// ready.
async fn without_a_right(cluster: &Cluster, binary: &Path, pod: &Pod) {
    take_away(cluster, "nodes").await;
    let copy = pod.start(cluster, binary);
    let (said, _) = until("it says what it lacks", SETTLE, async || {
        let others = ["[+]services ok", "[+]pods ok", "[+]endpointslices ok"];
        let told = pod.probe("readinessProbe").err();
        Ok(told.filter(|said| others.iter().all(|other| said.contains(other))))
    })
    .await
    .unwrap();
    eprintln!("deployment: without the right to read nodes:\n{said}");
    assert!(said.contains("[-]nodes failed") && said.contains("forbidden"), "{said}");
    let log = copy.log_tail();
    assert!(log.contains("nodes") && log.contains("forbidden"), "{log}");
    assert_eq!(pod.probe("livenessProbe").unwrap(), "ok");
    copy.signal(Signal::KILL).unwrap();
    copy.wait(SETTLE).await.unwrap();
}

/// A leader that may not set `blockOwnerDeletion` reports which permission is missing, and
/// continues as soon as it has it.
async fn without_finalizers(cluster: &Cluster, world: &World, leader: &Process) {
    let rules = take_away(cluster, "services/finalizers").await;
    world.create(&object::service(SHOP, "late")).await.unwrap();
    let (line, _) = until("it says what it lacks", SETTLE, async || {
        let log = leader.log_tail();
        let mut lines = log.lines().filter(|line| line.contains("late"));
        Ok(lines.find(|line| line.contains("finalizers")).map(str::to_owned))
    })
    .await
    .unwrap();
    eprintln!("deployment: without the right to services/finalizers:\n{line}");
    until("an Event says so too", SETTLE, async || {
        let args = ["get", "events.events.k8s.io", "--namespace", SHOP, "-o", "json"];
        let events = kubectl(cluster, &args).await;
        let events = serde_json::from_str::<Value>(&events).unwrap()["items"].take();
        let mut events = events.as_array().unwrap().iter();
        let is_there = events.any(|event| event["reason"] == "FailedToUpdateEndpointSlices");
        Ok(is_there.then_some(()))
    })
    .await
    .unwrap();
    assert!(world.slices_of(SHOP, "late").await.unwrap().is_empty());
    set_rules(cluster, &rules).await;
    until("the slice is made after all", SETTLE, async || {
        Ok(world.slices_of(SHOP, "late").await?.pop())
    })
    .await
    .unwrap();
}

/// Takes all permissions for a resource out of the chart's role; returns the rules as they were.
async fn take_away(cluster: &Cluster, resource: &str) -> Value {
    let role = kubectl(cluster, &["get", "clusterrole/closehaul", "-o", "json"]).await;
    let mut rules = serde_json::from_str::<Value>(&role).unwrap()["rules"].take();
    let before = rules.clone();
    for rule in rules.as_array_mut().unwrap() {
        rule["resources"].as_array_mut().unwrap().retain(|it| it != resource);
    }
    rules.as_array_mut().unwrap().retain(|rule| rule["resources"] != json!([]));
    assert_ne!(rules, before);
    set_rules(cluster, &rules).await;
    before
}

async fn set_rules(cluster: &Cluster, rules: &Value) {
    let patch = json!({"rules": rules}).to_string();
    let args = ["patch", "clusterrole/closehaul", "--type=merge", "--patch", &patch];
    kubectl(cluster, &args).await;
}
