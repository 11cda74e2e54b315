//! What another client does to slices: closehaul repairs its slices and never changes those of
//! another client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use e2e::{
    closehaul,
    cluster::{Actor, Cluster, Options},
    process::Process,
    world::{
        Canary, Kind, Place, World,
        normal::{self, Normal},
        object, quiet, until,
    },
};
use futures::future::join_all;
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
/// A repair waits a second, so two writers that disagree do not overwrite each other endlessly
/// (docs/semantics.md 1.4).
const REPAIRED: Duration = Duration::from_secs(5);
/// Longer than a repair would take.
const IDLE: Duration = Duration::from_secs(3);
const STOP: Duration = Duration::from_secs(10);

const OURS: &str = "endpointslice-controller.k8s.io";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const SHOP: &str = "shop";

#[tokio::test(flavor = "multi_thread")]
async fn slices_are_repaired_and_those_of_others_left_alone() {
    tokio::time::timeout(LIMIT, repairs()).await.expect("the time limit");
}

async fn repairs() {
    let cluster = Cluster::start(Options { audit: true, ..Options::default() }).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    for zone in ["a", "b"] {
        let node = object::node(&format!("node-{zone}"), Some(&format!("zone-{zone}")));
        world.create(&node).await.unwrap();
    }
    let mut canary = Canary::create(&world).await.unwrap();
    world.create(&object::namespace(SHOP)).await.unwrap();
    for (number, damage) in Damage::ALL.into_iter().enumerate() {
        service(&world, &damage.name(), number as u64).await;
    }
    service(&world, "kept", 90).await;
    service(&world, "finalized", 91).await;
    let closehaul = closehaul::start(&cluster, &["--leader-elect=false"]).await.unwrap();
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();

    let foreign = Foreign::create(&world).await;
    join_all(Damage::ALL.map(|damage| repaired(&world, damage))).await;
    annotations_and_finalizers_survive(&world).await;
    replaced_while_it_is_held_back(&world).await;
    foreign.disturb(&world).await;
    canary.follow(&world).await.unwrap();
    quiet(&cluster, IDLE, SETTLE).await.unwrap();
    foreign.assert_untouched(&cluster, &world).await;
    end(closehaul, cluster).await;
}

async fn end(closehaul: Process, cluster: Cluster) {
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

/// A Service with a label, zone hints and three pods.
async fn service(world: &World, name: &str, number: u64) {
    let mut service = object::service(SHOP, name);
    service["metadata"]["labels"] = json!({"team": "blue"});
    service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    world.create(&service).await.unwrap();
    for (pod, node) in ["node-a", "node-b", "node-b"].into_iter().enumerate() {
        let [address, _] = object::addresses(number * 10 + pod as u64);
        let pod = object::pod(SHOP, &format!("{name}-{pod}"), name, node, &[address]);
        world.create(&pod).await.unwrap();
    }
}

/// The slices of a Service that closehaul manages and that are not being deleted.
async fn managed(world: &World, service: &str) -> Vec<Value> {
    let mut slices = world.slices_of(SHOP, service).await.unwrap();
    slices.retain(|slice| {
        slice["metadata"]["labels"][MANAGED_BY] == OURS
            && slice["metadata"]["deletionTimestamp"].is_null()
    });
    slices
}

async fn form(world: &World, service: &str) -> Normal {
    normal::form(&managed(world, service).await)
}

/// The one managed slice of a Service.
async fn only(world: &World, service: &str) -> Value {
    let mut slices = managed(world, service).await;
    assert_eq!(slices.len(), 1, "{slices:?}");
    slices.remove(0)
}

fn place(slice: &Value) -> Place {
    Place::new(Kind::Slice, SHOP, slice["metadata"]["name"].as_str().unwrap())
}

/// A manual edit of a slice.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    EndpointRemoved,
    EndpointAdded,
    EndpointUnready,
    HintRemoved,
    HintWrong,
    HintAdded,
    LabelRemoved,
    LabelAdded,
    PortChanged,
    PortsRemoved,
    OwnerRemoved,
    Deleted,
    OtherManager,
    OtherService,
}

