//! The rendered chart, checked by a real API server.

use std::{fs, time::Duration};

use e2e::{
    chart::{Tools, documents, repository},
    cluster::{Cluster, Options},
    world::object,
};
use serde_json::{Value, json};

use crate::{schemas::operator_crds, subchart, value_sets};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_all_sets_of_values() {
    tokio::time::timeout(LIMIT, judge()).await.expect("the time limit");
}

async fn judge() {
    let tools = tokio::task::spawn_blocking(Tools::ensure).await.unwrap().unwrap();
    let cluster = Cluster::start(Options::default()).await.unwrap();
    for definition in operator_crds() {
        apply(&cluster, &definition.to_string(), &[]).await.unwrap();
    }
    let kinds = ["servicemonitors", "podmonitors", "prometheusrules"];
    let kinds = kinds.map(|kind| format!("crd/{kind}.monitoring.coreos.com"));
    let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
    let wait = wait.into_iter().chain(kinds.iter().map(String::as_str)).collect::<Vec<_>>();
    cluster.kubectl(&wait).await.unwrap().success().unwrap();
    for name in ["monitoring", "closehaul-system", "closehaul-leases"] {
        apply(&cluster, &object::namespace(name).to_string(), &[]).await.unwrap();
    }

    // A pod with a class that does not exist is rejected.
    let class = json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "runc"},
        "handler": "runc",
    });
    apply(&cluster, &class.to_string(), &[]).await.unwrap();

    let mut objects = 0;
    for values in value_sets() {
        let name = values.display().to_string();
        let manifest = tools.render("kube-system", &["--values", &name]).unwrap();
        let said = apply(&cluster, &manifest, &["--dry-run=server"]).await;
        let said = said.unwrap_or_else(|error| panic!("{name}: {error}"));
        objects += said.lines().count();
        for pod in pods(&manifest) {
            apply(&cluster, &pod.to_string(), &["--dry-run=server"]).await.unwrap();
        }
    }
    eprintln!("{objects} objects taken");
    assert!(objects >= 40);

    // The pods fit `restricted` without the node's network, but not with it.
    let label = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let mut namespace = object::namespace("strict");
    namespace["metadata"]["labels"] = label;
    apply(&cluster, &namespace.to_string(), &[]).await.unwrap();
    for (values, refused) in
        [("hostNetwork=false", None), ("hostNetwork=true", Some("hostNetwork"))]
    {
        let manifest = tools.render("strict", &["--set", values]).unwrap();
        for pod in pods(&manifest) {
            let said = apply(&cluster, &pod.to_string(), &["--dry-run=server"]).await;
            match refused {
                None => drop(said.unwrap()),
                Some(reason) => assert!(said.unwrap_err().contains(reason)),
            }
        }
    }
    // Also checks what the documents tell users to apply.
    let manifests = static_pod();
    assert_eq!(documents(&manifests).unwrap().len(), 3);
    apply(&cluster, &manifests, &["--dry-run=server"]).await.unwrap();
    subchart::install(&cluster, &tools).await;
    cluster.stop().await.unwrap();
}

/// The manifests in docs/static-pod.md.
fn static_pod() -> String {
    let text = fs::read_to_string(repository().join("docs/static-pod.md")).unwrap();
    let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    // They are part of a list.
    let lines = blocks.map(|block| block.replace("\n   ", "\n"));
    lines.map(|block| block.trim_start().to_owned()).collect::<Vec<_>>().join("\n---\n")
}

/// Applies a manifest with kubectl. A warning of the API server is an error here.
pub(crate) async fn apply(
    cluster: &Cluster,
    manifest: &str,
    args: &[&str],
) -> Result<String, String> {
    let file = cluster.directory().join("manifest.yaml");
    fs::write(&file, manifest).unwrap();
    let file = file.display().to_string();
    // The test runs already have roles with the same names.
    let fixed = ["apply", "--server-side", "--force-conflicts", "-f", &file];
    let args = [&fixed, args].concat();
    let output = cluster.kubectl(&args).await.unwrap();
    if !output.status.success() || output.stderr.contains("Warning") {
        return Err(output.stderr);
    }
    Ok(output.stdout)
}

/// Pods as the Deployments of a manifest would create them.
fn pods(manifest: &str) -> Vec<Value> {
    let deployments = documents(manifest).unwrap();
    let deployments = deployments.into_iter().filter(|it| it["kind"] == "Deployment");
    let pod = |deployment: Value| {
        let mut pod = deployment["spec"]["template"].clone();
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!("closehaul-0");
        pod["metadata"]["namespace"] = deployment["metadata"]["namespace"].clone();
        pod
    };
    deployments.map(pod).collect()
}

#[test]
fn the_runs_of_the_tests_have_the_rights_that_the_chart_gives() {
    let tools = Tools::ensure().unwrap();
    let show = ["--show-only", "templates/rbac.yaml"];
    let chart = documents(&tools.render("kube-system", &show).unwrap()).unwrap();
    let runs = fs::read_to_string(repository().join("e2e/rbac/closehaul.yaml")).unwrap();
    let runs = documents(&runs).unwrap();
    for kind in ["ClusterRole", "Role"] {
        let of = |documents: &[Value]| {
            let role = documents.iter().find(|it| it["kind"] == kind).unwrap();
            role["rules"].clone()
        };
        assert_eq!(of(&chart), of(&runs), "{kind}");
    }
}
