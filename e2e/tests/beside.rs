//! The built-in controller left running beside closehaul is noticed even if little happens; and
//! the Events that closehaul emits are seen as users see them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]
#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use std::{
    fs,
    time::{Duration, Instant},
};

use e2e::{
    closehaul::{self, Ports},
    cluster::{Actor, Cluster, ControllerManager, Options},
    process::Process,
    world::{Canary, Kind, Place, World, object, quiet, until},
};
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    discovery::v1::EndpointSlice,
};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(3);
const STOP: Duration = Duration::from_secs(10);
/// The time within which another writer must be noticed while something happens now and then, plus
/// a margin for a busy machine.
const NOTICED: Duration = Duration::from_secs(60 + 30);
/// How often something happens meanwhile.
const PAUSE: Duration = Duration::from_secs(2);
const SHOP: &str = "shop";
const OVERWRITTEN: &str = "OverwrittenByOtherController";

async fn cluster() -> (Cluster, World) {
    let cluster = Cluster::start(Options { audit: true, ..Options::default() }).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    world.create(&object::namespace(SHOP)).await.unwrap();
    for zone in ["a", "b", "c"] {
        let node = object::node(&format!("node-{zone}"), Some(&format!("zone-{zone}")));
        world.create(&node).await.unwrap();
    }
    (cluster, world)
}

/// A Service that prefers its zone, with a pod on each node.
async fn service(world: &World, name: &str, number: u64) {
    let mut service = object::service(SHOP, name);
    service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    world.create(&service).await.unwrap();
    for (pod, zone) in ["a", "b", "c"].into_iter().enumerate() {
        let [address, _] = object::addresses(number * 10 + pod as u64);
        let node = format!("node-{zone}");
        let pod = object::pod(SHOP, &format!("{name}-{pod}"), name, &node, &[address]);
        world.create(&pod).await.unwrap();
    }
}

async fn set_ready(world: &World, pod: &str, is_ready: bool) {
    let conditions = json!({ "conditions": object::ready(is_ready) });
    world.patch_status(&Place::new(Kind::Pod, SHOP, pod), &conditions).await.unwrap();
}

/// The lines of closehaul's log that contain this.
fn logged(closehaul: &Process, part: &str) -> Vec<String> {
    let log = fs::read_to_string(closehaul.log_path()).unwrap();
    log.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
}

/// The Events of the namespace that closehaul has emitted, oldest first, as kubectl shows them. The
/// API server emits some too, and so does the built-in controller, with its name and API.
async fn events(cluster: &Cluster) -> Vec<Value> {
    let args = ["get", "events", "-n", SHOP, "--sort-by=.metadata.creationTimestamp", "-o", "json"];
    let list = cluster.kubectl(&args).await.unwrap().success().unwrap();
    let mut list: Value = serde_json::from_str(&list).unwrap();
    let mut events: Vec<Value> = serde_json::from_value(list["items"].take()).unwrap();
    events.retain(|event| {
        let by = ["closehaul", "endpoint-slice-controller"];
        let is_by = |name| event["reportingComponent"] == name;
        by.into_iter().any(is_by) && event["source"]["component"].is_null()
    });
    events
}

/// Makes the API server refuse new slices of a Service, and waits until it does.
async fn refuse_slices_of(cluster: &Cluster, service: &str) {
    let client = cluster.client(Actor::Admin).unwrap();
    let expression = format!("!object.metadata.generateName.startsWith('{service}-')");
    let policy = json!({
        "metadata": {"name": service},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["discovery.k8s.io"], "apiVersions": ["v1"],
                "resources": ["endpointslices"], "operations": ["CREATE"],
            }]},
            "matchConditions": [
                {"name": "generated", "expression": "has(object.metadata.generateName)"},
            ],
            "validations": [{"expression": expression, "reason": "Forbidden"}],
        },
    });
    let binding = json!({
        "metadata": {"name": service},
        "spec": {"policyName": service, "validationActions": ["Deny"]},
    });
    let policy: ValidatingAdmissionPolicy = serde_json::from_value(policy).unwrap();
    let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(binding).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &policy).await.unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &binding).await.unwrap();
    let slices: Api<EndpointSlice> = Api::namespaced(client, SHOP);
    let slice = json!({
        "metadata": {"generateName": format!("{service}-")}, "addressType": "IPv4", "endpoints": [],
    });
    let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let is_in_force = until("the policy", SETTLE, async || {
        Ok(slices.create(&parameters, &slice).await.is_err().then_some(()))
    });
    is_in_force.await.unwrap();
}

