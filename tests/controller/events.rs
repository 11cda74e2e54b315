//! Events: Kubernetes Events, only for changes of state, never in the way of a write.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use fake_api::{
    FakeApi,
    collections::{EVENTS, NODES, PODS, SERVICES},
    faults::{Effect, on},
    rig::*,
    samples::{node, pod},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::log::Log;

const ZONE: &str = "topology.kubernetes.io/zone";

/// Pods of some Services that prefer their zone, in zones a, b and c.
fn zonal(services: &[&str]) -> FakeApi {
    let pods = services.iter().flat_map(|name| (1..=3).map(move |pod| format!("{name}-{pod}")));
    let pods: Vec<String> = pods.collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    for name in services {
        edit(&api, SERVICES, name, |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        });
    }
    api
}

/// Sets the zone of node a1, or removes it.
fn set_zone(api: &FakeApi, zone: &str) {
    edit(api, NODES, "/a1", |node| node["metadata"]["labels"] = json!({ ZONE: zone }));
}

fn annotate(api: &FakeApi, service: &str, value: &str) {
    edit(api, SERVICES, service, |service| {
        service["metadata"]["annotations"] =
            json!({ "service.kubernetes.io/topology-mode": value });
    });
}

#[tokio::test(start_paused = true)]
async fn an_event_each_for_lost_locality_and_its_return() {
    let rig = Rig::settled(zonal(&["web"])).await;
    for _ in 0..2 {
        set_zone(&rig.api, "");
        rig.pass(10 * MINUTE).await;
        set_ready(&rig.api, "web-2", false);
        rig.pass(SECOND).await;
        set_ready(&rig.api, "web-2", true);
        rig.pass(SECOND).await;
        set_zone(&rig.api, "a");
        rig.pass(SECOND).await;
    }
    let round = ["EndpointWithoutZone", "Applied"];
    assert_eq!(rig.events("web"), [round, round].concat());
    let event = rig.api.list(EVENTS).remove(0);
    let service = rig.api.get(SERVICES, "shop", "web").unwrap();
    assert_eq!(event["metadata"]["namespace"], "shop");
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["reportingController"], "closehaul");
    assert_eq!(event["reportingInstance"], "closehaul-0");
    assert_eq!(event["action"], "PlaceHints");
    assert_eq!(event["regarding"]["uid"], service["metadata"]["uid"]);
    assert!(event["note"].as_str().unwrap().contains("has no zone"), "{event}");
    assert!(event["eventTime"].is_string(), "{event}");
    assert_eq!(rig.metric("closehaul_events_total{result=\"sent\"}"), 4.0);
}

#[tokio::test(start_paused = true)]
async fn no_event_for_what_is_so_at_the_start() {
    let api = zonal(&["web", "gone"]);
    set_zone(&api, "");
    annotate(&api, "web", "Auto");
    remove(&api, NODES, "/b1");
    let rig = Rig::settled(api).await;
    rig.pass(10 * MINUTE).await;
    let rig = rig.crash(Options::default()).await;
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.api.count(is_event), 0);
}

