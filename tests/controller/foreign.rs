//! Other writers: slices that another client deletes, edits, relabels or keeps.

use fake_api::{
    collections::{PODS, SERVICES, SLICES},
    faults::{Effect, on},
    rig::*,
    samples::{name, service},
};
use serde_json::{Value, json};

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// Lets another client change the slice of `web`. It is repaired after about a second, and then
/// nothing more is written.
async fn repaired(what: &str, by: impl FnOnce(&Rig, &str), writes: &[&str]) {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    let old = rig.slice("web");
    by(&rig, name(&old));
    let start = tokio::time::Instant::now();
    rig.until("a write", |rig| !rig.writes()[1..].is_empty()).await;
    let first = rig.writes()[1].at - start;
    assert!((SECOND..=1100 * MS).contains(&first), "{what}: {first:?}");
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.methods(), writes, "{what}");
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2"], "{what}");
    assert_eq!(rig.slice("web")["endpoints"], old["endpoints"], "{what}");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_did_is_repaired_after_a_second() {
    repaired("deleted", |rig, name| remove(&rig.api, SLICES, name), &["POST"]).await;
    let empty = |slice: &mut Value| slice["endpoints"] = json!([]);
    // The empty one stays as it is, and is deleted or filled with what is missing.
    repaired("emptied", |rig, name| edit(&rig.api, SLICES, name, empty), &["PUT"]).await;
    let unready = |slice: &mut Value| slice["endpoints"][0]["conditions"]["ready"] = json!(false);
    repaired("edited", |rig, name| edit(&rig.api, SLICES, name, unready), &["PUT"]).await;
    let port = |slice: &mut Value| slice["ports"][0]["port"] = json!(1);
    repaired("other port", |rig, name| edit(&rig.api, SLICES, name, port), &["PUT"]).await;
    let taken = |slice: &mut Value| {
        slice["metadata"]["labels"]["kubernetes.io/service-name"] = json!("other");
    };
    // Its name is still taken.
    let twice = &["POST", "POST"];
    repaired("relabelled", |rig, name| edit(&rig.api, SLICES, name, taken), twice).await;
    let label = |slice: &mut Value| slice["metadata"]["labels"]["a"] = json!("b");
    repaired("labelled", |rig, name| edit(&rig.api, SLICES, name, label), &["PUT"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_changes_its_manager_is_replaced_and_left_alone() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    let old = rig.slice("web");
    edit(&rig.api, SLICES, name(&old), |slice| {
        slice["metadata"]["labels"][MANAGED_BY] = json!("example.com/other");
    });
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["POST", "POST"], "its name is still taken");
    let before = rig.api.get(SLICES, "shop", name(&old)).unwrap();
    set_ready(&rig.api, "web-1", false);
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"]);
    assert_eq!(rig.api.get(SLICES, "shop", name(&old)).unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_a_finalizer_keeps_is_replaced_once() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    let old = rig.slice("web");
    let keep = |slice: &mut Value| slice["metadata"]["finalizers"] = json!(["example.com/keep"]);
    edit(&rig.api, SLICES, name(&old), keep);
    rig.pass(MINUTE).await;
    assert_eq!(rig.look().len(), 0, "a finalizer is nobody's business");
    rig.api.delete(SLICES, "shop", name(&old));
    rig.pass(60 * MINUTE).await;
    assert_eq!(rig.methods(), ["POST"]);
    assert_eq!(rig.endpoints("web"), ["web-1"]);
    set_ready(&rig.api, "web-1", false);
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"]);
    remove(&rig.api, SLICES, name(&old));
    rig.pass(MINUTE).await;
    assert_eq!(rig.look().len(), 0);
}

/// The slice is no longer needed and is deleted, but its finalizer keeps it.
#[tokio::test(start_paused = true)]
async fn a_deleted_slice_that_a_finalizer_keeps_is_deleted_once() {
    let options = Options { settings: settings_of(1), ..Options::default() };
    let mut rig = Rig::settled_with(cluster(&["web-1", "web-2"]), options).await;
    for slice in rig.slices("web") {
        edit(&rig.api, SLICES, name(&slice), |slice| {
            slice["metadata"]["finalizers"] = json!(["example.com/keep"]);
        });
    }
    rig.pass(10 * SECOND).await;
    remove(&rig.api, PODS, "web-2");
    rig.pass(SECOND).await;
    set_ready(&rig.api, "web-1", false);
    assert!(rig.until_endpoints("web", &["web-1!"]).await < SECOND, "its end is not waited for");
    rig.pass(60 * MINUTE).await;
    assert_eq!(rig.methods(), ["DELETE", "PUT"]);
}

/// Its event comes before the answer to our local write.
#[tokio::test(start_paused = true)]
async fn what_somebody_else_did_during_an_own_write_is_repaired() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    rig.api.fault(on("PUT", "/endpointslices").times(1), Effect::DoAndDelay(5 * SECOND));
    set_ready(&rig.api, "web-1", false);
    rig.pass(SECOND).await;
    edit(&rig.api, SLICES, name(&rig.slice("web")), |slice| {
        slice["endpoints"][0]["conditions"]["ready"] = json!(true);
    });
    let took = rig.until_endpoints("web", &["web-1!"]).await;
    assert!((5 * SECOND..=6 * SECOND).contains(&took), "{took:?}");
}

fn marked(slice: &mut Value) {
    slice["metadata"]["finalizers"] = json!(["example.com/keep"]);
    slice["metadata"]["annotations"] = json!({ "example.com/a": "b" });
}

fn assert_marked(write: &Value) {
    assert_eq!(write["metadata"]["finalizers"], json!(["example.com/keep"]));
    assert_eq!(write["metadata"]["annotations"]["example.com/a"], "b");
}

#[tokio::test(start_paused = true)]
async fn what_others_put_into_the_metadata_survives_updates_and_recycling() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    edit(&rig.api, SLICES, name(&rig.slice("web")), marked);
    set_ready(&rig.api, "web-1", false);
    rig.until_endpoints("web", &["web-1!"]).await;
    assert_marked(&rig.slice("web"));
    // Another port is another group: the slice is recycled for it.
    edit(&rig.api, SERVICES, "web", |service| service["spec"]["ports"][0]["targetPort"] = json!(9));
    rig.until("port 9", |rig| rig.slice("web")["ports"][0]["port"] == 9).await;
    let writes = rig.look();
    let puts: Vec<_> = writes.iter().filter(|seen| seen.method == "PUT").collect();
    assert!(puts.len() >= 2 && rig.api.count(|seen| seen.method == "POST") == 1);
    let last = &puts.last().unwrap().body;
    assert_marked(last);
    assert_marked(&rig.slice("web"));
}

