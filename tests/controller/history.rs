//! The API server's store is restored from a backup (kubernetes#107457). Its watches are as blind
//! as the real one's: a watch resumed at the old, higher version receives no event until the new
//! history reaches that version, and no bookmark at or below it.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use fake_api::{
    FakeApi, Seen,
    collections::{CONFIG_MAPS, LEASES, NODES, PODS, SERVICES, SLICES},
    faults::{Effect, on},
    replica::Replica,
    rig::*,
    samples::{name, pod, service},
};
use serde_json::json;

use crate::log::Log;

const SIGNS: [&str; 5] = ["list", "object", "create", "update", "lease"];

/// What happens between backup and restore, and how long the API server is unavailable.
#[derive(Clone, Copy, Debug)]
struct Case {
    outage: std::time::Duration,
    /// Writes in the new history before closehaul is connected again.
    overtakes: bool,
}

const SHORT: Case = Case { outage: SECOND.saturating_mul(3), overtakes: false };
const LONG: Case = Case { outage: SECOND.saturating_mul(15), overtakes: false };
const SHORT_OVERTAKEN: Case = Case { overtakes: true, ..SHORT };
const LONG_OVERTAKEN: Case = Case { overtakes: true, ..LONG };

/// A cluster, and the version to which a test restores it. After that version, a pod is deleted,
/// one becomes unready, and a Service is created.
async fn cluster_with_backup(pass: impl AsyncFn(std::time::Duration)) -> (FakeApi, u64) {
    let api = cluster(&["web-1", "web-2", "db-1"]);
    pass(SECOND).await;
    let backup = api.version();
    (api, backup)
}

fn change_after_backup(api: &FakeApi) {
    remove(api, PODS, "web-2");
    set_ready(api, "web-1", false);
    api.put(SERVICES, service("late"));
    api.put(PODS, pod("late-1"));
    for round in 0..40 {
        set_ready(api, "web-1", round % 2 == 0);
    }
    set_ready(api, "web-1", false);
}

/// The API server becomes unavailable, and comes back with the store as it was.
async fn restore(api: &FakeApi, backup: u64, case: Case, pass: impl AsyncFn(std::time::Duration)) {
    let before = api.version();
    api.disconnect();
    pass(case.outage).await;
    api.restore(backup);
    if case.overtakes {
        overtake(api, before + 50);
    }
    // Versions that the lost history also had.
    set_ready(api, "db-1", false);
    api.connect();
}

/// Writes until the version is past this one.
fn overtake(api: &FakeApi, version: u64) {
    while api.version() <= version {
        let data = json!({ "version": api.version() });
        api.put(
            CONFIG_MAPS,
            json!({ "metadata": { "namespace": "x", "name": "m" }, "data": data }),
        );
    }
}

fn rewinds(rig: &Rig) -> f64 {
    let series = |sign| format!("closehaul_history_rewinds_total{{sign=\"{sign}\"}}");
    SIGNS.iter().map(|sign| rig.metric(&series(sign))).sum()
}

fn full_lists(api: &FakeApi) -> usize {
    api.count(|seen| seen.query.contains("sendInitialEvents=true"))
}

fn is_right(rig: &Rig) -> bool {
    rig.endpoints("web") == ["web-1", "web-2"] && rig.endpoints("db") == ["db-1!"]
}

#[tokio::test(start_paused = true)]
async fn one_replica_follows_a_restored_store() {
    for case in [SHORT, LONG, LONG_OVERTAKEN] {
        let log = Log::start();
        let pass = async |time| tokio::time::sleep(time).await;
        let (api, _) = cluster_with_backup(pass).await;
        let rig = Rig::settled(api.clone()).await;
        let backup = api.version();
        change_after_backup(&api);
        rig.until_endpoints("web", &["web-1!"]).await;
        rig.pass(MINUTE).await;
        let before = full_lists(&api);
        restore(&api, backup, case, pass).await;
        let took = rig.until(&format!("right: {case:?}"), is_right).await;
        assert!(took <= MINUTE, "{case:?}: {took:?}");
        rig.pass(10 * MINUTE).await;
        assert!(is_right(&rig), "{case:?}");
        assert!(rewinds(&rig) >= 1.0, "{case:?}");
        assert!(!log.lines("history went back").is_empty(), "{case:?}");
        assert_eq!(full_lists(&api) - before, 4, "{case:?}: one list of each kind");
        set_ready(&api, "web-2", false);
        let took = rig.until_endpoints("web", &["web-1", "web-2!"]).await;
        assert!(took < SECOND, "{case:?}: {took:?}");
        rig.abort().await;
    }
}

