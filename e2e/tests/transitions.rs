//! Upstream's integration tests (docs/semantics.md 10.7) with closehaul on a real API server, and
//! then with the built-in controller. They cover labels, terminating pods, which controller owns
//! which slices when a selector is added or removed, and hints through all values of
//! trafficDistribution. All tests share one control plane, each in separate namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::time::Duration;

use closehaul::model::slice::{CONTROLLER, HEADLESS, MANAGED_BY, SERVICE_NAME};
use e2e::{
    closehaul as program,
    cluster::{Actor, Cluster, ControllerManager, Options},
    world::{Canary, Kind, Place, World, normal, object, until},
};
use k8s_openapi::api::core::v1::Endpoints;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// How long a slice may take to follow.
const SETTLE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);

/// The controller that copies Endpoints of Services without selector.
const MIRRORING: &str = "endpointslicemirroring-controller.k8s.io";

/// The one Service of each namespace.
const SERVICE: &str = "cart";

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_integration_tests() {
    tokio::time::timeout(LIMIT, all()).await.expect("the time limit");
}

async fn all() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let client = cluster.client(Actor::Admin).unwrap();
    let world = World::new(client.clone());
    let mut canary = Canary::create(&world).await.unwrap();
    // Runs the mirroring controller among others, but not the one that would write the Endpoints of
    // Services with a selector. This test writes those, as upstream's does.
    let manager = cluster.start_controller_manager_with(
        ControllerManager::EverythingButSlices,
        &["--controllers=-endpoints-controller"],
    );
    let manager = manager.await.unwrap();
    for controller in ["closehaul", "built-in"] {
        let is_ours = controller == "closehaul";
        let process = if is_ours {
            program::start(&cluster, &["--leader-elect=false"]).await.unwrap()
        } else {
            // These are its tests, so it shows that they require what upstream does.
            cluster.start_controller_manager(ControllerManager::OnlySlices).await.unwrap()
        };
        let suite = Suite { controller, is_ours, world: &world };
        tokio::join!(
            suite.label_semantics(),
            suite.headless_label(),
            suite.terminating(),
            suite.selectors_come_and_go(client.clone(), &mut canary),
            suite.transitions_of_traffic_distribution(),
        );
        process.must_run().unwrap();
        let status = process.stop(STOP).await.unwrap().expect("it ends when asked to");
        assert!(status.success() || !is_ours, "{status}");
    }
    manager.must_run().unwrap();
    manager.stop(STOP).await.unwrap();
    cluster.stop().await.unwrap();
}

/// The tests with one of the controllers, in namespaces whose names begin with its name.
struct Suite<'a> {
    controller: &'static str,
    is_ours: bool,
    world: &'a World,
}

/// Waits until the slices of a namespace's Service are correct, and returns them.
async fn slices(
    world: &World,
    namespace: &str,
    what: &str,
    is_right: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let what = format!("{namespace}: {what}");
    let slices = until(&what, SETTLE, async || {
        let slices = world.slices_of(namespace, SERVICE).await?;
        Ok(is_right(&slices).then_some(slices))
    });
    match slices.await {
        Ok((slices, _)) => slices,
        Err(error) => {
            let last = world.slices_of(namespace, SERVICE).await;
            panic!("{error}; there is {last:?}")
        }
    }
}

fn service(namespace: &str) -> Value {
    object::service(namespace, SERVICE)
}

fn place(namespace: &str) -> Place {
    Place::new(Kind::Service, namespace, SERVICE)
}

/// The labels of a slice, except those that identify it.
fn labels(slice: &Value) -> Vec<String> {
    let labels = slice["metadata"]["labels"].as_object().unwrap();
    let own = labels.iter().filter(|(key, _)| ![SERVICE_NAME, MANAGED_BY].contains(&key.as_str()));
    own.map(|(key, value)| format!("{key}={}", value.as_str().unwrap())).collect()
}

/// A Service with Endpoints of the same name, and its selector before and after a change.
struct Selector {
    namespace: String,
    before: Value,
    change: Value,
    /// Whether it has a selector before. If not, it has one afterwards.
    selects: bool,
}

impl Selector {
    /// The 4 rows of `TestEndpointSliceMirroringSelectorTransition`.
    fn rows() -> [Self; 4] {
        let some = json!({"foo": "bar"});
        let row = |namespace: &str, before: &Value, change: &Value, selects| {
            let (namespace, before, change) =
                (namespace.to_owned(), before.clone(), change.clone());
            Self { namespace, before, change, selects }
        };
        [
            row("nil-to-some", &Value::Null, &some, false),
            row("some-to-nil", &some, &Value::Null, true),
            row("empty-to-some", &json!({}), &some, false),
            // The last key is removed, but the selector itself is not.
            row("some-to-empty", &some, &json!({"foo": null}), true),
        ]
    }

