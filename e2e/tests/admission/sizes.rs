//! Sizes: slices of up to 1,000 endpoints, more than which no slice has, with the most names that
//! hints can have. The API server limits what an evaluation may cost.

use e2e::cluster::Actor;
use serde_json::{Value, json};

use crate::{
    LIMIT,
    notation::{endpoint, slice, written},
    stage::Stage,
};

const ZONES: [&str; 8] = [
    "europe-west-1a",
    "europe-west-1b",
    "europe-west-1c",
    "europe-west-1d",
    "europe-west-1e",
    "europe-west-1f",
    "europe-west-1g",
    "europe-west-1h",
];

/// An endpoint with these hints, for the pod of this number; as long as in a real cluster.
fn of(number: usize, hints: &str) -> Value {
    let zone = ZONES[number % ZONES.len()];
    let mut endpoint = endpoint(&format!("p{number} {zone} node-{number}.example.com {hints}"));
    endpoint["targetRef"]["uid"] = json!(format!("{number:08x}-1f2e-4d3c-8b9a-{number:012x}"));
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_are_kept_at_every_size() {
    tokio::time::timeout(LIMIT, sizes()).await.expect("the time limit");
}

async fn sizes() {
    let stage = Stage::start().await;
    let all = ZONES.join(",");
    let annotation = format!("={all};/node=own");
    for size in [1, 100, 300, 1000] {
        let name = format!("size-{size}");
        let ours = |number: usize| format!("{all}/node-{number}.example.com");
        let slice = |endpoints: Vec<Value>| slice(&name, Some(&annotation), json!(endpoints));
        // What the built-in controller writes.
        let theirs = |range: std::ops::Range<usize>| {
            slice(range.map(|number| of(number, ZONES[number % ZONES.len()])).collect())
        };
        let stored = slice((0..size).map(|number| of(number, &ours(number))).collect());
        let stored = stage.create(&stored).await.unwrap();
        let version = |slice: &Value| slice["metadata"]["resourceVersion"].clone();
        let put = async |slice: Value, what: &str| {
            let now = stage.put(Actor::ControllerManager, &slice).await.unwrap();
            let failures = stage.failures().await;
            assert!(failures.values().all(|count| *count == 0.0), "{size}, {what}: {failures:?}");
            now
        };
        let kept = put(theirs(0..size), "in place").await;
        assert_eq!(version(&kept), version(&stored), "{size}: written");
        assert_eq!(kept["endpoints"], stored["endpoints"], "{size}");
        // Each endpoint has another place, and the last one is new.
        let moved = put(theirs(1..size + 1), "moved").await;
        let expected: Vec<String> = (1..=size).map(ours).collect();
        assert_eq!(hints(&moved), expected, "{size}");
        // All are new.
        let new = put(theirs(size + 1..2 * size + 1), "new").await;
        let expected: Vec<String> = (size + 1..=2 * size).map(ours).collect();
        assert_eq!(hints(&new), expected, "{size}");
    }
    stage.cluster.stop().await.unwrap();
}

fn hints(slice: &Value) -> Vec<String> {
    slice["endpoints"].as_array().unwrap().iter().map(written).collect()
}
