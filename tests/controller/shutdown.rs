//! Stopping: requests that were sent are answered, and nothing further is sent.

use closehaul::control::lease::Farewell;
use fake_api::{
    collections::SLICES,
    faults::{Effect, on},
    rig::*,
};
use tokio::time::Instant;

/// Five Services of 40 slices each, and an API server that takes 2 s to write one: writing all that
/// has begun would take 78 s.
#[tokio::test(start_paused = true)]
async fn no_request_is_sent_after_the_stop_and_the_next_leader_ends_the_work() {
    let services = ["a", "b", "c", "d", "e"];
    let pods = services.iter().flat_map(|service| (0..40).map(move |n| format!("{service}-{n}")));
    let pods: Vec<String> = pods.collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    let options = Options { settings: settings_of(1), ..Options::default() };
    api.fault(on("POST", "/endpointslices"), Effect::Delay(2 * SECOND));
    let rig = Rig::start_with(api.clone(), options);
    rig.until("some slices", |rig| rig.slices("a").len() == 3).await;
    rig.pass(SECOND).await;
    let asked = Instant::now();
    let sent = rig.writes().len();
    let farewell = rig.stop().await.unwrap();
    let took = asked.elapsed();
    assert!(took <= 2 * SECOND, "{took:?}: what was under way has ended");
    let Farewell::Release(within) = farewell else { panic!("all writes were answered") };
    assert!(took + within <= 10 * SECOND, "{within:?} for the lease");
    assert_eq!(api.list(SLICES).len(), sent, "what was sent is done");
    let before = api.requests().len();
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(api.requests().len(), before, "nothing is left behind");

    api.clear_faults();
    let next = Rig::start_with(api, options);
    next.until("the rest", |rig| services.iter().all(|name| rig.slices(name).len() == 40)).await;
    next.pass(MINUTE).await;
    for service in services {
        assert_eq!(next.endpoints(service).len(), 40, "{service}: each once");
    }
}

/// A write that waits for its turn has not been sent, and stops waiting.
#[tokio::test(start_paused = true)]
async fn a_limit_on_writes_does_not_hold_up_the_stop() {
    let api = cluster(&["a-1", "b-1", "c-1"]);
    let options = Options { qps: 0.01, ..Options::default() };
    let rig = Rig::start_with(api.clone(), options);
    rig.until("a write", |rig| rig.writes().len() == 1).await;
    rig.pass(SECOND).await;
    let asked = Instant::now();
    let farewell = rig.stop().await.unwrap();
    assert!(matches!(farewell, Farewell::Release(_)), "{farewell:?}");
    assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    assert_eq!(api.list(SLICES).len(), 1);
}

/// Its write may still be applied when another replica already leads.
#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_while_a_write_is_not_answered() {
    for (timeout, limit) in [(30 * SECOND, 8 * SECOND), (4 * SECOND, 4 * SECOND)] {
        let api = cluster(&["web-1"]);
        api.fault(on("POST", "/endpointslices"), Effect::Hang);
        let rig = Rig::start_with(api, Options { timeout, ..Options::default() });
        rig.until("a write", |rig| !rig.writes().is_empty()).await;
        let asked = Instant::now();
        assert_eq!(rig.stop().await.unwrap(), Farewell::Keep);
        assert!(asked.elapsed() <= limit, "{:?}", asked.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_cannot_list_stops_at_once() {
    let api = cluster(&["web-1"]);
    api.fault(on("GET", ""), Effect::Hang);
    let rig = Rig::start(api);
    rig.pass(SECOND).await;
    let start = Instant::now();
    rig.stop().await.unwrap();
    assert!(start.elapsed() < SECOND);
}
