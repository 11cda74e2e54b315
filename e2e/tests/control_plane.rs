//! The harness itself: a control plane of real components starts, does what a cluster does, and
//! leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use e2e::{
    closehaul::{self, Profile},
    cluster::{Actor, Cluster, ControllerManager, Options},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Node, Pod, Secret, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Starts a cluster. A failure is printed in readable form.
async fn start(options: Options) -> Cluster {
    Cluster::start(options).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}

async fn set_status<K>(api: &Api<K>, name: &str, status: Value)
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Calls `ask` repeatedly until it returns an answer, for at most 30 seconds.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), poll).await;
    answer.unwrap_or_else(|_| panic!("{what} did not happen in 30 s"))
}

/// The status of an answer that is a refusal.
fn refused<T: std::fmt::Debug>(answer: kube::Result<T>) -> u16 {
    match answer {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("no refusal: {other:?}"),
    }
}

/// Programs that run with a file of the run among their arguments.
fn running_with(run: &str) -> Vec<String> {
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(run)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_controller_writes_slices() {
    tokio::time::timeout(LIMIT, slices()).await.expect("the time limit");
}

async fn slices() {
    let cluster = start(Options { audit: true, ..Options::default() }).await;
    let directory = cluster.directory().to_owned();
    // The files are here, and etcd's data is in another directory with the same name.
    let run = directory.file_name().unwrap().to_str().unwrap();
    let rival = cluster.start_controller_manager(ControllerManager::OnlySlices).await.unwrap();
    assert_eq!(cluster.client(Actor::Admin).unwrap().apiserver_version().await.unwrap().major, "1");

    let before = cluster.stored_slices().await.unwrap();
    one_ready_pod(&cluster).await;
    let api = Api::<EndpointSlice>::namespaced(cluster.client(Actor::Admin).unwrap(), "shop");
    let slice = eventually("the slice of cart", async || {
        let slices = api.list(&ListParams::default()).await.unwrap().items;
        slices.into_iter().find(|slice| !slice.endpoints.is_empty())
    })
    .await;
    assert_eq!(slice.endpoints[0].addresses, ["10.244.0.9"]);
    assert_eq!(slice.endpoints[0].zone.as_deref(), Some("zone-a"));

    let after = cluster.stored_slices().await.unwrap();
    assert!(after.revision > before.revision && after.count == before.count + 1);
    assert_eq!(cluster.slice_revision().await.unwrap(), after.revision);

    let table = cluster.kubectl(&["get", "endpointslices", "-n", "shop"]).await.unwrap();
    assert!(table.success().unwrap().contains("10.244.0.9"));

    let rival_user = Actor::ControllerManager.user();
    let events = cluster.audit().unwrap();
    let created = events.iter().find(|event| event.user == rival_user && event.verb == "create");
    let created = created.expect("the rival's create in the audit log");
    assert_eq!((created.resource.as_str(), created.code), ("endpointslices", 201));
    assert_eq!(Some(&created.name), slice.metadata.name.as_ref());

    rights(&cluster).await;

    assert!(rival.is_running());
    let running = running_with(run);
    assert!(running.len() >= 3, "{running:?}");
    rival.stop(Duration::from_secs(10)).await.unwrap();
    cluster.stop().await.unwrap();
    assert_eq!(running_with(run), Vec::<String>::new());
    assert!(!directory.exists());
    assert!(!Path::new("/dev/shm").join(run).exists());
}

/// Creates the namespace `shop` and a ready node of zone-a with room for pods.
async fn namespace_and_node(cluster: &Cluster) {
    let admin = cluster.client(Actor::Admin).unwrap();
    create(&Api::<Namespace>::all(admin), json!({"metadata": {"name": "shop"}})).await;

    let nodes = Api::<Node>::all(cluster.client(Actor::Kubelet).unwrap());
    let labels = json!({"topology.kubernetes.io/zone": "zone-a"});
    create(&nodes, json!({"metadata": {"name": "n1", "labels": labels}})).await;
    let status = json!({
        "addresses": [{"type": "InternalIP", "address": "192.0.2.11"}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": null}],
        "allocatable": {"pods": "10", "cpu": "4", "memory": "8Gi"},
    });
    set_status(&nodes, "n1", status).await;
    // Admission taints each new node, and the controller that would undo that does not run.
    let patch = Patch::Merge(json!({"spec": {"taints": null}}));
    nodes.patch("n1", &PatchParams::default(), &patch).await.unwrap();
}

/// Makes the namespace `shop` with the Service `cart` and one ready pod behind it on a node of
/// zone-a, each with the permissions of the client that creates it in a cluster.
async fn one_ready_pod(cluster: &Cluster) {
    let admin = cluster.client(Actor::Admin).unwrap();
    let kubelet = cluster.client(Actor::Kubelet).unwrap();
    namespace_and_node(cluster).await;
    create(
        &Api::<Pod>::namespaced(admin.clone(), "shop"),
        json!({
            "metadata": {"name": "cart-0", "labels": {"app": "cart"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "none"}]},
        }),
    )
    .await;
    let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": null}]);
    set_status(
        &Api::<Pod>::namespaced(kubelet, "shop"),
        "cart-0",
        json!({
            "phase": "Running",
            "podIP": "10.244.0.9",
            "podIPs": [{"ip": "10.244.0.9"}],
            "conditions": ready,
        }),
    )
    .await;
    create(
        &Api::<Service>::namespaced(admin, "shop"),
        json!({
            "metadata": {"name": "cart"},
            "spec": {"selector": {"app": "cart"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }),
    )
    .await;
}

/// closehaul may write slices with a Service as their owner, and has no access to what it does not
/// need.
async fn rights(cluster: &Cluster) {
    let client = cluster.client(Actor::Closehaul).unwrap();
    let secrets = Api::<Secret>::all(client.clone());
    assert_eq!(refused(secrets.list(&ListParams::default()).await), 403);
    let pods = Api::<Pod>::namespaced(client.clone(), "shop");
    assert_eq!(refused(pods.delete("cart-0", &DeleteParams::default()).await), 403);

    let services = Api::<Service>::namespaced(client.clone(), "shop");
    assert_eq!(refused(services.get("cart").await), 403, "what is watched is not asked for");
    let owner = services.list(&ListParams::default()).await.unwrap().items.remove(0);
    let mut owner = owner.controller_owner_ref(&()).unwrap();
    // Requires the permission for `services/finalizers`.
    owner.block_owner_deletion = Some(true);
    let slice = |name: &str| {
        json!({
            "metadata": {"name": name, "ownerReferences": [owner]},
            "addressType": "IPv4",
            "endpoints": [],
            "ports": [],
        })
    };
    let slices = Api::<EndpointSlice>::namespaced(client, "shop");
    create(&slices, slice("ours")).await;

    // The kubelet stand-in has no permission for `services/finalizers` or slices.
    let kubelet = cluster.client(Actor::Kubelet).unwrap();
    let slices = Api::<EndpointSlice>::namespaced(kubelet, "shop");
    let theirs = serde_json::from_value(slice("theirs")).unwrap();
    assert_eq!(refused(slices.create(&PostParams::default(), &theirs).await), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_cluster_runs_without_the_built_in_controller() {
    tokio::time::timeout(LIMIT, rest()).await.expect("the time limit");
}

async fn rest() {
    let cidrs = ["10.96.0.0/16", "fd00:96::/112"].map(str::to_owned).to_vec();
    let options = Options { service_cidrs: cidrs, ..Options::default() };
    let cluster = start(options).await;
    let manager = ControllerManager::EverythingButSlices;
    let manager = cluster.start_controller_manager(manager).await.unwrap();
    let scheduler = cluster.start_scheduler().await.unwrap();
    namespace_and_node(&cluster).await;
    let admin = cluster.client(Actor::Admin).unwrap();

    let services = Api::<Service>::namespaced(admin.clone(), "shop");
    let ports = json!([{"port": 80, "targetPort": 8080}]);
    let spec = json!({
        "selector": {"app": "cart"}, "ports": ports, "ipFamilyPolicy": "RequireDualStack"});
    let service = create(&services, json!({"metadata": {"name": "cart"}, "spec": spec})).await;
    let addresses = service.spec.as_ref().unwrap().cluster_ips.clone().unwrap();
    assert!(addresses[0].starts_with("10.96.") && addresses[1].starts_with("fd00:96::"));

    // The Deployment's controllers create the pod, and the scheduler finds a node.
    let labels = json!({"app": "cart"});
    let containers = json!([{"name": "main", "image": "none"}]);
    let deployment = json!({
        "metadata": {"name": "cart"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    });
    let deployments = Api::<Deployment>::namespaced(admin.clone(), "shop");
    create(&deployments, deployment).await;
    let pods = Api::<Pod>::namespaced(cluster.client(Actor::Kubelet).unwrap(), "shop");
    let node = eventually("the pod's node", async || {
        let pods = pods.list(&ListParams::default()).await.unwrap().items;
        pods.into_iter().find_map(|pod| pod.spec?.node_name)
    })
    .await;
    assert_eq!(node, "n1");

    // No controller writes slices here; those of a deleted Service are collected.
    let ours = cluster.client(Actor::Closehaul).unwrap();
    let slices = Api::<EndpointSlice>::namespaced(ours, "shop");
    assert!(slices.list(&ListParams::default()).await.unwrap().items.is_empty());
    let owner = service.controller_owner_ref(&()).unwrap();
    let slice = json!({
        "metadata": {"name": "ours", "ownerReferences": [owner]},
        "addressType": "IPv4",
        "endpoints": [],
        "ports": [],
    });
    create(&slices, slice).await;
    services.delete("cart", &DeleteParams::default()).await.unwrap();
    eventually("the collection of the slice", async || {
        slices.list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;

    for process in [manager, scheduler] {
        process.must_run().unwrap();
        process.stop(Duration::from_secs(10)).await.unwrap();
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_outlive_killed_servers() {
    tokio::time::timeout(LIMIT, restarts()).await.expect("the time limit");
}

async fn restarts() {
    let mut cluster = start(Options::default()).await;
    let namespaces = Api::<Namespace>::all(cluster.client(Actor::Admin).unwrap());
    let made = create(&namespaces, json!({"metadata": {"name": "shop"}})).await;

    let before = [cluster.etcd().pid(), cluster.apiserver().pid()];
    cluster.restart_etcd().await.unwrap();
    cluster.restart_apiserver().await.unwrap();
    let after = [cluster.etcd().pid(), cluster.apiserver().pid()];
    assert!(before[0] != after[0] && before[1] != after[1]);

    assert_eq!(namespaces.get("shop").await.unwrap().metadata.uid, made.metadata.uid);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_clears_what_a_killed_one_left() {
    tokio::time::timeout(LIMIT, after_a_kill()).await.expect("the time limit");
}

async fn after_a_kill() {
    let mut run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_run_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let directory = lines
        .map(|line| line.unwrap())
        .find_map(|line| Some(PathBuf::from(line.split_once(DIRECTORY)?.1)))
        .expect("the directory of the run");
    let name = directory.file_name().unwrap().to_str().unwrap();
    assert!(running_with(name).len() >= 2);
    run.kill().unwrap();
    run.wait().unwrap();

    let cluster = start(Options::default()).await;
    assert_eq!(running_with(name), Vec::<String>::new());
    assert!(!directory.exists() && !Path::new("/dev/shm").join(name).exists());
    cluster.stop().await.unwrap();
}

/// What the run that is killed prints before its directory.
const DIRECTORY: &str = "the directory is ";

#[tokio::test]
#[ignore = "the other half of the_next_run_clears_what_a_killed_one_left"]
async fn a_run_to_be_killed() {
    let cluster = start(Options::default()).await;
    println!("{DIRECTORY}{}", cluster.directory().display());
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn closehaul_is_built_from_this_checkout() {
    let path = closehaul::build(Profile::Dev).await.unwrap();
    assert!(path.is_file() && path.ends_with("debug/closehaul"), "{}", path.display());
}
