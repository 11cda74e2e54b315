//! The chart's role `closehaul-reader`: `check`, `plan` and `explain` work with it, each of its
//! permissions is needed, and nothing more is granted.

use std::fs;

use e2e::world::until;
use serde_json::{Value, json};

use crate::{
    SETTLE,
    command::Checked,
    site::{OFF, ON, SHOP, Site},
};

const ROLE: &str = "closehaul-reader";

/// What a reader must not be able to do, as `kubectl auth can-i` takes it: verb, resource and
/// subresource.
const BEYOND: [(&str, &str, &str); 14] = [
    ("create", "pods", ""),
    ("watch", "pods", ""),
    ("get", "pods", "proxy"),
    ("get", "pods", "log"),
    ("create", "pods", "exec"),
    ("list", "secrets", ""),
    ("list", "configmaps", ""),
    ("get", "configmaps/coredns", ""),
    ("list", "leases", ""),
    ("update", "leases/closehaul", ""),
    ("update", "endpointslices.discovery.k8s.io", ""),
    ("patch", "services", ""),
    ("create", "localitypolicies.closehaul.io", ""),
    ("create", "zoneevacuations.closehaul.io", ""),
];

/// As a reader, `check` prints what it prints for an administrator.
pub async fn suffices(site: &Site<'_>, admins: &Checked) {
    let kubeconfig = site.account("reader").await;
    let bind = ["create", "clusterrolebinding", ROLE, "--clusterrole", ROLE];
    let account = format!("--serviceaccount={SHOP}:reader");
    site.cluster.kubectl(&[&bind[..], &[&account]].concat()).await.unwrap().success().unwrap();
    let (checked, _) = until("the role is bound", SETTLE, async || {
        let checked = site.check_as(&kubeconfig, "as a reader", &[]).await;
        Ok((!checked.text.contains("this requires the permission")).then_some(checked))
    })
    .await
    .unwrap();
    assert_eq!(checked.text, admins.text);
    let plan = site.must_run(&kubeconfig, &["plan", "-o", "changes"]).await;
    assert!(plan.contains("nothing to do"), "{plan}");
    let explained = site.must_run(&kubeconfig, &["explain", "cart", "-n", SHOP]).await;
    assert!(explained.starts_with("cart.shop"), "{explained}");
    may_nothing_else(site, &kubeconfig).await;
    all_is_needed(site, &kubeconfig).await;
}

async fn may_nothing_else(site: &Site<'_>, kubeconfig: &str) {
    for (verb, resource, subresource) in BEYOND {
        let subresource = format!("--subresource={subresource}");
        let args = ["auth", "can-i", verb, resource, &subresource, "-n", "kube-system"];
        let args = [&args[..], &["--kubeconfig", kubeconfig]].concat();
        let answer = site.cluster.kubectl(&args).await.unwrap();
        assert_eq!(answer.stdout.trim(), "no", "{verb} {resource} {subresource}");
    }
}

/// Without any one of the permissions, a check says so, and no check fails.
async fn all_is_needed(site: &Site<'_>, kubeconfig: &str) {
    let role = ["get", "clusterrole", ROLE, "-o", "json"];
    let role = site.cluster.kubectl(&role).await.unwrap().success().unwrap();
    let role: Value = serde_json::from_str(&role).unwrap();
    let mut granted = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in rule["resources"].as_array().unwrap() {
            let mut one = rule.clone();
            one["resources"] = json!([resource]);
            granted.push(one);
        }
    }
    // Helm owns it, so this one is ours.
    let ours = |rules: &[Value]| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "some-reader"}, "rules": rules})
    };
    site.apply(&ours(&granted)).await;
    let delete = ["delete", "clusterrolebinding", ROLE];
    site.cluster.kubectl(&delete).await.unwrap().success().unwrap();
    let bind = ["create", "clusterrolebinding", "some-reader", "--clusterrole=some-reader"];
    let account = format!("--serviceaccount={SHOP}:reader");
    site.cluster.kubectl(&[&bind[..], &[&account]].concat()).await.unwrap().success().unwrap();
    // Which namespaces it selects matters to `plan` in one namespace.
    let policy = json!({
        "apiVersion": "closehaul.io/v1alpha1", "kind": "ClusterLocalityPolicy",
        "metadata": {"name": "some"},
        "spec": {"mode": "Shadow", "namespaceSelector": {"matchLabels": {"team": "a"}}},
    });
    site.apply(&policy).await;
    for at in 0..granted.len() {
        let mut less = granted.clone();
        let missing = less.remove(at);
        let (verb, resource) =
            (missing["verbs"][0].as_str().unwrap(), missing["resources"][0].as_str().unwrap());
        site.apply(&ours(&less)).await;
        let what = format!("{verb} {resource}");
        // Who holds the lease of kube-controller-manager matters before the installation, where it still
        // has the built-in controller.
        let is_pre = what == "get leases";
        site.managers(if is_pre { [ON, ON] } else { [OFF, OFF] }).await;
        let (line, _) = until(&what, SETTLE, async || {
            if what == "get namespaces" {
                let plan = site.must_run(kubeconfig, &["plan", "-n", SHOP]).await;
                let line = plan.lines().find(|line| line.contains("may not read namespaces"));
                return Ok(line.map(str::to_owned));
            }
            let checked = site.run_as(kubeconfig, if is_pre { &["--pre"] } else { &[] }).await;
            assert!(is_pre || checked.code == Some(0), "{}", checked.text);
            // A long line is continued.
            let text = checked.text.replace("\n    ", " ");
            let words = format!("requires the permission to {what}");
            Ok(text.lines().find(|line| line.contains(&words)).map(str::to_owned))
        })
        .await
        .unwrap();
        eprintln!("check: without the permission to {what}: {}", line.trim());
    }
    site.managers([OFF, OFF]).await;
    let delete = ["delete", "clusterlocalitypolicy", "some"];
    site.cluster.kubectl(&delete).await.unwrap().success().unwrap();
    site.cluster
        .kubectl(&["delete", "clusterrolebinding,clusterrole", "some-reader"])
        .await
        .unwrap()
        .success()
        .unwrap();
    let file = site.cluster.directory().join("reader.kubeconfig");
    fs::remove_file(file).unwrap();
}
