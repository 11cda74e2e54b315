//! Creates: repeated under the same name, so that a lost answer leads to no second slice
//! (docs/semantics.md 4.5).

use fake_api::{
    collections::{PODS, SERVICES, SLICES},
    faults::{Effect, on},
    invariants::{DUPLICATE, Limits, violations},
    rig::*,
};
use serde_json::{Value, json};

fn name(slice: &Value) -> String {
    slice["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Every create is done and its answer lost, the watch of slices shows nothing, and replicas take
/// turns.
#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_is_lost_is_not_done_twice() {
    for effect in [Effect::DoAndHang, Effect::DoAndRefuse, Effect::DoAndAnswer(504)] {
        let api = cluster(&["cart-1", "pay-1"]);
        let mut rig = Rig::settled(api.clone()).await;
        api.hold(SLICES);
        api.fault(on("POST", "/endpointslices"), effect.clone());
        edit(&api, SERVICES, "cart", |service| service["spec"]["ports"][0]["port"] = json!(81));
        for minute in 0..5 {
            for number in 0..40 {
                api.put(PODS, fake_api::samples::pod(&format!("cart-{minute}{number:02}")));
                api.put(PODS, fake_api::samples::pod(&format!("pay-{minute}{number:02}")));
            }
            rig.pass(30 * SECOND).await;
            if minute % 2 == 1 {
                rig = rig.crash(Options::default()).await;
            }
            rig.pass(30 * SECOND).await;
        }
        let sent = rig.writes().iter().filter(|seen| seen.method == "POST").count();
        api.clear_faults();
        api.release(SLICES);
        rig.pass(2 * MINUTE).await;
        let limits =
            Limits { max_endpoints: 100, staleness: None, stores_node_hints: true, lag: None };
        let found = violations(&api.record(), limits);
        let found: Vec<_> = found.iter().filter(|found| found.invariant == DUPLICATE).collect();
        assert!(found.is_empty(), "{effect:?}: {found:#?}");
        assert!(sent > 2, "{effect:?}: {sent} creates were sent");
        for service in ["cart", "pay"] {
            assert_eq!(rig.slices(service).len(), 3, "{effect:?}: 201 endpoints of {service}");
        }
    }
}

/// The stored object is as if the API server had made the name, and the name does not depend on
/// who chooses it.
#[tokio::test(start_paused = true)]
async fn names_look_generated_and_follow_from_what_a_slice_is_for() {
    let created = async || {
        let rig = Rig::settled(cluster(&["cart-1"])).await;
        rig.slice("cart")
    };
    let (one, other) = (created().await, created().await);
    assert_eq!(name(&one), name(&other));
    assert_eq!(one["metadata"]["generateName"], "cart-");
    let letters = name(&one).strip_prefix("cart-").unwrap().to_owned();
    assert_eq!(letters.len(), 5);
    assert!(letters.chars().all(|letter| "bcdfghjklmnpqrstvwxz2456789".contains(letter)));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_else_has_is_passed_over() {
    let taken = name(&Rig::settled(cluster(&["cart-1"])).await.slice("cart"));
    for labels in
        [json!({}), json!({"endpointslice.kubernetes.io/managed-by": "example.com/other"})]
    {
        let api = cluster(&["cart-1"]);
        api.put(
            SLICES,
            json!({"metadata": {"name": taken, "namespace": "shop", "labels": labels},
                "addressType": "IPv4", "endpoints": [], "ports": []}),
        );
        let rig = Rig::settled(api).await;
        assert_eq!(rig.endpoints("cart"), ["cart-1"]);
        assert_ne!(name(&rig.slice("cart")), taken);
    }
}

/// A slice that another client has given to another Service keeps its name, and is not waited for.
#[tokio::test(start_paused = true)]
async fn a_slice_that_was_given_away_is_replaced() {
    for label in ["kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"] {
        let api = cluster(&["cart-1"]);
        let rig = Rig::settled(api.clone()).await;
        let before = name(&rig.slice("cart"));
        edit(&api, SLICES, &before, |slice| slice["metadata"]["labels"][label] = json!("other"));
        rig.pass(10 * SECOND).await;
        let posted = rig.writes().iter().filter(|seen| seen.method == "POST").count();
        assert_eq!(posted, 2 + 1, "{label}: the first, the name that is taken, and the next one");
        assert!(rig.slices("cart").iter().any(|slice| name(slice) != before), "{label}");
    }
}

/// The name of a slice that is about to be removed is not used again.
#[tokio::test(start_paused = true)]
async fn a_terminating_slice_keeps_its_name() {
    let api = cluster(&["cart-1"]);
    let rig = Rig::settled(api.clone()).await;
    let before = name(&rig.slice("cart"));
    edit(&api, SLICES, &before, |slice| {
        slice["metadata"]["finalizers"] = json!(["example.com/hold"]);
    });
    api.delete(SLICES, "shop", &before);
    rig.pass(MINUTE).await;
    let posted = rig.writes().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(posted, 2, "the first slice and the one that replaces it");
}
