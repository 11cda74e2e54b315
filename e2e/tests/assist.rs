//! `--mode assist` beside the built-in controller with a real API server: hints are patched in and stay,
//! there is no loop of writes, and what is taken back is what the built-in controller writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ::closehaul::admission::{annotation::ANNOTATION, objects};
use e2e::{
    closehaul::{self, Profile, command},
    cluster::{Actor, Cluster, ControllerManager, Options},
    process::{Process, Signal},
    world::{Kind, Place, World, object, quiet, until},
};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(180);
const STOP: Duration = Duration::from_secs(10);
/// No stored write for this long is no loop.
const QUIET: Duration = Duration::from_secs(60);
const SERVICES: u64 = 200;
const SHOP: &str = "shop";
const ZONES: [&str; 3] = ["a", "b", "c"];
const PLACEHOLDER: &str = "evacuated.closehaul.io";

struct Stage {
    cluster: Cluster,
    world: World,
    binary: PathBuf,
}

impl Stage {
    /// A cluster whose slices the built-in controller writes, with its default limits. Every other
    /// Service prefers its zone.
    async fn set() -> (Self, Process) {
        let options = Options { audit: true, ..Options::default() };
        let cluster = Cluster::start(options).await.unwrap();
        let world = World::new(cluster.client(Actor::Admin).unwrap());
        let binary = closehaul::build(Profile::Dev).await.unwrap();
        let stage = Self { cluster, world, binary };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("../crds").display().to_string();
        stage.kubectl(&["apply", "-f", &folder]).await;
        stage
            .kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &folder])
            .await;
        let role = root.join("rbac/assist.yaml").display().to_string();
        stage.kubectl(&["apply", "-f", &role]).await;
        stage.world.create(&object::namespace(SHOP)).await.unwrap();
        for zone in ZONES {
            let node = object::node(&format!("node-{zone}"), Some(&format!("zone-{zone}")));
            stage.world.create(&node).await.unwrap();
        }
        let mut objects = Vec::new();
        for number in 0..SERVICES {
            let name = format!("s{number}");
            let mut service = object::service(SHOP, &name);
            if number % 2 == 0 {
                service["spec"]["trafficDistribution"] = json!("PreferSameZone");
            }
            objects.push(service);
            for (pod, zone) in (0..).zip(ZONES) {
                let [address, _] = object::addresses(number * 3 + pod);
                let (pod, node) = (format!("{name}-{pod}"), format!("node-{zone}"));
                objects.push(object::pod(SHOP, &pod, &name, &node, &[address]));
            }
        }
        stage.world.create_all(&objects).await.unwrap();
        let which = ControllerManager::OnlySlicesLimited;
        let manager = stage.cluster.start_controller_manager(which).await.unwrap();
        stage
            .until_all("the built-in controller's slices", |_, endpoints| endpoints.len() == 3)
            .await;
        quiet(&stage.cluster, Duration::from_secs(5), SETTLE).await.unwrap();
        (stage, manager)
    }

    async fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(args).await.unwrap().success().unwrap()
    }

    async fn apply(&self, name: &str, object: &Value) {
        let file = self.cluster.directory().join(format!("{name}.json"));
        fs::write(&file, object.to_string()).unwrap();
        self.kubectl(&["apply", "-f", &file.display().to_string()]).await;
    }

    /// Installs the admission policies.
    async fn admit(&self) {
        let items = objects(Actor::Closehaul.user());
        self.apply("admission", &json!({"apiVersion": "v1", "kind": "List", "items": items})).await;
    }

    fn start(&self, name: &str) -> Process {
        let kubeconfig = self.cluster.kubeconfig(Actor::Closehaul);
        let command = command(&self.binary, &kubeconfig, &["--mode=assist"]).named(name);
        command.start(self.cluster.directory()).unwrap()
    }

    async fn slices(&self) -> Vec<Value> {
        self.world.list(Kind::Slice, Some(SHOP)).await.unwrap()
    }

    /// Waits until this holds for the slice and the endpoints of each Service.
    async fn until_all(&self, what: &str, so: impl Fn(&Value, &[Value]) -> bool) -> Duration {
        let is_so = |slice: &Value| {
            let endpoints = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
            so(slice, endpoints)
        };
        let mut last = 0;
        let waited = until(what, SETTLE, async || {
            let slices = self.slices().await;
            last = slices.iter().filter(|slice| is_so(slice)).count();
            Ok((slices.len() == 200 && last == 200).then_some(()))
        });
        waited.await.unwrap_or_else(|error| panic!("{error}: {last} Services")).1
    }

    /// How often closehaul has patched each slice, as far as the API server has answered with this code.
    fn patches(&self, code: u16) -> BTreeMap<String, usize> {
        let mut patches = BTreeMap::new();
        for event in self.cluster.audit().unwrap() {
            let is_ours =
                event.user == Actor::Closehaul.user() && event.resource == "endpointslices";
            if is_ours && event.code == code {
                assert_eq!(event.verb, "patch");
                *patches.entry(event.name).or_default() += 1;
            }
        }
        patches
    }
}

fn hints(endpoint: &Value) -> Vec<&str> {
    let zones = endpoint["hints"]["forZones"].as_array().map(Vec::as_slice).unwrap_or_default();
    zones.iter().map(|zone| zone["name"].as_str().unwrap()).collect()
}

fn is_marked(slice: &Value) -> bool {
    !slice["metadata"]["annotations"][ANNOTATION].is_null()
}

