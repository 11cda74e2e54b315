//! Eventually stable: whatever has happened, once the world stands still and faults end, the
//! slices become what the plan requires, and then nothing is written any more.

use std::{collections::BTreeSet, time::Duration};

use closehaul::{
    api::{Kind, Object},
    cluster::Index,
    model::{node::Node, pod::Pod, service::Service, slice::Slice},
    plan::Settings,
};
use fake_api::{
    FakeApi,
    collections::{NODES, PODS, SERVICES, SLICES},
    invariants::{Limits, violations},
    rig::*,
    samples::{FOREIGN_SLICE, foreign_slice, name},
    world::{Dice, calm, change, pause, seeds},
};
use serde_json::Value;
use tokio::{runtime::Builder, time::Instant};

use crate::piles::KNOWN;

/// Until all is written: a watch that fell silent is given up after 295 s, and a list that hangs
/// after 70 s; then come the longest back-offs of a watch and of a write, a minute each.
pub const BOUND: Duration = Duration::from_secs(500);
const SEEDS: u64 = 100;
const STEPS: u64 = 60;

#[test]
fn after_any_history_the_slices_are_right_and_stay() {
    let seeds = seeds(SEEDS);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let half = |odd| seeds.clone().filter(move |seed| seed % 2 == odd);
        let threads = [0, 1].map(|odd| scope.spawn(move || half(odd).filter_map(fails).collect()));
        threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().unwrap() }).collect()
    });
    assert!(failed.is_empty(), "{} seeds fail: {}", failed.len(), failed[0]);
}

/// What is wrong after the history of a seed, with the history.
fn fails(seed: u64) -> Option<String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut history = Vec::new();
    let outcome = runtime.block_on(live(seed, &mut history));
    outcome.err().map(|error| format!("SEED={seed}: {error}\n{}", history.join("\n")))
}

async fn live(seed: u64, history: &mut Vec<String>) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut options = Options::default();
    options.settings.plan.max_endpoints = dice.pick(&[1, 2, 3]);
    options.settings.batch_period = dice.pick(&[Duration::ZERO, 500 * MS]);
    options.settings.replan_qps = dice.pick(&[0.0, 5.0, 100.0]);
    options.concurrency = dice.pick(&[1, 2, 5]);
    let api = FakeApi::new();
    // A server does so for as long as it runs, and what it dropped is not written again later.
    let drops_node_hints = dice.one_in(4);
    api.drops_node_hints(drops_node_hints);
    let others = api.put(SLICES, foreign_slice());
    let mut rig = Rig::start_with(api.clone(), options);
    let start = Instant::now();
    for _ in 0..STEPS {
        let what = change(&api, &mut dice);
        history.push(format!("{:>9.3} {what}", start.elapsed().as_secs_f64()));
        if dice.one_in(40) {
            history.push("          crash".to_owned());
            rig = rig.crash(options).await;
        }
        rig.pass(pause(&mut dice)).await;
    }
    calm(&api);
    history.push(format!("{:>9.3} calm", start.elapsed().as_secs_f64()));
    let calm = Instant::now();
    rig.pass(BOUND).await;
    let settled = api.requests().len();
    check(&rig, options.settings.plan.max_endpoints, !drops_node_hints)?;
    let max_endpoints = options.settings.plan.max_endpoints;
    let stores_node_hints = !drops_node_hints;
    let limits = Limits { max_endpoints, staleness: None, stores_node_hints, lag: None };
    let mut violations = violations(&api.record(), limits);
    violations.retain(|violation| !KNOWN.contains(&violation.invariant));
    ensure(violations.is_empty(), || format!("{violations:#?}"))?;
    let is_untouched = api.get(SLICES, "shop", FOREIGN_SLICE) == Some(others);
    ensure(is_untouched, || "another client's slice has changed".to_owned())?;
    rig.pass(5 * MINUTE).await;
    for seen in &api.requests()[settled..] {
        let is_resumed_watch = seen.is_watch() && !seen.query.contains("sendInitialEvents");
        ensure(is_resumed_watch, || format!("{:?} after all was calm: {seen:?}", seen.at - calm))?;
    }
    Ok(())
}

/// Whether all slices are as planned.
pub fn check(rig: &Rig, max_endpoints: usize, node_hints: bool) -> Result<(), String> {
    let api = &rig.api;
    let index = index_of(api);
    for service in index.services() {
        if let Some(plan) = index.plan(&service.key, None, Settings { max_endpoints, node_hints }) {
            ensure(plan.is_empty(), || format!("not written: {:?}", plan.families))?;
            let name = service.key.name.to_string();
            let (found, wanted) = (found(rig, &name), wanted(api, &name));
            ensure(found == wanted, || format!("{name}: {found:?} for {wanted:?}"))?;
        }
    }
    let is_large = |slice: &Value| slice["endpoints"].as_array().unwrap().len() > max_endpoints;
    ensure(!api.list(SLICES).iter().any(is_large), || "a slice is too large".to_owned())
}

/// Address and readiness of each endpoint; one that is listed twice gets an additional entry.
fn found(rig: &Rig, service: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for slice in rig.slices(service) {
        if name(&slice) == FOREIGN_SLICE {
            continue;
        }
        for endpoint in slice["endpoints"].as_array().unwrap() {
            let address = &endpoint["addresses"][0];
            let pod = &endpoint["targetRef"]["name"];
            if !found.insert(format!("{pod} {address} {}", endpoint["conditions"]["ready"])) {
                found.insert(format!("{pod} {address} twice"));
            }
        }
    }
    found
}

/// The same, by the simplest reading of the objects.
fn wanted(api: &FakeApi, service: &str) -> BTreeSet<String> {
    let service = api.get(SERVICES, "shop", service).unwrap();
    let publishes_all = service["spec"]["publishNotReadyAddresses"] == true;
    let selector = service["spec"]["selector"].as_object().unwrap();
    let families = service["spec"]["ipFamilies"].as_array().unwrap();
    let mut wanted = BTreeSet::new();
    for pod in api.list(PODS) {
        let is_selected =
            selector.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value);
        let node = api.get(NODES, "", pod["spec"]["nodeName"].as_str().unwrap());
        let is_finished = pod["status"]["phase"] == "Failed";
        if !is_selected || is_finished || (node.is_none() && !publishes_all) {
            continue;
        }
        let is_ready = pod["status"]["conditions"][0]["status"] == "True"
            && pod["metadata"]["deletionTimestamp"].is_null();
        for ip in pod["status"]["podIPs"].as_array().unwrap() {
            let is_v6 = ip["ip"].as_str().unwrap().contains(':');
            if families.contains(&Value::from(if is_v6 { "IPv6" } else { "IPv4" })) {
                let is_ready = is_ready || publishes_all;
                wanted.insert(format!("{} {} {is_ready}", pod["metadata"]["name"], ip["ip"]));
            }
        }
    }
    wanted
}

/// An index of what is stored now.
fn index_of(api: &FakeApi) -> Index {
    let mut index = Index::default();
    for service in read::<Service>(api, SERVICES) {
        index.apply_service(service.value);
    }
    for node in read::<Node>(api, NODES) {
        index.apply_node(node.value);
    }
    for pod in read::<Pod>(api, PODS) {
        index.apply_pod(&pod.namespace, pod.value);
    }
    for slice in read::<Slice>(api, SLICES) {
        index.apply_slice(slice.value);
    }
    index
}

fn read<T: Kind>(api: &FakeApi, collection: &str) -> Vec<Object<T>> {
    let objects = api.list(collection).into_iter();
    objects.map(|object| serde_json::from_value(object).unwrap()).collect()
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