/// With the built-in controller's names, but only once.
#[tokio::test(start_paused = true)]
async fn the_legacy_annotation_has_upstreams_events() {
    let rig = Rig::settled(cluster(&["web-1", "web-2", "web-3"])).await;
    annotate(&rig.api, "web", "Auto");
    rig.pass(10 * SECOND).await;
    let mut expected = vec!["TopologyAwareHintsEnabled"];
    assert_eq!(rig.events("web"), expected);
    for is_ready in [false, true] {
        set_ready(&rig.api, "web-1", is_ready);
        rig.pass(10 * MINUTE).await;
    }
    expected.extend(["TopologyAwareHintsDisabled", "TopologyAwareHintsEnabled"]);
    assert_eq!(rig.events("web"), expected);
    annotate(&rig.api, "web", "Disabled");
    rig.pass(10 * SECOND).await;
    expected.push("TopologyAwareHintsDisabled");
    assert_eq!(rig.events("web"), expected);
    let events = rig.api.list(EVENTS);
    let notes: Vec<_> = events.iter().map(|event| event["note"].as_str().unwrap()).collect();
    assert!(notes[1].contains("fewer ready endpoints than zones"), "{notes:?}");
    assert!(notes[3].contains("it is gone"), "{notes:?}");
    assert!(events.iter().all(|event| event["reportingController"] == "endpoint-slice-controller"));
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Normal", "Warning", "Normal", "Warning"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_for_a_missing_node_after_ten_seconds() {
    let rig = Rig::settled(cluster(&["web-3", "db-3"])).await;
    let mut early = pod("web-1");
    early["spec"]["nodeName"] = json!("a2");
    rig.api.put(PODS, early.clone());
    rig.pass(9 * SECOND).await;
    rig.api.put(NODES, node("a2"));
    rig.until_endpoints("web", &["web-1", "web-3"]).await;
    rig.pass(MINUTE).await;
    assert_eq!(rig.events("web"), [""; 0], "the node came in time");

    for (name, number) in [("web-4", 4), ("web-5", 5)] {
        let mut late = pod(name);
        late["spec"]["nodeName"] = json!(format!("a{number}"));
        rig.api.put(PODS, late);
        rig.pass(5 * SECOND).await;
    }
    rig.pass(2 * SECOND).await;
    assert_eq!(rig.events("web"), ["NodeMissing"]);
    let event = rig.api.list(EVENTS).remove(0);
    assert!(event["note"].as_str().unwrap().starts_with("Pod web-4 and 1 more are"), "{event}");
    rig.pass(60 * MINUTE).await;
    assert_eq!(rig.events("web"), ["NodeMissing"], "once");
    assert_eq!(rig.events("db"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn one_event_for_writes_that_keep_failing() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    for round in 0..2 {
        rig.api.fault(on("PUT", "/endpointslices").times(2), Effect::Answer(500));
        set_ready(&rig.api, "web-1", round == 1);
        rig.pass(MINUTE).await;
        assert_eq!(rig.events("web").len(), round, "over at once");
        rig.api.fault(on("PUT", "/endpointslices").times(9), Effect::Answer(403));
        set_ready(&rig.api, "web-1", round == 0);
        rig.pass(2 * SECOND).await;
        assert_eq!(rig.events("web").len(), round + 1);
        rig.pass(10 * MINUTE).await;
        let expected = if round == 0 { "web-1" } else { "web-1!" };
        assert_eq!(rig.endpoints("web"), [expected]);
    }
    assert_eq!(rig.events("web"), ["FailedToUpdateEndpointSlices"; 2]);
    let event = rig.api.list(EVENTS).remove(0);
    assert_eq!(event["reportingController"], "endpoint-slice-controller");
    let note = event["note"].as_str().unwrap();
    assert!(note.contains("update slice shop/web-") && note.contains("made to fail"), "{note}");
    // Conflicts are normal.
    rig.api.fault(on("PUT", "/endpointslices").times(9), Effect::Answer(409));
    set_ready(&rig.api, "web-1", true);
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.events("web").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_events_all_else_goes_on() {
    for effect in [Effect::Answer(403), Effect::Refuse, Effect::Hang] {
        let log = Log::start();
        let rig = Rig::settled(zonal(&["web", "db"])).await;
        rig.api.fault(on("POST", "/events"), effect.clone());
        for zone in ["", "a", "", "a"] {
            set_zone(&rig.api, zone);
            let start = Instant::now();
            let is_written = |slice: &Value| {
                let endpoints = slice["endpoints"].as_array().unwrap();
                let zones =
                    endpoints.iter().map(|endpoint| endpoint["zone"].as_str().unwrap_or(""));
                zones.filter(|zone| ["b", "c"].contains(zone)).count() == 2
                    && endpoints
                        .iter()
                        .any(|endpoint| endpoint["zone"].as_str().unwrap_or("") == zone)
            };
            rig.until("both", |rig| ["web", "db"].iter().all(|name| is_written(&rig.slice(name))))
                .await;
            assert!(start.elapsed() < SECOND, "{effect:?}: {:?}", start.elapsed());
            rig.pass(10 * SECOND).await;
        }
        rig.pass(2 * MINUTE).await;
        assert_eq!(log.lines("an Event was not sent").len(), 1, "{effect:?}");
        assert_eq!(rig.metric("closehaul_events_total{result=\"failed\"}"), 8.0, "{effect:?}");
        rig.api.clear_faults();
        set_zone(&rig.api, "");
        rig.pass(SECOND).await;
        assert_eq!(rig.api.list(EVENTS).len(), 2, "{effect:?}");
    }
}

/// A zone loses its labels: metrics report all Services, and Events some.
#[tokio::test(start_paused = true)]
async fn many_at_once_are_bounded_and_hold_nothing_up() {
    let names: Vec<String> = (0..400).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = Rig::settled(zonal(&names)).await;
    set_zone(&rig.api, "");
    rig.pass(SECOND).await;
    let sent = rig.api.count(is_event);
    assert!((25..=27).contains(&sent), "{sent} at once");
    rig.pass(10 * SECOND).await;
    assert!((34..=38).contains(&rig.api.count(is_event)));
    rig.pass(10 * MINUTE).await;
    let sent = rig.api.count(is_event);
    assert!((256..=290).contains(&sent), "{sent} of 400");
    let dropped = rig.metric("closehaul_events_total{result=\"dropped\"}");
    assert_eq!(dropped, f64::from(u32::try_from(400 - sent).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_flaps_is_told_of_less_and_less() {
    let rig = Rig::settled(zonal(&["web"])).await;
    for round in 0..120 {
        set_zone(&rig.api, if round % 2 == 0 { "" } else { "a" });
        rig.pass(5 * SECOND).await;
    }
    let sent = rig.events("web").len();
    assert!((10..=20).contains(&sent), "{sent} in ten minutes with 120 changes");
}
