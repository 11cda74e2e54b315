//! The rules of the fake API server that other tests do not show.

use std::time::Duration;

use fake_api::{
    FakeApi,
    collections::{SERVICES, SLICES},
    faults::{Effect, on},
};
use futures::TryStreamExt;
use k8s_openapi::{api::core::v1::Service, api::discovery::v1::EndpointSlice};
use kube::{
    Api, ResourceExt,
    api::{
        DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent,
        WatchParams,
    },
};
use serde_json::json;
use tokio::time::Instant;

fn slices(api: &FakeApi) -> Api<EndpointSlice> {
    Api::namespaced(api.client(), "ns")
}

fn slice() -> EndpointSlice {
    let slice = json!({
        "metadata": { "generateName": "web-", "labels": { "app": "web" } },
        "addressType": "IPv4", "endpoints": [],
    });
    serde_json::from_value(slice).unwrap_or_default()
}

fn code(outcome: Result<impl Sized, kube::Error>) -> u16 {
    match outcome {
        Err(kube::Error::Api(status)) => status.code,
        _ => 0,
    }
}

#[tokio::test(start_paused = true)]
async fn objects_get_names_versions_and_generations() {
    let api = FakeApi::new();
    let (slices, params) = (slices(&api), PostParams::default());
    let first = slices.create(&params, &slice()).await.unwrap();
    let second = slices.create(&params, &slice()).await.unwrap();
    assert!(first.name_any().starts_with("web-") && first.name_any() != second.name_any());
    assert_ne!(first.uid(), second.uid());
    assert_eq!((first.metadata.generation, first.namespace()), (Some(1), Some("ns".into())));
    assert_eq!(code(slices.create(&params, &first).await), 500, "it has a version");
    let mut again = first.clone();
    again.metadata.resource_version = None;
    assert_eq!(code(slices.create(&params, &again).await), 409, "it exists");

    let mut changed = first.clone();
    changed.annotations_mut().insert("a".into(), "b".into());
    let annotated = slices.replace(&first.name_any(), &params, &changed).await.unwrap();
    assert_eq!(annotated.metadata.generation, Some(1), "annotations do not count");
    assert_ne!(annotated.resource_version(), first.resource_version());
    assert_eq!(code(slices.replace(&first.name_any(), &params, &changed).await), 409, "stale");
    changed = annotated.clone();
    changed.labels_mut().insert("app".into(), "other".into());
    let labelled = slices.replace(&first.name_any(), &params, &changed).await.unwrap();
    assert_eq!(labelled.metadata.generation, Some(2), "a slice's labels do");
    let same = slices.replace(&first.name_any(), &params, &labelled).await.unwrap();
    assert_eq!(same.resource_version(), labelled.resource_version(), "nothing to write");
}

#[tokio::test(start_paused = true)]
async fn deletes_heed_preconditions_and_finalizers() {
    let api = FakeApi::new();
    let (slices, params) = (slices(&api), PostParams::default());
    let mut kept = slice();
    kept.metadata.finalizers = Some(vec!["example.com/keep".into()]);
    let kept = slices.create(&params, &kept).await.unwrap();
    let delete = |uid: Option<String>, resource_version: Option<String>| {
        DeleteParams::default().preconditions(Preconditions { uid, resource_version })
    };
    let name = kept.name_any();
    assert_eq!(code(slices.delete(&name, &delete(Some("other".into()), None)).await), 409);
    assert_eq!(code(slices.delete(&name, &delete(None, Some("1".into()))).await), 409);
    slices.delete(&name, &delete(kept.uid(), kept.resource_version())).await.unwrap();
    let mut ending = slices.get(&name).await.unwrap();
    assert!(ending.metadata.deletion_timestamp.is_some());
    ending.metadata.finalizers = None;
    slices.replace(&name, &params, &ending).await.unwrap();
    assert_eq!(code(slices.get(&name).await), 404);
    assert!(api.list(SLICES).is_empty());
}

#[tokio::test(start_paused = true)]
async fn status_is_written_apart() {
    let api = FakeApi::new();
    api.put(SERVICES, json!({ "metadata": { "namespace": "ns", "name": "web" }, "spec": {} }));
    let services: Api<Service> = Api::namespaced(api.client(), "ns");
    let patch = Patch::Merge(json!({
        "spec": { "type": "LoadBalancer" }, "status": { "conditions": [] },
    }));
    services.patch_status("web", &PatchParams::default(), &patch).await.unwrap();
    let service = api.get(SERVICES, "ns", "web").unwrap();
    assert_eq!((&service["status"], &service["spec"]), (&json!({ "conditions": [] }), &json!({})));
}

