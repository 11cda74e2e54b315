//! The chart's hook before it is uninstalled. Nothing in this cluster starts pods, so this does what
//! the controllers and the kubelet would: it ends the pod of a Deployment that is scaled to 0, and
//! runs the command of the Job with the Job's own account.

use std::{fs, process::Output};

use e2e::{
    closehaul::{self, Profile},
    cluster::{Actor, Cluster},
    process::Process,
    world::{Kind, Place, World, until},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{SETTLE, stop};

const NAMESPACE: &str = "kube-system";
const POD: &str = "closehaul-0";

/// Plays the cluster's part while helm uninstalls the chart, until the Job has ended.
pub async fn play(cluster: &Cluster, world: &World, closehaul: Process) {
    create_pod(cluster, world).await;
    let (job, _) = until("the Job of the hook", SETTLE, async || {
        Ok(get(cluster, "job/closehaul-restore").await)
    })
    .await
    .unwrap();
    let (restored, ()) = tokio::join!(run(cluster, &job), end_pod(cluster, world, closehaul));
    let said = String::from_utf8_lossy(&restored.stderr);
    eprintln!("{said}");
    assert!(restored.status.success(), "{said}");
    assert!(said.contains("scaled the Deployment kube-system/closehaul to 0"), "{said}");
    assert!(said.contains("slices of") && said.contains("have upstream's hints again"), "{said}");
    complete(cluster).await;
}

/// The pod that the Deployment's controller would have created.
async fn create_pod(cluster: &Cluster, world: &World) {
    let deployment = get(cluster, "deployment/closehaul").await.unwrap();
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(POD);
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    pod["spec"]["nodeName"] = json!("node-zone-a");
    pod["status"] = json!({"phase": "Running"});
    world.create(&pod).await.unwrap();
}

/// Asks closehaul to end once its Deployment is scaled to 0, and removes the pod when it has.
async fn end_pod(cluster: &Cluster, world: &World, closehaul: Process) {
    until("the Deployment is scaled to 0", SETTLE, async || {
        let deployment = get(cluster, "deployment/closehaul").await.unwrap();
        Ok((deployment["spec"]["replicas"] == 0).then_some(()))
    })
    .await
    .unwrap();
    let pod = Place::new(Kind::Pod, NAMESPACE, POD);
    world.terminate(&pod).await.unwrap();
    stop(closehaul).await;
    world.delete(&pod).await.unwrap();
}

/// Runs the Job's command as the Job's account, with the rights that the hook has created.
async fn run(cluster: &Cluster, job: &Value) -> Output {
    let pod = &job["spec"]["template"]["spec"];
    let account = pod["serviceAccountName"].as_str().unwrap();
    let create = ["create", "token", account, "--namespace", NAMESPACE];
    let token = cluster.kubectl(&create).await.unwrap().success().unwrap();
    let text = fs::read_to_string(cluster.kubeconfig(Actor::Closehaul)).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
    let file = cluster.directory().join("restore.kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    let args = pod["containers"][0]["args"].as_array().unwrap();
    let args = args.iter().map(|arg| arg.as_str().unwrap());
    restore(&args.collect::<Vec<_>>(), &file.display().to_string()).await
}

async fn restore(args: &[&str], kubeconfig: &str) -> Output {
    let binary = closehaul::build(Profile::Dev).await.unwrap();
    let mut command = tokio::process::Command::new(binary);
    command.args(args).args(["--kubeconfig", kubeconfig]).output().await.unwrap()
}

/// Reports that the Job is done, as its controller would.
async fn complete(cluster: &Cluster) {
    let now = Timestamp::now().round(jiff::Unit::Second).unwrap().to_string();
    let condition = |name: &str| {
        json!({
            "type": name, "status": "True", "reason": "CompletionsReached",
            "lastProbeTime": now, "lastTransitionTime": now,
        })
    };
    let status = json!({"status": {
        "succeeded": 1, "startTime": now, "completionTime": now, "ready": 0,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    }});
    let patch = status.to_string();
    let args = ["patch", "job/closehaul-restore", "--namespace", NAMESPACE, "--type=merge"];
    let args = [&args[..], &["--subresource=status", "--patch", &patch]].concat();
    cluster.kubectl(&args).await.unwrap().success().unwrap();
}

/// While closehaul leads, the command says so and writes nothing.
pub async fn refuses_beside_a_leader(cluster: &Cluster) {
    let before = cluster.stored_slices().await.unwrap();
    let kubeconfig = cluster.kubeconfig(Actor::Admin).display().to_string();
    let refused = restore(&["restore", "--wait"], &kubeconfig).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(" leads by the lease kube-system/closehaul"), "{said}");
    assert_eq!(cluster.stored_slices().await.unwrap(), before);
}

/// Nothing of the chart or the hook is left, except the definitions with the policies.
pub async fn left_nothing(cluster: &Cluster) {
    let kinds = "deployment,job,pod,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding";
    let args = ["get", kinds, "--namespace", NAMESPACE, "-o", "name"];
    let left = cluster.kubectl(&args).await.unwrap().success().unwrap();
    // The harness has roles of its own.
    let is_ours = |line: &&str| line.contains("closehaul") && !line.contains("closehaul-e2e");
    let left: Vec<_> = left.lines().filter(is_ours).collect();
    assert!(left.is_empty(), "{left:?}");
    let policies = ["get", "clocpol,zevac", "-o", "name"];
    let policies = cluster.kubectl(&policies).await.unwrap().success().unwrap();
    assert_eq!(policies.lines().count(), 2, "{policies}");
}

/// An object in kube-system; `None` if there is none.
async fn get(cluster: &Cluster, name: &str) -> Option<Value> {
    let args = ["get", name, "--namespace", NAMESPACE, "-o", "json", "--ignore-not-found"];
    let shown = cluster.kubectl(&args).await.unwrap().success().unwrap();
    (!shown.is_empty()).then(|| serde_json::from_str(&shown).unwrap())
}
