//! Metrics: what they say after a history that is known.

use serde_json::json;

use crate::{
    fake_api::faults::{Effect, on},
    rig::*,
};

#[tokio::test(start_paused = true)]
async fn writes_are_counted_by_what_came_of_them() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    set_ready(&rig.api, "web-1", false);
    rig.pass(5 * SECOND).await;
    edit(&rig.api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    rig.pass(5 * SECOND).await;
    let changes = |operation: &str| {
        rig.metric(&format!("endpoint_slice_controller_changes{{operation=\"{operation}\"}}"))
    };
    assert_eq!((changes("create"), changes("update"), changes("delete")), (1.0, 2.0, 0.0));
    let done = |kind: &str, operation: &str| {
        let labels = format!("kind=\"{kind}\",operation=\"{operation}\",result=\"done\"");
        rig.metric(&format!("closehaul_writes_total{{{labels}}}"))
    };
    assert_eq!((done("endpoints", "create"), done("endpoints", "update")), (1.0, 1.0));
    assert_eq!(done("hints", "update"), 1.0);

    rig.api.fault(on("PUT", "/endpointslices"), Effect::Answer(500));
    set_ready(&rig.api, "web-1", true);
    rig.pass(SECOND).await;
    let refused =
        "closehaul_writes_total{kind=\"endpoints\",operation=\"update\",result=\"refused\"}";
    assert!(rig.metric(refused) >= 2.0, "{}", rig.metric(refused));
    assert_eq!(changes("update"), 2.0, "what was refused has changed nothing");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_watch_is_counted_by_kind_and_cause() {
    let api = cluster(&["web-1"]);
    api.fault(on("GET", "/pods"), Effect::Answer(403));
    api.put(PODS, bad_pod("web-2"));
    let rig = Rig::start(api);
    rig.pass(10 * SECOND).await;
    let failed = rig.metric("closehaul_watch_restarts_total{kind=\"pods\",reason=\"forbidden\"}");
    assert!((2.0..20.0).contains(&failed), "{failed}");
    assert_eq!(rig.metric("closehaul_decode_errors_total{kind=\"pods\"}"), 0.0);
    rig.api.clear_faults();
    rig.pass(MINUTE).await;
    assert_eq!(rig.metric("closehaul_decode_errors_total{kind=\"pods\"}"), 1.0);
    assert_eq!(rig.metric("closehaul_decode_errors_total{kind=\"services\"}"), 0.0);
}