fn is_own(endpoint: &Value) -> bool {
    hints(endpoint) == [endpoint["zone"].as_str().unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_stay_beside_the_built_in_controller() {
    tokio::time::timeout(LIMIT, beside()).await.expect("the time limit");
}

async fn beside() {
    let (stage, manager) = Stage::set().await;
    let before = stage.slices().await;

    let refused = stage.start("closehaul-refused");
    let status = refused.wait(Duration::from_secs(60)).await.expect("it does not run");
    assert_eq!(status.code(), Some(1), "{}", refused.log_tail());
    let log = fs::read_to_string(refused.log_path()).unwrap();
    assert!(log.contains("there is no MutatingAdmissionPolicy closehaul-hints"), "{log}");
    assert!(log.contains("--mode advise"), "{log}");

    stage.admit().await;
    let first = stage.start("closehaul-first");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stage.patches(200), BTreeMap::new(), "without policies");
    stage
        .apply(
            "policy",
            &json!({
                "apiVersion": "closehaul.io/v1alpha1", "kind": "ClusterLocalityPolicy",
                "metadata": {"name": "all"},
                "spec": {"prefer": ["Zone"], "guard": {"maxOverloadPercent": 30}},
            }),
        )
        .await;
    until("some patches", SETTLE, async || Ok((stage.patches(200).len() >= 40).then_some(())))
        .await
        .unwrap();
    first.signal(Signal::KILL).unwrap();
    let half = stage.patches(200).len();
    assert!(half < 150, "it was to be killed midway: {half}");
    let closehaul = stage.start("closehaul-second");
    let took = stage
        .until_all("the policy", |slice, all| is_marked(slice) && all.iter().all(is_own))
        .await;
    eprintln!("a leader was killed after {half} of {SERVICES} patches; the rest took {took:?}");
    let began = Instant::now();
    quiet(&stage.cluster, QUIET, SETTLE).await.unwrap();
    eprintln!(
        "{QUIET:?} without a stored write, {:?} after the plan",
        began.elapsed().saturating_sub(QUIET)
    );
    let patches = stage.patches(200);
    let again = patches.values().filter(|count| **count > 1).count();
    eprintln!(
        "{} slices patched, {again} of them again; conflicts: {:?}",
        patches.len(),
        stage.patches(422).len()
    );
    assert_eq!(patches.len(), 200);
    assert!(again <= 5, "a patch that was under way when its leader was killed");

    for number in 0..20 {
        let pod = Place::new(Kind::Pod, SHOP, &format!("s{number}-1"));
        let conditions = json!({ "conditions": object::ready(number % 2 == 0) });
        stage.world.patch_status(&pod, &conditions).await.unwrap();
    }
    quiet(&stage.cluster, Duration::from_secs(5), SETTLE).await.unwrap();
    // Without the policy, the built-in controller would take all hints of every other Service away.
    let is_hinted = |endpoint: &Value| !hints(endpoint).is_empty();
    let is_kept = |slice: &Value, all: &[Value]| is_marked(slice) && all.iter().all(is_hinted);
    stage.until_all("hints after flips", is_kept).await;
    let now = stage.patches(200);
    let planned = now.iter().filter(|(slice, count)| patches[*slice] != **count).count();
    assert!(planned <= 10, "only Services that have lost an endpoint get a new plan: {planned}");

    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let evacuation = json!({
        "apiVersion": "closehaul.io/v1alpha1", "kind": "ZoneEvacuation", "metadata": {"name": "a"},
        "spec": {"zones": ["zone-a"], "until": until.to_string()},
    });
    stage.apply("evacuation", &evacuation).await;
    let is_out = |endpoint: &Value| {
        let is_drained = hints(endpoint) == [PLACEHOLDER];
        is_drained == (endpoint["zone"] == "zone-a")
    };
    let took = stage.until_all("the evacuation", |_, all| all.iter().all(is_out)).await;
    eprintln!("{SERVICES} Services were evacuated in {took:?}");
    stage
        .kubectl(&["wait", "--for=condition=Complete", "--timeout=60s", "zoneevacuations/a"])
        .await;
    quiet(&stage.cluster, Duration::from_secs(10), SETTLE).await.unwrap();
    assert!(stage.slices().await.iter().all(is_marked));

    assert!(closehaul.stop(STOP).await.unwrap().is_some());
    let kubeconfig = stage.cluster.kubeconfig(Actor::Admin);
    let mut restore = tokio::process::Command::new(&stage.binary);
    restore.args(["restore", "--mode=assist", "--delete-admission", "--wait", "--kubeconfig"]);
    let restored = restore.arg(kubeconfig).output().await.unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(!stage.slices().await.iter().any(is_marked));
    quiet(&stage.cluster, Duration::from_secs(10), SETTLE).await.unwrap();
    let hints_of = |slices: &[Value]| {
        let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
        let named = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
        let named = named.map(|it| (it["targetRef"]["name"].to_string(), it["hints"].clone()));
        named.collect::<BTreeMap<_, _>>()
    };
    let (before, after) = (hints_of(&before), hints_of(&stage.slices().await));
    assert!(after.iter().all(|(pod, hints)| before[pod] == *hints), "{after:#?}");
    let left = stage.kubectl(&["get", "mutatingadmissionpolicies", "-o", "name"]).await;
    assert_eq!(left.trim(), "");
    assert!(manager.stop(STOP).await.unwrap().is_some());
    stage.cluster.stop().await.unwrap();
}
