//! `closehaul evacuate` with a real API server: what it says, what the controller makes of it, and what
//! users see with kubectl.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{fs, path::PathBuf, process::Output, time::Duration};

use e2e::{
    closehaul::{self, Profile},
    cluster::{Actor, Cluster, Options},
    process::Process,
    world::{Canary, World, object, quiet, until},
};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(3);
const STOP: Duration = Duration::from_secs(10);
const SHOP: &str = "shop";
const PLACEHOLDER: &str = "evacuated.closehaul.io";

/// A cluster with three zones, two Services and closehaul's own kinds.
struct Stage {
    cluster: Cluster,
    world: World,
    binary: PathBuf,
}

impl Stage {
    async fn set() -> Self {
        let cluster = Cluster::start(Options::default()).await.unwrap();
        let world = World::new(cluster.client(Actor::Admin).unwrap());
        let binary = closehaul::build(Profile::Dev).await.unwrap();
        let stage = Self { cluster, world, binary };
        stage.install().await;
        stage.world.create(&object::namespace(SHOP)).await.unwrap();
        for zone in ["a", "b", "c"] {
            let node = object::node(&format!("node-{zone}"), Some(&format!("zone-{zone}")));
            stage.world.create(&node).await.unwrap();
        }
        stage.service("cart", &json!({"trafficDistribution": "PreferSameZone"}), 1).await;
        stage.service("peers", &json!({"clusterIP": "None"}), 2).await;
        stage
    }