impl Damage {
    const ALL: [Self; 14] = [
        Self::EndpointRemoved,
        Self::EndpointAdded,
        Self::EndpointUnready,
        Self::HintRemoved,
        Self::HintWrong,
        Self::HintAdded,
        Self::LabelRemoved,
        Self::LabelAdded,
        Self::PortChanged,
        Self::PortsRemoved,
        Self::OwnerRemoved,
        Self::Deleted,
        Self::OtherManager,
        Self::OtherService,
    ];

    /// The name of the Service that it happens to.
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Applies it to `slice`, which is replaced as by `kubectl edit`.
    async fn happen(self, world: &World, mut slice: Value) {
        if self == Self::Deleted {
            return world.delete(&place(&slice)).await.unwrap();
        }
        slice["kind"] = json!("EndpointSlice");
        slice["apiVersion"] = json!("discovery.k8s.io/v1");
        let labels = slice["metadata"]["labels"].as_object_mut().unwrap();
        match self {
            Self::LabelRemoved => drop(labels.remove("team").unwrap()),
            Self::LabelAdded => drop(labels.insert("foreign".to_owned(), json!("yes"))),
            Self::OtherManager => labels[MANAGED_BY] = json!("somebody.else"),
            Self::OtherService => labels[SERVICE_NAME] = json!("kept"),
            Self::PortChanged => slice["ports"][0]["port"] = json!(1234),
            Self::PortsRemoved => slice["ports"] = json!([]),
            Self::OwnerRemoved => slice["metadata"]["ownerReferences"] = json!([]),
            _ => {
                let endpoints = slice["endpoints"].as_array_mut().unwrap();
                match self {
                    Self::EndpointRemoved => drop(endpoints.remove(1)),
                    Self::EndpointAdded => endpoints.push(json!({"addresses": ["192.0.2.7"]})),
                    Self::EndpointUnready => endpoints[0]["conditions"]["ready"] = json!(false),
                    Self::HintRemoved => {
                        drop(endpoints[2].as_object_mut().unwrap().remove("hints"));
                    }
                    Self::HintWrong => {
                        endpoints[0]["hints"] = json!({"forZones": [{"name": "zone-x"}]});
                    }
                    _ => endpoints[0]["hints"]["forNodes"] = json!([{"name": "node-a"}]),
                }
            }
        }
        world.replace(&slice).await.unwrap();
    }
}

/// The damage is done, seen, and undone.
async fn repaired(world: &World, damage: Damage) {
    let name = damage.name();
    let before = form(world, &name).await;
    let slice = only(world, &name).await;
    damage.happen(world, slice.clone()).await;
    let damaged = form(world, &name).await;
    assert!(damaged != before, "{damage:?} changed nothing, or was repaired within milliseconds");

    let started = Instant::now();
    let result =
        until(&name, REPAIRED, async || Ok((form(world, &name).await == before).then_some(())))
            .await;
    let after = form(world, &name).await;
    assert!(result.is_ok(), "{damage:?}: {:?}", normal::differences(&before, &after));
    eprintln!("repair: {damage:?} after {:.2} s", started.elapsed().as_secs_f64());

    let left = world.get(&place(&slice)).await.unwrap();
    match damage {
        // It now belongs to another client, with its old content.
        Damage::OtherManager => {
            let left = left.unwrap();
            assert_eq!(left["endpoints"], slice["endpoints"]);
            assert_eq!(left["metadata"]["labels"][MANAGED_BY], "somebody.else");
        }
        // It belongs to no Service, because the one that it names now does not own it.
        Damage::OtherService | Damage::OwnerRemoved | Damage::Deleted => {
            // A new slice may bear its name.
            let uid = &slice["metadata"]["uid"];
            until("the slice that nobody owns goes", REPAIRED, async || {
                let now = world.get(&place(&slice)).await?;
                Ok(now.is_none_or(|now| now["metadata"]["uid"] != *uid).then_some(()))
            })
            .await
            .unwrap();
        }
        _ => {}
    }
}