    /// Waits until there are this many slices of each of the two controllers, and returns ours.
    async fn slices(&self, world: &World, ours: usize, mirrored: usize) -> Vec<Value> {
        let by = |controller: &'static str| {
            move |slice: &&Value| slice["metadata"]["labels"][MANAGED_BY] == json!(controller)
        };
        let what = format!("{ours} slices of ours and {mirrored} mirrored ones");
        let all = slices(world, &self.namespace, &what, |slices| {
            let count = |controller| slices.iter().filter(by(controller)).count();
            slices.len() == ours + mirrored
                && (count(CONTROLLER), count(MIRRORING)) == (ours, mirrored)
        })
        .await;
        all.into_iter().filter(|slice| by(CONTROLLER)(&slice)).collect()
    }
}

/// Waits until the one endpoint has these hints.
async fn follow(world: &World, namespace: &str, what: &str, hints: &Value) {
    slices(world, namespace, what, |slices| {
        let endpoints = slices.iter().flat_map(|slice| normal::items(&slice["endpoints"]));
        let all = endpoints.map(|endpoint| &endpoint["hints"]).collect::<Vec<_>>();
        all == [hints]
    })
    .await;
}

impl Suite<'_> {
    /// Creates a namespace.
    async fn namespace(&self, name: &str) -> String {
        let name = format!("{}-{name}", self.controller);
        self.world.create(&object::namespace(&name)).await.unwrap();
        name
    }

    /// `TestEndpointsControllersLabelSemantics`: a headless Service's labels reach its slice, and
    /// the slice follows when one comes and one goes.
    async fn label_semantics(&self) {
        let world = self.world;
        let namespace = &*self.namespace("labels").await;
        let mut headless = service(namespace);
        headless["spec"]["clusterIP"] = json!("None");
        headless["metadata"]["labels"] = json!({"app": "test"});
        world.create(&headless).await.unwrap();
        let expected = ["app=test".to_owned(), format!("{HEADLESS}=")];
        let made = slices(world, namespace, "the labels", |slices| {
            slices.len() == 1 && labels(&slices[0]) == expected
        })
        .await;

        let patch = json!({"metadata": {"labels": {"app": null, "new-label": "new-value"}}});
        world.patch(&place(namespace), &patch).await.unwrap();
        let expected = ["new-label=new-value".to_owned(), format!("{HEADLESS}=")];
        let followed = slices(world, namespace, "the new labels", |slices| {
            slices.len() == 1 && labels(&slices[0]) == expected
        })
        .await;
        assert_eq!(made[0]["metadata"]["uid"], followed[0]["metadata"]["uid"], "in place");
    }

    /// `TestEndpointsHeadlessLabel`, 4 rows: the label depends only on whether the Service is
    /// headless.
    async fn headless_label(&self) {
        let world = self.world;
        for (row, (is_headless, given)) in
            [(false, false), (true, false), (false, true), (true, true)].into_iter().enumerate()
        {
            let namespace = self.namespace(&format!("headless-{row}")).await;
            let mut service = service(&namespace);
            if is_headless {
                service["spec"]["clusterIP"] = json!("None");
            }
            if given {
                service["metadata"]["labels"] = json!({HEADLESS: ""});
            }
            world.create(&service).await.unwrap();
            let made = slices(world, &namespace, "a slice", |slices| slices.len() == 1).await;
            let expected = if is_headless { vec![format!("{HEADLESS}=")] } else { Vec::new() };
            assert_eq!(labels(&made[0]), expected, "{namespace}");
        }
    }

    /// `TestEndpointSliceTerminating`, 2 rows: whether a terminating pod serves is whether it is
    /// Ready.
    async fn terminating(&self) {
        let world = self.world;
        let node = format!("{}-terminating", self.controller);
        world.create(&object::node(&node, None)).await.unwrap();
        for ready in [true, false] {
            let namespace = if ready { "ready-terminating" } else { "unready-terminating" };
            let namespace = &*self.namespace(namespace).await;
            world.create(&service(namespace)).await.unwrap();
            let [address, _] = object::addresses(100 + u64::from(ready));
            let mut pod = object::pod(namespace, "pod", SERVICE, &node, &[address]);
            pod["status"]["conditions"] = object::ready(ready);
            world.create(&pod).await.unwrap();
            let conditions = |[ready, serving, terminating]: [bool; 3]| {
                let expected =
                    json!({"ready": ready, "serving": serving, "terminating": terminating});
                move |slices: &[Value]| {
                    slices.len() == 1 && slices[0]["endpoints"][0]["conditions"] == expected
                }
            };
            let before = conditions([ready, ready, false]);
            slices(world, namespace, "the endpoint", before).await;
            world.terminate(&Place::new(Kind::Pod, namespace, "pod")).await.unwrap();
            let after = conditions([false, ready, true]);
            slices(world, namespace, "the terminating endpoint", after).await;
        }
    }

    /// `TestEndpointSliceMirroringSelectorTransition`, and of `TestEndpointSliceMirroring` the rows
    /// with and without selector and without Endpoints: a Service without selector is the mirroring
    /// controller's, one with a selector is ours, and neither touches what the other has written.
    async fn selectors_come_and_go(&self, client: Client, canary: &mut Canary) {
        let world = self.world;
        let mut rows = Selector::rows();
        for row in &mut rows {
            row.namespace = self.namespace(&row.namespace).await;
            let namespace = &*row.namespace;
            let mut service = service(namespace);
            service["spec"]["selector"] = row.before.clone();
            world.create(&service).await.unwrap();
            let endpoints = json!({
                "metadata": {"name": SERVICE},
                "subsets": [{"ports": [{"port": 80}], "addresses": [{"ip": "10.0.0.1"}]}],
            });
            let endpoints: Endpoints = serde_json::from_value(endpoints).unwrap();
            let api: Api<Endpoints> = Api::namespaced(client.clone(), namespace);
            api.create(&PostParams::default(), &endpoints).await.unwrap();
        }
        let without = &*self.namespace("without-endpoints").await;
        let mut service = service(without);
        service["spec"]["selector"] = Value::Null;
        world.create(&service).await.unwrap();

        for row in &rows {
            row.slices(world, usize::from(row.selects), usize::from(!row.selects)).await;
        }
        // A controller that has followed the canary has seen all of them.
        canary.follow(world).await.unwrap();
        for row in &rows {
            row.slices(world, usize::from(row.selects), usize::from(!row.selects)).await;
        }
        assert_eq!(world.slices_of(without, SERVICE).await.unwrap(), Vec::<Value>::new());

        for row in rows {
            let patch = json!({"spec": {"selector": row.change}});
            if row.selects {
                // Ours stay as they are, as the built-in controller's do (docs/semantics.md 2).
                let before = row.slices(world, 1, 0).await;
                world.patch(&place(&row.namespace), &patch).await.unwrap();
                row.slices(world, 1, 1).await;
                canary.follow(world).await.unwrap();
                assert_eq!(row.slices(world, 1, 1).await, before, "{}", row.namespace);
            } else {
                world.patch(&place(&row.namespace), &patch).await.unwrap();
                let ours = row.slices(world, 1, 0).await;
                assert_eq!(ours[0]["endpoints"], Value::Null, "{}: a placeholder", row.namespace);
            }
        }
    }

    /// `Test_TransitionsForTrafficDistribution`: one pod, one node.
    async fn transitions_of_traffic_distribution(&self) {
        let world = self.world;
        // The node has the namespace's name.
        let namespace = &*self.namespace("distribution").await;
        world.create(&object::node(namespace, Some("zone-1"))).await.unwrap();
        let [address, _] = object::addresses(1);
        let pod = object::pod(namespace, "pod", SERVICE, namespace, &[address]);
        world.create(&pod).await.unwrap();
        world.create(&service(namespace)).await.unwrap();

        let mode = |value: Value| json!({"metadata": {"annotations": {"service.kubernetes.io/topology-mode": value}}});
        let field = |value: Value| json!({"spec": {"trafficDistribution": value}});
        let zone = json!({"forZones": [{"name": "zone-1"}]});
        let node = json!({"forNodes": [{"name": namespace}]});
        let mut both = zone.clone();
        both["forNodes"] = node["forNodes"].clone();
        let no_hints = Value::Null;
        follow(world, namespace, "nothing set", &no_hints).await;
        for (what, patch, hints) in [
            ("PreferClose", field(json!("PreferClose")), &zone),
            ("Auto beside it, with one endpoint only", mode(json!("Auto")), &no_hints),
            ("PreferClose alone again", mode(Value::Null), &zone),
            ("nothing", field(Value::Null), &no_hints),
            ("PreferSameZone", field(json!("PreferSameZone")), &zone),
            ("PreferSameNode", field(json!("PreferSameNode")), &both),
            ("nothing again", field(Value::Null), &no_hints),
        ] {
            world.patch(&place(namespace), &patch).await.unwrap();
            follow(world, namespace, what, hints).await;
        }

        let unlabelled = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": null}}});
        world.patch(&Place::node(namespace), &unlabelled).await.unwrap();
        if self.is_ours {
            // The built-in controller may wait for the Service's next change (docs/semantics.md
            // 1.4).
            slices(world, namespace, "no zone any more", |slices| {
                slices.len() == 1
                    && slices[0]["endpoints"][0]["nodeName"] == json!(namespace)
                    && slices[0]["endpoints"][0]["zone"].is_null()
            })
            .await;
        }
        world.patch(&place(namespace), &field(json!("PreferSameNode"))).await.unwrap();
        follow(world, namespace, "PreferSameNode without a zone", &node).await;
    }
}
