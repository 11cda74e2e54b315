//! Without any one of its permissions closehaul says which: in the log, and to clients that ask
//! whether it is ready; and it goes on as soon as it has it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{fs, time::Duration};

use e2e::{
    closehaul::{self, Ports},
    cluster::{Actor, Cluster, Options},
    process::Process,
    world::{Kind, Place, World, object, until},
};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);
const SHOP: &str = "shop";

/// Role, resource and verb; the check of `/readyz?verbose` that reports it; and its words. To list
/// is not among them: these API servers send lists through the watch. That all rights together are
/// those of the chart's roles is shown by the test `deployment`.
const RIGHTS: [(&str, &str, &str, &str, &str); 12] = [
    ("clusterrole", "services", "watch", "[-]services", "cannot watch resource \"services\""),
    ("clusterrole", "pods", "watch", "[-]pods", "cannot watch resource \"pods\""),
    ("clusterrole", "nodes", "watch", "[-]nodes", "cannot watch resource \"nodes\""),
    (
        "clusterrole",
        "endpointslices",
        "watch",
        "[-]endpointslices",
        "cannot watch resource \"endpointslices\"",
    ),
    (
        "clusterrole",
        "endpointslices",
        "create",
        "[+]writes",
        "cannot create resource \"endpointslices\"",
    ),
    (
        "clusterrole",
        "endpointslices",
        "update",
        "[+]writes",
        "cannot update resource \"endpointslices\"",
    ),
    (
        "clusterrole",
        "endpointslices",
        "delete",
        "[+]writes",
        "cannot delete resource \"endpointslices\"",
    ),
    (
        "clusterrole",
        "services/finalizers",
        "update",
        "[+]writes",
        "ownerReference refers to a resource you can't set finalizers on",
    ),
    ("clusterrole", "events", "create", "[+]events", "cannot create resource \"events\""),
    ("role", "leases", "create", "[+]lease", "cannot create resource \"leases\""),
    ("role", "leases", "get", "[+]lease", "cannot get resource \"leases\""),
    ("role", "leases", "update", "[+]lease", "cannot update resource \"leases\""),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_is_missing_is_named() {
    tokio::time::timeout(LIMIT, rights()).await.expect("the time limit");
}

async fn rights() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    world.create(&object::namespace(SHOP)).await.unwrap();
    for (round, right) in RIGHTS.into_iter().enumerate() {
        missing(&cluster, &world, round, right).await;
    }
    cluster.stop().await.unwrap();
}

/// Removes one permission, checks what closehaul reports, and restores the permission.
async fn missing(
    cluster: &Cluster,
    world: &World,
    round: usize,
    (role, resource, verb, check, words): (&str, &str, &str, &str, &str),
) {
    let before = take_away(cluster, role, resource, verb).await;
    let ports = Ports::free().unwrap();
    let [metrics, health] = ports.args();
    if (resource, verb) == ("leases", "update") {
        // Creates a lease to take over, because a leader that cannot renew its lease ends.
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "closehaul", "namespace": "kube-system"},
            "spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 1},
        });
        let file = cluster.directory().join("lease.json");
        fs::write(&file, lease.to_string()).unwrap();
        let create = ["create", "-f", &file.display().to_string()];
        cluster.kubectl(&create).await.unwrap().success().unwrap();
    }
    // One endpoint per slice, so there is a slice to delete.
    let args = [
        "--leader-elect-lease-duration=3s",
        "--leader-elect-renew-deadline=2s",
        "--leader-elect-retry-period=400ms",
        "--max-endpoints-per-slice=1",
        &metrics,
        &health,
    ];
    let closehaul = closehaul::start(cluster, &args).await.unwrap();
    let name = format!("cart-{round}");
    let (line, _) = until("readyz names the right", SETTLE, async || {
        closehaul.must_run().map_err(e2e::cluster::Error::from)?;
        stir(world, &name).await;
        let Ok((_, text)) = ports.health("/readyz?verbose").await else { return Ok(None) };
        let mut lines = text.lines();
        Ok(lines.find(|it| it.starts_with(check) && it.contains(words)).map(str::to_owned))
    })
    .await
    .unwrap_or_else(|error| panic!("{verb} {resource}: {error}\n{}", closehaul.log_tail()));
    eprintln!("rights: without {verb} {resource}:\n  {line}");
    let logged = logged(&closehaul, words);
    eprintln!("  {}", logged.first().unwrap());
    assert_eq!(ports.health("/livez").await.unwrap().0, 200);
    let is_ready = ports.health("/readyz").await.unwrap().0 == 200;
    assert_eq!(is_ready, check.starts_with("[+]"), "{line}");

    set_rules(cluster, role, &before).await;
    until("it writes", SETTLE, async || {
        let slices = world.slices_of(SHOP, &name).await?;
        let pods = world.list(Kind::Pod, Some(SHOP)).await?;
        let of = |pod: &&Value| pod["metadata"]["labels"]["app"] == *name;
        Ok((slices.len() == pods.iter().filter(of).count()).then_some(()))
    })
    .await
    .unwrap();
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    let args = ["delete", "lease", "closehaul", "-n", "kube-system", "--ignore-not-found"];
    cluster.kubectl(&args).await.unwrap().success().unwrap();
    world.delete_all(Kind::Pod, SHOP).await.unwrap();
    world.delete(&Place::new(Kind::Service, SHOP, &name)).await.unwrap();
    cluster.kubectl(&["delete", "endpointslices", "--all", "-n", SHOP]).await.unwrap();
}

