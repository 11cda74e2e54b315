//! Which Services a change affects (docs/semantics.md 10.5, 10.6: `PodSelection` and
//! `OnEndpointSliceUpdate`).
//!
//! The built-in controller skips Services that it knows to be unaffected. closehaul may plan a
//! Service once more, because a plan that changes nothing writes nothing. But it must not forget
//! one.

use std::collections::BTreeSet;

use closehaul::{
    api::{Kind, Object},
    cluster::Index,
    model::{
        name::Name,
        slice::{CONTROLLER, MANAGED_BY, SERVICE_NAME},
    },
};
use serde_json::{Value, json};

fn read<T: Kind>(object: Value) -> T {
    serde_json::from_value::<Object<T>>(object).expect("an object that can be read").value
}

/// Services `a`, `b` and `c`, each of which selects pods with its own label, and `none`, which
/// selects no pod.
fn index() -> Index {
    let mut index = Index::default();
    for name in ["a", "b", "c", "none"] {
        let selector = if name == "none" { Value::Null } else { json!({name: "yes"}) };
        index.apply_service(read(json!({
            "metadata": {"namespace": "shop", "name": name, "resourceVersion": "1"},
            "spec": {"selector": selector, "clusterIP": "10.96.0.1"},
        })));
    }
    index
}

