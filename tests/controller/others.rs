//! Other writers who go on: the built-in controller left running beside closehaul, a second
//! installation, a client that disagrees; and clients that only look like one.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use fake_api::{
    collections::{PODS, SERVICES, SLICES},
    faults::{Effect, on},
    rig::*,
    samples::name,
};
use serde_json::{Value, json};

use crate::log::Log;

const OVERWRITTEN: &str = "OverwrittenByOtherController";

/// Services with a preference that is ineffective for this reason.
const CONTESTED: &str =
    "closehaul_services{reason=\"OverwrittenByOtherController\",state=\"Ineffective\"}";

/// A controller that has led for a while, with two Services of one pod each.
async fn leading() -> Rig {
    let rig = Rig::settled(cluster(&["web-1", "db-1"])).await;
    rig.pass(10 * SECOND).await;
    rig
}

/// Another client sees a pod's change first, and writes what closehaul would have written.
async fn overtake(rig: &Rig, pod: &str, is_ready: bool) {
    rig.api.hold(PODS);
    set_ready(&rig.api, pod, is_ready);
    let service = pod.rsplit_once('-').unwrap().0;
    edit(&rig.api, SLICES, name(&rig.slice(service)), |slice| {
        let conditions = json!({ "ready": is_ready, "serving": is_ready, "terminating": false });
        slice["endpoints"][0]["conditions"] = conditions;
    });
    rig.pass(10 * MS).await;
    rig.api.release(PODS);
    rig.pass(10 * MS).await;
}

fn edit_endpoints(rig: &Rig, service: &str, address: usize) {
    edit(&rig.api, SLICES, name(&rig.slice(service)), |slice| {
        slice["endpoints"] = json!([{
            "addresses": [format!("10.9.9.{address}")],
            "conditions": { "ready": true },
            "targetRef": { "kind": "Pod", "name": "other" },
        }]);
    });
}

#[tokio::test(start_paused = true)]
async fn who_writes_the_same_is_noticed_and_forgotten_when_gone() {
    let log = Log::start();
    let mut rig = leading().await;
    overtake(&rig, "web-1", false).await;
    rig.pass(20 * SECOND).await;
    assert_eq!(rig.events("web"), [""; 0], "it might have been a local write");
    overtake(&rig, "db-1", false).await;
    rig.pass(SECOND).await;
    assert_eq!(rig.events("db"), [OVERWRITTEN]);
    assert_eq!(rig.metric("closehaul_other_writer_active"), 1.0);
    let found = log.lines("append -endpointslice-controller");
    assert!(found.len() == 1 && found[0].contains("WARN"), "{found:?}");
    for is_ready in [true, false, true] {
        overtake(&rig, "web-1", is_ready).await;
        rig.pass(100 * SECOND).await;
    }
    assert_eq!(rig.events("web"), [""; 0], "it is known");
    assert_eq!(log.lines("no other controller"), [""; 0]);
    rig.pass(5 * MINUTE).await;
    assert_eq!(log.lines("no other controller").len(), 1);
    assert_eq!(rig.metric("closehaul_other_writer_active"), 0.0);
    assert_eq!(rig.metric("closehaul_foreign_slice_writes_total"), 5.0);
    overtake(&rig, "web-1", false).await;
    overtake(&rig, "web-1", true).await;
    rig.pass(SECOND).await;
    assert_eq!(rig.events("web"), [OVERWRITTEN], "it is back");
    assert_eq!(rig.methods(), [""; 0], "there never was anything to do");
}

#[tokio::test(start_paused = true)]
async fn writes_that_are_minutes_apart_are_nobodys() {
    let rig = leading().await;
    for round in 0..6 {
        overtake(&rig, "web-1", round % 2 == 1).await;
        rig.pass(5 * MINUTE).await;
    }
    assert_eq!(rig.events("web"), [""; 0]);
}

