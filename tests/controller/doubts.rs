//! Lists that lack most of what was known are obeyed only after a second one (docs/semantics.md 1.1).

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use std::time::Duration;

use fake_api::{
    FakeApi,
    collections::{NODES, PODS, SERVICES, SLICES},
    faults::{Effect, on, on_streaming},
    rig::*,
    samples::{node, service},
};
use serde_json::json;

use crate::log::Log;

/// A cluster whose one Service has this many pods.
fn with_pods(count: usize) -> FakeApi {
    let names: Vec<_> = (0..count).map(|at| format!("web-{at}")).collect();
    cluster(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn doubted(rig: &Rig, kind: &str) -> [f64; 3] {
    ["confirmed", "refuted", "unanswered"].map(|resolution| {
        let labels = format!("kind=\"{kind}\",resolution=\"{resolution}\"");
        rig.metric(&format!("closehaul_doubted_lists_total{{{labels}}}"))
    })
}

fn lists(api: &FakeApi, collection: &str) -> usize {
    api.count(|seen| seen.path.contains(collection) && seen.query.contains("sendInitialEvents"))
}

/// Removes the first pods while no watch shows it.
async fn lose_pods(rig: &Rig, count: usize) {
    rig.api.hold(PODS);
    (0..count).for_each(|at| remove(&rig.api, PODS, &format!("web-{at}")));
    rig.api.compact();
    rig.api.expire_watches(PODS);
    rig.pass(10 * MS).await;
    rig.api.release(PODS);
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_list_of_pods_empties_no_slice() {
    let log = Log::start();
    let mut rig = Rig::settled(with_pods(120)).await;
    rig.api.fault(on_streaming(PODS).times(1), Effect::First(10));
    rig.api.expire_watches(PODS);
    rig.pass(5 * MINUTE).await;
    assert_eq!(rig.methods(), [""; 0]);
    assert_eq!(rig.endpoints("web").len(), 120);
    assert_eq!(doubted(&rig, "pods"), [0.0, 1.0, 0.0]);
    assert_eq!(lists(&rig.api, PODS), 3, "at the start, in doubt, and the second one");
    let lines = log.lines("a list lacks most of the objects that were known");
    assert!(lines.len() == 1 && lines[0].contains("kind=pods known=120 lacks=110"), "{lines:?}");
    assert_eq!(log.lines("returned an incomplete list").len(), 1);
    assert_eq!(log.lines("\"web\""), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_a_second_list_confirms_is_obeyed() {
    let rig = Rig::settled(with_pods(120)).await;
    lose_pods(&rig, 61).await;
    let took = rig.until("only the others", |rig| rig.endpoints("web").len() == 59).await;
    assert!(5 * SECOND < took && took < 15 * SECOND, "{took:?}");
    assert_eq!(doubted(&rig, "pods"), [1.0, 0.0, 0.0]);
    let before = lists(&rig.api, PODS);
    rig.pass(10 * MINUTE).await;
    assert_eq!(lists(&rig.api, PODS), before);
}

/// What watches show is never in doubt, nor are small losses, nor those of small clusters.
#[tokio::test(start_paused = true)]
async fn other_losses_are_obeyed_at_once() {
    let rig = Rig::settled(with_pods(120)).await;
    lose_pods(&rig, 60).await;
    let took = rig.until("half of the pods", |rig| rig.endpoints("web").len() == 60).await;
    assert!(took < 4 * SECOND, "{took:?}");
    (60..120).for_each(|at| remove(&rig.api, PODS, &format!("web-{at}")));
    let took = rig.until_endpoints("web", &[]).await;
    assert!(took < 2 * SECOND, "{took:?}");
    assert_eq!(doubted(&rig, "pods"), [0.0; 3]);

    let rig = Rig::settled(with_pods(99)).await;
    lose_pods(&rig, 99).await;
    let took = rig.until_endpoints("web", &[]).await;
    assert!(took < 4 * SECOND, "{took:?}");
}

/// While a list is in doubt, watches continue, and what they show is obeyed.
#[tokio::test(start_paused = true)]
async fn a_list_in_doubt_delays_no_event() {
    let rig = Rig::settled(with_pods(120)).await;
    rig.api.fault(on_streaming(PODS).times(1), Effect::First(10));
    rig.api.fault(on_streaming(PODS), Effect::Answer(500));
    rig.api.fault(on("GET", PODS).query("limit="), Effect::Answer(500));
    rig.api.expire_watches(PODS);
    rig.pass(2 * SECOND).await;
    remove(&rig.api, PODS, "web-119");
    set_ready(&rig.api, "web-118", false);
    let so = |rig: &Rig| {
        let endpoints = rig.endpoints("web");
        endpoints.len() == 119 && endpoints.contains(&"web-118!".to_owned())
    };
    let took = rig.until("both changes", so).await;
    assert!(took < SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_second_list_the_first_one_is_obeyed_in_the_end() {
    let log = Log::start();
    let rig = Rig::settled(with_pods(120)).await;
    lose_pods(&rig, 100).await;
    rig.until("a list in doubt", |_| !log.lines("a list lacks most").is_empty()).await;
    assert_eq!(rig.endpoints("web").len(), 120);
    rig.api.fault(on_streaming(PODS), Effect::MarkAfter(60 * MINUTE));
    rig.api.fault(on("GET", PODS).query("limit="), Effect::Answer(500));
    let took = rig.until("only the others", |rig| rig.endpoints("web").len() == 20).await;
    assert!(took > 110 * SECOND && took < 125 * SECOND, "{took:?}");
    assert_eq!(doubted(&rig, "pods"), [0.0, 0.0, 1.0]);
    assert_eq!(log.lines("there is no second list in time").len(), 1);
    rig.pass(SECOND).await;
    assert_eq!(rig.metric("closehaul_index_objects{kind=\"pods\"}"), 20.0);
}

/// Services that an incomplete list lacks are still served, and their slices are still known.
#[tokio::test(start_paused = true)]
async fn the_same_holds_for_services_slices_and_nodes() {
    let api = cluster(&["web-1"]);
    for at in 0..120 {
        api.put(SERVICES, service(&format!("idle-{at}")));
    }
    for at in 0..10 {
        api.put(NODES, node(&format!("d{at}")));
    }
    let mut rig = Rig::settled_with(api, Options::default()).await;
    rig.pass(MINUTE).await;
    rig.look();
    for (kind, collection) in [("services", SERVICES), ("endpointslices", SLICES), ("nodes", NODES)]
    {
        rig.api.fault(on_streaming(collection).times(1), Effect::First(0));
        rig.api.expire_watches(collection);
        rig.pass(3 * SECOND).await;
        set_ready(&rig.api, "web-1", false);
        let took = rig.until_endpoints("web", &["web-1!"]).await;
        assert!(took < SECOND, "{kind}: {took:?}");
        rig.pass(Duration::from_secs(60)).await;
        assert_eq!(rig.methods(), ["PUT"], "{kind}");
        assert_eq!(doubted(&rig, kind), [0.0, 1.0, 0.0], "{kind}");
        set_ready(&rig.api, "web-1", true);
        rig.pass(MINUTE).await;
        rig.look();
    }
    edit(&rig.api, SERVICES, "idle-7", |service| {
        service["spec"]["selector"] = json!({"app": "web"});
    });
    rig.until_endpoints("idle-7", &["web-1"]).await;
}
