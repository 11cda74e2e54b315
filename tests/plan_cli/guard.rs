//! Guards, evacuations, minimums and rollouts in `closehaul plan`: what is shown, and what is written.

use std::fmt::Write as _;

use serde_json::Value;

use super::command::{fixture, plan_text};

const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// A cluster with a node in each of three zones, this many ready pods there, and a Service `web`
/// that prefers its zone.
fn cluster(counts: [usize; 3], documents: &[&str]) -> String {
    let mut text = String::from(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {clusterIP: \
         10.96.0.1, ipFamilies: [IPv4], selector: {app: web}, ports: [{port: 80}], \
         trafficDistribution: PreferSameZone}\n",
    );
    let mut number = 0;
    for (zone, count) in ZONES.iter().zip(counts) {
        write!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: node-{zone}, labels: \
             {{topology.kubernetes.io/zone: {zone}}}}}\nstatus: {{conditions: [{{type: Ready, status: \
             'True'}}]}}\n"
        )
        .unwrap();
        for _ in 0..count {
            number += 1;
            write!(
                text,
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: web-{number:02}, namespace: shop, \
                 uid: u{number}, labels: {{app: web}}}}\nspec: {{nodeName: node-{zone}, containers: \
                 []}}\nstatus: {{phase: Running, podIP: 10.0.0.{number}, podIPs: [{{ip: \
                 10.0.0.{number}}}], conditions: [{{type: Ready, status: 'True'}}]}}\n"
            )
            .unwrap();
        }
    }
    for document in documents {
        write!(text, "---\n{document}\n").unwrap();
    }
    text
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: closehaul.io/v1alpha1\nkind: LocalityPolicy\nmetadata: {{name: even, namespace: \
         shop}}\nspec: {spec}"
    )
}

