//! Gaps in what is seen: disconnects and objects that do not parse.

use fake_api::{
    collections::{NODES, PODS, SERVICES, SLICES},
    rig::*,
    samples::{bad_pod, name, pod, ready_condition, service},
};
use serde_json::{Value, json};

use crate::log::Log;

/// Makes a change while there is no connection, and drops the history of that time.
async fn during_a_disconnect(rig: &Rig, change: impl FnOnce()) {
    rig.api.disconnect();
    change();
    rig.pass(20 * SECOND).await;
    rig.api.compact();
    rig.api.connect();
}

#[tokio::test(start_paused = true)]
async fn a_pod_deleted_during_a_disconnect_leaves() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    during_a_disconnect(&rig, || remove(&rig.api, PODS, "web-2")).await;
    rig.until_endpoints("web", &["web-1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_deleted_during_a_disconnect_is_forgotten() {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    during_a_disconnect(&rig, || remove(&rig.api, SERVICES, "web")).await;
    rig.pass(2 * MINUTE).await;
    set_ready(&rig.api, "web-1", false);
    rig.pass(MINUTE).await;
    assert_eq!(rig.look().len(), 0, "its slices are the garbage collector's");
}

#[tokio::test(start_paused = true)]
async fn a_service_recreated_during_a_disconnect_is_another_one() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    let old = rig.slice("web");
    during_a_disconnect(&rig, || {
        remove(&rig.api, SERVICES, "web");
        rig.api.put(SERVICES, service("web"));
    })
    .await;
    rig.until(
        "a slice of the new Service alone",
        |rig| matches!(&rig.slices("web")[..], [slice] if name(slice) != name(&old)),
    )
    .await;
    assert_eq!(rig.endpoints("web"), ["web-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_deleted_during_a_disconnect_takes_its_pods_along() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    during_a_disconnect(&rig, || remove(&rig.api, NODES, "/a1")).await;
    rig.until_endpoints("web", &["web-2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_slice_deleted_during_a_disconnect_is_made_again() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    during_a_disconnect(&rig, || remove(&rig.api, SLICES, name(&rig.slice("web")))).await;
    rig.until_endpoints("web", &["web-1", "web-2"]).await;
}

/// The slice is never seen: it came and went between two lists.
#[tokio::test(start_paused = true)]
async fn an_own_slice_deleted_before_it_was_seen_is_made_again() {
    for wait in [SECOND, 2 * MINUTE] {
        let rig = Rig::settled(cluster(&["web-1"])).await;
        rig.api.hold(SLICES);
        rig.api.put(PODS, pod("db-1"));
        rig.api.put(SERVICES, service("db"));
        rig.until_endpoints("db", &["db-1"]).await;
        remove(&rig.api, SLICES, name(&rig.slice("db")));
        rig.pass(wait).await;
        rig.api.expire_watches(SLICES);
        let took = rig.until_endpoints("db", &["db-1"]).await;
        assert!(took < 5 * SECOND, "{took:?}");
        rig.api.release(SLICES);
        rig.pass(5 * MINUTE).await;
        assert_eq!(rig.endpoints("db"), ["db-1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_pod_does_not_hide_the_others() {
    let api = cluster(&["web-1", "web-3"]);
    api.put(PODS, bad_pod("web-2"));
    let rig = Rig::start(api);
    rig.until_endpoints("web", &["web-1", "web-3"]).await;
    set_ready(&rig.api, "web-3", false);
    rig.until_endpoints("web", &["web-1", "web-3!"]).await;
    rig.api.put(PODS, pod("web-2"));
    rig.until_endpoints("web", &["web-1", "web-2", "web-3!"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_known_pod_that_becomes_malformed_stays_until_it_is_deleted() {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    rig.api.put(PODS, bad_pod("web-2"));
    rig.pass(MINUTE).await;
    // The same after a fresh list.
    let lists = |rig: &Rig| {
        rig.api.count(|seen| seen.path.ends_with("/pods") && seen.query.contains("Initial"))
    };
    rig.api.expire_watches(PODS);
    rig.pass(2 * MINUTE).await;
    assert_eq!(lists(&rig), 2);
    assert_eq!(rig.look().len(), 0);
    set_ready(&rig.api, "web-1", false);
    rig.until_endpoints("web", &["web-1!", "web-2"]).await;
    remove(&rig.api, PODS, "web-2");
    rig.until_endpoints("web", &["web-1!"]).await;
}

type Edit = fn(&mut Value);

/// Whatever else cannot be read of a pod: traffic must not go to one that is not ready or is being
/// deleted. The same where a list shows it.
#[tokio::test(start_paused = true)]
async fn a_malformed_pod_that_is_on_its_way_out_is_not_ready() {
    let unready = |pod: &mut Value| pod["status"]["conditions"][0] = ready_condition(false);
    let bare = |pod: &mut Value| pod["status"]["conditions"] = json!([]);
    let terminating = |pod: &mut Value| pod["metadata"]["finalizers"] = json!(["example.com/keep"]);
    let finished = |pod: &mut Value| pod["status"]["phase"] = json!("Failed");
    let rest = vec!["web-1"];
    let cases: [(&str, Edit, Vec<&str>); 5] = [
        ("not ready", unready, vec!["web-1", "web-2!"]),
        ("no condition", bare, vec!["web-1", "web-2!"]),
        ("terminating", terminating, vec!["web-1", "web-2!"]),
        ("finished", finished, rest.clone()),
        ("another pod", |_| (), rest),
    ];
    for (what, change, expected) in cases {
        for is_listed in [false, true] {
            let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
            if is_listed {
                rig.api.hold(PODS);
            }
            if what == "another pod" {
                remove(&rig.api, PODS, "web-2");
            }
            let mut bad = bad_pod("web-2");
            change(&mut bad);
            rig.api.put(PODS, bad);
            if what == "terminating" {
                rig.api.delete(PODS, "shop", "web-2");
            }
            if is_listed {
                rig.api.expire_watches(PODS);
            }
            rig.pass(5 * SECOND).await;
            assert_eq!(rig.endpoints("web"), expected, "{what}, listed: {is_listed}");
            rig.look();
            // What says the opposite is not believed.
            rig.api.release(PODS);
            edit(&rig.api, PODS, "web-2", |pod| {
                pod["status"] = bad_pod("web-2")["status"].clone();
            });
            rig.pass(MINUTE).await;
            assert_eq!(rig.endpoints("web"), expected, "{what}, listed: {is_listed}");
            // As soon as it can be read, all is as it says.
            remove(&rig.api, PODS, "web-2");
            rig.api.put(PODS, pod("web-2"));
            rig.until_endpoints("web", &["web-1", "web-2"]).await;
        }
    }
}

/// The API server stores such amounts as they were written.
#[tokio::test(start_paused = true)]
async fn an_odd_amount_of_cpu_does_not_hide_a_node() {
    let log = Log::start();
    for cpu in ["+1", "1e", "much"] {
        let api = cluster(&["web-1"]);
        edit(&api, NODES, "/a1", |node| node["status"]["allocatable"]["cpu"] = json!(cpu));
        let rig = Rig::settled(api).await;
        assert_eq!(rig.endpoints("web"), ["web-1"], "{cpu}");
        assert_eq!(rig.slice("web")["endpoints"][0]["zone"], "a", "{cpu}");
    }
    let lines = log.lines("left out a field of an object");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("status.allocatable.cpu: `much` is not a quantity"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn an_odd_family_or_cluster_ip_does_not_hide_a_service() {
    for (field, value) in [("ipFamilies", json!(["IPv4", "IPv9"])), ("clusterIP", json!("ten"))] {
        let api = cluster(&["web-1"]);
        edit(&api, SERVICES, "web", |service| service["spec"][field] = value.clone());
        let rig = Rig::settled(api).await;
        assert_eq!(rig.endpoints("web"), ["web-1"], "{field}");
    }
}

/// A slice that cannot be read and is being deleted counts as gone, like any other.
#[tokio::test(start_paused = true)]
async fn a_malformed_slice_that_is_terminating_is_replaced() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    let slice = rig.slice("web");
    edit(&rig.api, SLICES, &format!("shop/{}", name(&slice)), |slice| {
        slice["metadata"]["finalizers"] = json!(["example.com/keep"]);
        slice["endpoints"] = json!("no list");
    });
    rig.pass(10 * SECOND).await;
    assert_eq!(rig.slices("web").len(), 1, "it cannot be read, so it stays");
    rig.api.delete(SLICES, "shop", name(&slice));
    rig.until("another slice", |rig| rig.slices("web").len() == 1).await;
}

/// Nothing is created for it any more.
#[tokio::test(start_paused = true)]
async fn a_malformed_service_that_is_terminating_gets_no_new_slice() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    edit(&rig.api, SERVICES, "web", |service| {
        service["metadata"]["finalizers"] = json!(["example.com/keep"]);
        service["spec"]["ports"] = json!("no list");
    });
    rig.api.delete(SERVICES, "shop", "web");
    rig.pass(SECOND).await;
    remove(&rig.api, SLICES, name(&rig.slice("web")));
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_slice_or_service_does_not_hide_the_others() {
    let api = cluster(&["web-1", "db-1"]);
    let mut bad = service("bad");
    bad["spec"]["ports"] = json!("no list");
    api.put(SERVICES, bad);
    let mut bad = json!({ "metadata": { "namespace": "shop", "name": "bad" } });
    bad["endpoints"] = json!("no list");
    api.put(SLICES, bad);
    let rig = Rig::start(api);
    rig.until_endpoints("web", &["web-1"]).await;
    rig.until_endpoints("db", &["db-1"]).await;
}

/// A backup was restored: what is listed then is the truth, although its versions are older.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_went_back_in_time_is_believed() {
    let api = cluster(&["web-1", "web-2", "db-1"]);
    let mut rig = Rig::settled(api).await;
    let backup = rig.api.version();
    set_ready(&rig.api, "web-1", false);
    edit(&rig.api, SERVICES, "db", |service| service["spec"]["ports"][0]["targetPort"] = json!(9));
    edit(&rig.api, NODES, "/b1", |node| {
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("d");
    });
    rig.pass(MINUTE).await;
    rig.look();
    rig.api.restore(backup);
    for kind in [SERVICES, PODS, NODES, SLICES] {
        rig.api.expire_watches(kind);
    }
    // What is written meanwhile is planned on a mixture of old and new state.
    rig.pass(MINUTE).await;
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2"]);
    assert_eq!(rig.slice("db")["ports"][0]["port"], 8080);
    assert_eq!(rig.slice("web")["endpoints"][1]["zone"], "b");
    rig.look();
    set_ready(&rig.api, "web-2", false);
    let took = rig.until_endpoints("web", &["web-1", "web-2!"]).await;
    assert!(took < SECOND, "{took:?}");
    rig.pass(5 * MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"]);
    remove(&rig.api, PODS, "web-2");
    assert!(rig.until_endpoints("web", &["web-1"]).await < SECOND);
}