    async fn install(&self) {
        let crds = tokio::process::Command::new(&self.binary).arg("crds").output().await.unwrap();
        let file = self.cluster.directory().join("crds.yaml");
        fs::write(&file, crds.stdout).unwrap();
        let file = file.display().to_string();
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "-f", &file];
        for args in [&["apply", "-f", &file][..], &wait] {
            self.cluster.kubectl(args).await.unwrap().success().unwrap();
        }
    }

    /// A Service with a pod on each node.
    async fn service(&self, name: &str, spec: &Value, number: u64) {
        let mut service = object::service(SHOP, name);
        service["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.world.create(&service).await.unwrap();
        for (pod, zone) in ["a", "b", "c"].into_iter().enumerate() {
            let [address, _] = object::addresses(number * 10 + pod as u64);
            let node = format!("node-{zone}");
            let pod = object::pod(SHOP, &format!("{name}-{pod}"), name, &node, &[address]);
            self.world.create(&pod).await.unwrap();
        }
    }

    async fn start(&self, canary: &mut Canary) -> Process {
        let closehaul = closehaul::start(&self.cluster, &[]).await.unwrap();
        canary.follow(&self.world).await.unwrap();
        quiet(&self.cluster, IDLE, SETTLE).await.unwrap();
        closehaul
    }

    async fn evacuate(&self, args: &[&str]) -> Output {
        let kubeconfig = self.cluster.kubeconfig(Actor::Admin);
        let mut command = tokio::process::Command::new(&self.binary);
        command.arg("evacuate").args(args).arg("--kubeconfig").arg(kubeconfig);
        let output = command.output().await.unwrap();
        eprintln!("evacuate: {args:?}\n{}{}", text(&output.stdout), text(&output.stderr));
        output
    }

    /// The zones that each endpoint of a Service is hinted to, by zone.
    async fn hints(&self, service: &str) -> Vec<String> {
        let slices = self.world.slices_of(SHOP, service).await.unwrap();
        let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
        let hint = |endpoint: &Value| {
            let zones = endpoint["hints"]["forZones"].as_array().cloned().unwrap_or_default();
            let mut zones: Vec<_> =
                zones.iter().map(|zone| zone["name"].as_str().unwrap().to_owned()).collect();
            zones.sort();
            format!("{}: {}", endpoint["zone"].as_str().unwrap(), zones.join(" "))
        };
        let mut hints: Vec<_> = endpoints.map(hint).collect();
        hints.sort();
        hints
    }

    async fn until_hints(&self, expected: &[String]) {
        let mut found = Vec::new();
        let waited = until("hints", SETTLE, async || {
            found = self.hints("cart").await;
            Ok((found == expected).then_some(()))
        });
        waited.await.unwrap_or_else(|error| panic!("{error}: {found:?}"));
    }

    /// The reasons of the Events on evacuations, oldest first, as kubectl shows them.
    async fn events(&self) -> Vec<String> {
        let args = ["get", "events", "-n", "default", "-o", "json"];
        let list = self.cluster.kubectl(&args).await.unwrap().success().unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        let events = list["items"].as_array().unwrap().iter();
        let events = events.filter(|event| event["involvedObject"]["kind"] == "ZoneEvacuation");
        let text = |of: &Value| of.as_str().unwrap().to_owned();
        let mut events: Vec<_> =
            events.map(|event| (text(&event["eventTime"]), text(&event["reason"]))).collect();
        events.sort();
        events.into_iter().map(|(_, reason)| reason).collect()
    }

    async fn until_events(&self, expected: &[&str]) {
        let mut found = Vec::new();
        let waited = until("Events", SETTLE, async || {
            found = self.events().await;
            Ok((found == expected).then_some(()))
        });
        waited.await.unwrap_or_else(|error| panic!("{error}: {found:?}"));
    }

    /// A row of `kubectl get zoneevacuations` with this in it, once there is one.
    async fn until_row(&self, parts: &[&str]) -> String {
        let mut table = String::new();
        let waited = until("a row", SETTLE, async || {
            let got = self.cluster.kubectl(&["get", "zoneevacuations"]).await?;
            table = got.success()?;
            let row = table.lines().find(|row| parts.iter().all(|part| row.contains(part)));
            Ok(row.map(str::to_owned))
        });
        let (row, _) = waited.await.unwrap_or_else(|error| panic!("{error}: {table}"));
        eprintln!("evacuate: {table}");
        row
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_is_evacuated_and_comes_back() {
    tokio::time::timeout(LIMIT, evacuate()).await.expect("the time limit");
}

async fn evacuate() {
    let stage = Stage::set().await;
    let mut canary = Canary::create(&stage.world).await.unwrap();
    let closehaul = stage.start(&mut canary).await;
    let before = stage.hints("cart").await;
    assert_eq!(before, ["zone-a: zone-a", "zone-b: zone-b", "zone-c: zone-c"]);

    // One that is over when it comes.
    over(&stage, &before).await;

    // Without a terminal, nothing happens without --yes.
    let refused = stage.evacuate(&["zone-a", "--for", "30m"]).await;
    assert_eq!(refused.status.code(), Some(2));
    let unknown = stage.evacuate(&["zone-d", "--for", "30m", "--yes"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("did you mean zone-a?"));
    let dry = stage.evacuate(&["zone-a", "--for", "30m", "--dry-run"]).await;
    assert!(dry.status.success() && text(&dry.stdout).contains("(server dry run)"));

    let args = ["zone-a", "--for", "30m", "--reason", "smoke in the hall", "--yes"];
    let done = stage.evacuate(&args).await;
    assert!(done.status.success());
    let shown = text(&done.stdout);
    assert!(shown.starts_with("1 ready endpoint of 1 Service in zone-a"), "{shown}");
    assert!(shown.contains("shop/cart is loaded most"), "{shown}");
    assert!(shown.contains("headless Services") && shown.contains(": shop/peers"), "{shown}");
    assert_eq!(text(&done.stderr), "", "a leader runs");
    let moved = [
        "zone-a: ".to_owned() + PLACEHOLDER,
        "zone-b: zone-a zone-b".to_owned(),
        "zone-c: zone-a zone-c".to_owned(),
    ];
    stage.until_hints(&moved).await;
    // The headless Service cannot be moved.
    let row = stage.until_row(&["[\"zone-a\"]", "False", Actor::Admin.user()]).await;
    assert!(row.starts_with("zone-a-"), "{row}");
    stage.until_events(&["EvacuationBegan", "EvacuationIncomplete"]).await;

    // It is complete without that one, and a restart repeats nothing.
    let delete = ["delete", "service", "peers", "-n", SHOP];
    stage.cluster.kubectl(&delete).await.unwrap().success().unwrap();
    stage.until_row(&["zone-a", "True", Actor::Admin.user()]).await;
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    let closehaul = stage.start(&mut canary).await;
    stage.until_hints(&moved).await;

    let cancelled = stage.evacuate(&["zone-a", "--cancel", "--yes"]).await;
    assert!(cancelled.status.success());
    let listed = text(&cancelled.stdout);
    assert!(listed.contains(&format!("by {}: smoke in the hall", Actor::Admin.user())), "{listed}");
    stage.until_hints(&before).await;
    stage.until_events(&["EvacuationBegan", "EvacuationIncomplete", "EvacuationEnded"]).await;
    closehaul.must_run().unwrap();
    assert!(closehaul.stop(STOP).await.unwrap().is_some());
    stage.cluster.stop().await.unwrap();
}

/// An evacuation whose end is in the past changes nothing.
async fn over(stage: &Stage, hints: &[String]) {
    let object = json!({
        "apiVersion": "closehaul.io/v1alpha1", "kind": "ZoneEvacuation",
        "metadata": {"name": "late"},
        "spec": {"zones": ["zone-b"], "until": "2026-01-02T03:04:05Z"},
    });
    let file = stage.cluster.directory().join("late.json");
    fs::write(&file, object.to_string()).unwrap();
    let create = ["create", "-f", &file.display().to_string()];
    let versions = stage.world.slice_versions().await.unwrap();
    stage.cluster.kubectl(&create).await.unwrap().success().unwrap();
    stage.until_row(&["late", "False"]).await;
    assert_eq!(stage.world.slice_versions().await.unwrap(), versions);
    assert_eq!(stage.hints("cart").await, hints);
    let none: [&str; 0] = [];
    assert_eq!(stage.events().await, none);
}
