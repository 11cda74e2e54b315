//! Agreement: what `explain` says of a Service is what `closehaul plan -o summary` says, for random
//! clusters, policies, ports and families.

use serde_json::{Value, json};

use crate::{
    command::{closehaul, explain},
    world::World,
};

const NOW: &str = "2026-01-02T03:04:05Z";

/// Small random numbers that a seed determines.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn world(seed: u64) -> World {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..4 {
        random.below(2);
    }
    let mut count = || usize::try_from(random.below(5)).unwrap();
    let counts = [count(), count(), count()];
    let distributions = [None, Some("PreferSameZone"), Some("PreferSameNode"), Some("PreferClose")];
    let distribution = distributions[usize::try_from(random.below(4)).unwrap()];
    let mut world = World::new(counts, distribution);
    if random.chance(40) {
        world.service(&json!({ "spec": { "ipFamilies": ["IPv4", "IPv6"] } }));
    }
    if random.chance(30) {
        let ports = json!([
            { "name": "http", "port": 80, "targetPort": 8080 },
            { "name": "web", "port": 81, "targetPort": "web" },
            { "name": "more", "port": 82, "targetPort": "more" },
        ]);
        world.service(&json!({ "spec": { "ports": ports } }));
        let ports = json!([{ "name": "more", "containerPort": 9090 }]);
        let containers = json!([{ "name": "main", "image": "cart", "ports": ports }]);
        world.pod("node-b", &json!({ "spec": { "containers": containers } }));
    }
    match random.below(6) {
        0 => {
            world.guard(20, &json!({}));
        }
        1 => {
            world.policy("near", &json!({ "prefer": ["Node", "Zone"] }));
        }
        2 => {
            world.policy(
            "try",
            &json!({ "mode": "Shadow", "prefer": ["Zone"], "guard": { "maxOverloadPercent": 10 } }),
        );
        }
        3 => {
            world.evacuate(&["a"]);
        }
        _ => {}
    }
    if random.chance(20) {
        world.node("node-x", None);
        if random.chance(50) {
            world.pod("node-x", &json!({}));
        }
    }
    if random.chance(15) {
        world.foreign();
    }
    world
}

#[test]
fn explain_and_plan_agree() {
    let mut compared = 0;
    for seed in 1..=150 {
        let world = world(seed);
        let summary = closehaul(&world.objects, &["plan", "-o", "summary", "--at", NOW]).good();
        let summary: Value = serde_json::from_str(&summary).unwrap();
        let planned = &summary["services"][0];
        let text = explain(&world.objects, "cart", &["-o", "json", "--at", NOW]).good();
        let explained: Value = serde_json::from_str(&text).unwrap();
        for field in
            ["namespace", "name", "prefer", "policy", "state", "reasons", "inZoneShare", "overload"]
        {
            assert_eq!(explained[field], planned[field], "seed {seed}: {field}");
        }
        assert_eq!(explained["hindrances"], planned["hindrances"], "seed {seed}");
        for port in planned["ports"].as_array().unwrap() {
            compared += zones_agree(seed, port, &explained);
        }
    }
    assert!(compared > 400, "{compared}");
}

/// Compares what kube-proxies do for a port, zone by zone. Returns for how many zones.
fn zones_agree(seed: u64, port: &Value, explained: &Value) -> usize {
    let from = explained["consumers"][0]["from"].as_array().unwrap();
    let of_port: Vec<_> = from
        .iter()
        .filter(|it| it["port"] == port["port"] && it["family"] == port["family"])
        .collect();
    let zones = port["zones"].as_array().unwrap();
    for zone in zones {
        let from = of_port.iter().find(|it| it["zone"] == zone["zone"]);
        let from = from.unwrap_or_else(|| panic!("seed {seed}: {zone} in {of_port:#?}"));
        let endpoints = from["endpoints"].as_array().unwrap();
        assert_eq!(json!(endpoints.len()), zone["reachable"], "seed {seed}: {zone}");
        assert_eq!(from["reason"], zone["reason"], "seed {seed}: {zone}");
        let share = |of: &Value| of["share"].as_f64().unwrap();
        let sum: f64 = endpoints.iter().map(share).sum();
        assert!((sum - 1.0).abs() < 1e-4, "seed {seed}: {from:#}");
        let own = endpoints.iter().filter(|endpoint| endpoint["zone"] == zone["zone"]);
        let own: f64 = own.map(share).sum();
        let expected = zone["inZoneShare"].as_f64().unwrap();
        assert!((own - expected).abs() < 1e-4, "seed {seed}: {own} in {from:#}, not {expected}");
    }
    zones.len()
}
