//! Services that are recreated under their old name, and those that go away (kubernetes#141592).

use fake_api::{
    collections::{PODS, SERVICES, SLICES},
    faults::{Effect, on},
    rig::*,
    samples::{name, pod, service},
};
use serde_json::{Value, json};

/// Deletes the Service and creates it again, and waits until only the new one has a slice.
async fn recreate(rig: &Rig, wait_between: std::time::Duration) {
    let old: Vec<_> = rig.slices("web").iter().map(|slice| name(slice).to_owned()).collect();
    remove(&rig.api, SERVICES, "web");
    rig.pass(wait_between).await;
    let uid = rig.api.put(SERVICES, service("web"))["metadata"]["uid"].clone();
    let took = rig
        .until("slices of the new Service alone", |rig| {
            let slices = rig.slices("web");
            let is_new = |slice| !old.iter().any(|old| old == name(slice));
            let owner = |slice: &Value| slice["metadata"]["ownerReferences"][0]["uid"] == uid;
            !slices.is_empty() && slices.iter().all(|slice| is_new(slice) && owner(slice))
        })
        .await;
    assert!(took < 30 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_recreated_service_gets_slices_of_its_own() {
    for between in [std::time::Duration::ZERO, 10 * MS, 5 * SECOND] {
        let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
        recreate(&rig, between).await;
        assert_eq!(rig.endpoints("web"), ["web-1", "web-2"]);
        set_ready(&rig.api, "web-2", false);
        rig.until_endpoints("web", &["web-1", "web-2!"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_recreated_during_its_write_is_not_stuck() {
    for effect in [
        Effect::Delay(3 * SECOND),
        Effect::DoAndDelay(3 * SECOND),
        Effect::Hang,
        Effect::DoAndHang,
        Effect::Answer(500),
    ] {
        let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
        rig.api.fault(on("PUT", "/endpointslices").times(1), effect.clone());
        set_ready(&rig.api, "web-1", false);
        rig.pass(SECOND).await;
        recreate(&rig, 100 * MS).await;
        rig.until_endpoints("web", &["web-1!", "web-2"]).await;
        set_ready(&rig.api, "web-1", true);
        let took = rig.until_endpoints("web", &["web-1", "web-2"]).await;
        assert!(took < 2 * SECOND, "{effect:?}: {took:?}");
    }
}

/// Its write has been answered, but not seen yet.
#[tokio::test(start_paused = true)]
async fn a_service_recreated_before_the_echo_is_not_stuck() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    rig.api.hold(SLICES);
    set_ready(&rig.api, "web-1", false);
    rig.pass(SECOND).await;
    remove(&rig.api, SERVICES, "web");
    rig.pass(SECOND).await;
    rig.api.put(SERVICES, service("web"));
    rig.pass(SECOND).await;
    rig.api.release(SLICES);
    rig.until("slices of the new Service alone", |rig| rig.slices("web").len() == 1).await;
    set_ready(&rig.api, "web-1", true);
    rig.until_endpoints("web", &["web-1", "web-2"]).await;
}

#[tokio::test(start_paused = true)]
async fn services_recreated_under_load_all_come_back() {
    let pods: Vec<String> = (0..8).map(|service| format!("s{service}-1")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    let rig = Rig::settled(api).await;
    rig.api.fault(on("", "/endpointslices").query("fieldManager"), Effect::DoAndDelay(70 * MS));
    for round in 0..100_u32 {
        for (at, pod) in (0_u32..).zip(&pods) {
            set_ready(&rig.api, pod, (round + at).is_multiple_of(2));
            if (round + at).is_multiple_of(3) {
                let service_name = format!("s{at}");
                remove(&rig.api, SERVICES, &service_name);
                rig.api.put(SERVICES, service(&service_name));
            }
        }
        rig.pass(41 * MS).await;
    }
    rig.pass(MINUTE).await;
    for (at, pod) in (0_u32..).zip(&pods) {
        let service_name = format!("s{at}");
        let uid = rig.api.get(SERVICES, "shop", &service_name).unwrap()["metadata"]["uid"].clone();
        let is_ready = (99 + at).is_multiple_of(2);
        let expected = format!("{pod}{}", if is_ready { "" } else { "!" });
        assert_eq!(rig.endpoints(&service_name), [expected]);
        let owner = &rig.slice(&service_name)["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], uid);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_for_a_service_that_is_going_away() {
    let mut rig = Rig::settled_with(
        cluster(&["web-1"]),
        Options { settings: settings_of(1), ..Options::default() },
    )
    .await;
    edit(&rig.api, SERVICES, "web", |service| {
        service["metadata"]["finalizers"] = json!(["example.com/keep"]);
    });
    rig.api.delete(SERVICES, "shop", "web");
    rig.api.put(PODS, pod("web-2"));
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.look().len(), 0, "the second pod would need a second slice");
    set_ready(&rig.api, "web-1", false);
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"]);
    assert_eq!(rig.endpoints("web"), ["web-1!"]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_going_away_is_left_in_peace() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    rig.api.fault(on("POST", "/endpointslices"), Effect::NamespaceTerminating);
    remove(&rig.api, SLICES, name(&rig.slice("web")));
    rig.pass(60 * MINUTE).await;
    assert_eq!(rig.methods(), ["POST"]);
}

/// Only a Service that is not known yet is new. One without a selector for a while is known
/// (docs/semantics.md 4.6).
#[tokio::test(start_paused = true)]
async fn a_service_that_is_served_again_is_not_a_new_one() {
    const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    assert!(rig.slice("web")["metadata"]["annotations"][TRIGGER_TIME].is_string());
    let selector = rig.api.get(SERVICES, "shop", "web").unwrap()["spec"]["selector"].clone();
    edit(&rig.api, SERVICES, "web", |service| service["spec"]["selector"] = Value::Null);
    rig.pass(SECOND).await;
    remove(&rig.api, PODS, "web-2");
    rig.pass(SECOND).await;
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2"]);
    edit(&rig.api, SERVICES, "web", |service| service["spec"]["selector"] = selector);
    rig.until_endpoints("web", &["web-1"]).await;
    assert!(rig.slice("web")["metadata"]["annotations"][TRIGGER_TIME].is_null());
}
