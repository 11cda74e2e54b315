//! Leadership: without the lease, nothing is written, not even in the middle of a job.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use closehaul::{
    clock::{Clock, Moment},
    control::lease::{Farewell, LeaseError},
};
use fake_api::{
    FakeApi,
    collections::{LEASES, SERVICES, SLICES},
    faults::{Effect, on},
    replica::Replica,
    rig::*,
    samples::service,
};
use serde_json::json;
use tokio::time::Instant;

use crate::log::Log;

/// Slices of one endpoint, each written in a second: a job of many writes takes long.
fn slow() -> (FakeApi, Options) {
    let pods: Vec<String> = (0..30).map(|number| format!("web-{number}")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    api.fault(on("POST", "/endpointslices"), Effect::Delay(SECOND));
    (api, Options { settings: settings_of(1), ..Options::default() })
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_one_writes_and_the_other_is_ready_to() {
    let api = cluster(&["web-1", "web-2"]);
    let first = Replica::start(&api, Options::default());
    first.rig.until_endpoints("web", &["web-1", "web-2"]).await;
    let second = Replica::start(&api, Options::default());
    for is_ready in [false, true] {
        set_ready(&api, "web-1", is_ready);
        first.rig.pass(MINUTE).await;
    }
    let slices = |api: &FakeApi| {
        api.count(|seen| seen.method != "GET" && seen.path.contains("/endpointslices"))
    };
    assert_eq!(slices(&api), 3, "each change is written once");
    first.election.abort();
    first.rig.abort().await;
    set_ready(&api, "web-1", false);
    let took = second.rig.until_endpoints("web", &["web-1!", "web-2"]).await;
    assert!(took < 20 * SECOND, "{took:?}");
    assert_eq!(slices(&api), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_past_the_renew_deadline_in_the_middle_of_a_job() {
    let (api, options) = slow();
    let replica = Replica::start(&api, options);
    replica.rig.until("a slice", |rig| rig.slices("web").len() == 1).await;
    api.fault(on("PUT", "/leases"), Effect::Hang);
    let cut = Instant::now();
    assert!(replica.election.await.unwrap().is_err());
    let lost = Instant::now();
    assert!(lost - cut <= 10 * SECOND, "{:?}", lost - cut);
    replica.rig.pass(10 * MINUTE).await;
    let made = replica.rig.slices("web").len();
    assert!((2..30).contains(&made), "the job was under way: {made}");
    let is_late = |at: Instant| at > lost;
    assert_eq!(api.count(|seen| seen.method != "GET" && is_late(seen.at)), 0);
}

/// 40 slices at 2 s a write: writing them all would take 80 s.
#[tokio::test(start_paused = true)]
async fn a_leader_that_is_asked_to_stop_in_the_middle_of_a_job_hands_it_over() {
    let pods: Vec<String> = (0..40).map(|number| format!("web-{number}")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    api.fault(on("POST", "/endpointslices"), Effect::Delay(2 * SECOND));
    let options = Options { settings: settings_of(1), ..Options::default() };
    let first = Replica::start(&api, options);
    first.rig.until("a slice", |rig| rig.slices("web").len() == 1).await;
    let second = Replica::start(&api, options);
    second.rig.pass(SECOND).await;
    let asked = Instant::now();
    let farewell = first.stop().await;
    assert!(matches!(farewell, Farewell::Release(_)), "{farewell:?}");
    assert!(asked.elapsed() <= 2 * SECOND, "{:?}", asked.elapsed());
    let lease = api.get(LEASES, "kube-system", "closehaul").unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "");
    assert_eq!(second.rig.slices("web").len(), 2, "one was under way");
    second.rig.until("all slices", |rig| rig.slices("web").len() == 40).await;
    second.rig.pass(MINUTE).await;
    assert_eq!(second.rig.endpoints("web").len(), 40, "and none twice");
}

/// A machine that is suspended: timers stand still, and for other replicas the lease expires.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_after_a_suspension_that_outlasts_the_lease() {
    let (api, options) = slow();
    let suspended = Arc::new(AtomicU64::new(0));
    let running = Clock::runtime();
    let clock = {
        let (suspended, start) = (Arc::clone(&suspended), running.now());
        Clock::new(move || {
            let suspended = suspended.load(Ordering::Relaxed);
            let ran = running.now().saturating_since(start);
            Moment::after_start(ran + Duration::from_secs(suspended))
        })
    };
    let replica = Replica::start_by(clock, &api, options);
    replica.rig.until("a slice", |rig| rig.slices("web").len() == 1).await;
    suspended.store(30, Ordering::Relaxed);
    let continued = Instant::now();
    let error = replica.election.await.unwrap().unwrap_err();
    assert!(matches!(error, LeaseError::NotRenewed { .. }), "{error}");
    assert!(continued.elapsed() <= SECOND, "{:?}", continued.elapsed());
    replica.rig.pass(10 * MINUTE).await;
    let made = replica.rig.slices("web").len();
    assert!((1..30).contains(&made), "the job was under way: {made}");
    let is_late = |at: Instant| at > continued;
    assert_eq!(api.count(|seen| seen.method != "GET" && is_late(seen.at)), 0, "not even a renewal");
}

/// Another client takes the lease, as a replica would if its renewals got through.
#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_a_job_and_the_next_leader_ends_the_work() {
    let (api, options) = slow();
    // A write that was sent before is done when the lease is already another client's.
    api.check_apart();
    let first = Replica::start(&api, options);
    first.rig.until("a slice", |rig| rig.slices("web").len() == 1).await;
    let second = Replica::start(&api, options);
    second.rig.pass(SECOND).await;
    api.edit(LEASES, "kube-system", "closehaul", |lease| {
        lease["spec"]["holderIdentity"] = json!("another client");
    });
    assert!(first.election.await.unwrap().is_err());
    let lost = Instant::now();
    let made = first.rig.slices("web").len();
    second.rig.until("all slices", |rig| rig.slices("web").len() == 30).await;
    let writes = api.requests();
    let mut later = writes.iter().filter(|seen| seen.method == "POST" && seen.at > lost);
    let pause = later.next().unwrap().at - lost;
    assert!(made < 10 && pause > 10 * SECOND, "{made} made, then a pause of {pause:?}");
    second.rig.pass(MINUTE).await;
    assert_eq!(second.rig.endpoints("web").len(), 30, "and none twice");
    drop(first.rig);
}

/// Events that wait for their turn when the lease is lost are dropped.
#[tokio::test(start_paused = true)]
async fn no_events_without_the_lease() {
    let pods: Vec<String> = (0..60).map(|number| format!("s{number}-1")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    let first = Replica::start(&api, Options::default());
    let second = Replica::start(&api, Options::default());
    first.rig.until("all", |rig| rig.slices("s59").len() == 1).await;
    first.rig.pass(5 * SECOND).await;
    for number in 0..60 {
        let mut headless = service(&format!("s{number}"));
        headless["spec"]["clusterIP"] = json!("None");
        headless["spec"]["trafficDistribution"] = json!("PreferSameZone");
        api.put(SERVICES, headless);
    }
    first.rig.pass(5 * SECOND).await;
    let sent = api.count(is_event);
    assert!((25..=35).contains(&sent), "{sent}: by one copy, in turn");
    api.fault(on("PUT", "/leases"), Effect::Hang);
    assert!(first.election.await.unwrap().is_err());
    let lost = Instant::now();
    first.rig.pass(10 * MINUTE).await;
    assert_eq!(api.count(|seen| is_event(seen) && seen.at > lost), 0);
    drop(second);
}

/// For a replica that does not lead, all writes are by other clients. For one that has just begun
/// to lead, so are the writes of the last leader that it has not seen yet.
#[tokio::test(start_paused = true)]
async fn the_leaders_writes_are_no_other_writers() {
    let log = Log::start();
    let api = cluster(&["web-1", "web-2"]);
    let first = Replica::start(&api, Options::default());
    first.rig.until_endpoints("web", &["web-1", "web-2"]).await;
    let second = Replica::start(&api, Options::default());
    for round in 0..60 {
        set_ready(&api, "web-1", round % 2 == 0);
        first.rig.pass(SECOND).await;
    }
    api.hold(SLICES);
    set_ready(&api, "web-1", true);
    first.rig.pass(SECOND).await;
    assert_eq!(first.rig.endpoints("web"), ["web-1", "web-2"]);
    first.election.abort();
    first.rig.abort().await;
    set_ready(&api, "web-2", false);
    let puts = |api: &FakeApi| {
        api.count(|seen| seen.method == "PUT" && seen.path.contains("/endpointslices/"))
    };
    let before = puts(&api);
    second.rig.until("the second leads and tries", |_| puts(&api) > before).await;
    api.release(SLICES);
    second.rig.until_endpoints("web", &["web-1", "web-2!"]).await;
    second.rig.pass(MINUTE).await;
    assert_eq!(second.rig.events("web"), [""; 0]);
    assert_eq!(log.lines("another controller writes"), [""; 0]);
}
