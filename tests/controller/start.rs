//! Starting: nothing is written before everything is known.

use fake_api::{
    faults::{Effect, on, on_streaming},
    rig::*,
};

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_all_four_kinds_are_listed() {
    for kind in ["/services", "/pods", "/nodes", "/endpointslices"] {
        let api = cluster(&["web-1", "web-2"]);
        api.fault(on_streaming(kind), Effect::MarkAfter(30 * SECOND));
        let rig = Rig::start(api);
        rig.pass(29 * SECOND).await;
        assert_eq!(rig.writes().len(), 0, "{kind} is not listed completely");
        let took = rig.until_endpoints("web", &["web-1", "web-2"]).await;
        assert!(took < 2 * SECOND, "{kind}: {took:?} after the list");
        assert_eq!(rig.writes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_one_kind_cannot_be_listed() {
    for kind in ["/services", "/pods", "/nodes", "/endpointslices"] {
        let api = cluster(&["web-1", "web-2"]);
        api.fault(on("GET", kind), Effect::Answer(500));
        let rig = Rig::start(api);
        rig.pass(60 * MINUTE).await;
        assert_eq!(rig.writes().len(), 0, "{kind}");
        rig.api.clear_faults();
        rig.until_endpoints("web", &["web-1", "web-2"]).await;
        assert_eq!(rig.writes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_on_slices_that_are_right_writes_nothing() {
    let rig = Rig::settled(cluster(&["web-1", "web-2", "db-1"])).await;
    let api = rig.api.clone();
    rig.stop().await.unwrap();
    let before = api.count(|seen| seen.method != "GET");
    let rig = Rig::start(api);
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.writes().len() - before, 0);
}
