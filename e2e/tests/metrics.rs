//! Metrics and health on a real cluster. The built-in controller and closehaul beside each other
//! show the same names and, once settled, the same sums. `promtool` complains only about names of
//! the built-in controller. `/readyz` names the kind that a role lacks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use e2e::{
    closehaul::{self, Ports},
    cluster::{Actor, Cluster, ControllerManager, Options},
    process::Process,
    scrape::{self, Scraped},
    world::{Canary, Kind, Place, World, object, quiet, until},
};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(3);
const STOP: Duration = Duration::from_secs(10);

const SHOP: &str = "shop";
const PREFIX: &str = "endpoint_slice_controller_";
const QUEUE: &str = "{name=\"endpoint_slice\"}";
/// The names about which `promtool` complains: the built-in controller's counters without `_total`.
const FAULTS: [&str; 2] = ["endpoint_slice_controller_changes", "endpoint_slice_controller_syncs"];

async fn start(cluster: &Cluster) -> (Process, Ports) {
    let ports = Ports::free().unwrap();
    let [metrics, health] = ports.args();
    let args = [&*metrics, &*health, "--leader-elect=false"];
    (closehaul::start(cluster, &args).await.unwrap(), ports)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_controllers_measure_the_same() {
    tokio::time::timeout(LIMIT, measure()).await.expect("the time limit");
}

/// Services of all sizes and preferences, with their pods.
async fn fill(world: &World) {
    world.create(&object::namespace(SHOP)).await.unwrap();
    for (node, zone) in ["zone-a", "zone-b", "zone-c"].into_iter().enumerate() {
        world.create(&object::node(&format!("node-{node}"), Some(zone))).await.unwrap();
    }
    let preferences = [None, Some("PreferClose"), Some("PreferSameZone"), Some("PreferSameNode")];
    let (mut services, mut pods) = (Vec::new(), Vec::new());
    for (number, count) in [0, 1, 7, 100, 101, 230, 3, 12].into_iter().enumerate() {
        let name = format!("service-{number}");
        let mut service = object::service(SHOP, &name);
        service["spec"]["trafficDistribution"] = json!(preferences[number % preferences.len()]);
        services.push(service);
        for pod in 0..count {
            let node = format!("node-{}", pod % 3);
            let address = object::addresses(pods.len() as u64)[0].clone();
            pods.push(object::pod(SHOP, &format!("{name}-{pod}"), &name, &node, &[address]));
        }
    }
    services[7]["metadata"]["annotations"] =
        json!({ "service.kubernetes.io/topology-mode": "Auto" });
    world.create_all(&pods).await.unwrap();
    world.create_all(&services).await.unwrap();
}

/// Changes after which each controller has created, updated and deleted slices.
async fn change(world: &World) {
    for pod in 0..150 {
        let place = Place::new(Kind::Pod, SHOP, &format!("service-5-{pod}"));
        world.delete(&place).await.unwrap();
    }
    let status = json!({"conditions": object::ready(false)});
    world.patch_status(&Place::new(Kind::Pod, SHOP, "service-3-5"), &status).await.unwrap();
    let patch = json!({"spec": {"trafficDistribution": "PreferSameZone"}});
    world.patch(&Place::new(Kind::Service, SHOP, "service-1"), &patch).await.unwrap();
    world.delete(&Place::new(Kind::Service, SHOP, "service-6")).await.unwrap();
}

async fn measure() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let mut canary = Canary::create(&world).await.unwrap();
    fill(&world).await;
    let manager = ControllerManager::OnlySlices;
    let (built_in, client) = cluster.start_scraped_controller_manager(manager).await.unwrap();
    let (closehaul, ports) = start(&cluster).await;
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    change(&world).await;
    quiet(&cluster, IDLE, SETTLE).await.unwrap();

    let what = "both controllers have the same sums";
    let mut last = (BTreeMap::new(), BTreeMap::new());
    let same = until(what, SETTLE, async || {
        let theirs = sums(&scrape::scrape(&client).await.unwrap());
        let ours = sums(&ports.metrics().await.unwrap());
        let is_same = theirs == ours;
        last = (theirs, ours);
        Ok(is_same.then_some(()))
    });
    let same = same.await;
    assert!(same.is_ok(), "theirs and ours: {last:#?}");
    eprintln!("metrics: {:?}", last.1);
    let sum = |name: &str| last.1[&format!("{PREFIX}{name}")];
    assert!(sum("endpoints_desired") > 250.0 && sum("num_endpoint_slices") >= 10.0);
    assert!(sum("desired_endpoint_slices") <= sum("num_endpoint_slices"));

    let theirs = scrape::scrape(&client).await.unwrap();
    let ours = ports.metrics().await.unwrap();
    assert_eq!(shapes(&theirs), shapes(&ours));
    assert!(shapes(&ours).len() >= 16, "{:?}", shapes(&ours));
    for name in FAULTS {
        assert!(theirs.types.contains_key(name), "{name} is not the built-in controller's");
    }
    assert_eq!(faults(&ours.text), FAULTS.map(str::to_owned).into());
    // The check can fail.
    let bad = "# HELP closehaul_bad A counter.\n# TYPE closehaul_bad counter\nclosehaul_bad 1\n";
    assert_eq!(faults(bad), ["closehaul_bad".to_owned()].into());
    documented(&ours);
    eprintln!("metrics: {} names, {} series", ours.types.len(), ours.series.len());

    assert!(ours.value("closehaul_leader") > 0.5);
    assert!(ours.value("closehaul_index_objects{kind=\"pods\"}") > 290.0);

    // Alone, closehaul is the one that responds to events.
    assert!(built_in.stop(STOP).await.unwrap().is_some());
    let answered = "closehaul_propagation_seconds_count{trigger=\"pod\"}";
    let before = ports.metrics().await.unwrap().value(answered);
    let (_, shown) = canary.follow(&world).await.unwrap();
    let (after, _) = until("the event is counted", SETTLE, async || {
        let metrics = ports.metrics().await.unwrap();
        Ok((metrics.value(answered) > before).then_some(metrics))
    })
    .await
    .unwrap();
    let sum = after.value("closehaul_propagation_seconds_sum{trigger=\"pod\"}");
    let sum = sum - ours.value("closehaul_propagation_seconds_sum{trigger=\"pod\"}");
    eprintln!(
        "metrics: one pod's change was written after {:.1} ms, seen after {shown:?}",
        sum * 1e3
    );
    assert!(sum > 0.0 && sum <= shown.as_secs_f64() + 1.0, "{sum} s, {shown:?}");
    assert!(closehaul.stop(STOP).await.unwrap().is_some());
    cluster.stop().await.unwrap();
}

