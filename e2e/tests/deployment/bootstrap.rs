//! A cluster without slices, on nodes that are not ready, with a webhook that fails closed and is
//! reached only through slices. The test shows what comes up by itself, and what requires the steps
//! in `docs/install.md`.
//!
//! A webhook is reached by the address of its Service, which kube-proxy on the API server's node
//! leads on by slices. Here nothing runs in the API server's own namespace, so it is set to look
//! at the slices itself (`--enable-aggregator-routing`): the way is another, what has to be there
//! for it is the same. The kubelet is a stand-in, as in the rest of this test.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use e2e::{
    chart::Tools,
    closehaul::{self, Profile},
    cluster::{Actor, Cluster, ControllerManager, Options},
    machine,
    net::Network,
    process::{Process, Signal},
    world::{Kind, Place, World, object, until},
};
use serde_json::{Value, json};

use crate::{
    ALONE, LIMIT, SETTLE,
    container::Pod,
    kubectl, leaders,
    webhook::{GUARD, Webhook},
};

const SHOP: &str = "shop";
/// How long writes are rejected before anything is done about it.
const BLOCKED: Duration = Duration::from_secs(10);
/// A rejected write is retried after at most a minute.
const RETRIED: Duration = Duration::from_secs(70);
/// The user of the chart's pods.
const USER: &str = "system:serviceaccount:kube-system:closehaul";
/// Taints of a node whose network and cloud provider are not ready yet.
const TAINTS: [&str; 4] = [
    "node-role.kubernetes.io/control-plane",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_slices_comes_up_once_its_webhooks_let_it() {
    machine::require_namespaces().unwrap();
    let _alone = ALONE.lock().await;
    tokio::time::timeout(LIMIT, bootstrap()).await.expect("the time limit");
}

async fn bootstrap() {
    let tools = tokio::task::spawn_blocking(Tools::ensure).await.unwrap().unwrap();
    let manifest = tools.render("kube-system", &[]).unwrap();
    let mut network = Network::new().unwrap();
    let options = Options {
        bind: network.host().into(),
        extra_apiserver_args: vec!["--enable-aggregator-routing=true".to_owned()],
        ..Options::default()
    };
    let cluster = Cluster::start(options).await.unwrap();
    let _manager =
        cluster.start_controller_manager(ControllerManager::EverythingButSlices).await.unwrap();
    let _scheduler = cluster.start_scheduler().await.unwrap();
    let binary = closehaul::build(Profile::Dev).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    let mut namespaces = BTreeMap::new();
    for node in ["one", "two"] {
        let namespace = network.add_node(node).unwrap().namespace().name().to_owned();
        namespaces.insert(node, namespace);
        world.create(&tainted(node)).await.unwrap();
    }
    let webhook = Webhook::start(network.host(), "guard.guard.svc").await;
    guard(&world, &webhook, network.host().to_string()).await;
    world.create(&object::namespace(SHOP)).await.unwrap();
    world.create(&object::service(SHOP, "cart")).await.unwrap();
    webhook.configure(&cluster).await;
    crate::install(&cluster, &manifest).await;
    let site = Site { cluster, world, webhook, namespaces, binary };

    site.pods_are_made_once_their_namespace_is_left_out().await;
    let pods = site.pods().await;
    let [first, second] = &pods[..] else { panic!("{} pods", pods.len()) };
    let started = [site.start(first).await, site.start(second).await];
    site.one_leads_once_leases_are_left_out(&pods, &started).await;
    site.slices_are_written_once_their_writer_is_left_out(&started).await;
    site.all_comes_up_by_itself_from_then_on(pods, started).await;
    site.cluster.stop().await.unwrap();
}

/// Everything that runs.
struct Site {
    cluster: Cluster,
    world: World,
    webhook: Webhook,
    /// The nodes' network namespaces.
    namespaces: BTreeMap<&'static str, String>,
    binary: PathBuf,
}

/// A node before its network is ready.
fn tainted(name: &str) -> Value {
    let mut node = object::node(name, Some("zone-a"));
    node["metadata"]["labels"]["kubernetes.io/hostname"] = json!(name);
    node["metadata"]["labels"]["kubernetes.io/os"] = json!("linux");
    node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
    let effects =
        |key| ["NoSchedule", "NoExecute"].map(|effect| json!({"key": key, "effect": effect}));
    let taints = TAINTS.into_iter().flat_map(effects);
    // The role's taint keeps pods away, but does not evict them.
    let taints = taints.filter(|it| it["key"] != TAINTS[0] || it["effect"] == "NoSchedule");
    node["spec"] = json!({"taints": taints.collect::<Vec<_>>()});
    node["status"]["conditions"] = object::ready(false);
    node
}

/// The webhook's Service, and its pod, which runs in the API server's network.
async fn guard(world: &World, webhook: &Webhook, address: String) {
    world.create(&object::namespace(GUARD)).await.unwrap();
    let mut service = object::service(GUARD, GUARD);
    service["spec"]["ports"][0] = json!({"port": 443, "targetPort": webhook.port});
    world.create(&service).await.unwrap();
    let mut pod = object::pod(GUARD, GUARD, GUARD, "one", &[address]);
    pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    pod["spec"]["hostNetwork"] = json!(true);
    world.create(&pod).await.unwrap();
}

/// As manuals advise, this webhook ignores kube-system.
fn without_kube_system() -> Value {
    json!({"namespaceSelector": {"matchExpressions": [{
        "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]}})
}

/// It also ignores what closehaul writes.
fn without_closehaul() -> Value {
    let expression = format!("request.userInfo.username != '{USER}'");
    json!({"matchConditions": [{"name": "not-closehaul", "expression": expression}]})
}

impl Site {
    /// Adds fields to one of the webhooks.
    async fn exclude(&self, webhook: usize, what: &Value) {
        let fields = what.as_object().unwrap().iter();
        let patch = fields.map(|(field, value)| {
            json!({"op": "add", "path": format!("/webhooks/{webhook}/{field}"), "value": value})
        });
        let patch = Value::from(patch.collect::<Vec<_>>()).to_string();
        let name = format!("validatingwebhookconfiguration/{GUARD}");
        kubectl(&self.cluster, &["patch", &name, "--type=json", "--patch", &patch]).await;
    }

    /// closehaul's pods that are not terminating.
    async fn pod_objects(&self) -> Vec<Value> {
        let pods = self.world.list(Kind::Pod, Some("kube-system")).await.unwrap();
        let is_ours =
            |pod: &Value| pod["metadata"]["labels"]["app.kubernetes.io/name"] == "closehaul";
        pods.into_iter()
            .filter(|pod| is_ours(pod) && pod["metadata"]["deletionTimestamp"].is_null())
            .collect()
    }

    /// The slices that closehaul has created.
    async fn slices(&self) -> Vec<Value> {
        let slices = self.world.list(Kind::Slice, None).await.unwrap();
        let label = "endpointslice.kubernetes.io/managed-by";
        slices.into_iter().filter(|slice| !slice["metadata"]["labels"][label].is_null()).collect()
    }

    async fn pods_are_made_once_their_namespace_is_left_out(&self) {
        let (why, _) = until("the ReplicaSet says why there is no pod", SETTLE, async || {
            let args = ["-n", "kube-system", "get", "deployment/closehaul", "-o", "json"];
            let deployment = kubectl(&self.cluster, &args).await;
            let deployment = serde_json::from_str::<Value>(&deployment).unwrap();
            let mut conditions =
                deployment["status"]["conditions"].as_array().into_iter().flatten();
            let failure = conditions.find(|it| it["type"] == "ReplicaFailure").cloned();
            Ok(failure.and_then(|it| it["message"].as_str().map(str::to_owned)))
        })
        .await
        .unwrap();
        eprintln!("bootstrap: no pod of closehaul is made: {why}");
        assert!(why.contains("failed calling webhook \"pods.guard.example.com\""), "{why}");
        tokio::time::sleep(BLOCKED).await;
        assert!(self.pod_objects().await.is_empty() && self.slices().await.is_empty());

        self.exclude(0, &without_kube_system()).await;
        let ((), after) = until("the pods are made and have nodes", RETRIED, async || {
            let pods = self.pod_objects().await;
            let bound = pods.iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count();
            Ok((bound == 2).then_some(()))
        })
        .await
        .unwrap();
        eprintln!("bootstrap: kube-system left out, two pods have tainted nodes after {after:?}");

        // A pod without tolerations has no node yet, so the nodes are tainted as intended.
        let mut plain = object::pod("kube-system", "plain", "plain", "one", &[]);
        plain["spec"].as_object_mut().unwrap().remove("nodeName");
        plain.as_object_mut().unwrap().remove("status");
        let plain = Place::of(&self.world.create(&plain).await.unwrap()).unwrap();
        let (why, _) = until("the scheduler finds no node", SETTLE, async || {
            let pod = self.world.get(&plain).await?.unwrap();
            let condition = pod["status"]["conditions"][0].clone();
            let is_refused = condition["reason"] == "Unschedulable";
            Ok(is_refused.then(|| condition["message"].to_string()))
        })
        .await
        .unwrap();
        eprintln!("bootstrap: a pod without tolerations stays Pending: {why}");
        assert!(why.contains("taint"), "{why}");
    }

    /// closehaul's pods as containers, by the names of their nodes.
    async fn pods(&self) -> Vec<Pod> {
        let mut objects = self.pod_objects().await;
        objects.sort_by_key(|pod| pod["spec"]["nodeName"].to_string());
        let mut pods = Vec::new();
        for object in objects {
            pods.push(self.pod(&object).await);
        }
        let nodes = pods.iter().map(Pod::node).collect::<Vec<_>>();
        assert_eq!(nodes, ["one", "two"], "each has a node of its own");
        pods
    }

    async fn pod(&self, object: &Value) -> Pod {
        let node = object["spec"]["nodeName"].as_str().unwrap();
        Pod::adopt(&self.cluster, object.clone(), &self.namespaces[node]).await
    }

    /// Starts a pod's container, and reports it as a kubelet would.
    async fn start(&self, pod: &Pod) -> Process {
        let process = pod.start(&self.cluster, &self.binary);
        pod.ready(&process).await;
        let place = Place::new(Kind::Pod, "kube-system", &pod.name);
        let status = json!({"phase": "Running", "conditions": object::ready(true)});
        self.world.patch_status(&place, &status).await.unwrap();
        process
    }

    async fn one_leads_once_leases_are_left_out(&self, pods: &[Pod], started: &[Process]) {
        let line = said(&started[0], "leases.guard.example.com").await;
        eprintln!("bootstrap: both replicas are ready, none leads:\n{line}");
        tokio::time::sleep(BLOCKED).await;
        assert_eq!(leaders(pods), [0, 0]);

        self.exclude(1, &without_closehaul()).await;
        let after = until_one_leads(pods).await;
        eprintln!("bootstrap: its leases left out, one leads after {after:?}");
        let args =
            ["-n", "kube-system", "rollout", "status", "deployment/closehaul", "--timeout=60s"];
        kubectl(&self.cluster, &args).await;
    }

    async fn slices_are_written_once_their_writer_is_left_out(&self, started: &[Process]) {
        let (line, _) = until("the leader says what refuses its slices", SETTLE, async || {
            let lines =
                started.iter().filter_map(|it| find(it, "endpointslices.guard.example.com"));
            Ok(lines.last())
        })
        .await
        .unwrap();
        eprintln!("bootstrap: no slice can be written:\n{line}");
        tokio::time::sleep(BLOCKED).await;
        assert!(self.slices().await.is_empty(), "not even that of the webhook");
        assert_eq!(self.webhook.asked(USER, "endpointslices"), 0);
        let refused = self.world.create(&cart(1)).await.unwrap_err().to_string();
        eprintln!("bootstrap: a pod of another namespace: {refused}");
        assert!(refused.contains("pods.guard.example.com"), "{refused}");

        self.exclude(2, &without_closehaul()).await;
        let ((), after) = until("all Services have slices", RETRIED, async || {
            Ok((self.slices().await.len() == 2).then_some(()))
        })
        .await
        .unwrap();
        eprintln!("bootstrap: its slices left out, all are there after {after:?}");
        // With its slice the webhook is reached, and pods can be created anywhere.
        until("a pod is made in another namespace", SETTLE, async || {
            Ok(self.world.create(&cart(1)).await.ok())
        })
        .await
        .unwrap();
        self.shows("cart-1").await;
        assert!(self.webhook.asked(Actor::Admin.user(), "pods") > 0);
    }

    /// With the slices of the webhook in place, nothing must be left out, regardless of what ends.
    async fn all_comes_up_by_itself_from_then_on(&self, mut pods: Vec<Pod>, started: [Process; 2]) {
        self.webhook.configure(&self.cluster).await;
        self.judged().await;
        // Both containers end at once and are restarted, as after an outage.
        for process in started {
            process.signal(Signal::KILL).unwrap();
            process.wait(SETTLE).await.unwrap();
        }
        let started = [self.start(&pods[0]).await, self.start(&pods[1]).await];
        until_one_leads(&pods).await;
        self.world.create(&cart(2)).await.unwrap();
        self.shows("cart-2").await;
        // A pod that is deleted is rebuilt by its ReplicaSet.
        let [first, second] = started;
        first.signal(Signal::KILL).unwrap();
        first.wait(SETTLE).await.unwrap();
        let gone = Place::new(Kind::Pod, "kube-system", &pods[0].name);
        self.world.delete(&gone).await.unwrap();
        let (object, _) = until("another pod takes its place", SETTLE, async || {
            let mut pods = self.pod_objects().await.into_iter();
            Ok(pods.find(|pod| {
                pod["metadata"]["name"] != gone.name && pod["spec"]["nodeName"] == "one"
            }))
        })
        .await
        .unwrap();
        pods[0] = self.pod(&object).await;
        let third = self.start(&pods[0]).await;
        until_one_leads(&pods).await;
        let judged =
            ["leases", "endpointslices"].map(|resource| self.webhook.asked(USER, resource));
        eprintln!("bootstrap: the webhook has judged {judged:?} leases and slices of closehaul");
        assert!(judged.iter().all(|count| *count > 0), "{judged:?}");

        // What the manual advises if it has happened after all. Without slices, the webhook cannot
        // be reached. Without its configuration, slices can be written. Then it can be created
        // again.
        kubectl(&self.cluster, &["delete", "endpointslices", "-n", GUARD, "--all"]).await;
        let copies = [second, third];
        let (ended, after) = until("the leader ends, as it cannot renew", SETTLE, async || {
            Ok(copies.iter().find(|copy| !copy.is_running()))
        })
        .await
        .unwrap();
        let line = find(ended, "no endpoints available").unwrap();
        eprintln!(
            "bootstrap: without the webhook's slice the leader ends after {after:?}:\n{line}"
        );
        assert!(self.world.slices_of(GUARD, GUARD).await.unwrap().is_empty());
        kubectl(&self.cluster, &["delete", &format!("validatingwebhookconfiguration/{GUARD}")])
            .await;
        let (_, after) = until("the webhook's slice is there", RETRIED, async || {
            Ok(self.world.slices_of(GUARD, GUARD).await?.pop())
        })
        .await
        .unwrap();
        eprintln!("bootstrap: its configuration deleted, its slice is there after {after:?}");
        self.webhook.configure(&self.cluster).await;
        self.judged().await;
        self.world.create(&cart(3)).await.unwrap();
        self.shows("cart-3").await;
    }

    /// Waits until the API server asks the webhook about pods.
    async fn judged(&self) {
        let user = Actor::Admin.user();
        let before = self.webhook.asked(user, "pods");
        let pod = Place::new(Kind::Pod, SHOP, "cart-1");
        until("the webhook is asked", SETTLE, async || {
            let patch = json!({"metadata": {"annotations": {"asked": "again"}}});
            // Until the API server knows the webhook's slice, it refuses.
            let _ = self.world.patch(&pod, &patch).await;
            Ok((self.webhook.asked(user, "pods") > before).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Waits until a slice of Service `cart` has the pod.
    async fn shows(&self, pod: &str) {
        until(pod, SETTLE, async || {
            let slices = self.world.slices_of(SHOP, "cart").await?;
            let mut endpoints = slices.iter().filter_map(|it| it["endpoints"].as_array()).flatten();
            Ok(endpoints.any(|endpoint| endpoint["targetRef"]["name"] == pod).then_some(()))
        })
        .await
        .unwrap();
    }
}

/// A ready pod in another namespace, which stays on its node regardless of the taints.
fn cart(number: u64) -> Value {
    let [address, _] = object::addresses(number);
    let mut pod = object::pod(SHOP, &format!("cart-{number}"), "cart", "one", &[address]);
    pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    pod
}

async fn until_one_leads(pods: &[Pod]) -> Duration {
    let one = async || Ok((leaders(pods).iter().sum::<u32>() == 1).then_some(()));
    until("one leads", SETTLE, one).await.unwrap().1
}

/// The last line of its log with this text.
fn find(process: &Process, text: &str) -> Option<String> {
    let log = fs::read_to_string(process.log_path()).unwrap();
    log.lines().rev().find(|line| line.contains(text)).map(str::to_owned)
}

async fn said(process: &Process, text: &str) -> String {
    let (line, _) = until(text, SETTLE, async || Ok(find(process, text))).await.unwrap();
    line
}
