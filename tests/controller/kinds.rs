//! Which Services are served, and which slices are theirs: `NoSelector`, `ExternalName`, `Missing`,
//! `SlicePendingDeletion` and `SliceLabelSelection` of upstream's controller
//! (docs/semantics.md 10.6).

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use fake_api::{
    FakeApi, Seen,
    collections::{PODS, SERVICES, SLICES},
    rig::*,
    samples::service,
};
use serde_json::{Value, json};

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// A slice without endpoints or ports, with these two labels, owned by Service `web`.
fn slice(api: &FakeApi, name: &str, service: &str, manager: &str) -> Value {
    let owner = api.get(SERVICES, "shop", "web").unwrap()["metadata"]["uid"].clone();
    json!({
        "metadata": {
            "namespace": "shop", "name": name,
            "labels": { SERVICE_NAME: service, MANAGED_BY: manager },
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": "web", "uid": owner,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4", "endpoints": null, "ports": null,
    })
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_for_services_without_selector_and_aliases() {
    for external in [false, true] {
        for selector in [None, Some(json!({ "app": "web" }))] {
            if !external && selector.is_some() {
                continue;
            }
            for ports in [json!([]), json!([{ "port": 80, "protocol": "TCP" }])] {
                let api = cluster(&["web-1"]);
                remove(&api, SERVICES, "web");
                let mut service = service("web");
                service["spec"]["selector"] = json!(selector);
                service["spec"]["ports"] = ports.clone();
                if external {
                    service["spec"]["type"] = json!("ExternalName");
                    service["spec"]["externalName"] = json!("example.com");
                }
                api.put(SERVICES, service);
                let mut rig = Rig::start(api);
                rig.pass(MINUTE).await;
                set_ready(&rig.api, "web-1", false);
                rig.pass(MINUTE).await;
                assert_eq!(rig.methods(), [""; 0], "{external} {selector:?} {ports}");
                assert_eq!(rig.slices("web"), [] as [Value; 0]);
            }
        }
    }
}

/// The row without selector, and a Service that loses its selector: its slices stay, whatever
/// happens to its pods.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_served_no_more_keeps_its_slices() {
    for edited in [json!({ "selector": null }), json!({ "type": "ExternalName" })] {
        let mut rig = Rig::settled(cluster(&["web-1"])).await;
        let before = rig.slice("web");
        edit(&rig.api, SERVICES, "web", |service| {
            for (field, value) in edited.as_object().unwrap() {
                service["spec"][field] = value.clone();
            }
        });
        rig.pass(SECOND).await;
        remove(&rig.api, PODS, "web-1");
        rig.pass(MINUTE).await;
        assert_eq!(rig.methods(), [""; 0], "{edited}");
        assert_eq!(rig.slice("web"), before);
    }
}

/// A Service that is gone before its turn: no error, and what was known of it is forgotten.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_missing_is_no_error() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    set_ready(&rig.api, "web-1", false);
    remove(&rig.api, SERVICES, "web");
    rig.pass(10 * MINUTE).await;
    assert!(rig.look().len() <= 1, "the pod's change may have come first");
    for result in ["error", "stale"] {
        let series = format!("endpoint_slice_controller_syncs{{result=\"{result}\"}}");
        assert_eq!(rig.metric(&series), 0.0);
    }
    assert_eq!(rig.metric("endpoint_slice_controller_num_endpoint_slices"), 0.0);
}

/// With the placeholder in place, another slice that is terminating causes no call.
#[tokio::test(start_paused = true)]
async fn a_slice_on_its_way_out_beside_the_placeholder_causes_nothing() {
    let api = cluster(&[]);
    api.put(SERVICES, service("web"));
    let mut rig = Rig::settled(api).await;
    assert_eq!(rig.slices("web").len(), 1);
    let mut ending = slice(&rig.api, "ending", "web", CONTROLLER);
    ending["metadata"]["finalizers"] = json!(["example.com/keep"]);
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    ending["ports"] = json!([{ "name": "", "port": 8080, "protocol": "TCP" }]);
    rig.api.put(SLICES, ending);
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.methods(), [""; 0]);
}

/// Two of five slices have both labels. Without pods, one of them becomes the placeholder, and then
/// the other is deleted.
#[tokio::test(start_paused = true)]
async fn of_five_slices_those_with_both_labels_are_ours() {
    let api = cluster(&[]);
    api.put(SERVICES, service("web"));
    for (name, service, manager) in [
        ("one", "web", CONTROLLER),
        ("two", "web", CONTROLLER),
        ("other-service", "api", CONTROLLER),
        ("other-manager", "web", "example.com/other"),
        ("other-both", "api", "example.com/other"),
    ] {
        let mut slice = slice(&api, name, service, manager);
        slice["ports"] = json!([{ "name": "old", "port": 1, "protocol": "TCP" }]);
        api.put(SLICES, slice);
    }
    let mut rig = Rig::start(api);
    rig.pass(10 * MINUTE).await;
    let writes = rig.look();
    let methods: Vec<_> = writes.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
    let of = |seen: &Seen| seen.path.rsplit_once('/').unwrap().1.to_owned();
    let mut names: Vec<_> = writes.iter().map(of).collect();
    names.sort();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(writes[0].body["endpoints"], json!([]));
    assert_eq!(writes[0].body["ports"], json!([]));
    assert_eq!(rig.api.list(SLICES).len(), 4);
}
