//! An API server that drops hints for nodes: they are tried once, and then not again until the
//! controller is restarted (docs/semantics.md 5.4).

use fake_api::{
    FakeApi,
    collections::{POLICIES, SERVICES, SLICES},
    rig::*,
    samples::name,
    settled::check,
};
use serde_json::{Value, json};

/// More Services than are written at once.
const SERVICES_THERE: usize = 20;
/// This many are written at once, so this many may be sent before the first answer.
const AT_ONCE: usize = 5;

/// Services that prefer the same node, with three pods each, one in every zone.
fn shop() -> FakeApi {
    let names: Vec<String> = (0..SERVICES_THERE)
        .flat_map(|service| (1..=3).map(move |pod| format!("s{service}-{pod}")))
        .collect();
    let api = cluster(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for service in 0..SERVICES_THERE {
        edit(&api, SERVICES, &format!("s{service}"), |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameNode");
        });
    }
    api
}

/// How many endpoints of an object have hints for zones, and for nodes.
fn hints(slice: &Value) -> (usize, usize) {
    let endpoints = slice["endpoints"].as_array().unwrap();
    let count = |field| endpoints.iter().filter(|one| one["hints"].get(field).is_some()).count();
    (count("forZones"), count("forNodes"))
}

/// Asserts that all endpoints have hints for zones, and those of these Services for nodes too.
fn assert_hints(rig: &Rig, for_nodes: impl Fn(&str) -> bool) {
    for service in 0..SERVICES_THERE {
        let name = format!("s{service}");
        let nodes = if for_nodes(&name) { 3 } else { 0 };
        assert_eq!(hints(&rig.slice(&name)), (3, nodes), "{name}");
    }
}

/// Another client annotates all slices, so all Services are planned again.
async fn touch(rig: &Rig) {
    for slice in rig.api.list(SLICES) {
        let touched = json!({ "touched": rig.api.version().to_string() });
        edit(&rig.api, SLICES, name(&slice), |slice| slice["metadata"]["annotations"] = touched);
    }
    rig.pass(MINUTE).await;
}

