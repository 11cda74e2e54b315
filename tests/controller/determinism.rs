//! Determinism: a run on the fake API server follows from its seed. A failure that a seed finds can
//! be repeated with it. Two runs that differ show that the order of a randomly seeded map, a clock
//! or a random number from elsewhere has reached the queue or the wire.

use std::time::Duration;

use fake_api::{
    FakeApi,
    collections::SERVICES,
    dice::Dice,
    replica::Replica,
    rig::*,
    seeds::{seeds, simulate},
    world::{change, pause},
};
use serde_json::json;
use tokio::time::Instant;

/// All of them in a minute: `SEEDS=100`. A single one: `SEED=7`.
const SEEDS: u64 = 20;
const STEPS: u64 = 60;

#[test]
fn the_same_seed_gives_the_same_requests() {
    let seeds = seeds(SEEDS);
    let differ: Vec<String> = seeds.clone().filter_map(difference).collect();
    assert!(differ.is_empty(), "{} of {seeds:?}:\n{}", differ.len(), differ.join("\n\n"));
}

/// The first request in which two runs of a seed differ, with those around it.
fn difference(seed: u64) -> Option<String> {
    let (one, other) = (requests(seed), requests(seed));
    assert!(one.len() > 50, "SEED={seed}: only {} requests", one.len());
    let at = one.iter().zip(&other).position(|(one, other)| one != other);
    let at = at.or_else(|| (one.len() != other.len()).then_some(one.len().min(other.len())))?;
    let around = |log: &[String]| log[at.saturating_sub(3)..log.len().min(at + 4)].join("\n");
    let (one, other) = (around(&one), around(&other));
    Some(format!("SEED={seed}, request {at}:\n{one}\n--\n{other}"))
}

fn requests(seed: u64) -> Vec<String> {
    simulate(live(seed))
}

async fn live(seed: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let mut options = Options::default();
    options.settings.plan.max_endpoints = dice.pick(&[1, 2, 3]);
    options.settings.batch_period = dice.pick(&[Duration::ZERO, 500 * MS]);
    options.settings.replan_qps = dice.pick(&[0.0, 5.0, 100.0]);
    options.settings.concurrency = dice.pick(&[1, 2, 5]);
    let start = Instant::now();
    let pods: Vec<String> = (0..60)
        .map(|number| format!("{}/s{}-{number}", ["shop", "b", "c", "d"][number % 4], number % 5))
        .collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    for service in api.list(SERVICES) {
        let namespace = service["metadata"]["namespace"].as_str().unwrap();
        let name = service["metadata"]["name"].as_str().unwrap();
        let value = dice.pick(&["PreferSameZone", "PreferSameNode"]);
        api.edit(SERVICES, namespace, name, |service| {
            if dice.one_in(3) {
                service["metadata"]["annotations"] =
                    json!({ "service.kubernetes.io/topology-mode": "Auto" });
            } else {
                service["spec"]["trafficDistribution"] = json!(value);
            }
        });
    }
    if dice.one_in(2) {
        let first = Replica::start(&api, options);
        let second = Replica::start(&api, options);
        play(&api, &mut dice).await;
        drop((first, second));
    } else {
        let mut rig = Rig::start_with(api.clone(), options);
        play(&api, &mut dice).await;
        rig = rig.crash(options).await;
        play(&api, &mut dice).await;
        rig.abort().await;
    }
    let line = |seen: &fake_api::Seen| {
        let at = (seen.at - start).as_secs_f64();
        format!("{at:>9.3} {} {}?{} {}", seen.method, seen.path, seen.query, seen.body)
    };
    api.requests().iter().map(line).collect()
}

async fn play(api: &FakeApi, dice: &mut Dice) {
    for _ in 0..STEPS {
        change(api, dice);
        tokio::time::sleep(pause(dice)).await;
    }
}
