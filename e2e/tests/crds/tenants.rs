//! Tenants: what people may do with the roles of Kubernetes, `view`, `edit` and `admin`, in their
//! namespace, and with the chart's role for operators.

use std::{fmt::Write as _, fs, time::Duration};

use e2e::{
    chart::Tools,
    cluster::{Actor, Cluster, ControllerManager, Options},
    world::{World, object, until},
};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{LIMIT, agreement::Which, cluster};

const SETTLE: Duration = Duration::from_secs(60);
const SHOP: &str = "shop";
const VERBS: [&str; 8] =
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
const RESOURCES: [&str; 6] = [
    "localitypolicies",
    "localitypolicies/status",
    "clusterlocalitypolicies",
    "clusterlocalitypolicies/status",
    "zoneevacuations",
    "zoneevacuations/status",
];
/// The users, each with a role in the namespace `shop`, or in the cluster.
const USERS: [(&str, &str, Option<&str>); 4] = [
    ("viewer", "view", Some(SHOP)),
    ("editor", "edit", Some(SHOP)),
    ("admin", "admin", Some(SHOP)),
    ("operator", "closehaul-operator", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn people_may_do_what_their_roles_say() {
    tokio::time::timeout(LIMIT, roles()).await.expect("the time limit");
}

async fn roles() {
    let tools = tokio::task::spawn_blocking(Tools::ensure).await.unwrap().unwrap();
    let cluster = cluster(Options::default()).await;
    // Its controller adds the chart's rules to the roles of Kubernetes.
    let manager = ControllerManager::EverythingButSlices;
    let manager = cluster.start_controller_manager(manager).await.unwrap();
    let world = World::new(cluster.client(Actor::Admin).unwrap());
    for namespace in [SHOP, "other"] {
        world.create(&object::namespace(namespace)).await.unwrap();
    }
    let show = ["--show-only", "templates/userroles.yaml"];
    let mut objects = tools.render("kube-system", &show).unwrap();
    for (user, role, namespace) in USERS {
        let kind = if namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
        let api = "rbac.authorization.k8s.io";
        let binding = json!({"apiVersion": format!("{api}/v1"), "kind": kind,
            "metadata": {"name": user, "namespace": namespace},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}]});
        write!(objects, "\n---\n{binding}").unwrap();
    }
    apply(&cluster, &objects, None).await.unwrap();
    // The three roles of Kubernetes get them one after the other.
    until("the roles are aggregated", SETTLE, async || {
        let mut may = true;
        for user in ["viewer", "editor", "admin"] {
            may &= !allowed(&cluster, user, SHOP, "localitypolicies").await.is_empty();
        }
        let edits = allowed(&cluster, "admin", SHOP, "localitypolicies").await;
        Ok((may && edits.len() == VERBS.len()).then_some(()))
    })
    .await
    .unwrap();

    let mut text = String::new();
    for (user, role, _) in USERS {
        writeln!(text, "{user} ({role})").unwrap();
        for namespace in [SHOP, "other"] {
            for resource in RESOURCES {
                let verbs = allowed(&cluster, user, namespace, resource).await.join(" ");
                if !verbs.is_empty() {
                    writeln!(text, "  {namespace:5} {resource:30} {verbs}").unwrap();
                }
            }
        }
    }
    insta::assert_snapshot!(text);
    attempts(&cluster).await;
    manager.stop(Duration::from_secs(10)).await.unwrap();
    cluster.stop().await.unwrap();
}

/// What a tenant with the role `edit` really gets.
async fn attempts(cluster: &Cluster) {
    let mut policy = Which::Namespaced.object(&json!({"mode": "Shadow"}));
    policy["metadata"]["namespace"] = json!(SHOP);
    let policy = policy.to_string();
    apply(cluster, &policy, Some("editor")).await.unwrap();
    let refused = apply(cluster, &policy, Some("viewer")).await.unwrap_err();
    assert!(refused.contains("cannot patch resource \"localitypolicies\""), "{refused}");
    // What the controller remembers by the status is not for tenants.
    let patch = json!({"status": {"observedGeneration": 1}}).to_string();
    let args = ["patch", "locpol", "a", "-n", SHOP, "--subresource=status", "--type=merge", "-p"];
    let patched = cluster.kubectl(&[&args[..], &[&patch, "--as", "editor"]].concat()).await;
    let refused = patched.unwrap().success().unwrap_err().to_string();
    assert!(refused.contains("cannot patch resource \"localitypolicies/status\""), "{refused}");
    // What affects other namespaces is for operators.
    for (which, spec) in [
        (Which::Cluster, json!({})),
        (Which::Evacuation, json!({"zones": ["zone-a"], "until": "2026-01-02T03:04:05Z"})),
    ] {
        let object = which.object(&spec).to_string();
        for user in ["editor", "admin"] {
            let refused = apply(cluster, &object, Some(user)).await.unwrap_err();
            assert!(refused.contains("at the cluster scope"), "{refused}");
        }
        apply(cluster, &object, Some("operator")).await.unwrap();
    }
    let mut elsewhere = Which::Namespaced.object(&json!({}));
    elsewhere["metadata"]["namespace"] = json!("other");
    let refused = apply(cluster, &elsewhere.to_string(), Some("editor")).await.unwrap_err();
    assert!(refused.contains("in the namespace \"other\""), "{refused}");
}

/// Applies a manifest, as one of the users or as the test itself.
async fn apply(cluster: &Cluster, manifest: &str, user: Option<&str>) -> Result<(), String> {
    let file = cluster.directory().join("manifest.yaml");
    fs::write(&file, manifest).unwrap();
    let file = file.display().to_string();
    let mut args = vec!["apply", "--server-side", "-f", &file];
    args.extend(user.iter().flat_map(|user| ["--as", user]));
    let applied = cluster.kubectl(&args).await.unwrap().success();
    applied.map(drop).map_err(|error| error.to_string())
}

/// The verbs that a user may use.
async fn allowed(
    cluster: &Cluster,
    user: &str,
    namespace: &str,
    resource: &str,
) -> Vec<&'static str> {
    let reviews = Api::<SubjectAccessReview>::all(cluster.client(Actor::Admin).unwrap());
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, sub)) => (resource, Some(sub.to_owned())),
        None => (resource, None),
    };
    let mut verbs = Vec::new();
    for verb in VERBS {
        let attributes = ResourceAttributes {
            group: Some("closehaul.io".to_owned()),
            namespace: resource.starts_with("locality").then(|| namespace.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: subresource.clone(),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            user: Some(user.to_owned()),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        if answer.status.is_some_and(|status| status.allowed) {
            verbs.push(verb);
        }
    }
    verbs
}