/// All Services are planned three times, and nothing is sent.
async fn assert_quiet(rig: &mut Rig, when: &str) {
    rig.look();
    for _ in 0..3 {
        touch(rig).await;
    }
    let writes = rig.look();
    assert!(writes.is_empty(), "{when}: {} writes, such as {:?}", writes.len(), writes[0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_created_without_them_is_not_written_again() {
    let api = shop();
    api.drops_node_hints(true);
    let mut rig = Rig::start(api);
    rig.pass(MINUTE).await;
    let writes = rig.look();
    let methods: Vec<_> = writes.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["POST"; SERVICES_THERE]);
    assert!(rig.metric("closehaul_node_hints_dropped") > 0.5);
    let tried = writes.iter().filter(|seen| hints(&seen.body).1 > 0).count();
    assert!((1..=AT_ONCE).contains(&tried), "{tried} were sent with hints for nodes");
    assert_hints(&rig, |_| false);
    assert_quiet(&mut rig, "after all was created").await;

    set_ready(&rig.api, "s0-1", false);
    rig.pass(MINUTE).await;
    let writes = rig.look();
    assert_eq!(writes.len(), 1);
    assert_eq!(hints(&writes[0].body), (2, 0));
}

/// The hints in the slices of a server that kept them are removed by hand. Each slice is written
/// once, with or without hints for nodes.
#[tokio::test(start_paused = true)]
async fn what_lost_its_hints_is_written_once() {
    let mut rig = Rig::settled(shop()).await;
    assert_hints(&rig, |_| true);
    rig.api.drops_node_hints(true);
    for slice in rig.api.list(SLICES) {
        edit(&rig.api, SLICES, name(&slice), |slice| {
            for endpoint in slice["endpoints"].as_array_mut().unwrap() {
                endpoint.as_object_mut().unwrap().remove("hints");
            }
        });
    }
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"; SERVICES_THERE]);
    assert_hints(&rig, |_| false);
    assert_quiet(&mut rig, "after all was repaired").await;

    // Whatever the next server does, such as a newer one during an upgrade.
    rig.api.drops_node_hints(false);
    assert_quiet(&mut rig, "with a server that keeps them").await;
    rig = rig.crash(Options::default()).await;
    rig.pass(MINUTE).await;
    assert_eq!(rig.writes().len(), 3 * SERVICES_THERE, "one more each, after a start");
    assert_hints(&rig, |_| true);
    assert_quiet(&mut rig, "after a start").await;
}

/// Slices that have them keep them, on both sides: only a change of endpoints removes them.
#[tokio::test(start_paused = true)]
async fn what_has_them_is_left_alone() {
    let mut rig = Rig::settled(shop()).await;
    rig.api.drops_node_hints(true);
    assert_quiet(&mut rig, "before any was dropped").await;
    remove(&rig.api, SLICES, name(&rig.slice("s7")));
    rig.pass(MINUTE).await;
    let writes = rig.look();
    assert_eq!(writes.len(), 1);
    assert_eq!(hints(&writes[0].body), (3, 3));
    assert_hints(&rig, |service| service != "s7");
    assert_quiet(&mut rig, "after one was dropped").await;

    set_ready(&rig.api, "s3-1", false);
    rig.pass(MINUTE).await;
    set_ready(&rig.api, "s3-1", true);
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["PUT", "PUT"]);
    assert_hints(&rig, |service| service != "s7" && service != "s3");
    assert_quiet(&mut rig, "after one was written without").await;
}

/// Behind one address, one server keeps them and another does not: hints do not come and go.
#[tokio::test(start_paused = true)]
async fn servers_that_differ_cause_no_loop() {
    let mut rig = Rig::settled(shop()).await;
    let mut lost = 0;
    for round in 0..200_usize {
        rig.api.drops_node_hints(round % 3 == 0);
        let service = format!("s{}", round % SERVICES_THERE);
        let before = hints(&rig.slice(&service)).1;
        set_ready(&rig.api, &format!("{service}-1"), round / SERVICES_THERE % 2 == 1);
        if round % 7 == 0 {
            remove(&rig.api, SLICES, name(&rig.slice(&service)));
        }
        rig.pass(3 * SECOND).await;
        let writes = rig.look().len();
        assert!((1..=2).contains(&writes), "round {round}: {writes} writes");
        let after = hints(&rig.slice(&service)).1;
        assert!(lost == 0 || after == 0, "round {round}: hints for nodes came back");
        lost += usize::from(before > 0 && after == 0);
    }
    assert_eq!(lost, SERVICES_THERE);
    assert_quiet(&mut rig, "after all that").await;
}

/// Without hints for nodes, nothing can be learned: later ones are still tried.
#[tokio::test(start_paused = true)]
async fn other_preferences_say_nothing_about_the_server() {
    let api = cluster(&["web-1", "web-2"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    api.drops_node_hints(true);
    let mut rig = Rig::settled(api).await;
    rig.api.drops_node_hints(false);
    edit(&rig.api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameNode");
    });
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"]);
    assert_eq!(hints(&rig.slice("web")), (2, 2));
}

/// Under a guard, which zones are named may depend on whether nodes are. Each Service is planned again
/// when it shows that they cannot be.
#[tokio::test(start_paused = true)]
async fn zones_are_named_as_without_hints_for_nodes() {
    let api = cluster(&["one-1", "two-1", "two-4", "six-1", "six-2", "six-4", "six-7"]);
    api.install();
    api.drops_node_hints(true);
    let spec = json!({ "prefer": ["Node", "Zone"], "guard": { "maxOverloadPercent": 20 } });
    api.put(
        POLICIES,
        json!({ "metadata": { "namespace": "shop", "name": "guard" }, "spec": spec }),
    );
    let mut rig = Rig::settled(api.clone()).await;
    rig.pass(5 * MINUTE).await;
    assert_eq!(hints(&rig.slice("one")), (0, 0), "one endpoint is reached without hints as well");
    check(&rig, 100, false).unwrap();
    // What is written later is as it was decided then.
    rig.look();
    set_ready(&api, "six-1", false);
    rig.pass(MINUTE).await;
    check(&rig, 100, false).unwrap();
}
