//! Each invariant finds a planted violation, and none where nothing is wrong.

#![cfg(test)]

use std::time::Duration;

use fake_api::{
    collections::{LEASES, NODES, PODS, SERVICES, SLICES},
    invariants::{
        DUPLICATE, ENDPOINT, FOREIGN, LAG, Limits, NAMES, REASON, SIZE, WRITER, violations,
    },
    recorder::{Caller, Change},
    samples::{name, node, pod, service},
};
use serde_json::{Value, json};
use tokio::time::Instant;

const ME: Caller = Caller::Replica(1);
const LIMITS: Limits = Limits {
    max_endpoints: 2,
    staleness: Some(Duration::from_secs(60)),
    stores_node_hints: true,
    lag: Some((Duration::from_secs(10), &["web"])),
};

/// A record: node a1, Service `web` and its pods `web-1` and `web-2`, and what is added.
struct Story {
    start: Instant,
    record: Vec<Change>,
}

impl Story {
    fn new() -> Self {
        let mut story = Self { start: Instant::now(), record: Vec::new() };
        story.add(0, Caller::World, NODES, None, Some(node("a1")));
        story.add(0, Caller::World, SERVICES, None, Some(service("web")));
        for number in [1, 2] {
            let mut pod = pod(&format!("web-{number}"));
            pod["metadata"]["uid"] = json!(format!("uid-{number}"));
            pod["spec"]["nodeName"] = json!("a1");
            story.add(0, Caller::World, PODS, None, Some(pod));
        }
        story
    }

    /// The same with a slice for both pods.
    fn written() -> Self {
        let mut story = Self::new();
        story.add(1, ME, SLICES, None, Some(slice("web-a", &[1, 2])));
        story
    }

    fn add(
        &mut self,
        second: u64,
        by: Caller,
        collection: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        let object = before.as_ref().or(after.as_ref()).unwrap();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let name = name(object).to_owned();
        let at = self.start + Duration::from_secs(second);
        let collection = collection.to_owned();
        self.record.push(Change { at, by, collection, namespace, name, before, after });
    }

    /// A replica replaces or deletes a slice.
    fn replace(&mut self, second: u64, before: Value, after: Option<Value>) {
        self.add(second, ME, SLICES, Some(before), after);
    }

    #[track_caller]
    fn assert(&self, expected: &[&str]) {
        let found = violations(&self.record, LIMITS);
        let invariants: Vec<_> = found.iter().map(|violation| violation.invariant).collect();
        assert_eq!(invariants, expected, "{found:#?}");
    }
}

fn slice(name: &str, pods: &[u32]) -> Value {
    let endpoint = |number: &u32| {
        json!({
            "addresses": [format!("10.0.0.{number}")],
            "targetRef": { "kind": "Pod", "uid": format!("uid-{number}") },
        })
    };
    json!({
        "metadata": {
            "namespace": "shop", "name": name,
            "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4",
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": [{ "port": 8080, "protocol": "TCP" }],
    })
}

#[test]
fn nothing_is_wrong() {
    let mut story = Story::written();
    story.replace(2, slice("web-a", &[1, 2]), Some(slice("web-a", &[2, 1])));
    story.assert(&[]);
}

#[test]
fn a_slice_that_is_too_large() {
    let mut story = Story::new();
    story.add(1, ME, SLICES, None, Some(slice("web-a", &[1, 2, 3])));
    story.assert(&[SIZE]);
}

#[test]
fn a_slice_of_another_controller() {
    let mut story = Story::written();
    let mut foreign = slice("others", &[]);
    foreign["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = json!("other");
    story.add(2, Caller::World, SLICES, None, Some(foreign.clone()));
    story.replace(3, foreign, None);
    story.assert(&[FOREIGN]);
}

#[test]
fn a_write_of_a_time_alone() {
    let mut story = Story::written();
    let mut after = slice("web-a", &[1, 2]);
    after["metadata"]["annotations"] =
        json!({ "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z" });
    story.replace(2, slice("web-a", &[1, 2]), Some(after));
    story.assert(&[REASON]);
}

#[test]
fn a_hint_for_an_unknown_zone() {
    let mut story = Story::new();
    let mut hinted = slice("web-a", &[1, 2]);
    for (zone, at) in [("a", 0), ("x", 1)] {
        hinted["endpoints"][at]["hints"] = json!({ "forZones": [{ "name": zone }] });
    }
    story.add(1, ME, SLICES, None, Some(hinted));
    story.assert(&[NAMES]);
}

/// Only if the replica must know the pod: for a minute here.
#[test]
fn an_endpoint_that_is_out_of_all_slices() {
    for (second, expected) in [(59, &[][..]), (61, &[ENDPOINT][..])] {
        let mut story = Story::written();
        story.replace(second, slice("web-a", &[1, 2]), Some(slice("web-a", &[1])));
        story.assert(expected);
    }
    let mut moved = Story::written();
    moved.add(70, ME, SLICES, None, Some(slice("web-b", &[2, 3])));
    moved.replace(71, slice("web-a", &[1, 2]), Some(slice("web-a", &[1])));
    moved.assert(&[]);
}

#[test]
fn a_slice_that_was_there() {
    let mut story = Story::written();
    story.add(2, ME, SLICES, None, Some(slice("web-b", &[1, 2])));
    story.assert(&[DUPLICATE]);
}

#[test]
fn a_healthy_service_that_is_late() {
    let mut story = Story::new();
    story.add(9, ME, SLICES, None, Some(slice("web-a", &[1])));
    story.add(11, ME, SLICES, None, Some(slice("web-b", &[2])));
    story.assert(&[LAG]);
}

#[test]
fn a_replica_that_does_not_lead() {
    let mut story = Story::written();
    let lease = json!({ "metadata": { "namespace": "kube-system", "name": "closehaul" } });
    story.add(2, Caller::Replica(2), LEASES, None, Some(lease));
    story.replace(3, slice("web-a", &[1, 2]), Some(slice("web-a", &[2, 1])));
    story.assert(&[WRITER]);
}
