//! Policies in `closehaul plan`: who decides, and what is written where no planner is needed.

use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::Value;

use super::command::{Done, fixture, plan, plan_text, text};

const API: &str = "apiVersion: closehaul.io/v1alpha1";

/// The shop with these documents. Its Service `mail` requests nothing itself.
fn shop(documents: &[&str]) -> String {
    let mut shop = text("shop.yaml");
    for document in documents {
        write!(shop, "\n---\n{document}\n").unwrap();
    }
    shop
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "{API}\nkind: LocalityPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}"
    )
}

fn cluster_policy(name: &str, spec: &str) -> String {
    format!("{API}\nkind: ClusterLocalityPolicy\nmetadata: {{name: {name}}}\nspec: {spec}")
}

/// The slices of the shop, as YAML.
fn slices(documents: &[&str]) -> String {
    plan_text(&shop(documents), &["-o", "yaml"]).good()
}

/// A Service in the summary.
fn service(documents: &[&str], args: &[&str], name: &str) -> Value {
    let summary = plan_text(&shop(documents), &[&["-o", "summary"], args].concat()).good();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let services = summary["services"].as_array().unwrap();
    services.iter().find(|it| it["name"] == name).unwrap().clone()
}

/// Policy, preference, state and reasons of `mail`.
fn mail(documents: &[&str]) -> String {
    let mail = service(documents, &[], "mail");
    let text = |key: &str| mail[key].as_str().unwrap_or("-").to_owned();
    let reasons = mail["reasons"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let reasons = reasons.collect::<Vec<_>>().join(" ");
    format!("{} {} {}: {reasons}", text("policy"), text("prefer"), text("state"))
}

/// The shop where `mail` has this field in its metadata or spec.
fn with_mail(from: &str, to: &str) -> String {
    let shop = text("shop.yaml");
    assert!(shop.contains(from));
    shop.replacen(from, to, 1)
}

const MAIL: &str =
    "spec: {clusterIP: 10.96.0.13, ipFamilies: [IPv4], selector: {app: cart}, ports: [{port: 25}]}";

/// A preference alone is what `spec.trafficDistribution` is, byte for byte.
#[test]
fn a_default_of_the_cluster_is_what_the_field_is() {
    for (prefer, field) in [("[Zone]", "PreferSameZone"), ("[Node]", "PreferSameNode")] {
        let to = MAIL.replace("ports:", &format!("trafficDistribution: {field}, ports:"));
        let wanted = plan_text(&with_mail(MAIL, &to), &["-o", "yaml"]).good();
        let default = cluster_policy("default", &format!("{{prefer: {prefer}}}"));
        assert_eq!(slices(&[&default]), wanted);
        assert_ne!(slices(&[]), wanted);
    }
}

#[test]
fn an_opt_out_of_a_namespace() {
    let default = cluster_policy("default", "{prefer: [Zone]}");
    let opt_out = policy("none", "{prefer: []}");
    assert_eq!(slices(&[&default, &opt_out]), slices(&[]));
    assert_eq!(mail(&[&default, &opt_out]), "LocalityPolicy/none - None: OptedOut");
}

#[test]
fn who_decides() {
    let default = cluster_policy("default", "{prefer: [Zone]}");
    let lines = [
        mail(&[]),
        mail(&[&default]),
        mail(&[&default, &policy("a", "{prefer: [Node]}")]),
        mail(&[&policy("a", "{prefer: [Node]}"), &policy("b", "{prefer: [Zone]}")]),
        mail(&[&default, &policy("a", "{services: {names: [cart]}, prefer: [Node]}")]),
        mail(&[&default, &policy("a", "{prefer: [Node], mode: Shadow}")]),
        mail(&[&policy("a", "{prefer: [Node], mode: Shadow}")]),
        mail(&[&policy("a", "{}")]),
        mail(&[&cluster_policy(
            "a",
            "{namespaceSelector: {matchLabels: {team: a}}, prefer: [Zone]}",
        )]),
        mail(&[
            &cluster_policy(
                "a",
                "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, prefer: [Zone]}",
            ),
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}",
        ]),
    ];
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_the_annotation_says() {
    let named = |name: &str| {
        let from = "metadata: {name: mail,";
        let to = format!("{from} annotations: {{closehaul.io/policy: {name}}},");
        let a = policy("a", "{services: {names: [cart]}, prefer: [Node]}");
        let default = cluster_policy("default", "{prefer: [Zone]}");
        let text = format!("{}\n---\n{a}\n---\n{default}\n", with_mail(from, &to));
        plan_text(&text, &["-o", "wide"]).good()
    };
    assert_snapshot!([named("a"), named("cluster/default"), named("none"), named("b")].join("\n"));
}

/// A headless Service, and one with `internalTrafficPolicy: Local`: upstream's bytes.
#[test]
fn services_that_hints_cannot_move() {
    let spec = "{services: {names: [mail]}, prefer: [Zone], guard: {maxOverloadPercent: 30}}";
    let default = cluster_policy("default", spec);
    for (to, reason) in [
        (MAIL.replace("10.96.0.13", "None"), "Headless"),
        (MAIL.replace("ports:", "internalTrafficPolicy: Local, ports:"), "TrafficPolicyLocal"),
    ] {
        let without = with_mail(MAIL, &to);
        let with = format!("{without}\n---\n{default}\n");
        let of_mail = |text: &str| {
            let list = plan_text(text, &["-o", "json"]).good();
            let list: Value = serde_json::from_str(&list).unwrap();
            let mut slices = list["items"].as_array().unwrap().clone();
            slices.retain(|slice| slice["metadata"]["generateName"] == "mail-");
            assert_eq!(slices.len(), 1);
            slices
        };
        assert_eq!(of_mail(&with), of_mail(&without));
        let table = plan_text(&with, &[]).good();
        let row = table.lines().find(|line| line.contains(" mail ")).unwrap();
        let cells: Vec<_> = row.split_whitespace().take(6).collect();
        assert_eq!(
            cells,
            ["shop", "mail", "Zone", "ClusterLocalityPolicy/default", "Ineffective", reason]
        );
    }
}

#[test]
fn a_policy_is_laid_over_the_one_of_its_name() {
    let dir = std::env::temp_dir().join(format!("closehaul-policies-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let aged = |name: &str, year: u16, spec: &str| {
        let meta = format!("name: {name}, creationTimestamp: \"{year}-01-02T03:04:05Z\"");
        policy(name, spec).replace(&format!("name: {name}"), &meta)
    };
    let shop = shop(&[&aged("a", 2026, "{prefer: [Node]}"), &aged("b", 2025, "{prefer: [Node]}")]);
    let shop = file("shop.yaml", &shop);
    // It keeps its age, so it still decides.
    let over = file("over.yaml", &policy("b", "{prefer: [Zone]}"));
    let table = plan(&["-f", &shop, "--with", &over]).good();
    let row = table.lines().find(|line| line.contains(" mail ")).unwrap();
    assert!(row.contains("Zone") && row.contains("LocalityPolicy/b"), "{row}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[track_caller]
fn refused(done: &Done) -> String {
    assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{done:?}");
    done.err.trim_end().to_owned()
}

#[test]
fn what_is_wrong_with_a_policy_is_named() {
    let evacuation = "kind: ZoneEvacuation\nmetadata: {name: zone-a-x}\nspec: {zones: [zone-a]}";
    let a = policy("a", "{}");
    let documents = [
        policy("a", "{gaurd: {maxOverloadPercent: 30}}"),
        policy("a", "{guard: {maxOverloadPercent: 30, releaseOverloadPercent: 20}}"),
        policy("a", "{mode: Rehearse}"),
        policy("a", "{services: {selector: {matchLabels: {tier: 1}}}}"),
        policy("a", "{}\nprefer: [Zone]"),
        policy("a", "{}").replace("name: a", "nam: a"),
        cluster_policy("a", "{clientSelector: {}}"),
        format!("{API}\n{evacuation}"),
        format!("{API}\nkind: Policy\nmetadata: {{name: a}}"),
        policy("a", "{}").replace("v1alpha1", "v1"),
        format!("{a}\n---\n{a}"),
        format!("{API}\nkind: LocalityPolicy\nmetadata: {{namespace: shop}}\nspec: {{}}"),
    ];
    let lines = documents.iter().map(|document| refused(&plan_text(document, &[])));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

/// A List of policies, as kubectl prints it, with the status that the controller writes.
#[test]
fn what_kubectl_prints() {
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [{
        "apiVersion": "closehaul.io/v1alpha1", "kind": "LocalityPolicy",
        "metadata": {"name": "a", "namespace": "shop", "generation": 1, "resourceVersion": "9", "uid": "u",
                     "creationTimestamp": "2026-01-02T03:04:05Z", "managedFields": [{"manager": "kubectl"}],
                     "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "spec": {"prefer": ["Zone"], "mode": "Enforce"},
        "status": {"observedGeneration": 1, "services": {"selected": 3},
                   "conditions": [{"type": "Programmed", "status": "True", "observedGeneration": 1}]}}]}"#;
    assert_eq!(mail(&[list]), "LocalityPolicy/a Zone Applied: Applied");
}

#[test]
fn without_policies_nothing_differs() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}";
    assert_eq!(slices(&[namespace]), plan(&["-f", &fixture("shop.yaml"), "-o", "yaml"]).good());
}
