//! Stopping: what has begun ends, nothing further begins.

use crate::{
    fake_api::faults::{Effect, on},
    rig::*,
};

#[tokio::test(start_paused = true)]
async fn a_job_of_several_writes_ends_fully_and_no_other_begins() {
    let api = cluster(&["web-1", "web-2", "web-3", "web-4", "db-1"]);
    let options = Options { settings: settings_of(1), concurrency: 1, ..Options::default() };
    api.fault(on("", "/endpointslices").query("fieldManager"), Effect::Delay(SECOND));
    let rig = Rig::start_with(api.clone(), options);
    rig.until("a write", |rig| !rig.writes().is_empty()).await;
    rig.stop().await.unwrap();
    let made = api.list(SLICES);
    let service = &made[0]["metadata"]["labels"]["kubernetes.io/service-name"];
    assert!(
        made.iter()
            .all(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == *service)
    );
    assert_eq!(made.len(), if service == "web" { 4 } else { 1 });
    let before = api.requests().len();
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(api.requests().len(), before, "nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn a_hung_write_does_not_hold_up_the_stop_for_long() {
    let api = cluster(&["web-1"]);
    api.fault(on("POST", "/endpointslices"), Effect::Hang);
    let rig = Rig::start(api);
    rig.until("a write", |rig| !rig.writes().is_empty()).await;
    let start = tokio::time::Instant::now();
    rig.stop().await.unwrap();
    assert!(start.elapsed() <= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_cannot_list_stops_at_once() {
    let api = cluster(&["web-1"]);
    api.fault(on("GET", ""), Effect::Hang);
    let rig = Rig::start(api);
    rig.pass(SECOND).await;
    let start = tokio::time::Instant::now();
    rig.stop().await.unwrap();
    assert!(start.elapsed() < SECOND);
}
