//! Writes that hang: they delay other Services only until it is known which ones hang.

use std::time::Duration;

use fake_api::{
    FakeApi,
    faults::{Effect, on},
    rig::*,
};
use tokio::time::Instant;

use crate::waits::assert_short;

/// How often the healthy Service changes.
const CHANGES: usize = 40;

/// The Service `healthy`, and `count` others whose writes are never answered and whose pods change.
fn beside_hung(count: usize) -> FakeApi {
    let mut pods = vec!["healthy-1".to_owned()];
    pods.extend((0..count).map(|number| format!("hung{number}-1")));
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    for number in 0..count {
        api.fault(on("", "/endpointslices").service(format!("hung{number}")), Effect::Hang);
    }
    api
}

/// How long the changes of the healthy Service took, once it is known which writes hang.
async fn waits(count: usize) -> Vec<Duration> {
    let api = beside_hung(count);
    let rig = Rig::start(api.clone());
    rig.pass(5 * MINUTE).await;
    let mut waits = Vec::new();
    for change in 0..CHANGES {
        let is_ready = change % 2 == 1;
        for number in 0..count {
            set_ready(&api, &format!("hung{number}-1"), is_ready);
        }
        set_ready(&api, "healthy-1", is_ready);
        let changed = Instant::now();
        let shown = if is_ready { "healthy-1" } else { "healthy-1!" };
        rig.until_endpoints("healthy", &[shown]).await;
        waits.push(changed.elapsed());
        rig.pass(SECOND).await;
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn a_healthy_service_does_not_wait_for_those_that_hang() {
    for count in [0, 20, 100] {
        assert_short(waits(count).await, &format!("beside {count} hung Services"));
    }
}
