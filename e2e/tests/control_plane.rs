//! The harness itself: a control plane of real components starts, does what a cluster does, and
//! leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{fs, path::Path, time::Duration};

use e2e::cluster::{Actor, Cluster, ControllerManager, Options};
use k8s_openapi::api::{
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

/// Asks `ask` again and again until it answers, for at most 30 seconds.
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

/// Programs that run with a file of `directory` among their arguments.
fn running_with(directory: &Path) -> Vec<String> {
    let needle = directory.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(needle)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_controller_writes_slices() {
    tokio::time::timeout(LIMIT, slices()).await.expect("the time limit");
}

async fn slices() {
    let cluster = Cluster::start(Options { audit: true, ..Options::default() }).await.unwrap();
    let directory = cluster.directory().to_owned();
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
    let running = running_with(&directory);
    assert!(running.len() >= 3, "{running:?}");
    rival.stop(Duration::from_secs(10)).await.unwrap();
    cluster.stop().await.unwrap();
    assert_eq!(running_with(&directory), Vec::<String>::new());
    assert!(!directory.exists());
    let memory = Path::new("/dev/shm").join(directory.file_name().unwrap());
    assert!(!memory.exists());
}

/// Makes the namespace `shop` with the Service `cart` and one ready pod behind it on a node of
/// zone-a, each with the rights of whoever makes it in a cluster.
async fn one_ready_pod(cluster: &Cluster) {
    let admin = cluster.client(Actor::Admin).unwrap();
    let kubelet = cluster.client(Actor::Kubelet).unwrap();
    create(&Api::<Namespace>::all(admin.clone()), json!({"metadata": {"name": "shop"}})).await;

    let nodes = Api::<Node>::all(kubelet.clone());
    let labels = json!({"topology.kubernetes.io/zone": "zone-a"});
    create(&nodes, json!({"metadata": {"name": "n1", "labels": labels}})).await;
    let address = json!([{"type": "InternalIP", "address": "192.0.2.11"}]);
    let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": null}]);
    set_status(&nodes, "n1", json!({"addresses": address, "conditions": ready})).await;

    create(
        &Api::<Pod>::namespaced(admin.clone(), "shop"),
        json!({
            "metadata": {"name": "cart-0", "labels": {"app": "cart"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "none"}]},
        }),
    )
    .await;
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

/// closehaul may write slices, own them by a Service, and nothing that it has no business with.
async fn rights(cluster: &Cluster) {
    let client = cluster.client(Actor::Closehaul).unwrap();
    let secrets = Api::<Secret>::all(client.clone());
    assert_eq!(refused(secrets.list(&ListParams::default()).await), 403);
    let pods = Api::<Pod>::namespaced(client.clone(), "shop");
    assert_eq!(refused(pods.delete("cart-0", &DeleteParams::default()).await), 403);

    let services = Api::<Service>::namespaced(client.clone(), "shop");
    let owner = services.get("cart").await.unwrap().controller_owner_ref(&()).unwrap();
    let slice = |name: &str| {
        json!({
            "metadata": {"name": name, "ownerReferences": [owner]},
            "addressType": "IPv4",
            "endpoints": [],
            "ports": [],
        })
    };
    let slices = Api::<EndpointSlice>::namespaced(client, "shop");
    assert_eq!(owner.block_owner_deletion, Some(true));
    create(&slices, slice("ours")).await;

    // The kubelet stand-in has no right to `services/finalizers` nor to slices.
    let kubelet = cluster.client(Actor::Kubelet).unwrap();
    let slices = Api::<EndpointSlice>::namespaced(kubelet, "shop");
    let theirs = serde_json::from_value(slice("theirs")).unwrap();
    assert_eq!(refused(slices.create(&PostParams::default(), &theirs).await), 403);
}