/// A pod that these Services select.
fn pod(services: &[&str], version: u64) -> Value {
    let labels = services.iter().map(|name| ((*name).to_owned(), json!("yes")));
    let labels = labels.chain([("app".to_owned(), json!("web"))]);
    json!({
        "metadata": {
            "namespace": "shop", "name": "web-1", "uid": "u", "resourceVersion": version.to_string(),
            "labels": labels.collect::<serde_json::Map<_, _>>(),
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "c"}]},
        "status": {
            "phase": "Running", "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// Applies a pod. Returns the Services that it affects.
fn put(index: &mut Index, pod: Value) -> BTreeSet<String> {
    let affected = index.apply_pod(&Name::from("shop"), read(pod));
    affected.iter().map(|key| key.name.to_string()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `TestGetPodServicesToUpdate`, `PodSelection`: those whose selector matches, only in the pod's
/// namespace.
#[test]
fn a_pod_affects_the_services_that_select_it() {
    for services in [&[][..], &["a"], &["b"], &["a", "c"], &["a", "b", "c"]] {
        let mut index = index();
        assert_eq!(put(&mut index, pod(services, 2)), set(services), "it comes");
        let gone = index.remove_pod(&Name::from("shop"), "web-1", Some(3));
        let gone = gone.iter().map(|key| key.name.to_string()).collect::<BTreeSet<_>>();
        assert_eq!(gone, set(services), "it goes");
        let elsewhere = index.apply_pod(&Name::from("other"), read(pod(services, 4)));
        assert_eq!(elsewhere, [], "another namespace");
    }
}

/// `TestDetermineNeededServiceUpdates` 6, with and without another change of the pod: those that
/// selected it or do so now.
#[test]
fn a_relabelled_pod_affects_what_it_leaves_and_what_it_joins() {
    for is_changed in [false, true] {
        for (before, after) in [
            (&[][..], &[][..]),
            (&["a"], &["a"]),
            (&["a"], &["a", "b"]),
            (&["a", "b"], &["a"]),
            (&["a", "b"], &["b", "c"]),
            (&["a"], &["c"]),
        ] {
            let mut index = index();
            put(&mut index, pod(before, 2));
            let mut relabelled = pod(after, 3);
            relabelled["metadata"]["labels"]["track"] = json!("canary");
            if is_changed {
                relabelled["status"]["conditions"][0]["status"] = json!("False");
            }
            let affected = put(&mut index, relabelled);
            let (before, after) = (set(before), set(after));
            assert_eq!(affected, &before | &after, "{before:?} {after:?} {is_changed}");
        }
    }
}

/// `TestPodChanged` 15, and what docs/semantics.md 1.4 names in addition. A node's name can only
/// change from an empty one.
#[test]
fn what_makes_a_pod_changed() {
    type Row = (&'static str, fn(&mut Value), bool);
    let addresses = |pod: &mut Value, addresses: &[&str]| {
        pod["status"]["podIPs"] = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    };
    let rows: [Row; 17] = [
        ("nothing but the version", |_| {}, false),
        ("an annotation", |pod| pod["metadata"]["annotations"] = json!({"a": "b"}), false),
        (
            "restarts",
            |pod| pod["status"]["containerStatuses"] = json!([{"restartCount": 3}]),
            false,
        ),
        (
            "another condition",
            |pod| {
                let other = json!({"type": "Initialized", "status": "True"});
                pod["status"]["conditions"].as_array_mut().expect("conditions").push(other);
            },
            false,
        ),
        ("one address more", |_| {}, true),
        ("another first address", |_| {}, true),
        ("another second address", |_| {}, true),
        ("IPv6 alone", |_| {}, true),
        ("another IPv6 alone", |_| {}, true),
        ("the second address gone", |_| {}, true),
        ("no address", |pod| pod["status"]["podIP"] = json!(""), true),
        ("readiness", |pod| pod["status"]["conditions"][0]["status"] = json!("False"), true),
        ("no condition Ready", |pod| pod["status"]["conditions"] = json!([]), true),
        (
            "deletion",
            |pod| pod["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z"),
            true,
        ),
        ("a label more", |pod| pod["metadata"]["labels"]["x"] = json!("y"), true),
        ("another label", |pod| pod["metadata"]["labels"]["app"] = json!("api"), true),
        (
            "a label less",
            |pod| drop(pod["metadata"]["labels"].as_object_mut().expect("labels").remove("app")),
            true,
        ),
    ];
    for (what, change, expected) in rows {
        let mut index = index();
        put(&mut index, pod(&["a"], 2));
        let mut changed = pod(&["a"], 3);
        change(&mut changed);
        match what {
            "one address more" => addresses(&mut changed, &["10.0.0.1", "fd00::1", "fd00::2"]),
            "another first address" => addresses(&mut changed, &["10.0.0.2", "fd00::1"]),
            "another second address" => addresses(&mut changed, &["10.0.0.1", "fd00::2"]),
            "IPv6 alone" => addresses(&mut changed, &["fd00::1"]),
            "another IPv6 alone" => addresses(&mut changed, &["fd00::2"]),
            "the second address gone" => addresses(&mut changed, &["10.0.0.1"]),
            "no address" => addresses(&mut changed, &[]),
            _ => {}
        }
        let affected = put(&mut index, changed);
        assert_eq!(affected, if expected { set(&["a"]) } else { set(&[]) }, "{what}");
    }
}

/// A slice with these labels for its Service and its controller.
fn slice(service: &Value, manager: &str, version: u64) -> Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": "web-x", "resourceVersion": version.to_string(),
            "labels": {SERVICE_NAME: service, MANAGED_BY: manager},
        },
        "addressType": "IPv4", "endpoints": [], "ports": [],
    })
}

fn put_slice(index: &mut Index, slice: Value) -> BTreeSet<String> {
    let change = index.apply_slice(read(slice));
    change.iter().flat_map(|change| &change.services).map(|key| key.name.to_string()).collect()
}

/// `TestServiceControllerKey` 3: the Service that a slice names, or none if it names none or an
/// empty one.
#[test]
fn the_service_of_a_slice() {
    let manager = CONTROLLER;
    assert_eq!(put_slice(&mut index(), slice(&json!("a"), manager, 2)), set(&["a"]));
    for nothing in [json!(""), Value::Null] {
        assert_eq!(put_slice(&mut index(), slice(&nothing, manager, 2)), set(&[]), "{nothing}");
    }
    let bare = json!({"metadata": {"namespace": "shop", "name": "web-x"}, "addressType": "IPv4"});
    assert_eq!(put_slice(&mut index(), bare), set(&[]));
}

/// `OnEndpointSliceUpdate`, and the table of docs/semantics.md 1.4: a slice that comes under our
/// management or leaves it, and one that names another Service than before, which affects both.
#[test]
fn a_slice_that_changes_hands_affects_its_services() {
    let ours = CONTROLLER;
    let theirs = "example.com/other";
    for (what, before, after, expected) in [
        ("taken away", ("a", ours), ("a", theirs), &["a"][..]),
        ("taken over", ("a", theirs), ("a", ours), &["a"]),
        ("renamed", ("a", ours), ("b", ours), &["a", "b"]),
        ("renamed and taken away", ("a", ours), ("b", theirs), &["a"]),
        ("another client's", ("a", theirs), ("a", theirs), &[]),
    ] {
        let mut index = index();
        let label = |name: &str| json!(name);
        put_slice(&mut index, slice(&label(before.0), before.1, 2));
        let mut changed = slice(&label(after.0), after.1, 3);
        changed["metadata"]["labels"]["x"] = json!("y");
        assert_eq!(put_slice(&mut index, changed), set(expected), "{what}");
    }
}
