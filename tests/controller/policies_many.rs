//! 200 Services under a guard: a restart and a fail-over write nothing, not even in the middle of an
//! evacuation, and mode Shadow predicts what mode Enforce then does.

use std::collections::BTreeMap;

use closehaul::plan::{Family, Settings};
use fake_api::{
    FakeApi, Seen,
    collections::{EVACUATIONS, POLICIES, SLICES},
    dice::Dice,
    replica::Replica,
    rig::*,
    settled::index_of,
};
use serde_json::{Value, json};

const SERVICES: u64 = 200;
const SHADOW: &str = "Shadow";
const ENFORCE: &str = "Enforce";

/// 200 Services with one to seven pods each, anywhere.
fn many() -> FakeApi {
    let mut dice = Dice::new(19);
    let pods = (0..SERVICES).flat_map(|service| {
        let mut numbers: Vec<u64> = (0..=dice.roll(7)).map(|_| dice.roll(30)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().map(move |number| format!("s{service}-{number}"))
    });
    let pods: Vec<String> = pods.collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    api.install();
    api
}

fn guarded(mode: &str) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": "guard" },
        "spec": { "mode": mode, "prefer": ["Zone"], "guard": { "maxOverloadPercent": 20 } },
    })
}

fn evacuation(api: &FakeApi) -> Value {
    let until = api.wall_clock().now() + jiff::SignedDuration::from_hours(1);
    json!({
        "metadata": { "name": "a-1" }, "spec": { "zones": ["a"], "until": until.to_string() },
    })
}

fn writes_slice(seen: &Seen) -> bool {
    seen.method != "GET" && seen.path.contains("/endpointslices")
}

/// The zones that each endpoint of each Service is hinted to.
fn hints(api: &FakeApi) -> BTreeMap<String, Vec<String>> {
    let mut hints = BTreeMap::new();
    for slice in api.list(SLICES) {
        for endpoint in slice["endpoints"].as_array().unwrap() {
            let zones = endpoint["hints"]["forZones"].as_array().into_iter().flatten();
            let zones = zones.map(|zone| zone["name"].as_str().unwrap().to_owned()).collect();
            let pod = endpoint["targetRef"]["name"].as_str().unwrap().to_owned();
            hints.insert(pod, zones);
        }
    }
    hints
}

#[tokio::test(start_paused = true)]
async fn a_restart_and_a_failover_write_nothing() {
    for is_evacuated in [false, true] {
        let api = many();
        api.put(POLICIES, guarded(ENFORCE));
        if is_evacuated {
            api.put(EVACUATIONS, evacuation(&api));
        }
        let first = Replica::start(&api, Options::default());
        first.rig.pass(MINUTE).await;
        let all = hints(&api);
        let has = |zone: &str| all.values().any(|zones| zones.iter().any(|it| it == zone));
        assert_eq!(has("evacuated.closehaul.io"), is_evacuated);
        assert!(all.values().any(|zones| zones.len() > 1), "the guard has something to do");
        let before = api.count(writes_slice);
        assert!(before >= 200, "{before}");

        // A fail-over: the standby waits for the lease of a leader that has ended.
        let second = Replica::start(&api, Options::default());
        second.rig.pass(20 * SECOND).await;
        first.crash().await;
        second.rig.pass(5 * MINUTE).await;
        assert!(second.rig.metric("closehaul_leader") > 0.0);
        assert_eq!(api.count(writes_slice), before, "evacuated: {is_evacuated}");

        // A restart: nobody has been there meanwhile.
        second.crash().await;
        let third = Replica::start(&api, Options::default());
        third.rig.pass(5 * MINUTE).await;
        assert!(third.rig.metric("closehaul_leader") > 0.0);
        assert_eq!(api.count(writes_slice), before, "evacuated: {is_evacuated}");
        assert_eq!(hints(&api), all);
        third.crash().await;
    }
}

#[tokio::test(start_paused = true)]
async fn shadow_writes_nothing_and_predicts_what_enforce_does() {
    let api = many();
    let rig = Rig::settled(api.clone()).await;
    let before = (api.count(writes_slice), hints(&api));
    api.put(POLICIES, guarded(SHADOW));
    rig.pass(5 * MINUTE).await;
    assert_eq!((api.count(writes_slice), hints(&api)), before);
    let status = |api: &FakeApi| api.get(POLICIES, "shop", "guard").unwrap()["status"].clone();
    let predicted = status(&api);
    assert_eq!(predicted["services"]["shadow"], SERVICES);
    let planned = planned(&api);

    api.put(POLICIES, guarded(ENFORCE));
    rig.pass(5 * MINUTE).await;
    assert_eq!(hints(&api), planned);
    let found = status(&api);
    assert_eq!(found["services"]["shadow"], 0);
    assert_eq!(found["services"]["selected"], SERVICES);
    let numbers = |status: &Value| {
        let items = status["items"].as_array().unwrap().iter();
        let numbers = items
            .map(|item| (name_of(item), [item["inZoneShare"].clone(), item["overload"].clone()]));
        numbers.collect::<BTreeMap<_, _>>()
    };
    let (predicted, found) = (numbers(&predicted), numbers(&found));
    assert_eq!(predicted.len(), 50, "as many as a status lists");
    let both: Vec<_> = found.iter().filter(|(name, _)| predicted.contains_key(*name)).collect();
    assert!(both.len() >= 10, "{} Services are in both", both.len());
    for (name, numbers) in both {
        assert_eq!(&predicted[name], numbers, "{name}");
    }
    let changed = before.1.iter().filter(|(pod, zones)| planned[*pod] != **zones).count();
    assert!(changed > 200, "{changed} endpoints have got other names");
}

fn name_of(item: &Value) -> String {
    item["name"].as_str().unwrap().to_owned()
}

/// The hints that mode Shadow predicts for each endpoint.
fn planned(api: &FakeApi) -> BTreeMap<String, Vec<String>> {
    let index = index_of(api);
    let mut hints = BTreeMap::new();
    for service in index.services() {
        let plan = index.plan_shadow(&service.key, Settings::with(100)).unwrap();
        for endpoint in
            plan.families.iter().flat_map(Family::after).flat_map(|it| it.endpoints.iter())
        {
            let zones = endpoint.hints.iter().flat_map(|hints| &hints.zones);
            let pod = endpoint.target.as_ref().unwrap().name.to_string();
            hints.insert(pod, zones.map(ToString::to_string).collect());
        }
    }
    hints
}
