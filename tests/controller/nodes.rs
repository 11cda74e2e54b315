//! Nodes: late, moved to another zone, deleted.

use fake_api::{collections::NODES, rig::*, samples::node};
use serde_json::{Value, json};

fn zones(rig: &Rig) -> Vec<Value> {
    let slice = rig.slice("web");
    slice["endpoints"].as_array().unwrap().iter().map(|endpoint| endpoint["zone"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pod_before_its_node_waits_for_it_quietly() {
    let api = cluster(&["web-1", "web-2"]);
    remove(&api, NODES, "/a1");
    let mut rig = Rig::start(api);
    rig.until_endpoints("web", &["web-2"]).await;
    rig.pass(60 * MINUTE).await;
    assert_eq!(rig.methods(), ["POST"]);
    rig.api.put(NODES, node("a1"));
    let took = rig.until_endpoints("web", &["web-1", "web-2"]).await;
    assert!(took < 100 * MS, "{took:?}");
    assert_eq!(rig.methods(), ["PUT"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_zone_is_written_at_once() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    assert_eq!(zones(&rig), ["a"]);
    edit(&rig.api, NODES, "/a1", |node| {
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("d");
    });
    let took = rig.until("zone d", |rig| zones(rig) == ["d"]).await;
    assert!(took < 100 * MS, "{took:?}");
    assert_eq!(rig.methods(), ["PUT"]);
}

#[tokio::test(start_paused = true)]
async fn pods_leave_ten_seconds_after_their_node() {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    remove(&rig.api, NODES, "/a1");
    let took = rig.until_endpoints("web", &["web-2"]).await;
    assert!((10 * SECOND..=11 * SECOND).contains(&took), "{took:?}");
    assert_eq!(rig.methods(), ["PUT"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_when_the_node_is_back_in_time() {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    remove(&rig.api, NODES, "/a1");
    rig.pass(9 * SECOND).await;
    rig.api.put(NODES, node("a1"));
    rig.pass(MINUTE).await;
    assert_eq!(rig.look().len(), 0);
}

/// Whatever else happens to the Service in that time.
#[tokio::test(start_paused = true)]
async fn an_event_in_between_does_not_shorten_the_ten_seconds() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    remove(&rig.api, NODES, "/a1");
    rig.pass(SECOND).await;
    set_ready(&rig.api, "web-2", false);
    rig.until_endpoints("web", &["web-1", "web-2!"]).await;
    rig.pass(8 * SECOND).await;
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2!"]);
    let took = rig.until_endpoints("web", &["web-2!"]).await;
    assert!((500 * MS..=2 * SECOND).contains(&took), "{took:?}");
}
