//! What is read of policies, rule by rule.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{
    policy::{DemandSource, Guard, Key, Mode, PolicySpec},
    samples,
    selector::{Expression, Operator},
};

#[expect(clippy::needless_pass_by_value, reason = "specs are written in place")]
fn object<T: Kind>(spec: Value) -> Object<T>
where
    Document: Written<T>,
{
    let metadata = json!({"name": "default", "namespace": "shop", "generation": 3,
                          "creationTimestamp": "2026-01-02T03:04:05Z", "resourceVersion": "7"});
    let kind = json!({"apiVersion": "closehaul.io/v1alpha1", "kind": T::KIND,
                      "metadata": metadata, "spec": spec});
    serde_json::from_value::<Document>(kind).unwrap().read().unwrap()
}

fn namespaced(spec: Value) -> Reading<PolicySpec> {
    let object = object::<LocalityPolicy>(spec);
    assert_eq!(object.flaw().map(ToString::to_string), None);
    object.value.spec
}

#[track_caller]
fn known(spec: Value) -> PolicySpec {
    match namespaced(spec) {
        Reading::Known(spec) => spec,
        other => panic!("{other:?}"),
    }
}

#[test]
fn defaults() {
    let object = object::<LocalityPolicy>(json!({}));
    let LocalityPolicy { meta, namespace, services, spec, programmed } = object.value;
    assert_eq!(
        (&*meta.name, &*namespace, meta.version, meta.generation),
        ("default", "shop", 7, 3)
    );
    assert_eq!(meta.created.map(|it| it.to_string()).as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!((services, programmed), (ServiceFilter::All, None));
    assert_eq!(spec, Reading::Known(PolicySpec::default()));
    let guard = known(json!({"guard": {"maxOverloadPercent": 30}})).guard;
    let hold = Duration::from_secs(120);
    assert_eq!(
        guard,
        Some(Guard { max_overload: 30, release_overload: 40, min_per_zone: 0, hold })
    );
    // `null` is absent, wherever the API server lets it through.
    let null = json!({"services": null, "mode": null, "prefer": null, "guard": null,
                      "demand": null, "rollout": null});
    assert_eq!(known(null), PolicySpec::default());
}

/// The example of the documentation.
#[test]
fn everything_at_once() {
    let spec = json!({
        "services": {"selector": {"matchLabels": {"tier": "web"}, "matchExpressions": [
            {"key": "track", "operator": "NotIn", "values": ["canary"]}, {"key": "app", "operator": "Exists"}]}},
        "mode": "Shadow", "prefer": ["Node", "Zone"],
        "guard": {"maxOverloadPercent": 1000, "releaseOverloadPercent": 1000, "minEndpointsPerZone": 2, "hold": "1h0m0s"},
        "demand": {"source": "Shares", "shares": {"zone-a": 60, "zone-b": 20.5, "zone-c": 0}},
        "rollout": {"zones": ["zone-a"]}});
    let object = object::<LocalityPolicy>(spec);
    let expression = |key: &str, operator| Expression { key: key.into(), operator };
    let expressions = vec![
        expression("track", Operator::NotIn(vec!["canary".into()])),
        expression("app", Operator::Exists),
    ];
    let labels = samples::labels(&[("tier", "web")]);
    let selector = Selector { labels, expressions };
    assert_eq!(object.value.services, ServiceFilter::Selector(selector));
    let shares = [("zone-a", 60.0), ("zone-b", 20.5), ("zone-c", 0.0)];
    let hold = Duration::from_secs(3600);
    let spec = PolicySpec {
        mode: Mode::Shadow,
        prefer: Some(vec![Key::Node, Key::Zone]),
        guard: Some(Guard { max_overload: 1000, release_overload: 1000, min_per_zone: 2, hold }),
        demand: DemandSource::Shares(shares.map(|(zone, share)| (zone.into(), share)).into()),
        rollout: Some(vec!["zone-a".into()]),
    };
    assert_eq!(object.value.spec, Reading::Known(spec));
}

#[test]
fn what_prefer_means() {
    let keys = |prefer: Value| known(json!({"prefer": prefer})).prefer.unwrap();
    let rack = || Key::Label("example.com/rack".into());
    for (prefer, wanted) in [
        (json!([]), vec![]),
        (json!(["Zone"]), vec![Key::Zone]),
        (json!(["Node"]), vec![Key::Node, Key::Zone]),
        (json!(["Node", "Zone"]), vec![Key::Node, Key::Zone]),
        (json!(["Node", "Region"]), vec![Key::Node, Key::Zone, Key::Region]),
        (json!(["Zone", "Region", "example.com/rack"]), vec![Key::Zone, Key::Region, rack()]),
        (json!(["Zone", "example.com/rack", "Region"]), vec![Key::Zone, rack(), Key::Region]),
        (json!(["Region"]), vec![Key::Region]),
    ] {
        assert_eq!(keys(prefer.clone()), wanted, "{prefer}");
    }
}

#[test]
fn demand_by_clients() {
    let clients = json!({"source": "Clients", "clientSelector": {}});
    let wanted = DemandSource::Clients { pods: Selector::default(), namespaces: None };
    assert_eq!(known(json!({"demand": clients})).demand, wanted);
    let everywhere = json!({"demand": {"source": "Clients", "clientSelector": {}, "clientNamespaceSelector": {}},
                            "namespaceSelector": {"matchLabels": {"team": "a"}}});
    let policy = object::<ClusterLocalityPolicy>(everywhere).value;
    let demand =
        DemandSource::Clients { pods: Selector::default(), namespaces: Some(Selector::default()) };
    let spec = PolicySpec { demand, ..PolicySpec::default() };
    assert_eq!(policy.spec, Reading::Known(spec));
    assert_eq!(policy.namespaces.unwrap().labels, samples::labels(&[("team", "a")]));
}

#[test]
fn the_generation_that_is_programmed() {
    let programmed = |condition: Value| {
        let text =
            json!({"metadata": {"name": "a"}, "spec": {}, "status": {"conditions": condition}});
        let document: Document = serde_json::from_value(text).unwrap();
        let object: Object<LocalityPolicy> = document.read().unwrap();
        object.value.programmed
    };
    let is = |status: &str| {
        json!([{"type": "Accepted", "status": "True", "observedGeneration": 9},
                                   {"type": "Programmed", "status": status, "observedGeneration": 3}])
    };
    assert_eq!(programmed(is("True")), Some(3));
    assert_eq!(programmed(is("False")), None);
    assert_eq!(programmed(json!([])), None);
    assert_eq!(programmed(json!("nonsense")), None);
}

#[test]
fn an_evacuation() {
    let spec = json!({"zones": ["zone-b", "zone-a"], "until": "2026-01-02T03:04:05+01:00",
                      "services": {"names": ["cart"]}, "namespaceSelector": {}, "reason": "flood"});
    let evacuation = object::<ZoneEvacuation>(spec).value;
    assert_eq!(evacuation.services, ServiceFilter::Names(vec!["cart".into()]));
    assert_eq!(evacuation.namespaces, Some(Selector::default()));
    let wanted = Evacuation {
        zones: vec!["zone-b".into(), "zone-a".into()],
        until: "2026-01-02T02:04:05Z".parse().unwrap(),
        reason: Some("flood".into()),
    };
    assert_eq!(evacuation.spec, Reading::Known(wanted));
}

/// What a spec is refused for. `?` marks what a newer version may know.
fn refusals<T: Kind>(specs: &[Value], reading: impl Fn(&T) -> bool) -> String
where
    Document: Written<T>,
{
    let refusal = |spec: &Value| {
        let object = object::<T>(spec.clone());
        let flaw = object.flaw().unwrap_or_else(|| panic!("{spec}")).to_string();
        let mark = if reading(&object.value) { "? " } else { "" };
        format!("{mark}{flaw}")
    };
    specs.iter().map(refusal).collect::<Vec<_>>().join("\n")
}

fn of_policies(specs: &[Value]) -> String {
    refusals::<LocalityPolicy>(specs, |policy| match policy.spec {
        Reading::Unknown => true,
        Reading::Invalid => false,
        Reading::Known(_) => panic!("{policy:?}"),
    })
}

#[test]
fn every_rule_for_a_policy() {
    let guard = |fields: Value| json!({"guard": fields});
    let hold = |text: &str| json!({"guard": {"maxOverloadPercent": 30, "hold": text}});
    let prefer = |keys: Value| json!({"prefer": keys});
    let demand = |fields: Value| json!({"demand": fields});
    let many: Vec<_> = (0..65).map(|at| format!("z{at}")).collect();
    let specs = [
        Value::Null,
        json!([]),
        json!({"gaurd": {}}),
        json!({"namespaceSelector": {}}),
        json!({"services": {}}),
        json!({"services": {"names": ["a"], "selector": {}}}),
        json!({"services": {"names": []}}),
        json!({"services": {"names": ["a", "b", "a"]}}),
        json!({"services": {"names": ["cart.shop"]}}),
        json!({"services": {"names": "cart"}}),
        json!({"services": {"name": ["cart"]}}),
        json!({"mode": "Enforced"}),
        json!({"mode": true}),
        prefer(json!("Zone")),
        prefer(json!(["Zone", "Zone"])),
        prefer(json!(["Zone", "Node"])),
        prefer(json!(["Region", "Zone"])),
        prefer(json!(["example.com/rack", "Zone"])),
        prefer(json!(["zone"])),
        prefer(json!(["topology.kubernetes.io/zone"])),
        prefer(json!(["Rack"])),
        prefer(json!(["a rack"])),
        prefer(json!([1])),
        guard(json!({})),
        guard(json!(30)),
        guard(json!({"maxOverloadPercent": -1})),
        guard(json!({"maxOverloadPercent": 1001})),
        guard(json!({"maxOverloadPercent": 12.5})),
        guard(json!({"maxOverloadPercent": "30"})),
        guard(json!({"maxOverloadPercent": 30, "releaseOverloadPercent": 29})),
        guard(json!({"maxOverloadPercent": 30, "minEndpointsPerZone": -1})),
        guard(json!({"maxOverloadPercent": 30, "maxOverload": 30})),
        hold("2"),
        hold("-2m"),
        hold("1h0m1s"),
        guard(json!({"maxOverloadPercent": 30, "hold": 120})),
        demand(json!({"source": "Memory"})),
        demand(json!({"clientSelector": {}})),
        demand(json!({"source": "Nodes", "shares": {"a": 1}})),
        demand(json!({"source": "Shares", "clientSelector": {}})),
        demand(json!({"source": "Clients"})),
        demand(json!({"source": "Clients", "clientSelector": {}, "clientNamespaceSelector": {}})),
        demand(json!({"source": "Shares"})),
        demand(json!({"source": "Shares", "shares": {}})),
        demand(json!({"source": "Shares", "shares": {"a": 0}})),
        demand(json!({"source": "Shares", "shares": {"a": -1, "b": 1}})),
        demand(json!({"source": "Shares", "shares": {"a": "1"}})),
        demand(json!({"source": "Shares", "shares": {"": 1}})),
        json!({"rollout": {}}),
        json!({"rollout": {"zones": []}}),
        json!({"rollout": {"zones": ["a", "a"]}}),
        json!({"rollout": {"zones": ["a zone"]}}),
        json!({"rollout": {"zones": many}}),
    ];
    insta::assert_snapshot!(of_policies(&specs));
}

#[test]
fn every_rule_for_a_selector() {
    let selector = |selector: Value| json!({"services": {"selector": selector}});
    let labels = |labels: Value| selector(json!({"matchLabels": labels}));
    let one = |expression: Value| selector(json!({"matchExpressions": [expression]}));
    let specs = [
        selector(json!([])),
        selector(json!({"app": "cart"})),
        labels(json!({"app": 1})),
        labels(json!({"a b": "c"})),
        labels(json!({"/b": "c"})),
        labels(json!({"Example.com/b": "c"})),
        labels(json!({"a": "b c"})),
        labels(json!({"a": "-b"})),
        labels(json!({"a": "b".repeat(64)})),
        one(json!({"operator": "Exists"})),
        one(json!({"key": "a"})),
        one(json!({"key": "a", "operator": "Equals", "values": ["b"]})),
        one(json!({"key": "a", "operator": "In"})),
        one(json!({"key": "a", "operator": "NotIn", "values": []})),
        one(json!({"key": "a", "operator": "In", "values": "b"})),
        one(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
        one(json!({"key": "a", "operator": "Exists", "value": "b"})),
    ];
    insta::assert_snapshot!(of_policies(&specs));
}

#[test]
fn every_rule_for_an_evacuation() {
    let zones = |zones: Value| json!({"zones": zones, "until": "2026-01-02T03:04:05Z"});
    let specs = [
        Value::Null,
        json!({"until": "2026-01-02T03:04:05Z"}),
        json!({"zones": ["a"]}),
        json!({"zones": ["a"], "until": "tomorrow"}),
        json!({"zones": ["a"], "until": "2026-01-02 03:04:05"}),
        zones(json!([])),
        zones(json!(["a", "a"])),
        zones(json!(["a", "b", "c", "d", "e", "f", "g", "h"])),
        zones(json!("a")),
        json!({"zones": ["a"], "until": "2026-01-02T03:04:05Z", "for": "30m"}),
        json!({"zones": ["a"], "until": "2026-01-02T03:04:05Z", "reason": 7}),
        json!({"zones": ["a"], "until": "2026-01-02T03:04:05Z", "services": {"names": [""]}}),
        json!({"zones": ["a"], "until": "2026-01-02T03:04:05Z", "namespaceSelector": {"a": "b"}}),
    ];
    insta::assert_snapshot!(refusals::<ZoneEvacuation>(&specs, |it| it.spec == Reading::Unknown));
}

#[test]
fn whom_an_unknown_policy_is_for_is_read() {
    let spec = json!({"services": {"names": ["cart"]}, "mode": "Rehearse"});
    let policy = object::<LocalityPolicy>(spec).value;
    assert_eq!(policy.services, ServiceFilter::Names(vec!["cart".into()]));
    // If it cannot be read, the policy may be for any.
    let spec = json!({"services": {"owners": ["cart"]}});
    let policy = object::<LocalityPolicy>(spec).value;
    assert_eq!((policy.services, policy.spec), (ServiceFilter::All, Reading::Unknown));
}

#[test]
fn a_field_beside_the_spec() {
    let text = json!({"apiVersion": "closehaul.io/v1alpha1", "kind": "LocalityPolicy", "metadata": {"name": "a"},
                      "spec": {}, "prefer": ["Zone"]});
    let document: Document = serde_json::from_value(text).unwrap();
    let object: Object<LocalityPolicy> = document.read().unwrap();
    let flaw = "prefer: is an unknown field; put what is requested into `spec`";
    assert_eq!(object.flaw().unwrap().to_string(), flaw);
    assert_eq!(object.value.spec, Reading::Unknown);
}

/// As the API server streams them.
#[test]
fn a_policy_in_a_watch() {
    let text = r#"{"apiVersion": "closehaul.io/v1alpha1", "kind": "LocalityPolicy",
        "metadata": {"name": "a", "namespace": "shop", "managedFields": []}, "spec": {"mode": "Rehearse"}}"#;
    let guarded: crate::api::guard::Guarded<Object<LocalityPolicy>> =
        serde_json::from_str(text).unwrap();
    let crate::api::guard::Guarded::Good(object) = guarded else { panic!("{guarded:?}") };
    assert_eq!(object.value.spec, Reading::Unknown);
    assert!(object.flaw().is_some());
}
