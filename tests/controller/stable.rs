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
    invariants::{Limits, listed_addresses, violations},
    rig::*,
    samples::{FOREIGN_SLICE, foreign_slice, name},
    seeds::{each, seeds, simulate},
    world::{Dice, calm, change, pause},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::piles::KNOWN;

/// Until all is written: a watch that fell silent is given up after 295 s, and a list that hangs
/// after 70 s; then come the longest back-offs of a watch and of a write, a minute each.
pub const BOUND: Duration = Duration::from_secs(500);
const SEEDS: u64 = 100;
const STEPS: u64 = 60;

#[test]
fn after_any_history_the_slices_are_right_and_stay() {
    let failed: Vec<String> = each(&seeds(SEEDS), fails).into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} seeds fail: {}", failed.len(), failed[0]);
}

/// What is wrong after the history of a seed, with the history.
fn fails(seed: u64) -> Option<String> {
    let mut history = Vec::new();
    let outcome = simulate(live(seed, &mut history));
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
    let mut wanted = BTreeSet::new();
    for pod in api.list(PODS) {
        let has_node = api.get(NODES, "", pod["spec"]["nodeName"].as_str().unwrap()).is_some();
        let is_ready = pod["status"]["conditions"][0]["status"] == "True"
            && pod["metadata"]["deletionTimestamp"].is_null();
        let is_ready = is_ready || publishes_all;
        for ip in listed_addresses(&service, &pod, has_node) {
            wanted.insert(format!("{} \"{ip}\" {is_ready}", pod["metadata"]["name"]));
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