/// Three repairs a minute are a fight. Repairs become slower and slower, and are quick again later.
#[tokio::test(start_paused = true)]
async fn a_fight_slows_down() {
    for every in [50 * MS, 300 * MS, 999 * MS, 3 * SECOND] {
        let mut rig = leading().await;
        edit(&rig.api, SERVICES, "web", |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        });
        rig.pass(SECOND).await;
        rig.look();
        let rounds = (4 * MINUTE).as_millis() / every.as_millis();
        for round in 0..usize::try_from(rounds).unwrap() {
            edit_endpoints(&rig, "web", round % 2);
            rig.pass(every).await;
        }
        let times: Vec<_> = rig.look().iter().map(|seen| seen.at).collect();
        let waits: Vec<_> = times.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
        assert!((7..=16).contains(&times.len()), "against one per {every:?}: {waits:?}");
        assert!(waits.iter().max().unwrap() >= &55, "against one per {every:?}: {waits:?}");
        assert_eq!(rig.events("web"), [OVERWRITTEN], "against one per {every:?}");
        assert_eq!(rig.metric(CONTESTED), 1.0);
        // Other Services are not affected, and pods come first.
        edit_endpoints(&rig, "db", 7);
        let took = rig.until_endpoints("db", &["db-1"]).await;
        assert!(took <= 1100 * MS, "{took:?}");
        set_ready(&rig.api, "web-1", false);
        assert!(rig.until_endpoints("web", &["web-1!"]).await < SECOND);
        rig.pass(6 * MINUTE).await;
        assert_eq!(rig.metric(CONTESTED), 0.0);
        edit_endpoints(&rig, "web", 7);
        let took = rig.until_endpoints("web", &["web-1!"]).await;
        assert!(took <= 1100 * MS, "peace: {took:?}");
    }
}

/// Manual edits: of endpoints occasionally, of everything else as often as you like.
#[tokio::test(start_paused = true)]
async fn a_hand_is_no_other_writer() {
    let rig = leading().await;
    for round in 0..6 {
        edit_endpoints(&rig, "web", round);
        rig.pass(31 * SECOND).await;
        assert_eq!(rig.endpoints("web"), ["web-1"]);
    }
    for round in 0..30 {
        let metadata = |slice: &mut Value| {
            slice["metadata"]["labels"]["round"] = json!(round.to_string());
            slice["metadata"]["annotations"] = json!({ "round": round.to_string() });
        };
        edit(&rig.api, SLICES, name(&rig.slice("web")), metadata);
        rig.pass(SECOND).await;
        remove(&rig.api, SLICES, name(&rig.slice("db")));
        rig.until("the slice is back", |rig| rig.slices("db").len() == 1).await;
    }
    assert_eq!([rig.events("web"), rig.events("db")], [vec![""; 0], vec![]]);
}

/// The other writer lags behind with its pods. Its writes are repaired when pods change anyway.
#[tokio::test(start_paused = true)]
async fn what_is_mended_by_the_way_is_no_fight() {
    let rig = leading().await;
    for round in 0..20 {
        edit_endpoints(&rig, "web", round % 2);
        set_ready(&rig.api, "web-1", round % 2 == 0);
        rig.pass(SECOND).await;
    }
    assert_eq!(rig.events("web"), [""; 0]);
    edit_endpoints(&rig, "web", 7);
    assert!(rig.until_endpoints("web", &["web-1!"]).await <= 1100 * MS);
}

/// The write was done, but its answer was lost, or its event comes when it is no longer waited for.
#[tokio::test(start_paused = true)]
async fn own_writes_without_an_answer_are_nobody_elses() {
    for effect in [Effect::DoAndAnswer(504), Effect::DoAndAnswer(500), Effect::DoAndHang] {
        let rig = leading().await;
        rig.api.fault(on("PUT", "/endpointslices").times(4), effect.clone());
        for is_ready in [false, true, false, true] {
            set_ready(&rig.api, "web-1", is_ready);
            rig.pass(20 * SECOND).await;
        }
        assert_eq!(rig.events("web"), [""; 0], "{effect:?}");
    }
    let rig = leading().await;
    for is_ready in [false, true, false, true] {
        rig.api.hold(SLICES);
        set_ready(&rig.api, "web-1", is_ready);
        rig.pass(40 * SECOND).await;
        rig.api.release(SLICES);
        rig.pass(10 * SECOND).await;
    }
    assert_eq!(rig.events("web"), [""; 0], "events after more than half a minute");
}