#[tokio::test(start_paused = true)]
async fn services_without_selector_and_slices_of_others_are_left_alone() {
    let api = cluster(&["web-1"]);
    let mut kubernetes = service("default/kubernetes");
    kubernetes["spec"].as_object_mut().unwrap().remove("selector");
    api.put(SERVICES, kubernetes);
    let other = json!({
        "metadata": {
            "namespace": "default", "name": "kubernetes",
            "labels": { "kubernetes.io/service-name": "kubernetes" },
        },
        "addressType": "IPv4", "endpoints": [], "ports": [],
    });
    api.put(SLICES, other);
    let rig = Rig::settled(api).await;
    edit(&rig.api, SLICES, "default/kubernetes", |slice| {
        slice["endpoints"] = json!([{ "addresses": ["192.0.2.1"] }]);
    });
    edit(&rig.api, SERVICES, "default/kubernetes", |service| {
        service["metadata"]["labels"] = json!({ "a": "b" });
    });
    rig.pass(MINUTE).await;
    assert_eq!(rig.api.count(|seen| seen.method != "GET" && seen.path.contains("/default/")), 0);
}

/// One write is sent and rejected because another client was faster. The view catches up.
#[tokio::test(start_paused = true)]
async fn a_conflict_converges_without_hammering() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    rig.api.hold(SLICES);
    edit(&rig.api, SLICES, name(&rig.slice("web")), |slice| {
        slice["metadata"]["annotations"] = json!({ "example.com/a": "b" });
    });
    set_ready(&rig.api, "web-1", false);
    rig.pass(MINUTE).await;
    let refused = rig.look().len();
    assert!((5..=11).contains(&refused), "{refused} tries in a minute");
    rig.api.release(SLICES);
    let took = rig.until_endpoints("web", &["web-1!"]).await;
    assert!(took < 2 * SECOND, "{took:?}: the event cures it");
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"]);
    rig.api.fault(on("PUT", "").times(1), Effect::Answer(409));
    set_ready(&rig.api, "web-1", true);
    assert!(rig.until_endpoints("web", &["web-1"]).await < SECOND);
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["PUT", "PUT"]);
}
