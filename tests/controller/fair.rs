//! Fairness: Services whose pods change all the time delay no others, in their own namespace or in
//! another one (docs/semantics.md 1.2).

use std::time::Duration;

use fake_api::{
    faults::{Effect, on},
    rig::*,
};
use tokio::time::Instant;

use crate::waits::assert_short;

/// How many Services have pods that change, twice a second each. More: `BUSY=1000`.
const BUSY: usize = 200;
/// How often the calm Service changes.
const CHANGES: usize = 8;
/// How often the busy ones do in between.
const ROUNDS: usize = 6;

/// How long the changes of the calm Service took, while all writers are busy.
async fn waits(namespace: &str, busy: usize) -> Vec<Duration> {
    let busy: Vec<String> = (0..busy).map(|number| format!("{namespace}/busy{number}-1")).collect();
    let calm = "shop/calm-1".to_owned();
    let pods: Vec<&str> = busy.iter().chain([&calm]).map(String::as_str).collect();
    let api = cluster(&pods);
    // Tens of thousands of writes; other tests check what they contain.
    api.check_apart();
    let rig = Rig::start(api.clone());
    rig.pass(MINUTE).await;
    // Twice as long as needed to write all of them in half a second with five writers.
    let took = SECOND * 5 / u32::try_from(busy.len()).unwrap();
    api.fault(on("", "/endpointslices"), Effect::Delay(took));
    let mut waits = Vec::new();
    for change in 0..CHANGES {
        for round in 0..ROUNDS {
            for pod in &busy {
                set_ready(&api, pod, (change * ROUNDS + round) % 2 == 1);
            }
            rig.pass(500 * MS).await;
        }
        let is_ready = change % 2 == 1;
        set_ready(&api, &calm, is_ready);
        let changed = Instant::now();
        let shown = if is_ready { "calm-1" } else { "calm-1!" };
        rig.until_endpoints("calm", &[shown]).await;
        waits.push(changed.elapsed());
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn a_calm_service_does_not_wait_for_busy_ones() {
    let count = std::env::var("BUSY").ok().map_or(BUSY, |count| count.parse().unwrap());
    for (namespace, what) in [("other", "another namespace"), ("shop", "the same namespace")] {
        assert_short(waits(namespace, count).await, &format!("beside {count} in {what}"));
    }
}
