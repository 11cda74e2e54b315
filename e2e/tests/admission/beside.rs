//! Beside: the built-in controller writes the slices, and the hints that closehaul has patched in stay
//! without a loop of writes.

use std::time::Duration;

use e2e::{
    cluster::{Actor, ControllerManager},
    world::{Kind, Place, World, object, quiet, until},
};
use serde_json::{Value, json};

use crate::{LIMIT, notation, stage::Stage};

const SETTLE: Duration = Duration::from_secs(60);
/// No stored write for this long counts as no loop: the built-in controller's are a second apart.
const IDLE: Duration = Duration::from_secs(3);
const WEB: &str = "web";

/// What closehaul asks for here: zone-a is lent to zone-b, and zone-c is evacuated.
const ANNOTATION: &str = "=zone-a,zone-b,zone-c;zone-a=zone-a,zone-b;zone-b=zone-b;zone-b/node=own;\
                          zone-c=evacuated.closehaul.io";

fn wanted(zone: &str, node: &str) -> String {
    match zone {
        "zone-a" => "zone-a,zone-b".to_owned(),
        "zone-b" => format!("zone-b/{node}"),
        "zone-c" => "evacuated.closehaul.io".to_owned(),
        _ => "zone-a,zone-b,zone-c".to_owned(),
    }
}

async fn pod(world: &World, number: u64) {
    let [address, _] = object::addresses(number);
    let node = format!("node-{}", ["a", "b", "c"][usize::try_from(number % 3).unwrap()]);
    let pod = object::pod("default", &format!("web-{number}"), WEB, &node, &[address]);
    world.create(&pod).await.unwrap();
}

/// Waits until the Service's only slice shows what is asked for and is not written any more.
/// Returns it. Every endpoint must have the hints that closehaul wants.
async fn settled(
    stage: &Stage,
    world: &World,
    what: &str,
    is_shown: impl Fn(&[Value]) -> bool,
) -> Value {
    let shown = until(what, SETTLE, async || {
        let slices = world.slices_of("default", WEB).await?;
        let [slice] = &slices[..] else { return Ok(None) };
        let endpoints = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(is_shown(endpoints).then(|| slice.clone()))
    });
    shown.await.unwrap();
    quiet(&stage.cluster, IDLE, SETTLE).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut slices = world.slices_of("default", WEB).await.unwrap();
    let slice = slices.remove(0);
    for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
        let text = |field: &str| endpoint[field].as_str().unwrap_or_default().to_owned();
        let wanted = wanted(&text("zone"), &text("nodeName"));
        assert_eq!(notation::written(endpoint), wanted, "{what}: {slice:#}");
    }
    assert_eq!(slice["metadata"]["annotations"]["closehaul.io/hints"], ANNOTATION, "{what}");
    slice
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_controller_keeps_what_is_patched_in() {
    tokio::time::timeout(LIMIT, beside()).await.expect("the time limit");
}

async fn beside() {
    let stage = Stage::start().await;
    let world = World::new(stage.client(Actor::Admin));
    for zone in ["a", "b", "c"] {
        let node = object::node(&format!("node-{zone}"), Some(&format!("zone-{zone}")));
        world.create(&node).await.unwrap();
    }
    let service = Place::new(Kind::Service, "default", WEB);
    world.create(&object::service("default", WEB)).await.unwrap();
    for number in 0..6 {
        pod(&world, number).await;
    }
    let which = ControllerManager::OnlySlicesLimited;
    let manager = stage.cluster.start_controller_manager(which).await.unwrap();
    let (name, _) = until("the slice", SETTLE, async || {
        let slices = world.slices_of("default", WEB).await?;
        let [slice] = &slices[..] else { return Ok(None) };
        let is_full = slice["endpoints"].as_array().is_some_and(|all| all.len() == 6);
        Ok(is_full.then(|| slice["metadata"]["name"].as_str().unwrap().to_owned()))
    })
    .await
    .unwrap();
    quiet(&stage.cluster, IDLE, SETTLE).await.unwrap();

    plan(&stage, &name).await;
    settled(&stage, &world, "the plan", |all| all.len() == 6).await;

    let web = |number: u64| Place::new(Kind::Pod, "default", &format!("web-{number}"));
    for is_ready in [false, true] {
        let conditions = json!({ "conditions": object::ready(is_ready) });
        world.patch_status(&web(1), &conditions).await.unwrap();
        let shows = |all: &[Value]| {
            let of = |it: &&Value| it["targetRef"]["name"] == "web-1";
            all.iter().find(of).is_some_and(|it| it["conditions"]["ready"] == is_ready)
        };
        settled(&stage, &world, "a change of readiness", shows).await;
    }
    world.delete(&web(0)).await.unwrap();
    settled(&stage, &world, "a deleted pod", |all| all.len() == 5).await;
    for number in [6, 7, 8] {
        pod(&world, number).await;
    }
    let before = settled(&stage, &world, "new pods", |all| all.len() == 8).await;
    for distribution in [json!("PreferSameZone"), json!("PreferSameNode"), Value::Null] {
        let spec = json!({"spec": {"trafficDistribution": distribution}});
        world.patch(&service, &spec).await.unwrap();
        // The built-in controller has to see the change before it can be quiet about it.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = settled(&stage, &world, "another trafficDistribution", |_| true).await;
        assert_eq!(after["endpoints"], before["endpoints"]);
    }
    let failures = stage.failures().await;
    assert!(failures.values().all(|count| *count == 0.0), "{failures:?}");

    // Without the policy, the built-in controller's hints are stored with its next write.
    let names = ["mutatingadmissionpolicybinding", "closehaul-hints"];
    let deleted = stage.cluster.kubectl(&["delete", names[0], names[1]]).await.unwrap();
    deleted.success().unwrap();
    let mut is_ready = true;
    let overwritten = until("the built-in controller's hints", SETTLE, async || {
        // The API server sees the deletion a moment later.
        is_ready = !is_ready;
        let conditions = json!({ "conditions": object::ready(is_ready) });
        world.patch_status(&web(1), &conditions).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let slices = world.slices_of("default", WEB).await?;
        let all = slices[0]["endpoints"].as_array().unwrap();
        Ok(all.iter().all(|endpoint| endpoint["hints"].is_null()).then_some(()))
    });
    overwritten.await.unwrap();
    assert!(manager.stop(Duration::from_secs(10)).await.unwrap().is_some());
    stage.cluster.stop().await.unwrap();
}

/// Patches closehaul's hints and annotation in, as its leader does.
async fn plan(stage: &Stage, name: &str) {
    let stored = stage.get(name).await;
    let mut patch = vec![json!({
        "op": "test", "path": "/metadata/resourceVersion",
        "value": stored["metadata"]["resourceVersion"],
    })];
    for (number, endpoint) in stored["endpoints"].as_array().unwrap().iter().enumerate() {
        let text = |field: &str| endpoint[field].as_str().unwrap();
        let hints = notation::hints(&wanted(text("zone"), text("nodeName")));
        patch.push(json!({
            "op": "test", "path": format!("/endpoints/{number}/targetRef/uid"),
            "value": endpoint["targetRef"]["uid"],
        }));
        let place = format!("/endpoints/{number}/hints");
        patch.push(json!({"op": "add", "path": place, "value": hints}));
    }
    let annotations = json!({"op": "add", "path": "/metadata/annotations/closehaul.io~1hints",
                             "value": ANNOTATION});
    patch.push(annotations);
    stage.patch(Actor::Closehaul, name, &json!(patch)).await.unwrap();
}