/// The Service in the summary.
fn summary(cluster: &str) -> Value {
    let summary = plan_text(cluster, &["-o", "summary"]).good();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    summary["services"][0].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Overload in percent and in-zone share, as the table of docs/planner.md has them.
fn load(service: &Value) -> (f64, f64) {
    ((number(&service["overload"]) * 1000.0).round() / 10.0, number(&service["inZoneShare"]))
}

/// Pods in each zone, limit, what the zones send; then overload and in-zone share without the policy,
/// and with it.
type Row = ([usize; 3], u16, Option<[u16; 3]>, (f64, f64), (f64, f64));

/// The worked cases of the design, each an optimum.
const TABLE: [Row; 10] = [
    ([2, 1, 1], 20, None, (33.3, 1.0), (11.1, 0.611_111)),
    ([2, 2, 1], 20, None, (66.7, 1.0), (16.7, 0.733_333)),
    ([3, 2, 1], 20, None, (100.0, 1.0), (0.0, 0.833_333)),
    ([3, 3, 1], 20, None, (133.3, 1.0), (16.7, 0.833_333)),
    ([4, 4, 3], 30, None, (22.2, 1.0), (22.2, 1.0)),
    ([4, 4, 3], 20, None, (22.2, 1.0), (13.5, 0.698)),
    ([6, 4, 2], 20, None, (100.0, 1.0), (0.0, 0.833_333)),
    ([8, 3, 1], 30, None, (300.0, 1.0), (0.0, 0.666_667)),
    ([3, 3, 3], 30, Some([60, 20, 20]), (80.0, 1.0), (8.0, 0.76)),
    ([14, 10, 6], 20, None, (66.7, 1.0), (11.1, 0.888_889)),
];

#[test]
fn the_worked_cases() {
    for (counts, limit, shares, without, with) in TABLE {
        let demand = shares.map_or_else(String::new, |[a, b, c]| {
            format!(
                ", demand: {{source: Shares, shares: {{zone-a: {a}, zone-b: {b}, zone-c: {c}}}}}"
            )
        });
        let guarded = policy(&format!("{{guard: {{maxOverloadPercent: {limit}}}{demand}}}"));
        if shares.is_none() {
            assert_eq!(load(&summary(&cluster(counts, &[]))), without, "{counts:?}");
        }
        let service = summary(&cluster(counts, &[&guarded]));
        let (overload, in_zone) = load(&service);
        assert!((overload - with.0).abs() < 0.11, "{counts:?} {limit}: {service:#}");
        assert!((in_zone - with.1).abs() < 0.001, "{counts:?} {limit}: {service:#}");
        let is_strict = with.1 > 0.999;
        let state = if is_strict { "Applied" } else { "Partial" };
        assert_eq!(service["state"], state, "{counts:?} {limit}: {service:#}");
        assert_eq!(service["policy"], "LocalityPolicy/even");
    }
}

/// State, reasons, and rung with reason of each zone.
fn told(service: &Value) -> String {
    let reasons = service["reasons"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let reasons = reasons.collect::<Vec<_>>().join(" ");
    let zones = service["zones"].as_array().unwrap().iter().map(|zone| {
        format!("{} {}", zone["rung"].as_str().unwrap(), zone["reason"].as_str().unwrap())
    });
    let zones = zones.collect::<Vec<_>>().join(", ");
    format!("{} {reasons}: {zones}", service["state"].as_str().unwrap())
}

#[test]
fn each_rule_is_told_by_its_reason() {
    let evacuation = "apiVersion: closehaul.io/v1alpha1\nkind: ZoneEvacuation\nmetadata: {name: \
                      sick}\nspec: {zones: [zone-b], until: 2999-01-01T00:00:00Z}";
    let over = evacuation.replace("2999", "1999");
    let lines = [
        summary(&cluster([3, 2, 1], &[&policy("{guard: {maxOverloadPercent: 20}}")])),
        summary(&cluster([2, 2, 1], &[&policy("{guard: {maxOverloadPercent: 20}}")])),
        summary(&cluster([1, 0, 0], &[&policy("{guard: {maxOverloadPercent: 0}}")])),
        summary(&cluster(
            [3, 3, 1],
            &[&policy("{guard: {maxOverloadPercent: 900, minEndpointsPerZone: 2}}")],
        )),
        summary(&cluster([2, 2, 2], &[&policy("{rollout: {zones: [zone-a]}}")])),
        summary(&cluster([2, 2, 2], &[evacuation])),
        summary(&cluster([2, 2, 2], &[&over])),
        summary(&cluster([0, 2, 0], &[evacuation])),
        summary(&cluster([3, 2, 1], &[&policy("{mode: Shadow, guard: {maxOverloadPercent: 20}}")])),
    ];
    insta::assert_snapshot!(lines.iter().map(told).collect::<Vec<_>>().join("\n"));
}

/// What is planned and written is a plan that stays.
#[test]
fn a_plan_that_is_in_force_needs_no_write() {
    let guarded = policy("{guard: {maxOverloadPercent: 20}}");
    let cluster = cluster([3, 2, 1], &[&guarded]);
    let slices = plan_text(&cluster, &["-o", "yaml"]).good();
    let slices = slices.replace("generateName: web-", "name: web-abcde");
    let again = format!("{cluster}---\n{slices}");
    assert_eq!(plan_text(&again, &["-o", "changes"]).good(), "");
}

/// Whether the policy is for the Service depends on the labels of its namespace, which are missing.
/// What is in force stays.
#[test]
fn names_stay_while_the_policy_is_not_known() {
    let slices = plan_text(
        &cluster([3, 2, 1], &[&policy("{guard: {maxOverloadPercent: 20}}")]),
        &["-o", "yaml"],
    )
    .good();
    let slices = slices.replace("generateName: web-", "name: web-abcde");
    let unknown = "apiVersion: closehaul.io/v1alpha1\nkind: ClusterLocalityPolicy\nmetadata: {name: \
                   a}\nspec: {namespaceSelector: {matchLabels: {team: a}}, guard: \
                   {maxOverloadPercent: 20}}";
    let in_force = |counts| format!("{}---\n{slices}", cluster(counts, &[unknown]));
    assert_eq!(plan_text(&in_force([3, 2, 1]), &["-o", "changes"]).good(), "");
    let service = summary(&in_force([3, 2, 1]));
    assert_eq!(service["reasons"][0], "PolicyUnknown", "{service:#}");
    let absent = format!("{}---\n{slices}", cluster([3, 2, 1], &[]));
    assert_ne!(plan_text(&absent, &["-o", "changes"]).good(), "");
    let more = plan_text(&in_force([3, 2, 2]), &["-o", "yaml"]).good();
    let lent = |text: &str| text.matches("- name: zone-c").count();
    assert_eq!(lent(&more), lent(&slices) + 1, "the new pod names its zone:\n{more}");
}

/// `--with` rehearses a policy.
#[test]
fn a_policy_can_be_rehearsed() {
    let args = ["-o", "table", "--with", &fixture("guard.yaml")];
    let table = plan_text(&cluster([3, 2, 1], &[]), &args).good();
    let row = table.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(row.starts_with("shop web Zone LocalityPolicy/even Partial Lent 6 83% +0%"), "{table}");
}
