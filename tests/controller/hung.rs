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

/// The Service `healthy`, and `count` others.
fn with_others(count: usize) -> FakeApi {
    let mut pods = vec!["healthy-1".to_owned()];
    pods.extend((0..count).map(|number| format!("hung{number}-1")));
    cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>())
}

/// From now on, the writes of the others are never answered.
fn hang(api: &FakeApi, count: usize) {
    for number in 0..count {
        api.fault(on("", "/endpointslices").service(format!("hung{number}")), Effect::Hang);
    }
}

/// Makes all pods of these Services unready or ready, the healthy one last.
fn change(api: &FakeApi, count: usize, is_ready: bool) {
    for number in 0..count {
        set_ready(api, &format!("hung{number}-1"), is_ready);
    }
    set_ready(api, "healthy-1", is_ready);
}

/// How long the changes of the healthy Service took, once it is known which writes hang.
async fn waits(count: usize) -> Vec<Duration> {
    let api = with_others(count);
    hang(&api, count);
    let rig = Rig::start(api.clone());
    rig.pass(5 * MINUTE).await;
    let mut waits = Vec::new();
    for round in 0..CHANGES {
        let is_ready = round % 2 == 1;
        change(&api, count, is_ready);
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

/// How many writes were sent, a time after the pods of 40 Services had changed whose writes take
/// `effect`.
async fn sent_after(wait: Duration, effect: Effect) -> usize {
    let count = 40;
    let api = with_others(count);
    let rig = Rig::start(api.clone());
    rig.pass(MINUTE).await;
    api.fault(on("PUT", "/endpointslices"), effect);
    let before = api.requests().len();
    change(&api, count, false);
    rig.pass(wait).await;
    api.requests()[before..].iter().filter(|request| request.method == "PUT").count()
}

#[tokio::test(start_paused = true)]
async fn more_are_under_way_only_while_some_are_slow() {
    let late = Effect::Delay(950 * MS);
    assert_eq!(sent_after(900 * MS, late.clone()).await, 5);
    assert_eq!(sent_after(2800 * MS, late).await, 15, "none is slow");
    assert_eq!(sent_after(900 * MS, Effect::Hang).await, 5);
    assert_eq!(sent_after(1500 * MS, Effect::Hang).await, 10);
    assert_eq!(sent_after(9 * SECOND, Effect::Hang).await, 25, "there is a limit");
}

#[tokio::test(start_paused = true)]
async fn a_healthy_service_soon_gets_a_turn_when_others_begin_to_hang() {
    let count = 20;
    let api = with_others(count);
    let rig = Rig::start(api.clone());
    rig.pass(MINUTE).await;
    hang(&api, count);
    change(&api, count, false);
    let changed = Instant::now();
    rig.until_endpoints("healthy", &["healthy-1!"]).await;
    let wait = changed.elapsed();
    println!("{wait:?}");
    // Five more are under way each second.
    assert!(wait <= 5 * SECOND, "{wait:?}");
}
