//! The status of policies and evacuations: what it says, who writes it, and how often.

use fake_api::{
    FakeApi, Seen,
    collections::{CLUSTER_POLICIES, EVACUATIONS, PODS, POLICIES, SERVICES},
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