/// The sums over all Services. A preference that no Service has counts as 0, whether it is shown or
/// not.
fn sums(scraped: &Scraped) -> BTreeMap<String, f64> {
    let names = ["num_endpoint_slices", "desired_endpoint_slices", "endpoints_desired"];
    let preferences = ["PreferClose", "PreferSameZone", "PreferSameNode"].map(|value| {
        format!("services_count_by_traffic_distribution{{traffic_distribution=\"{value}\"}}")
    });
    let names = names.into_iter().map(str::to_owned).chain(preferences);
    names
        .map(|name| format!("{PREFIX}{name}"))
        .map(|name| (name.clone(), scraped.value(&name)))
        .collect()
}

/// Names and types of the controller's metrics and of those of its work queue.
fn shapes(scraped: &Scraped) -> BTreeMap<String, String> {
    let is_ours = |name: &str| {
        let of_queue = ["", "_count"].map(|part| format!("{name}{part}{QUEUE}"));
        name.starts_with(PREFIX)
            || name.starts_with("workqueue_")
                && of_queue.iter().any(|series| scraped.series.contains_key(series))
    };
    scraped.types.clone().into_iter().filter(|(name, _)| is_ours(name)).collect()
}

/// The metrics about which `promtool check metrics` complains.
fn faults(text: &str) -> BTreeSet<String> {
    let output = e2e::promtool::run(&["check", "metrics"], text).unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // 0: no complaints; 3: complaints about style; otherwise the text cannot be parsed.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    let faults = said.lines().filter_map(|line| line.split_whitespace().next());
    let faults: BTreeSet<String> = faults.map(str::to_owned).collect();
    assert_eq!(output.status.success(), faults.is_empty(), "{said}");
    faults
}

