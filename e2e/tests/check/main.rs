//! `closehaul check` on a real control plane, before and after the installation by Helm: what it prints
//! when all is well, and for each thing that may be wrong. Nothing in this cluster starts pods, so what
//! kubelets and kubeadm would report is created as objects.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod assist;
mod command;
mod reader;
mod site;

use std::{
    fs,
    time::{Duration, Instant},
};

use e2e::{
    closehaul::{self, Ports},
    cluster::{Cluster, ControllerManager, Options},
    process::Process,
    world::{Kind, Place, object, until},
};
use serde_json::{Value, json};

use self::site::{OFF, ON, SHOP, Site};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_line() {
    tokio::time::timeout(LIMIT, check()).await.expect("the time limit");
}

async fn check() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let site = Site::set(&cluster).await;
    let since = Instant::now();
    before(&site).await;
    site.install("closehaul", "kube-system", &[]).await;
    let closehaul = start(&cluster, "replace").await;
    site.report_ready("kube-system", "closehaul").await;
    let closehaul = after(&site, closehaul).await;
    advise(&site, closehaul).await;
    eprintln!("check: {:?} for all of them", since.elapsed());
    cluster.stop().await.unwrap();
}

/// Starts a replica, with the permissions that the chart grants, and waits until it leads.
async fn start(cluster: &Cluster, mode: &str) -> Process {
    let ports = Ports::free().unwrap();
    let [metrics, health] = ports.args();
    let mode = format!("--mode={mode}");
    let closehaul = closehaul::start(cluster, &[&mode, &metrics, &health]).await.unwrap();
    until("closehaul is ready", SETTLE, async || {
        closehaul.must_run().map_err(e2e::cluster::Error::from)?;
        let Ok((_, text)) = ports.health("/readyz?verbose").await else { return Ok(None) };
        let log = fs::read_to_string(closehaul.log_path()).unwrap();
        let is_done = mode.ends_with("advise") || log.contains("\"message\":\"leading\"");
        Ok((is_done && !text.contains("[-]")).then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", closehaul.log_tail()));
    closehaul
}

/// `check --pre`.
async fn before(site: &Site<'_>) {
    let built_in = ControllerManager::OnlySlices;
    let built_in = site.cluster.start_controller_manager(built_in).await.unwrap();
    until("the built-in controller serves the Service", SETTLE, async || {
        Ok((!site.world.slices_of(SHOP, "cart").await?.is_empty()).then_some(()))
    })
    .await
    .unwrap();
    assert!(built_in.stop(STOP).await.unwrap().is_some());
    let pre = ["--pre"];
    let well = site.check("pre, all well", &pre).await;
    well.passed();
    insta::assert_snapshot!("pre_all_well", well.text);

    site.label("w-b", &json!(null)).await;
    let zones = site.check("pre, a node without zone", &pre).await;
    zones.passed();
    zones.says("warning", "nodes have zones", "1 of 5 nodes without the label");
    zones.says("warning", "nodes have zones", "w-b");
    site.label("w-b", &json!("zone-b")).await;

    site.guard(&json!([])).await;
    let guarded = site.check("pre, a webhook that judges closehaul's pods", &pre).await;
    guarded.failed();
    guarded.says("error", "no webhook blocks the start", "pods.guard.example.com judges pods");
    // As docs/install.md says.
    let but = json!([{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]);
    site.guard(&but).await;
    site.check("pre, a webhook that excludes the namespace", &pre).await.passed();
    site.unguard().await;

    let visitor = site.account("visitor").await;
    let poor = site.check_as(&visitor, "pre, without any permission", &pre).await;
    poor.failed();
    poor.says("warning", "nodes have zones", "this requires the permission to list nodes");
    poor.says("error", "you may install the chart", "create deployments.apps in kube-system");
    insta::assert_snapshot!("pre_without_permissions", poor.text);

    site.delete_managers().await;
    let managed = site.check("pre, a managed control plane", &pre).await;
    managed.passed();
    managed.says("warning", "built-in controller can be switched off", "--set mode=assist");
    site.check("pre, the same in mode assist", &["--pre", "--mode", "assist"]).await.passed();
    site.managers([ON, ON]).await;
}

/// `check` in mode `replace`, with closehaul running. Returns what runs then.
async fn after(site: &Site<'_>, closehaul: Process) -> Process {
    // The flag is not in the manifests yet, and kubeadm does not know it.
    let early = site.check("before the take-over", &[]).await;
    early.failed();
    early.says("error", "built-in controller is off", "it is on at 2 of 2");
    early.says("warning", "kubeadm upgrades keep the setting", "name: controllers");

    site.managers([OFF, OFF]).await;
    site.kubeadm(OFF).await;
    let well = site.check("all well", &[]).await;
    well.passed();
    insta::assert_snapshot!("all_well", well.text);
    let json = site.check("all well, as JSON", &["-o", "json"]).await;
    let json: Value = serde_json::from_str(&json.text).unwrap();
    assert_eq!((&json["version"], &json["ok"]), (&json!(1), &json!(true)));
    assert_eq!(json["checks"].as_array().unwrap().len(), well.lines());

    reader::suffices(site, &well).await;

    left_on(site).await;
    two_installations(site).await;
    let closehaul = without_leader(site, closehaul).await;

    site.guard(&json!([])).await;
    let guarded = site.check("a webhook that judges closehaul's pods", &[]).await;
    guarded.passed();
    guarded.says("warning", "no webhook blocks the start", "could not start");
    site.unguard().await;

    without_a_permission(site).await;
    ineffective(site).await;
    assist::guards(site).await;
    closehaul
}

/// The built-in controller is left on at one of two control-plane nodes, and writes.
async fn left_on(site: &Site<'_>) {
    site.managers([OFF, ON]).await;
    site.manager_holder("cp-2").await;
    let built_in = ControllerManager::OnlySlices;
    let built_in = site.cluster.start_controller_manager(built_in).await.unwrap();
    let mut is_ready = true;
    let (checked, after) = until("the other writer is seen", SETTLE, async || {
        is_ready = !is_ready;
        let pod = Place::new(Kind::Pod, SHOP, "cart-0");
        site.world.patch_status(&pod, &json!({"conditions": object::ready(is_ready)})).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let checked = site.run(&[]).await;
        Ok(checked.text.contains("kube-controller-manager has written").then_some(checked))
    })
    .await
    .unwrap();
    assert!(built_in.stop(STOP).await.unwrap().is_some());
    checked.show(&format!(
        "left on at one of two control-plane nodes (seen to write after {after:?})"
    ));
    checked.failed();
    checked.says(
        "error",
        "built-in controller is off",
        "it is on at 1 of 2: kube-controller-manager-cp-2",
    );
    checked.says(
        "error",
        "built-in controller is off",
        "kube-controller-manager-cp-2 holds the lease",
    );
    checked.says("error", "no other client writes slices", "kube-controller-manager has written");
    site.world
        .patch_status(
            &Place::new(Kind::Pod, SHOP, "cart-0"),
            &json!({"conditions": object::ready(true)}),
        )
        .await
        .unwrap();

    // What it wrote before it was switched off does not count any more. Times have whole seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.managers([OFF, OFF]).await;
    site.check("switched off", &[]).await.passed();
}

async fn two_installations(site: &Site<'_>) {
    site.world.create(&object::namespace("infra")).await.unwrap();
    site.install("second", "infra", &["--set", "crds.install=false"]).await;
    let two = site.check("two installations", &["-n", "kube-system"]).await;
    two.failed();
    two.says(
        "error",
        "there is only one installation",
        "infra/second-closehaul, kube-system/closehaul",
    );
    site.helm(&["uninstall", "second", "--no-hooks", "--namespace", "infra"]).await;
    // What runs without a Deployment is known by its lease.
    site.lease("infra", "closehaul", "other-host_1").await;
    let two = site.check("a second leader", &[]).await;
    two.failed();
    two.says("error", "there is only one installation", "infra/closehaul");
    let delete = ["delete", "lease", "closehaul", "-n", "infra"];
    site.cluster.kubectl(&delete).await.unwrap().success().unwrap();
}

/// No replica leads, until one starts while the command waits.
async fn without_leader(site: &Site<'_>, closehaul: Process) -> Process {
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    let nobody = site.check("no replica runs", &[]).await;
    nobody.failed();
    nobody.says(
        "error",
        "a leader renews the lease",
        "nobody holds the lease kube-system/closehaul",
    );
    let wait = ["--wait", "60s"];
    let (waited, closehaul) = tokio::join!(site.run(&wait), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        start(site.cluster, "replace").await
    });
    waited.show("it waits for the leader");
    waited.passed();
    assert!(
        waited.stderr.contains("waiting, not yet: a leader renews the lease"),
        "{}",
        waited.stderr
    );
    closehaul
}

/// closehaul's account lacks a permission.
async fn without_a_permission(site: &Site<'_>) {
    let role = ["get", "clusterrole", "closehaul", "-o", "json"];
    let role = site.cluster.kubectl(&role).await.unwrap().success().unwrap();
    let mut before = serde_json::from_str::<Value>(&role).unwrap();
    // What is applied later is not of this version anymore.
    let metadata = before["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| field != "resourceVersion" && field != "managedFields");
    let mut less = before.clone();
    less["rules"].as_array_mut().unwrap().retain(|rule| rule["resources"][0] != "localitypolicies");
    site.apply(&less).await;
    let poor = site.check("without the permission to list policies", &[]).await;
    poor.failed();
    poor.says("error", "closehaul has its permissions", "list localitypolicies.closehaul.io");
    site.apply(&before).await;
}

/// A Service whose preference has no effect, and a policy that does not exist.
async fn ineffective(site: &Site<'_>) {
    site.label("w-b", &json!(null)).await;
    let cart = Place::new(Kind::Service, SHOP, "cart");
    let named = json!({"metadata": {"annotations": {"closehaul.io/policy": "none-such"}}});
    site.world.patch(&cart, &named).await.unwrap();
    let checked = site.check("a preference without effect", &[]).await;
    checked.passed();
    let locality = "preferences for locality have effect";
    checked.says(
        "warning",
        locality,
        "1 of 1 Service Ineffective (EndpointWithoutZone 1): shop/cart",
    );
    checked.says("warning", "policies are in force", "shop/cart (PolicyNotFound)");
    let named = json!({"metadata": {"annotations": {"closehaul.io/policy": null}}});
    site.world.patch(&cart, &named).await.unwrap();
    site.label("w-b", &json!("zone-b")).await;
}

/// In mode `advise`, the built-in controller must be on, and closehaul writes nothing.
async fn advise(site: &Site<'_>, closehaul: Process) {
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.upgrade(&["--set", "mode=advise"]).await;
    let closehaul = start(site.cluster, "advise").await;
    site.report_ready("kube-system", "closehaul").await;
    let off = site.check("advise, with the built-in controller off", &[]).await;
    off.failed();
    off.says("error", "built-in controller is on", "it is off at kube-controller-manager-cp-1");
    site.managers([ON, ON]).await;
    let well = site.check("advise, all well", &[]).await;
    well.passed();
    insta::assert_snapshot!("advise_all_well", well.text);
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    let gone = site.check("no API server", &["--kubeconfig", &site.nowhere()]).await;
    gone.failed();
    assert_eq!(gone.lines(), 1, "{}", gone.text);
    gone.says("error", "API server answers", "refused");
}
