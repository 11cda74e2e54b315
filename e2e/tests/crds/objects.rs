//! Objects: what `kubectl get` shows of them, and how the status is written, with closehaul's own
//! permissions and the types of its status.

use std::fs;

use closehaul::api::crd::{
    definition::CREATED_BY,
    status::{
        Condition, ConditionStatus, LocalityPolicyStatus, ServiceCounts, ServiceStatus,
        ZoneEvacuationStatus,
    },
};
use e2e::cluster::{Actor, Cluster, Options};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    discovery::ApiResource,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{LIMIT, agreement::Which, cluster};

const POLICY: &str = "\
apiVersion: closehaul.io/v1alpha1
kind: LocalityPolicy
metadata: {name: default, namespace: default}
spec:
  prefer: [Node, Zone]
  guard: {maxOverloadPercent: 30}
---
apiVersion: closehaul.io/v1alpha1
kind: ClusterLocalityPolicy
metadata: {name: all}
spec:
  mode: Shadow
  prefer: [Zone]
  demand: {source: Nodes}
---
apiVersion: closehaul.io/v1alpha1
kind: ZoneEvacuation
metadata:
  name: zone-a-x7k2p
  annotations: {closehaul.io/created-by: ann@example.com}
spec:
  zones: [zone-a]
  until: 2026-01-02T03:04:05Z
  reason: the cooling has failed
";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_what_closehaul_reports() {
    tokio::time::timeout(LIMIT, show()).await.expect("the time limit");
}

async fn show() {
    assert!(POLICY.contains(CREATED_BY));
    let cluster = cluster(Options::default()).await;
    let file = cluster.directory().join("policies.yaml");
    fs::write(&file, POLICY).unwrap();
    kubectl(&cluster, &["apply", "-f", &file.display().to_string()]).await;
    let closehaul = cluster.client(Actor::Closehaul).unwrap();
    let policies = api(&closehaul, "LocalityPolicy", "localitypolicies", Some("default"));
    let evacuations = api(&closehaul, "ZoneEvacuation", "zoneevacuations", None);

    let stored = patch_status(&policies, "default", &policy_status(1)).await.unwrap();
    assert_eq!(stored.data["status"], json!(policy_status(1)));
    // The spec has not changed.
    assert_eq!(stored.metadata.generation, Some(1));
    patch_status(&evacuations, "zone-a-x7k2p", &evacuation_status()).await.unwrap();

    let mut shown = Vec::new();
    for args in [
        &["get", "locpol"][..],
        &["get", "clocpol"],
        &["get", "zevac"],
        &["get", "localitypolicies", "-o", "wide"],
        &["get", "zoneevacuations", "-o", "wide"],
    ] {
        let table = kubectl(&cluster, args).await;
        shown.push(format!("$ kubectl {}\n{}", args.join(" "), without_age(&table)));
    }
    insta::assert_snapshot!(shown.join("\n"));
    let all = kubectl(&cluster, &["get", "closehaul", "-o", "name"]).await;
    assert_eq!(all.lines().count(), 3, "{all}");
    // Nothing was written where nothing was reported.
    let cluster_policy = kubectl(&cluster, &["get", "clocpol", "all", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&cluster_policy).unwrap()["status"], Value::Null);

    limits(&policies).await;
    conditions_of_two(&cluster).await;
    only_the_status(&policies).await;
    cluster.stop().await.unwrap();
}

/// Fifty entries are stored, and the schema does not accept more, nor a condition without a reason.
async fn limits(policies: &Api<DynamicObject>) {
    patch_status(policies, "default", &policy_status(50)).await.unwrap();
    let refused = patch_status(policies, "default", &policy_status(51)).await.unwrap_err();
    assert!(refused.contains("status.items: Too many: 51: must have at most 50"), "{refused}");
    let mut status = json!(policy_status(1));
    status["conditions"][0].as_object_mut().unwrap().remove("reason");
    let refused = patch_status(policies, "default", &status).await.unwrap_err();
    assert!(refused.contains("status.conditions[0].reason: Required value"), "{refused}");
    // A merge patch with empty lists clears them.
    let empty = LocalityPolicyStatus::default();
    let stored = patch_status(policies, "default", &empty).await.unwrap();
    assert_eq!(stored.data["status"]["items"], json!([]));
}