#[tokio::test(start_paused = true)]
async fn pages_are_of_one_version_and_expire() {
    let api = FakeApi::new();
    for name in ["a", "b", "c"] {
        api.put(
            SLICES,
            json!({ "metadata": { "namespace": "ns", "name": name },
            "addressType": "IPv4", "endpoints": [] }),
        );
    }
    let page = ListParams::default().limit(2);
    let first = slices(&api).list(&page).await.unwrap();
    api.remove(SLICES, "ns", "c");
    let rest = page.continue_token(&first.metadata.continue_.unwrap());
    let second = slices(&api).list(&rest).await.unwrap();
    assert_eq!(second.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["c"]);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    api.compact();
    assert_eq!(code(slices(&api).list(&rest).await), 410);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_stops_matching_is_deleted_to_a_watch() {
    let api = FakeApi::new();
    let made = slices(&api).create(&PostParams::default(), &slice()).await.unwrap();
    let params = WatchParams::default().labels("app=web").timeout(30);
    let version = made.resource_version().unwrap();
    let events = slices(&api).watch(&params, &version).await.unwrap();
    let name = made.name_any();
    api.edit(SLICES, "ns", &name, |slice| slice["metadata"]["labels"] = json!({ "app": "x" }));
    api.edit(SLICES, "ns", &name, |slice| slice["endpoints"] = json!([{ "addresses": ["::1"] }]));
    api.edit(SLICES, "ns", &name, |slice| slice["metadata"]["labels"] = json!({ "app": "web" }));
    let events: Vec<_> = events.try_collect().await.unwrap();
    let [WatchEvent::Deleted(_), WatchEvent::Added(_), WatchEvent::Bookmark(mark)] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(mark.metadata.resource_version, api.version().to_string(), "just before its end");
}

/// As with the real one (kubernetes#107457): neither events nor bookmarks, until the history
/// reaches the version that the watch began with.
#[tokio::test(start_paused = true)]
async fn a_watch_that_begins_at_a_lost_version_is_blind() {
    let api = FakeApi::new();
    let write = |name: &str, count: usize| {
        for round in 0..count {
            let labels = json!({ "round": round.to_string() });
            let metadata = json!({ "namespace": "ns", "name": name, "labels": labels });
            api.put(
                SLICES,
                json!({ "metadata": metadata, "addressType": "IPv4", "endpoints": [] }),
            );
        }
    };
    write("a", 1);
    let backup = api.version();
    write("b", 10);
    let lost = api.version();
    api.restore(backup);
    let params = WatchParams::default().timeout(70);
    // Of the last three writes, two are past the version: two events, and two bookmarks.
    for (writes, expected) in [(0, 0), (9, 0), (3, 4)] {
        let events = slices(&api).watch(&params, &lost.to_string()).await.unwrap();
        write("c", writes);
        let events: Vec<_> = events.try_collect().await.unwrap();
        assert_eq!(events.len(), expected, "{writes}: {events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_strike_before_or_after_the_deed() {
    let api = FakeApi::new();
    let (slices, params) = (slices(&api), PostParams::default());
    api.fault(on("POST", "/endpointslices").times(1), Effect::TooMany(7));
    let Err(kube::Error::Api(status)) = slices.create(&params, &slice()).await else { panic!() };
    let wait = status.details.unwrap().retry_after_seconds;
    assert_eq!((status.code, wait, api.list(SLICES).len()), (429, 7, 0));

    api.fault(on("POST", "/endpointslices").times(1), Effect::DoAndAnswer(504));
    assert_eq!(code(slices.create(&params, &slice()).await), 504);
    assert_eq!(api.list(SLICES).len(), 1);
    let old = api.version();
    slices.create(&params, &slice()).await.unwrap();
    api.fault(on("GET", "/endpointslices").times(1), Effect::Stale(old));
    assert_eq!(slices.list(&ListParams::default()).await.unwrap().items.len(), 1);
    assert_eq!(slices.list(&ListParams::default()).await.unwrap().items.len(), 2);

    api.fault(on("GET", "/endpointslices").times(1), Effect::Delay(Duration::from_secs(3)));
    let start = Instant::now();
    slices.list(&ListParams::default()).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 3);
    api.fault(on("GET", "/endpointslices").times(1), Effect::Hang);
    assert!(slices.list(&ListParams::default()).await.is_err(), "given up by the client");
    assert_eq!(start.elapsed().as_secs(), 3 + 70);
}