/// What other clients have written in the metadata of a managed slice survives an update and a
/// change of its ports.
async fn annotations_and_finalizers_survive(world: &World) {
    let slice = place(&only(world, "kept").await);
    let others = json!({"metadata": {
        "annotations": {"example.com/note": "mine"},
        "finalizers": ["example.com/hold"],
    }});
    world.patch(&slice, &others).await.unwrap();

    let pod = Place::new(Kind::Pod, SHOP, "kept-0");
    world.patch_status(&pod, &json!({"conditions": object::ready(false)})).await.unwrap();
    let shown = |expected: &'static str, test: fn(&Value) -> bool| {
        let slice = slice.clone();
        async move {
            let (object, _) =
                until(expected, REPAIRED, async || Ok(world.get(&slice).await?.filter(test)))
                    .await
                    .unwrap();
            let metadata = &object["metadata"];
            assert_eq!(metadata["annotations"]["example.com/note"], "mine", "{expected}");
            assert_eq!(metadata["finalizers"], json!(["example.com/hold"]), "{expected}");
        }
    };
    shown("the update of readiness", |slice| {
        normal::items(&slice["endpoints"]).any(|it| it["conditions"]["ready"] == false)
    })
    .await;

    let ports = json!([{"name": "http", "port": 80, "targetPort": 9090}]);
    let service = Place::new(Kind::Service, SHOP, "kept");
    world.patch(&service, &json!({"spec": {"ports": ports}})).await.unwrap();
    shown("the slice with other ports", |slice| slice["ports"][0]["port"] == 9090).await;
    assert_eq!(only(world, "kept").await["endpoints"].as_array().unwrap().len(), 3);
}

/// A slice that is deleted but held by another client's finalizer is replaced at once
/// (kubernetes#108779).
async fn replaced_while_it_is_held_back(world: &World) {
    let before = form(world, "finalized").await;
    let held = only(world, "finalized").await;
    let finalizer = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    world.patch(&place(&held), &finalizer).await.unwrap();
    world.delete(&place(&held)).await.unwrap();
    let ((), elapsed) =
        until("the replacement of a slice that is held back", REPAIRED, async || {
            Ok((form(world, "finalized").await == before).then_some(()))
        })
        .await
        .unwrap();
    eprintln!("repair: deleted, but held by a finalizer, after {:.2} s", elapsed.as_secs_f64());
    // Pods are followed while it is held.
    let pod = Place::new(Kind::Pod, SHOP, "finalized-0");
    world.delete(&pod).await.unwrap();
    until("the pod's endpoint leaves", REPAIRED, async || {
        let slice = only(world, "finalized").await;
        Ok((slice["endpoints"].as_array().unwrap().len() == 2).then_some(()))
    })
    .await
    .unwrap();
    let held = world.get(&place(&held)).await.unwrap().unwrap();
    assert_eq!(held["endpoints"].as_array().unwrap().len(), 3, "the held one was written");
    let release = json!({"metadata": {"finalizers": null}});
    world.patch(&place(&held), &release).await.unwrap();
}

/// Slices that closehaul must ignore.
struct Foreign {
    /// Their versions, by `namespace/name`.
    versions: BTreeMap<String, String>,
    logged: Instant,
}

const ELSEWHERE: &str = "elsewhere";

impl Foreign {
    async fn create(world: &World) -> Self {
        world.create(&object::namespace(ELSEWHERE)).await.unwrap();
        let pod = |name: &str, app: &str, number| {
            let [address, _] = object::addresses(number);
            object::pod(ELSEWHERE, name, app, "node-a", &[address])
        };
        let mut versions = BTreeMap::new();
        for (number, app) in ["custom", "bare", "external", "unselected"].into_iter().enumerate() {
            world.create(&pod(&format!("{app}-0"), app, 2000 + number as u64)).await.unwrap();
        }
        let mut bare = object::service(ELSEWHERE, "bare");
        bare["spec"]["selector"] = Value::Null;
        world.create(&bare).await.unwrap();
        for app in ["custom", "external", "unselected"] {
            world.create(&object::service(ELSEWHERE, app)).await.unwrap();
            until("the first slice", SETTLE, async || {
                Ok(world.slices_of(ELSEWHERE, app).await?.pop())
            })
            .await
            .unwrap();
        }
        // The slices of a Service that lost its selector or became an ExternalName stay.
        let external = json!({"spec": {"type": "ExternalName", "externalName": "example.com",
            "clusterIP": null, "clusterIPs": null}});
        let unselected = json!({"spec": {"selector": null}});
        for (app, patch) in [("external", external), ("unselected", unselected)] {
            world.patch(&Place::new(Kind::Service, ELSEWHERE, app), &patch).await.unwrap();
            let slice = world.slices_of(ELSEWHERE, app).await.unwrap().remove(0);
            versions.insert(name(&slice), version(&slice));
        }
        for (name, service, manager) in [
            ("of-another", "custom", Some("somebody.else")),
            ("mirrored", "bare", Some("endpointslicemirroring-controller.k8s.io")),
            ("by-hand", "bare", None),
            ("claims-to-be-ours", "bare", Some(OURS)),
            ("of-no-service", "nothing", Some("somebody.else")),
            ("ours-of-no-service", "nothing", Some(OURS)),
        ] {
            let slice = world.create(&slice(name, service, manager)).await.unwrap();
            versions.insert(self::name(&slice), version(&slice));
        }
        let kubernetes = Place::new(Kind::Slice, "default", "kubernetes");
        let kubernetes = world.get(&kubernetes).await.unwrap().unwrap();
        versions.insert(name(&kubernetes), version(&kubernetes));
        assert_eq!(versions.len(), 9);
        Self { versions, logged: Instant::now() }
    }

