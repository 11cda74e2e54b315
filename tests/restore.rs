//! `closehaul restore` against an API server inside the tests: afterwards no slice has a hint that
//! would not be there without policies, and nothing else has changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::time::Duration;

use closehaul::{
    admission::annotation::ANNOTATION,
    cli::{
        live::{Cluster, Purpose},
        restore::{Mode, Restoration, RestoreError, Restored},
    },
    control::controller,
    plan::Settings,
};
use fake_api::{
    FakeApi,
    collections::{
        CLUSTER_POLICIES, EVACUATIONS, LEASES, MUTATING_BINDINGS, MUTATING_POLICIES, PODS,
        SERVICES, SLICES,
    },
    faults::{Effect, on},
    rig::*,
    samples::pod,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PODS_OF_ALL: [&str; 8] =
    ["web-0", "web-1", "web-2", "db-0", "db-1", "db-2", "plain-0", "plain-1"];

fn restoration(api: &FakeApi) -> Restoration {
    Restoration {
        cluster: Cluster::new(api.client(), "the server".to_owned(), Purpose::Restore),
        wall: api.wall_clock(),
        lease: ("kube-system".to_owned(), "closehaul".to_owned()),
        deployment: None,
        mode: None,
        deletes_admission: false,
        until_none_differs: false,
        limit: 5 * MINUTE,
        qps: 0.0,
        settings: Settings::with(100),
    }
}

/// Services of all sorts, and their slices as they are without policies.
async fn before() -> (FakeApi, Vec<Value>) {
    let api = cluster(&PODS_OF_ALL);
    api.install();
    edit(&api, SERVICES, "web", |it| it["spec"]["trafficDistribution"] = json!("PreferSameZone"));
    edit(&api, SERVICES, "db", |it| it["spec"]["trafficDistribution"] = json!("PreferSameNode"));
    Rig::settled(api.clone()).await.abort().await;
    let slices = api.list(SLICES);
    (api, slices)
}

/// The same after a policy and an evacuation, and after closehaul has stopped.
async fn enforced() -> (FakeApi, Vec<Value>) {
    let (api, slices) = before().await;
    api.put(
        CLUSTER_POLICIES,
        json!({ "metadata": { "name": "all" }, "spec": { "prefer": ["Zone"] } }),
    );
    let until = api.wall_clock().now() + SignedDuration::from_hours(1);
    api.put(
        EVACUATIONS,
        json!({
            "metadata": { "name": "a-1" },
            "spec": { "zones": ["a"], "until": until.to_string() },
        }),
    );
    Rig::settled(api.clone()).await.abort().await;
    assert_ne!(contents(&api.list(SLICES)), contents(&slices));
    (api, slices)
}

/// What must be the same afterwards: everything except versions and managers.
fn contents(slices: &[Value]) -> Vec<[Value; 5]> {
    let of = |it: &Value| {
        let meta = &it["metadata"];
        let (name, labels) = (meta["name"].clone(), meta["labels"].clone());
        [name, labels, it["addressType"].clone(), it["ports"].clone(), it["endpoints"].clone()]
    };
    slices.iter().map(of).collect()
}

fn writes(api: &FakeApi) -> usize {
    api.count(|seen| seen.method != "GET")
}

fn lease(api: &FakeApi, holder: &str, renewed: Timestamp) {
    api.put(
        LEASES,
        json!({
            "metadata": { "namespace": "kube-system", "name": "closehaul" },
            "spec": {
                "holderIdentity": holder, "leaseDurationSeconds": 15,
                "renewTime": format!("{renewed:.6}"),
            },
        }),
    );
}

#[tokio::test(start_paused = true)]
async fn all_hints_are_as_before_the_first_policy() {
    let (api, slices) = enforced().await;
    let restored = restoration(&api).run().await.unwrap();
    assert_eq!(restored, Restored { slices: 3, services: 3 });
    assert_eq!(contents(&api.list(SLICES)), contents(&slices));
    let before = writes(&api);
    assert_eq!(restoration(&api).run().await.unwrap(), Restored::default());
    assert_eq!(writes(&api), before, "nothing is left to write");
}

#[tokio::test(start_paused = true)]
async fn without_policies_there_is_nothing_to_write() {
    let (api, _) = before().await;
    let before = writes(&api);
    assert_eq!(restoration(&api).run().await.unwrap(), Restored::default());
    assert_eq!(writes(&api), before);
}

/// The controller that comes next places endpoints.
#[tokio::test(start_paused = true)]
async fn endpoints_stay_where_and_as_they_are() {
    let (api, _) = enforced().await;
    let stands = api.list(SLICES);
    remove(&api, PODS, "web-0");
    api.put(PODS, pod("web-4"));
    set_ready(&api, "db-1", false);
    restoration(&api).run().await.unwrap();
    let without_hints = |slices: &[Value]| {
        let mut slices = contents(slices);
        for [.., endpoints] in &mut slices {
            for endpoint in endpoints.as_array_mut().unwrap() {
                endpoint.as_object_mut().unwrap().remove("hints");
            }
        }
        slices
    };
    assert_eq!(without_hints(&api.list(SLICES)), without_hints(&stands));
    let web = api
        .list(SLICES)
        .into_iter()
        .find(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == "web");
    let endpoints = web.unwrap()["endpoints"].take();
    for endpoint in endpoints.as_array().unwrap() {
        let is_gone = endpoint["targetRef"]["name"] == "web-0";
        let is_own = endpoint["hints"]["forZones"] == json!([{ "name": endpoint["zone"] }]);
        assert!(is_gone || is_own, "{endpoint}");
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_leader_nothing_is_written() {
    let (api, _) = enforced().await;
    let before = writes(&api);
    lease(&api, "closehaul-0_1", api.wall_clock().now());
    let error = restoration(&api).run().await.unwrap_err();
    assert!(matches!(error, RestoreError::Leads { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("closehaul-0_1 leads by the lease kube-system/closehaul"), "{text}");
    assert_eq!(writes(&api), before);
}

/// Its clock is an hour behind ours, but it renews.
#[tokio::test(start_paused = true)]
async fn a_leader_whose_clock_is_behind_is_noticed() {
    let (api, _) = enforced().await;
    let before = writes(&api);
    let renewing = api.clone();
    let leader = tokio::spawn(async move {
        loop {
            let now = renewing.wall_clock().now() - SignedDuration::from_hours(1);
            lease(&renewing, "closehaul-0_1", now);
            tokio::time::sleep(2 * SECOND).await;
        }
    });
    tokio::time::sleep(SECOND).await;
    let error = restoration(&api).run().await.unwrap_err();
    assert!(matches!(error, RestoreError::Leads { .. }), "{error}");
    assert_eq!(writes(&api), before);
    leader.abort();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_renews_does_not_matter() {
    let long_ago = SignedDuration::from_secs(16);
    for holder in ["", "closehaul-0_1"] {
        let (api, slices) = enforced().await;
        lease(&api, holder, api.wall_clock().now() - long_ago);
        restoration(&api).run().await.unwrap();
        assert_eq!(contents(&api.list(SLICES)), contents(&slices), "{holder}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_client_wrote_meanwhile_is_read_and_written_again() {
    for effect in [Effect::Answer(409), Effect::Answer(503), Effect::TooMany(2), Effect::Refuse] {
        let (api, slices) = enforced().await;
        api.fault(on("PUT", "/endpointslices").times(2), effect.clone());
        restoration(&api).run().await.unwrap();
        assert_eq!(contents(&api.list(SLICES)), contents(&slices), "{effect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_a_list_shows_no_difference() {
    let (api, slices) = enforced().await;
    let wrong = api.list(SLICES);
    let restoration = Restoration { until_none_differs: true, ..restoration(&api) };
    let writer = api.clone();
    let other = tokio::spawn(async move {
        while contents(&writer.list(SLICES)) == contents(&wrong) {
            tokio::time::sleep(5 * MS).await;
        }
        // A write of the last leader that arrives late.
        writer.put(SLICES, wrong[0].clone());
    });
    let restored = restoration.run().await.unwrap();
    other.await.unwrap();
    assert_eq!(contents(&api.list(SLICES)), contents(&slices));
    assert!(restored.slices >= 3, "{restored:?}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named() {
    let (api, _) = enforced().await;
    api.fault(on("PUT", "/endpointslices"), Effect::Answer(403));
    let error = restoration(&api).run().await.unwrap_err().to_string();
    assert!(error.starts_with("3 of 3 slices were not written: update slice shop/"), "{error}");
    assert!(error.ends_with("ask for the permission to update endpointslices"), "{error}");
    for (path, words) in [
        ("/pods", "may not list pods of the server"),
        ("/leases", "cannot read the lease kube-system/closehaul"),
    ] {
        let (api, _) = enforced().await;
        api.fault(on("GET", path), Effect::Answer(403));
        let error = restoration(&api).run().await.unwrap_err().to_string();
        assert!(error.starts_with(words) && !error.contains("-f"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_outlasts_an_api_server_that_restarts() {
    for (path, effect) in [
        ("/pods", Effect::Answer(503)),
        ("/endpointslices", Effect::Refuse),
        ("/leases", Effect::Answer(500)),
    ] {
        let (api, slices) = enforced().await;
        api.fault(on("GET", path).times(2), effect.clone());
        assert!(restoration(&api).run().await.is_err(), "{path}");
        let waiting = Restoration { until_none_differs: true, ..restoration(&api) };
        waiting.run().await.unwrap();
        assert_eq!(contents(&api.list(SLICES)), contents(&slices), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_in_time() {
    let (api, _) = enforced().await;
    api.fault(on("PUT", "/endpointslices"), Effect::Hang);
    let start = tokio::time::Instant::now();
    let error = Restoration { limit: MINUTE, ..restoration(&api) }.run().await.unwrap_err();
    assert!(start.elapsed() <= MINUTE + Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(error.to_string().starts_with("not done after 60s: 3 of 3 slices"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn writes_are_paced() {
    let (api, _) = enforced().await;
    let start = tokio::time::Instant::now();
    Restoration { qps: 0.5, ..restoration(&api) }.run().await.unwrap();
    assert!(start.elapsed() >= 4 * SECOND, "{:?}", start.elapsed());
}

/// Slices of the built-in controller, into which hints were patched, and those before that.
async fn assisted() -> (FakeApi, Vec<Value>) {
    let (api, slices) = before().await;
    api.install_admission();
    let until = api.wall_clock().now() + SignedDuration::from_hours(1);
    api.put(
        EVACUATIONS,
        json!({
            "metadata": { "name": "a-1" },
            "spec": { "zones": ["a"], "until": until.to_string() },
        }),
    );
    let mut options = Options::default();
    options.settings.mode = controller::Mode::Assist { kube_system: false };
    Rig::settled_with(api.clone(), options).await.abort().await;
    assert_eq!(marked(&api), 3);
    (api, slices)
}

/// How many slices have the annotation.
fn marked(api: &FakeApi) -> usize {
    let slices = api.list(SLICES);
    slices.iter().filter(|it| !it["metadata"]["annotations"][ANNOTATION].is_null()).count()
}

#[tokio::test(start_paused = true)]
async fn in_mode_assist_marked_slices_are_patched_and_unmarked() {
    for mode in [None, Some(Mode::Assist)] {
        let (api, slices) = assisted().await;
        // The built-in controller is about to write this one, which is not marked.
        edit(&api, SLICES, slices[2]["metadata"]["name"].as_str().unwrap(), |slice| {
            slice["endpoints"][0]["hints"] = json!({ "forZones": [{ "name": "b" }] });
            slice["metadata"]["annotations"] = Value::Null;
        });
        let left = api.list(SLICES)[2].clone();
        let before = api.requests().len();
        let restored = Restoration { mode, ..restoration(&api) }.run().await.unwrap();
        assert_eq!(restored, Restored { slices: 2, services: 2 });
        assert_eq!(marked(&api), 0);
        assert_eq!(contents(&api.list(SLICES))[..2], contents(&slices)[..2]);
        assert_eq!(api.list(SLICES)[2], left, "it is the other controller's");
        let requests = api.requests().split_off(before);
        let writes = requests.iter().filter(|seen| seen.method != "GET");
        assert!(writes.clone().all(|seen| seen.content_type == "application/json-patch+json"));
        assert_eq!(writes.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_admission_policies_are_deleted_before_anything_is_written() {
    let (api, _) = assisted().await;
    let before = api.requests().len();
    let restoration =
        || Restoration { mode: Some(Mode::Assist), deletes_admission: true, ..restoration(&api) };
    restoration().run().await.unwrap();
    let is_gone = |collection: &str| api.list(collection).is_empty();
    assert!(is_gone(MUTATING_POLICIES) && is_gone(MUTATING_BINDINGS));
    let requests = api.requests().split_off(before);
    let methods: Vec<_> = requests.iter().map(|seen| &*seen.method).collect();
    let last = methods.iter().rposition(|method| *method == "DELETE").unwrap();
    let first = methods.iter().position(|method| *method == "PATCH").unwrap();
    assert!(last < first, "{methods:?}");
    assert_eq!(restoration().run().await.unwrap(), Restored::default(), "they are gone already");
}
