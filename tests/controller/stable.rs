//! Eventually stable: whatever has happened, once the world stands still and faults end, the
//! slices become what the plan requires, and then nothing is written any more.

use std::time::Duration;

use fake_api::{
    FakeApi,
    collections::SLICES,
    dice::Dice,
    invariants::{Limits, violations},
    rig::*,
    samples::{FOREIGN_SLICE, foreign_slice},
    seeds::{each, seeds, simulate},
    settled::{BOUND, check, ensure},
    world::{calm, change, pause},
};
use tokio::time::Instant;

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
    options.settings.concurrency = dice.pick(&[1, 2, 5]);
    let api = FakeApi::new();
    api.check_apart();
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
    let violations = violations(&api.record(), limits);
    ensure(violations.is_empty(), || format!("{violations:#?}"))?;
    let is_untouched = api.get(SLICES, "shop", FOREIGN_SLICE) == Some(others);
    ensure(is_untouched, || "another client's slice has changed".to_owned())?;
    rig.pass(5 * MINUTE).await;
    for seen in &api.requests()[settled..] {
        let is_resumed_watch = seen.is_watch() && !seen.query.contains("sendInitialEvents");
        let is_expected = is_resumed_watch || seen.is_discovery();
        ensure(is_expected, || format!("{:?} after all was calm: {seen:?}", seen.at - calm))?;
    }
    Ok(())
}
