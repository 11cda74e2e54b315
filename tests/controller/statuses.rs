//! The status of policies and evacuations: what it says, who writes it, and how often; and the Events
//! that come with it.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use fake_api::{
    FakeApi, Seen,
    collections::{CLUSTER_POLICIES, EVACUATIONS, EVENTS, PODS, POLICIES, SERVICES},
    replica::Replica,
    rig::*,
    samples::{pod, service},
};
use serde_json::{Value, json};

fn installed(pods: &[&str]) -> FakeApi {
    let api = cluster(pods);
    api.install();
    api
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({ "metadata": { "namespace": "shop", "name": name }, "spec": spec })
}

/// The status of a condition, with its reason.
fn condition(object: &Value, name: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == name);
    found.map_or_else(String::new, |condition| {
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("status"), text("reason"))
    })
}

fn conditions(object: &Value) -> [String; 3] {
    ["Accepted", "Programmed", "Effective"].map(|name| condition(object, name))
}

fn is_status(seen: &Seen) -> bool {
    seen.method != "GET" && seen.path.ends_with("/status")
}

const FINE: [&str; 3] = ["True Accepted", "True Programmed", "True Effective"];

#[tokio::test(start_paused = true)]
async fn a_policy_says_what_became_of_it() {
    let api = installed(&["web-0", "web-1", "web-2", "db-1"]);
    let rig = Rig::settled(api.clone()).await;
    api.put(POLICIES, policy("zone", &json!({ "prefer": ["Zone"] })));
    rig.pass(4 * SECOND).await;
    let get = || api.get(POLICIES, "shop", "zone").unwrap();
    assert!(get()["status"].is_null(), "it waits for what comes with it");
    rig.pass(4 * SECOND).await;
    let object = get();
    assert_eq!(conditions(&object), FINE);
    let status = &object["status"];
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        (&status["services"]["selected"], &status["services"]["applied"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(status["services"]["partial"], 1, "db has endpoints in one zone only");
    let items = status["items"].as_array().unwrap();
    let text = |item: &Value| {
        format!("{} {} {} {}", item["name"], item["state"], item["inZoneShare"], item["overload"])
    };
    let items: Vec<_> = items.iter().map(text).collect();
    assert_eq!(items, [r#""db" "Partial" 33 0"#, r#""web" "Applied" 100 0"#]);

    // What is written already is not written again, and nothing is planned for it.
    let before = api.count(is_status);
    rig.pass(10 * MINUTE).await;
    assert_eq!(api.count(is_status), before);

    // A headless Service cannot be helped.
    api.edit(SERVICES, "shop", "db", |service| service["spec"]["clusterIP"] = json!("None"));
    rig.pass(8 * SECOND).await;
    assert_eq!(conditions(&get()), ["True Accepted", "True Programmed", "False Headless"]);
    let message = get()["status"]["conditions"][2]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("shop/db (Headless)"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_condition_keeps_its_time_and_numbers_alone_wait() {
    let api = installed(&["web-0", "web-1", "web-2"]);
    let rig = Rig::settled(api.clone()).await;
    let guard = json!({ "prefer": ["Zone"], "guard": { "maxOverloadPercent": 1000 } });
    api.put(POLICIES, policy("guard", &guard));
    rig.pass(10 * SECOND).await;
    let status = || api.get(POLICIES, "shop", "guard").unwrap()["status"].clone();
    let before = status();
    assert_eq!(before["items"][0]["overload"], 0);
    let writes = api.count(is_status);
    api.put(PODS, pod("web-4"));
    rig.pass(30 * SECOND).await;
    assert_eq!(api.count(is_status), writes, "numbers alone");
    rig.pass(60 * SECOND).await;
    assert_eq!(api.count(is_status), writes + 1);
    let after = status();
    assert_eq!(after["items"][0]["overload"], 33, "one of four carries a third");
    assert_eq!(after["conditions"], before["conditions"]);
}

#[tokio::test(start_paused = true)]
async fn the_loser_says_so_and_shadow_predicts() {
    let api = installed(&["web-0", "web-1", "web-2", "web-4"]);
    let spec = json!({
        "mode": "Shadow", "prefer": ["Zone"], "guard": { "maxOverloadPercent": 20 },
    });
    api.put(POLICIES, policy("rehearsed", &spec));
    let mut rig = Rig::settled(api.clone()).await;
    rig.pass(10 * SECOND).await;
    let writes = rig.look();
    assert!(writes.iter().all(is_status), "{writes:#?}");
    let item = || api.get(POLICIES, "shop", "rehearsed").unwrap()["status"]["items"][0].clone();
    let predicted = item();
    assert_eq!(predicted["state"], "Shadow");
    api.edit(POLICIES, "shop", "rehearsed", |policy| policy["spec"]["mode"] = json!("Enforce"));
    rig.pass(10 * SECOND).await;
    let found = item();
    assert_eq!(found["state"], "Partial");
    for field in ["inZoneShare", "overload"] {
        assert_eq!(predicted[field], found[field], "{field}");
    }
    rig.pass(SECOND).await;
    api.put(POLICIES, policy("younger", &json!({ "prefer": ["Node"] })));
    rig.pass(10 * SECOND).await;
    let counts = api.get(POLICIES, "shop", "younger").unwrap()["status"]["services"].clone();
    assert_eq!((&counts["selected"], &counts["conflicted"]), (&json!(0), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn an_evacuation_says_what_it_moved_and_what_it_cannot() {
    let api = installed(&["web-0", "web-1", "web-2", "db-1", "db-2"]);
    api.put(SERVICES, {
        let mut local = service("local");
        local["spec"]["internalTrafficPolicy"] = json!("Local");
        local
    });
    api.put(PODS, pod("local-1"));
    let rig = Rig::settled(api.clone()).await;
    let until = api.wall_clock().now() + jiff::SignedDuration::from_secs(60);
    let spec = json!({ "zones": ["a"], "until": until.to_string() });
    api.put(EVACUATIONS, json!({ "metadata": { "name": "a-1" }, "spec": spec }));
    rig.pass(10 * SECOND).await;
    let get = || api.get(EVACUATIONS, "", "a-1").unwrap();
    assert_eq!(condition(&get(), "Active"), "True Active");
    assert_eq!(condition(&get(), "Complete"), "False HintsCannotMove");
    let message = get()["status"]["conditions"][1]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("shop/local (TrafficPolicyLocal)"), "{message}");
    let status = get()["status"].clone();
    assert_eq!((&status["services"], &status["endpoints"]), (&json!(3), &json!(2)));
    api.remove(SERVICES, "shop", "local");
    rig.pass(10 * SECOND).await;
    assert_eq!(condition(&get(), "Complete"), "True Complete");
    rig.pass(50 * SECOND).await;
    assert_eq!(condition(&get(), "Active"), "False Ended");
}

/// The Events on an evacuation, each as its reason.
fn events(api: &FakeApi) -> Vec<String> {
    let events = api.list(EVENTS);
    let mut events: Vec<_> = events
        .iter()
        .filter(|event| event["regarding"]["kind"] == "ZoneEvacuation")
        .map(|event| {
            assert_eq!(event["metadata"]["namespace"], "default");
            let text = |of: &Value| of.as_str().unwrap().to_owned();
            let name = text(&event["regarding"]["name"]);
            (text(&event["eventTime"]), format!("{name} {}", text(&event["reason"])))
        })
        .collect();
    events.sort();
    events.into_iter().map(|(_, event)| event).collect()
}

fn evacuate(api: &FakeApi, name: &str, seconds: i64) {
    let until = api.wall_clock().now() + jiff::SignedDuration::from_secs(seconds);
    let spec = json!({ "zones": ["a"], "until": until.to_string(), "reason": "smoke" });
    api.put(EVACUATIONS, json!({ "metadata": { "name": name }, "spec": spec }));
}

#[tokio::test(start_paused = true)]
async fn an_evacuation_has_an_event_for_begin_end_and_failures() {
    let api = installed(&["web-0", "web-1", "web-2", "local-1"]);
    let rig = Rig::settled(api.clone()).await;
    let active = || rig.metric("closehaul_evacuations_active");
    assert_eq!(active(), 0.0);
    evacuate(&api, "a-1", 600);
    rig.pass(10 * SECOND).await;
    assert_eq!(events(&api), ["a-1 EvacuationBegan"]);
    assert_eq!(active(), 1.0);
    let event = api.list(EVENTS).remove(0);
    let object = api.get(EVACUATIONS, "", "a-1").unwrap();
    assert_eq!(event["regarding"]["apiVersion"], "closehaul.io/v1alpha1");
    assert_eq!(event["regarding"]["uid"], object["metadata"]["uid"]);
    assert!(event["regarding"]["namespace"].is_null());
    let note = event["note"].as_str().unwrap();
    assert!(note.starts_with("New connections are kept out of a until "), "{note}");
    assert!(note.ends_with(": smoke"), "{note}");

    // A Service that cannot be moved comes, and another one.
    for name in ["local", "other"] {
        api.put(SERVICES, {
            let mut local = service(name);
            local["spec"]["selector"] = json!({ "app": "local" });
            local["spec"]["internalTrafficPolicy"] = json!("Local");
            local
        });
        rig.pass(10 * SECOND).await;
    }
    let began = ["a-1 EvacuationBegan", "a-1 EvacuationIncomplete"];
    assert_eq!(events(&api), began);
    rig.pass(10 * MINUTE).await;
    assert_eq!(events(&api), [&began[..], &["a-1 EvacuationEnded"]].concat());
    assert_eq!(active(), 0.0);

    // One that is over when it comes changes nothing.
    evacuate(&api, "late", -60);
    rig.pass(10 * SECOND).await;
    assert_eq!(condition(&api.get(EVACUATIONS, "", "late").unwrap(), "Active"), "False Ended");
    // One that is deleted has ended.
    evacuate(&api, "a-2", 600);
    rig.pass(10 * SECOND).await;
    api.remove(EVACUATIONS, "", "a-2");
    rig.pass(10 * SECOND).await;
    let last = &events(&api)[3..];
    assert_eq!(last[0], "a-2 EvacuationBegan");
    assert_eq!(last[1..], ["a-2 EvacuationIncomplete", "a-2 EvacuationEnded"]);
    assert_eq!(active(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn another_leader_repeats_no_event_of_an_evacuation() {
    let api = installed(&["web-0", "web-1", "web-2"]);
    let first = Replica::start(&api, Options::default());
    first.rig.pass(20 * SECOND).await;
    evacuate(&api, "a-1", 600);
    first.rig.pass(20 * SECOND).await;
    let second = Replica::start(&api, Options::default());
    second.rig.pass(20 * SECOND).await;
    first.election.abort();
    first.rig.abort().await;
    second.rig.pass(2 * MINUTE).await;
    assert_eq!(events(&api), ["a-1 EvacuationBegan"]);
    // It reports what its predecessor has begun, also at once after its start.
    second.rig.pass(10 * MINUTE).await;
    assert_eq!(events(&api), ["a-1 EvacuationBegan", "a-1 EvacuationEnded"]);
    evacuate(&api, "a-2", 600);
    second.rig.pass(20 * SECOND).await;
    second.election.abort();
    second.rig.abort().await;
    let third = Replica::start(&api, Options::default());
    third.rig.until("it leads", |rig| rig.metric("closehaul_leader") == 1.0).await;
    third.rig.pass(2 * SECOND).await;
    api.remove(EVACUATIONS, "", "a-2");
    third.rig.pass(10 * SECOND).await;
    let last = &events(&api)[2..];
    assert_eq!(last, ["a-2 EvacuationBegan", "a-2 EvacuationEnded"]);
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_writes_and_its_successor_finds_nothing_to_write() {
    let api = installed(&["web-0", "web-1"]);
    api.put(
        CLUSTER_POLICIES,
        json!({ "metadata": { "name": "all" }, "spec": { "prefer": ["Zone"] } }),
    );
    let first = Replica::start(&api, Options::default());
    first.rig.pass(20 * SECOND).await;
    let second = Replica::start(&api, Options::default());
    second.rig.pass(20 * SECOND).await;
    let written = api.count(is_status);
    assert_eq!(written, 1);
    let slices =
        |api: &FakeApi| api.count(|seen| seen.method != "GET" && seen.path.contains("slices"));
    let before = slices(&api);
    first.election.abort();
    first.rig.abort().await;
    second.rig.pass(2 * MINUTE).await;
    assert_eq!((api.count(is_status), slices(&api)), (written, before));
}
