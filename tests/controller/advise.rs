//! `--mode advise`: everything is computed and reported, and nothing is written.

use closehaul::control::{controller::Mode, lease::Leadership};
use fake_api::{
    FakeApi, Seen,
    collections::{POLICIES, SERVICES},
    rig::*,
};
use serde_json::{Value, json};

use crate::log::Log;

fn options() -> Options {
    let mut options = Options::default();
    options.settings.mode = Mode::Advise;
    options
}

/// A cluster whose slices another controller writes.
async fn managed(pods: &[&str]) -> FakeApi {
    let api = cluster(pods);
    api.install();
    Rig::settled(api.clone()).await.abort().await;
    api
}

fn is_write(seen: &Seen) -> bool {
    seen.method != "GET"
}

fn guarded(mode: &str) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": "guard" },
        "spec": { "mode": mode, "prefer": ["Zone"], "guard": { "maxOverloadPercent": 20 } },
    })
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_whatever_happens() {
    let log = Log::start();
    let api = managed(&["web-0", "web-1", "web-2", "web-4"]).await;
    let before = api.count(is_write);
    let rig = Rig::start_led(api.clone(), options(), Leadership::never());
    rig.pass(10 * SECOND).await;
    api.put(POLICIES, guarded("Enforce"));
    set_ready(&api, "web-1", false);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    rig.pass(MINUTE).await;
    set_ready(&api, "web-1", true);
    rig.pass(10 * MINUTE).await;
    assert_eq!(api.count(is_write), before);
    assert_eq!(rig.metric("closehaul_leader"), 0.0);
    assert_eq!(rig.metric("closehaul_services{reason=\"Shadow\",state=\"Shadow\"}"), 1.0);
    assert_eq!(log.lines("another"), [""; 0], "another controller is what is expected");
}

/// What the log says of Services that request nothing.
#[tokio::test(start_paused = true)]
async fn what_a_preference_would_bring_is_logged() {
    let log = Log::start();
    let api = managed(&["web-0", "web-1", "web-2", "db-1"]).await;
    let rig = Rig::start_led(api.clone(), options(), Leadership::never());
    rig.pass(10 * SECOND).await;
    let offers = log.lines("PreferSameZone");
    let of = |service: &str| {
        let is_it = |line: &&String| line.contains(&format!("service={service} "));
        offers.iter().filter(is_it).cloned().collect::<Vec<_>>()
    };
    assert_eq!((of("web").len(), of("db").len()), (1, 1), "{offers:?}");
    assert!(of("web")[0].contains("state=Applied"), "{offers:?}");
    assert!(of("web")[0].contains("in_zone_percent=100"), "{offers:?}");
    assert!(of("db")[0].contains("state=Partial"), "{offers:?}");
    assert!(of("db")[0].contains("in_zone_percent=33"), "{offers:?}");
}

/// An adviser states of each Service what a leader states under the same policies in mode Shadow.
#[tokio::test(start_paused = true)]
async fn an_adviser_states_what_a_leader_does_in_mode_shadow() {
    let pods = ["web-0", "web-1", "web-2", "web-4", "db-1", "other/web-1"];
    let states = |rig: &Rig| {
        let text = rig.metrics.text().unwrap();
        let is_of_services = |line: &&str| {
            line.starts_with("closehaul_services{") || line.starts_with("closehaul_decisions{")
        };
        let is_none = |line: &&str| line.ends_with(" 0");
        let lines = text.lines().filter(|line| is_of_services(line) && !is_none(line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let api = managed(&pods).await;
    api.put(POLICIES, guarded("Enforce"));
    let adviser = Rig::start_led(api, options(), Leadership::never());
    adviser.pass(10 * SECOND).await;
    let api = managed(&pods).await;
    api.put(POLICIES, guarded("Shadow"));
    let leader = Rig::settled(api).await;
    assert_eq!(states(&adviser), states(&leader));
    assert!(states(&adviser).len() > 2, "{:?}", states(&adviser));
}