/// A leader and a standby, both right, and the version of a backup that lacks the latest changes.
async fn two_replicas_after_a_backup() -> (FakeApi, u64, Replica, Replica) {
    let (api, _) = cluster_with_backup(tokio::time::sleep).await;
    let first = Replica::start(&api, Options::default());
    first.rig.until("right", |rig| rig.endpoints("web").len() == 2).await;
    let second = Replica::start(&api, Options::default());
    first.rig.pass(20 * SECOND).await;
    let backup = api.version();
    change_after_backup(&api);
    first.rig.until_endpoints("web", &["web-1!"]).await;
    first.rig.pass(MINUTE).await;
    (api, backup, first, second)
}

/// The standby is blind because it knows the state from before. It lists again, as the leader
/// does.
#[tokio::test(start_paused = true)]
async fn two_replicas_follow_a_restored_store() {
    for case in [SHORT, LONG, SHORT_OVERTAKEN, LONG_OVERTAKEN] {
        let (api, backup, first, second) = two_replicas_after_a_backup().await;
        restore(&api, backup, case, tokio::time::sleep).await;
        let took = second.rig.until(&format!("right: {case:?}"), is_right).await;
        assert!(took <= MINUTE, "{case:?}: {took:?}");
        first.rig.pass(MINUTE).await;
        assert!(rewinds(&second.rig) >= 1.0, "{case:?}: the standby has seen it, too");
        // The lease changes hands, whichever replica held it.
        let is_first = !first.election.is_finished();
        assert_eq!(is_first, case.outage < 10 * SECOND, "a long outage ends the leader");
        first.election.abort();
        first.rig.abort().await;
        set_ready(&api, "db-1", true);
        remove(&api, PODS, "web-1");
        let took = second
            .rig
            .until("right again", |rig| {
                rig.endpoints("db") == ["db-1"] && rig.endpoints("web") == ["web-2"]
            })
            .await;
        assert!(took <= 20 * SECOND, "{case:?}: {took:?}");
        second.election.abort();
        second.rig.abort().await;
    }
}

/// The leader is restarted while the standby may be blind. The standby takes over with what it
/// knows.
#[tokio::test(start_paused = true)]
async fn a_standby_takes_over_right_after_a_restore() {
    for case in [SHORT, LONG, LONG_OVERTAKEN] {
        let (api, backup, first, second) = two_replicas_after_a_backup().await;
        first.election.abort();
        first.rig.abort().await;
        restore(&api, backup, case, tokio::time::sleep).await;
        let took = second.rig.until(&format!("right: {case:?}"), is_right).await;
        assert!(took <= MINUTE, "{case:?}: {took:?}");
        second.election.abort();
        second.rig.abort().await;
    }
}