/// Waits until the Events of a Service have these reasons.
async fn until_events(cluster: &Cluster, service: &str, reasons: &[&str]) {
    let mut found = Vec::new();
    let waited = until("Events", SETTLE, async || {
        let events = events(cluster).await;
        let of_service = events.iter().filter(|event| event["involvedObject"]["name"] == service);
        let reason = |event: &Value| event["reason"].as_str().unwrap().to_owned();
        found = of_service.map(reason).collect();
        Ok((found == reasons).then_some(()))
    });
    waited.await.unwrap_or_else(|error| panic!("{error}: {found:?} for {reasons:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_controller_is_noticed_when_little_happens() {
    tokio::time::timeout(LIMIT, little_happens()).await.expect("the time limit");
}

async fn little_happens() {
    let (cluster, world) = cluster().await;
    let mut canary = Canary::create(&world).await.unwrap();
    service(&world, "cart", 1).await;
    let ports = Ports::free().unwrap();
    let [metrics, health] = ports.args();
    let args = ["--leader-elect=false", &metrics, &health];
    let closehaul = closehaul::start(&cluster, &args).await.unwrap();
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    // What it finds at its start, and its local writes, do not count as those of another client.
    for number in 0..8 {
        set_ready(&world, "cart-1", number % 2 == 1).await;
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(logged(&closehaul, "another controller writes"), [""; 0]);
    let scraped = ports.metrics().await.unwrap();
    assert_eq!(scraped.value("closehaul_foreign_slice_writes_total"), 0.0);

    let which = ControllerManager::OnlySlices;
    let built_in = cluster.start_controller_manager(which).await.unwrap();
    let started = Instant::now();
    let mut changes = 0;
    while logged(&closehaul, "append -endpointslice-controller").is_empty() {
        assert!(started.elapsed() < NOTICED, "not noticed in {changes} changes");
        set_ready(&world, "cart-1", changes % 2 == 1).await;
        changes += 1;
        tokio::time::sleep(PAUSE).await;
    }
    eprintln!(
        "beside: noticed after {:.1} s and {changes} changes, one in {PAUSE:?}",
        started.elapsed().as_secs_f64()
    );
    until_events(&cluster, "cart", &[OVERWRITTEN]).await;
    let scraped = ports.metrics().await.unwrap();
    assert_eq!(scraped.value("closehaul_other_writer_active"), 1.0);
    assert!(scraped.value("closehaul_foreign_slice_writes_total") >= 2.0);
    let (status, text) = ports.health("/readyz?verbose").await.unwrap();
    assert!(status == 200 && text.contains("[+]other-writer ok, but another controller"), "{text}");
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    for process in [built_in, closehaul] {
        process.must_run().unwrap();
        assert!(process.stop(STOP).await.unwrap().is_some());
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_state_are_seen_as_events() {
    tokio::time::timeout(LIMIT, see_changes_of_state()).await.expect("the time limit");
}

async fn see_changes_of_state() {
    let (cluster, world) = cluster().await;
    let mut canary = Canary::create(&world).await.unwrap();
    for (number, name) in ["cart", "auto", "late", "local"].into_iter().enumerate() {
        service(&world, name, number as u64 + 1).await;
    }
    let closehaul = closehaul::start(&cluster, &["--leader-elect=false"]).await.unwrap();
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    assert_eq!(logged(&closehaul, "all Services have been planned").len(), 1);

    let label =
        |zone: Option<&str>| json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
    let node = Place::node("node-a");
    world.patch(&node, &label(None)).await.unwrap();
    until_events(&cluster, "cart", &["EndpointWithoutZone"]).await;
    world.patch(&node, &label(Some("zone-a"))).await.unwrap();
    until_events(&cluster, "cart", &["EndpointWithoutZone", "Applied"]).await;
    let lines = logged(&closehaul, "the decision on a Service has changed");
    let of_cart: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_cart: Vec<_> = of_cart.iter().filter(|line| line["service"] == "cart").collect();
    assert_eq!(of_cart.len(), 2, "{lines:?}");
    assert_eq!(of_cart[0]["reason"], "EndpointWithoutZone");
    assert_eq!(of_cart[0]["state"], "Ineffective");
    assert_eq!(of_cart[0]["prefer"], "Zone");

    let annotation =
        json!({"metadata": {"annotations": {"service.kubernetes.io/topology-mode": "Auto"}}});
    world.patch(&Place::new(Kind::Service, SHOP, "auto"), &annotation).await.unwrap();
    let all = ["EndpointWithoutZone", "Applied", "TopologyAwareHintsEnabled"];
    until_events(&cluster, "auto", &all).await;

    let [address, _] = object::addresses(900);
    world.create(&object::pod(SHOP, "late-9", "late", "node-z", &[address])).await.unwrap();
    let all = ["EndpointWithoutZone", "Applied", "NodeMissing"];
    until_events(&cluster, "late", &all).await;

    // The API server refuses slices with such an address (kubernetes#109152).
    let address = "169.254.7.7".to_owned();
    world.create(&object::pod(SHOP, "local-9", "local", "node-a", &[address])).await.unwrap();
    let all = ["EndpointWithoutZone", "Applied", "AddressNotAllowed"];
    until_events(&cluster, "local", &all).await;

    // A policy refuses the slices of one Service.
    refuse_slices_of(&cluster, "full").await;
    world.create(&object::service(SHOP, "full")).await.unwrap();
    until_events(&cluster, "full", &["FailedToUpdateEndpointSlices"]).await;

    let described = cluster.kubectl(&["describe", "service", "late", "-n", SHOP]).await.unwrap();
    let described = described.success().unwrap();
    eprintln!("beside: {}", described.split("Events:").nth(1).unwrap());
    let line = described.lines().find(|line| line.contains("NodeMissing")).unwrap();
    assert!(line.contains("Warning") && line.contains("closehaul"), "{line}");
    assert!(line.contains("Pod late-9 is left out"), "{line}");
    let described = cluster.kubectl(&["describe", "service", "full", "-n", SHOP]).await.unwrap();
    let described = described.success().unwrap();
    eprintln!("beside: {}", described.split("Events:").nth(1).unwrap());
    let line = described.lines().find(|line| line.contains("FailedToUpdate")).unwrap();
    assert!(
        line.contains("endpoint-slice-controller") && line.contains("ValidatingAdmissionPolicy"),
        "{line}"
    );

    // After a restart, everything is as it was.
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    world.delete(&Place::new(Kind::Service, SHOP, "full")).await.unwrap();
    let before = events(&cluster).await.len();
    let closehaul = closehaul::start(&cluster, &["--leader-elect=false"]).await.unwrap();
    canary.follow(&world).await.unwrap();
    // This is longer than the wait for a missing node.
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(events(&cluster).await.len(), before);
    let mut sent = cluster.audit().unwrap();
    sent.retain(|event| event.resource == "events" && event.user == Actor::Closehaul.user());
    assert_eq!(sent.len(), before);
    assert!(sent.iter().all(|event| event.verb == "create" && event.code == 201), "{sent:?}");
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}