/// Every metric that is shown is in the document, with its type.
fn documented(scraped: &Scraped) {
    let document = include_str!("../../docs/metrics.md");
    for (name, of) in &scraped.types {
        let row = format!("| `{name}` | {of} |");
        assert!(document.contains(&row), "docs/metrics.md lacks {row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_the_kind_that_a_role_lacks() {
    tokio::time::timeout(LIMIT, readiness()).await.expect("the time limit");
}

async fn readiness() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let roles: Api<ClusterRole> = Api::all(cluster.client(Actor::Admin).unwrap());
    let role = serde_json::to_value(roles.get("closehaul").await.unwrap()).unwrap();
    let mut less = role["rules"].clone();
    let pods = less.as_array_mut().unwrap().iter_mut().find_map(|rule| {
        let resources = rule["resources"].as_array_mut()?;
        let at = resources.iter().position(|resource| resource == "pods")?;
        Some(resources.remove(at))
    });
    assert_eq!(pods, Some(json!("pods")), "no rule for pods");
    set_rules(&roles, &less).await;

    let (process, ports) = start(&cluster).await;
    let mut last = String::new();
    let refused = until("readyz tells of pods", SETTLE, async || {
        process.must_run().map_err(e2e::cluster::Error::from)?;
        let Ok((status, text)) = ports.health("/readyz").await else { return Ok(None) };
        last = text;
        // The other kinds may take a moment longer.
        let is_alone = last.matches("[-]").count() == 1;
        Ok((status == 503 && last.contains("forbidden") && is_alone).then_some(()))
    });
    let refused = refused.await;
    assert!(refused.is_ok(), "{last}");
    eprintln!("metrics: readyz without a right:\n{last}");
    let wrong: Vec<&str> = last.lines().filter(|line| line.starts_with("[-]")).collect();
    assert_eq!(wrong.len(), 1, "{last}");
    let words = "[-]pods failed: not listed yet: 403 pods is forbidden: User \"";
    assert!(wrong[0].starts_with(words) && !wrong[0].contains("Status {"), "{last}");
    assert!(last.ends_with("readyz check failed\n"), "{last}");
    assert_eq!(ports.health("/livez").await.unwrap(), (200, "ok".to_owned()));
    let restarts = ports.metrics().await.unwrap();
    let forbidden = "closehaul_watch_restarts_total{kind=\"pods\",reason=\"forbidden\"}";
    assert!(restarts.value(forbidden) >= 1.0);

    set_rules(&roles, &role["rules"]).await;
    until("ready once it may", SETTLE, async || {
        Ok((ports.health("/readyz").await.unwrap().0 == 200).then_some(()))
    })
    .await
    .unwrap();
    let (status, text) = ports.health("/readyz?verbose").await.unwrap();
    let all = "[+]services ok\n[+]pods ok\n[+]nodes ok\n[+]endpointslices ok\n\
               [+]localitypolicies ok\n[+]clusterlocalitypolicies ok\n[+]zoneevacuations ok\n\
               [+]shutdown ok\nreadyz check passed\n";
    assert_eq!((status, &*text), (200, all));
    assert_eq!(ports.health("/readyz").await.unwrap(), (200, "ok".to_owned()));

    in_use(&cluster, &ports).await;
    assert!(process.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

/// A second process on the same port reports which flag is wrong, and ends.
async fn in_use(cluster: &Cluster, ports: &Ports) {
    for (flag, arg) in
        ["--metrics-bind-address", "--health-probe-bind-address"].iter().zip(ports.args())
    {
        let second = closehaul::start(cluster, &[&arg, "--leader-elect=false"]).await.unwrap();
        let status = second.wait(STOP).await.expect("it ends");
        assert_eq!(status.code(), Some(1), "{}", second.log_tail());
        let said = second.log_tail();
        assert!(said.contains(flag) && said.contains("in use"), "{said}");
    }
}

async fn set_rules(api: &Api<ClusterRole>, rules: &Value) {
    let patch = Patch::Merge(json!({ "rules": rules }));
    api.patch("closehaul", &PatchParams::default(), &patch).await.unwrap();
}