/// An update that changes nothing returns the version that was there.
#[tokio::test(start_paused = true)]
async fn writes_that_change_nothing_are_no_sign() {
    let log = Log::start();
    let api = cluster(&["web-1", "web-2"]);
    let replica = Replica::start(&api, Options::default());
    replica.rig.until_endpoints("web", &["web-1", "web-2"]).await;
    replica.rig.pass(MINUTE).await;
    let before = full_lists(&api);
    let slice = name(&replica.rig.slice("web")).to_owned();
    for round in 0..1000 {
        // Another client writes what is already there.
        api.edit(SLICES, "shop", &slice, |_| ());
        if round % 10 == 0 {
            set_ready(&api, "web-1", round % 20 != 0);
        }
        replica.rig.pass(SECOND).await;
    }
    assert_eq!((full_lists(&api), rewinds(&replica.rig)), (before, 0.0));
    assert_eq!(log.lines("history"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_cluster_raises_no_alarm_and_costs_no_list() {
    let api = cluster(&["web-1", "web-2"]);
    let (first, second) =
        (Replica::start(&api, Options::default()), Replica::start(&api, Options::default()));
    let alone = Rig::settled(cluster(&["web-1"])).await;
    first.rig.pass(MINUTE).await;
    let before = (api.count(is_list), alone.api.count(is_list));
    first.rig.pass(30 * MINUTE).await;
    assert_eq!((api.count(is_list), alone.api.count(is_list)), before);
    for rig in [&first.rig, &second.rig, &alone] {
        assert_eq!(rewinds(rig), 0.0);
        for kind in ["services", "pods", "nodes", "endpointslices"] {
            let age = rig.metric(&format!("closehaul_watch_last_event_seconds{{kind=\"{kind}\"}}"));
            assert!((0.0..=87.0).contains(&age), "{kind}: {age}");
        }
    }
}

/// Streamed, in pages, or of one object.
fn is_list(seen: &Seen) -> bool {
    seen.query.contains("sendInitialEvents=true") || seen.query.contains("limit=")
}

/// The API server is restarted, and has lost nothing.
#[tokio::test(start_paused = true)]
async fn a_restart_is_no_rewind() {
    let log = Log::start();
    let api = cluster(&["web-1", "web-2"]);
    let (first, second) =
        (Replica::start(&api, Options::default()), Replica::start(&api, Options::default()));
    first.rig.pass(MINUTE).await;
    let before = full_lists(&api);
    for round in 0..10 {
        api.disconnect();
        first.rig.pass(3 * SECOND).await;
        set_ready(&api, "web-1", round % 2 == 0);
        api.connect();
        first.rig.pass(5 * MINUTE).await;
    }
    assert_eq!((full_lists(&api), rewinds(&first.rig) + rewinds(&second.rig)), (before, 0.0));
    assert_eq!(log.lines("history"), [""; 0]);
}

/// As with a load balancer that cuts connections on which nothing is sent.
#[tokio::test(start_paused = true)]
async fn connections_that_are_cut_when_quiet_cost_no_list() {
    let log = Log::start();
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    let before = full_lists(&rig.api);
    for _ in 0..30 {
        rig.pass(50 * SECOND).await;
        rig.api.end_watches();
    }
    assert_eq!((full_lists(&rig.api), rewinds(&rig)), (before, 0.0));
    assert_eq!(log.lines("history"), [""; 0]);
}

/// An answer, although not a successful one: the API server was available.
#[tokio::test(start_paused = true)]
async fn a_replica_without_permission_to_the_lease_lists_nothing_again() {
    let log = Log::start();
    let api = cluster(&["web-1", "web-2"]);
    api.fault(on("GET", "/leases"), Effect::Answer(403));
    let replica = Replica::start(&api, Options::default());
    replica.rig.pass(MINUTE).await;
    let before = full_lists(&api);
    replica.rig.pass(30 * MINUTE).await;
    assert_eq!((full_lists(&api), rewinds(&replica.rig)), (before, 0.0));
    assert_eq!(log.lines("history"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_by_hand_is_no_rewind() {
    let api = cluster(&["web-1", "web-2"]);
    let (first, second) =
        (Replica::start(&api, Options::default()), Replica::start(&api, Options::default()));
    first.rig.pass(MINUTE).await;
    for _ in 0..3 {
        api.remove(LEASES, "kube-system", "closehaul");
        first.rig.pass(MINUTE).await;
    }
    assert_eq!(rewinds(&first.rig) + rewinds(&second.rig), 0.0);
}

/// Its slice came and went without an event.
#[tokio::test(start_paused = true)]
async fn a_slice_that_was_lost_before_it_was_seen_is_created_again() {
    for case in [SHORT, LONG, LONG_OVERTAKEN] {
        let pass = async |time| tokio::time::sleep(time).await;
        let rig = Rig::settled(cluster(&["web-1", "web-2", "late-1"])).await;
        rig.api.hold(SLICES);
        rig.api.put(PODS, pod("new-1"));
        rig.api.put(SERVICES, service("new"));
        let backup = rig.api.version();
        rig.until_endpoints("new", &["new-1"]).await;
        rig.api.put(PODS, pod("db-1"));
        rig.api.put(SERVICES, service("db"));
        rig.pass(SECOND).await;
        rig.api.release(SLICES);
        rig.api.disconnect();
        pass(case.outage).await;
        rig.api.restore(backup);
        assert_eq!(rig.slices("new").len(), 0);
        if case.overtakes {
            overtake(&rig.api, backup + 1000);
        }
        rig.api.connect();
        let took = rig.until_endpoints("new", &["new-1"]).await;
        assert!(took <= MINUTE, "{case:?}: {took:?}");
        rig.abort().await;
    }
}

/// closehaul notices it only by a local write: no connection breaks, and watches are blind. It
/// waits for a deleted node, and then removes its pods.
#[tokio::test(start_paused = true)]
async fn the_answer_to_a_write_shows_a_rewind() {
    let rig = Rig::settled(cluster(&["web-1", "web-2", "db-1"])).await;
    let backup = rig.api.version();
    for round in 0..40 {
        set_ready(&rig.api, "db-1", round % 2 == 0);
        rig.pass(SECOND).await;
    }
    set_ready(&rig.api, "db-1", false);
    rig.until_endpoints("db", &["db-1!"]).await;
    let before = full_lists(&rig.api);
    remove(&rig.api, NODES, "/b1");
    rig.pass(SECOND).await;
    rig.api.restore(backup);
    assert_eq!((rig.endpoints("db"), rig.endpoints("web").len()), (vec!["db-1".to_owned()], 2));
    let writes = rig.writes().len();
    let took = rig.until("a write", |rig| rig.writes().len() > writes).await;
    assert!((8 * SECOND..=10 * SECOND).contains(&took), "{took:?}");
    let took = rig.until_endpoints("web", &["web-1", "web-2"]).await;
    assert!(took <= MINUTE, "{took:?}");
    rig.pass(5 * MINUTE).await;
    assert_eq!(rig.metric("closehaul_history_rewinds_total{sign=\"update\"}"), 1.0);
    assert_eq!(full_lists(&rig.api) - before, 4);
    set_ready(&rig.api, "db-1", false);
    assert!(rig.until_endpoints("db", &["db-1!"]).await < SECOND);
}