    /// Makes all changes around them that cause closehaul to check a Service.
    async fn disturb(&self, world: &World) {
        let touch = json!({"metadata": {
            "labels": {"touched": "yes"}, "annotations": {"example.com/touched": "yes"}}});
        for service in ["custom", "bare", "external", "unselected"] {
            let place = Place::new(Kind::Service, ELSEWHERE, service);
            world.patch(&place, &touch).await.unwrap();
            let pod = Place::new(Kind::Pod, ELSEWHERE, &format!("{service}-0"));
            world.patch_status(&pod, &json!({"conditions": object::ready(false)})).await.unwrap();
        }
        world.patch(&Place::new(Kind::Service, "default", "kubernetes"), &touch).await.unwrap();
        let zone = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "zone-c"}}});
        world.patch(&Place::node("node-a"), &zone).await.unwrap();
        until("the pod of the Service with selector is followed", REPAIRED, async || {
            let mut slices = world.slices_of(ELSEWHERE, "custom").await?;
            slices.retain(|slice| slice["metadata"]["labels"][MANAGED_BY] == OURS);
            let endpoint = &slices[0]["endpoints"][0];
            let right = endpoint["conditions"]["ready"] == false && endpoint["zone"] == "zone-c";
            Ok(right.then_some(()))
        })
        .await
        .unwrap();
    }

    async fn assert_untouched(&self, cluster: &Cluster, world: &World) {
        let all = world.slice_versions().await.unwrap();
        for (name, version) in &self.versions {
            assert_eq!(all.get(name), Some(version), "{name}");
        }
        let since = jiff::Timestamp::now() - self.logged.elapsed();
        let events = cluster.audit().unwrap();
        let writes = events.iter().filter(|event| {
            event.user == Actor::Closehaul.user() && event.resource == "endpointslices"
        });
        let (mut after, mut ours) = (0, 0);
        for event in writes {
            ours += 1;
            if event.time < since {
                continue;
            }
            after += 1;
            let name = format!("{}/{}", event.namespace, event.name);
            assert!(!self.versions.contains_key(&name), "{} {name}: {}", event.verb, event.code);
        }
        eprintln!("repair: {ours} writes of closehaul, {after} of them since there were others");
        assert!(after >= Damage::ALL.len());
        let refused = events.iter().filter(|event| {
            event.user == Actor::Closehaul.user() && event.code >= 400 && event.code != 409
        });
        let refused = refused.map(|event| format!("{} {}", event.verb, event.name));
        assert_eq!(refused.collect::<Vec<_>>(), Vec::<String>::new());
    }
}

/// A slice with one endpoint, in the namespace of foreign slices.
fn slice(name: &str, service: &str, manager: Option<&str>) -> Value {
    let mut labels = json!({SERVICE_NAME: service});
    if let Some(manager) = manager {
        labels[MANAGED_BY] = json!(manager);
    }
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": ELSEWHERE, "name": name, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["192.0.2.8"], "conditions": {"ready": true}}],
    })
}

fn name(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap();
    format!("{}/{}", text("namespace"), text("name"))
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}