/// Something that requires each permission: slices to create, to update and to delete, and news of
/// a Service whose node is without a zone by turns.
async fn stir(world: &World, name: &str) {
    let place = Place::new(Kind::Service, SHOP, name);
    if world.get(&place).await.unwrap().is_none() {
        let mut service = object::service(SHOP, name);
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        world.create(&service).await.unwrap();
        if world.get(&Place::node("node")).await.unwrap().is_none() {
            world.create(&object::node("node", Some("zone-a"))).await.unwrap();
        }
        for number in 0..3 {
            create_pod(world, name, number).await;
        }
        return;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let first = Place::new(Kind::Pod, SHOP, &format!("{name}-0"));
    let pod = world.get(&first).await.unwrap().unwrap();
    let was_ready = pod["status"]["conditions"][0]["status"] == "True";
    let status = json!({"conditions": object::ready(!was_ready)});
    world.patch_status(&first, &status).await.unwrap();
    let zone = if was_ready { Value::Null } else { json!("zone-a") };
    let labels = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
    world.patch(&Place::node("node"), &labels).await.unwrap();
    // This is repeated, because a pod that is deleted before its slice is written leaves no slice.
    let last = Place::new(Kind::Pod, SHOP, &format!("{name}-2"));
    if world.get(&last).await.unwrap().is_some() {
        world.delete(&last).await.unwrap();
    } else {
        create_pod(world, name, 2).await;
    }
}

async fn create_pod(world: &World, name: &str, number: u64) {
    let [address, _] = object::addresses(number);
    let pod = object::pod(SHOP, &format!("{name}-{number}"), name, "node", &[address]);
    world.create(&pod).await.unwrap();
}

/// The lines of the log with these words. Quotes are escaped there.
fn logged(closehaul: &Process, words: &str) -> Vec<String> {
    let log = fs::read_to_string(closehaul.log_path()).unwrap();
    let words = words.replace('"', "\\\"");
    log.lines().filter(|line| line.contains(&words)).map(str::to_owned).collect()
}

/// Removes a verb on a resource from the role. Returns the previous rules.
async fn take_away(cluster: &Cluster, role: &str, resource: &str, verb: &str) -> Value {
    let name = format!("{role}/closehaul");
    let get = ["get", &name, "-n", "kube-system", "-o", "json"];
    let shown = cluster.kubectl(&get).await.unwrap().success().unwrap();
    let before = serde_json::from_str::<Value>(&shown).unwrap()["rules"].take();
    let mut rules = Vec::new();
    for granted in before.as_array().unwrap() {
        for one in granted["resources"].as_array().unwrap() {
            // Each resource gets a separate rule, so the verb is removed only from this one.
            let mut less = granted.clone();
            less["resources"] = json!([one]);
            if one == resource {
                less["verbs"].as_array_mut().unwrap().retain(|it| it != verb);
            }
            if less["verbs"] != json!([]) {
                rules.push(less);
            }
        }
    }
    let rules = Value::from(rules);
    set_rules(cluster, role, &rules).await;
    before
}

async fn set_rules(cluster: &Cluster, role: &str, rules: &Value) {
    let patch = json!({"rules": rules}).to_string();
    let name = format!("{role}/closehaul");
    let args = ["patch", &name, "-n", "kube-system", "--type=merge", "--patch", &patch];
    cluster.kubectl(&args).await.unwrap().success().unwrap();
}
