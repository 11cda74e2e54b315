//! What the metrics say of Services that fail, and of changes that wait for a successful write.

use std::time::Duration;

use closehaul::{clock::Clock, control::lease::leadership};
use fake_api::{
    FakeApi,
    collections::{NODES, SERVICES},
    faults::{Effect, on},
    rig::*,
};
use serde_json::json;

const SHOP: &str = "/namespaces/shop/endpointslices";

/// How many Services fail, and the age of the oldest unanswered change.
fn failing(rig: &Rig) -> (f64, f64) {
    let metric = |name: &str| rig.metric(&format!("closehaul_{name}"));
    (metric("services_failing"), metric("oldest_unanswered_change_seconds"))
}

#[track_caller]
fn assert_failing(rig: &Rig, services: f64, age: std::ops::Range<u64>) {
    let (failing, oldest) = failing(rig);
    assert!((failing - services).abs() < 0.5, "{failing} Services fail");
    let oldest = Duration::from_secs_f64(oldest).as_secs();
    assert!(age.contains(&oldest), "the oldest unanswered change is {oldest} s old, not {age:?}");
}

/// Two namespaces. Writes to the first fail, and there is something to write.
async fn refused(effect: Effect) -> Rig {
    let rig = Rig::settled(cluster(&["shop/web-1", "bank/web-1"])).await;
    assert_eq!(failing(&rig), (0.0, 0.0), "all is written");
    rig.api.fault(on("PUT", SHOP), effect);
    set_ready(&rig.api, "shop/web-1", false);
    rig
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_counted_and_its_age_grows_through_all_back_offs() {
    for effect in [Effect::Answer(403), Effect::Answer(422), Effect::Answer(503), Effect::Refuse] {
        let rig = refused(effect).await;
        for minute in 1..90 {
            rig.pass(MINUTE).await;
            assert_failing(&rig, 1.0, minute * 60 - 2..minute * 60 + 1);
        }
        assert!(rig.metric("closehaul_queue_oldest_seconds") < 1.0, "it is never overdue");
        set_ready(&rig.api, "bank/web-1", false);
        rig.pass(2 * SECOND).await;
        assert_eq!(rig.endpoints("bank/web"), ["web-1!"]);
        assert_failing(&rig, 1.0, 5340..5343);
        rig.api.clear_faults();
        rig.pass(MINUTE + 5 * SECOND).await;
        assert_eq!(rig.endpoints("shop/web"), ["web-1!"]);
        assert_failing(&rig, 0.0, 0..1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_gone_no_longer_fails() {
    for effect in [Effect::Answer(403), Effect::Hang] {
        let rig = refused(effect).await;
        rig.pass(10 * MINUTE).await;
        assert_failing(&rig, 1.0, 598..601);
        remove(&rig.api, SERVICES, "shop/web");
        rig.pass(2 * SECOND).await;
        assert_failing(&rig, 0.0, 0..1);
        rig.pass(10 * MINUTE).await;
        assert_failing(&rig, 0.0, 0..1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_selects_nothing_any_more_no_longer_fails() {
    let rig = refused(Effect::Answer(403)).await;
    rig.pass(10 * MINUTE).await;
    edit(&rig.api, SERVICES, "shop/web", |service| {
        service["spec"]["selector"] = json!({});
    });
    rig.pass(2 * SECOND).await;
    assert_failing(&rig, 0.0, 0..1);
}

/// A plan that needs nothing any more answers the change.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_undone_is_answered() {
    let rig = refused(Effect::Answer(403)).await;
    rig.pass(10 * MINUTE).await;
    set_ready(&rig.api, "shop/web-1", true);
    rig.pass(MINUTE + 2 * SECOND).await;
    assert_failing(&rig, 0.0, 0..1);
}

#[tokio::test(start_paused = true)]
async fn a_change_in_its_batch_window_is_unanswered_and_fails_nowhere() {
    let mut options = Options::default();
    options.settings.batch_period = 30 * SECOND;
    let rig = Rig::settled_with(cluster(&["web-1"]), options).await;
    set_ready(&rig.api, "web-1", false);
    rig.pass(10 * SECOND).await;
    set_ready(&rig.api, "web-1", true);
    rig.pass(5 * SECOND).await;
    set_ready(&rig.api, "web-1", false);
    rig.pass(5 * SECOND).await;
    assert_failing(&rig, 0.0, 18..21);
    rig.pass(15 * SECOND).await;
    assert_eq!(rig.endpoints("web"), ["web-1!"]);
    assert_failing(&rig, 0.0, 0..1);
}

/// A change that arrives while an earlier one is written waits for a write of its own.
#[tokio::test(start_paused = true)]
async fn a_change_during_a_write_is_unanswered() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    rig.api.fault(on("PUT", "/endpointslices").times(1), Effect::DoAndDelay(5 * SECOND));
    set_ready(&rig.api, "web-1", false);
    rig.pass(2 * SECOND).await;
    rig.api.fault(on("PUT", "/endpointslices"), Effect::Answer(403));
    set_ready(&rig.api, "web-1", true);
    rig.pass(18 * SECOND).await;
    assert_failing(&rig, 1.0, 16..19);
}

/// Rewrites of hints wait for their turn by intention.
#[tokio::test(start_paused = true)]
async fn paced_rewrites_of_hints_are_no_unanswered_changes() {
    let mut options = Options::default();
    options.settings.replan_qps = 0.01;
    let pods: Vec<String> = (0..9).map(|number| format!("web{number}-1")).collect();
    let rig =
        Rig::settled_with(cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>()), options)
            .await;
    for node in ["/a1", "/b1"] {
        edit(&rig.api, NODES, node, |node| {
            node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("z");
        });
    }
    rig.pass(2 * MINUTE).await;
    assert!(rig.metric("closehaul_queue_services{class=\"hints\"}") > 0.0, "some wait");
    assert_failing(&rig, 0.0, 0..1);
}

#[tokio::test(start_paused = true)]
async fn on_standby_nothing_fails_and_nothing_is_unanswered() {
    let (sender, leadership) = leadership(Clock::runtime());
    let api: FakeApi = cluster(&["shop/web-1"]);
    let rig = Rig::start_led(api, Options::default(), leadership);
    rig.pass(MINUTE).await;
    set_ready(&rig.api, "shop/web-1", false);
    rig.pass(10 * MINUTE).await;
    assert_failing(&rig, 0.0, 0..1);
    drop(sender);
}