/// Conditions are a map by type: who applies one leaves those of others alone.
async fn conditions_of_two(cluster: &Cluster) {
    let admin = cluster.client(Actor::Admin).unwrap();
    let policies = api(&admin, "LocalityPolicy", "localitypolicies", Some("default"));
    let mut stored = None;
    for (manager, type_) in [("one", "Accepted"), ("two", "Example")] {
        let mut object = Which::Namespaced.object(&Value::Null);
        object["metadata"]["name"] = json!("default");
        object.as_object_mut().unwrap().remove("spec");
        object["status"] = json!({"conditions": [condition(type_)]});
        let params = PatchParams::apply(manager);
        let applied = policies.patch_status("default", &params, &Patch::Apply(object)).await;
        stored = Some(applied.unwrap());
    }
    let conditions = &stored.unwrap().data["status"]["conditions"];
    let types: Vec<_> = conditions.as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(types, ["Accepted", "Example"]);
}

/// closehaul can neither change what people request, nor read what it does not watch.
async fn only_the_status(policies: &Api<DynamicObject>) {
    let patch = Patch::Merge(json!({"spec": {"mode": "Shadow"}}));
    let params = PatchParams::default();
    let refused = policies.patch("default", &params, &patch).await.unwrap_err();
    assert!(refused.to_string().contains("cannot patch resource \"localitypolicies\""));
    let refused = policies.delete("default", &kube::api::DeleteParams::default()).await;
    assert!(refused.unwrap_err().to_string().contains("cannot delete resource"));
    // The spec in a patch of the status is ignored.
    let stored = policies.patch_status("default", &params, &patch).await.unwrap();
    assert_eq!(stored.data["spec"]["mode"], "Enforce");
}

fn condition(type_: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: ConditionStatus::True,
        observed_generation: Some(1),
        last_transition_time: Time("2026-01-02T03:04:05Z".parse().unwrap()),
        reason: "Programmed".to_owned(),
        message: String::new(),
    }
}

/// A status with so many Services.
fn policy_status(items: u32) -> LocalityPolicyStatus {
    let item = |at: u32| ServiceStatus {
        namespace: "default".to_owned(),
        name: format!("cart-{at}"),
        state: "Partial".to_owned(),
        reasons: vec!["Widened".to_owned()],
        in_zone_share: Some(73),
        overload: Some(17),
    };
    LocalityPolicyStatus {
        observed_generation: Some(1),
        conditions: ["Accepted", "Programmed", "Effective"].map(condition).into(),
        services: ServiceCounts { selected: items, partial: items, ..Default::default() },
        items: (0..items).map(item).collect(),
    }
}

fn evacuation_status() -> ZoneEvacuationStatus {
    ZoneEvacuationStatus {
        observed_generation: Some(1),
        conditions: ["Active", "Complete"].map(condition).into(),
        services: 2,
        endpoints: 5,
    }
}

fn api(client: &Client, kind: &str, plural: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "closehaul.io".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "closehaul.io/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

async fn patch_status(
    api: &Api<DynamicObject>,
    name: &str,
    status: &impl Serialize,
) -> Result<DynamicObject, String> {
    let patch = Patch::Merge(json!({"status": status}));
    let params = PatchParams { field_manager: Some("closehaul".to_owned()), ..Default::default() };
    api.patch_status(name, &params, &patch).await.map_err(|error| error.to_string())
}

async fn kubectl(cluster: &Cluster, args: &[&str]) -> String {
    cluster.kubectl(args).await.unwrap().success().unwrap()
}

/// A table without the column of ages, and without spaces at the ends of lines.
fn without_age(table: &str) -> String {
    let header = table.lines().next().unwrap();
    let from = header.find("AGE").unwrap();
    let behind = from + "AGE".len();
    let next = header[behind..].find(|c| c != ' ').map(|at| behind + at);
    let without = |line: &str| {
        let rest = next.and_then(|next| line.get(next..)).unwrap_or_default();
        format!("{}{rest}", &line[..from]).trim_end().to_owned()
    };
    table.lines().map(without).collect::<Vec<_>>().join("\n")
}
