//! Services without selector and slices for them, generated from a seed.

use closehaul::model::slice::{MANAGED_BY, SERVICE_NAME};
use serde_json::{Value, json};

/// The manager of the slices, which is no running controller.
const WRITER: &str = "rules.closehaul-e2e";

/// Names of the endpoints' nodes. One of them has no Node object.
const NODES: [&str; 4] = ["n1", "n2", "n3", "gone"];

/// Zones of endpoints and hints. The last one has no node.
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-x"];

/// Numbers that follow from a seed (`SplitMix64`).
#[derive(Debug)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `end` - 1.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// True in `percent` of all cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Which hints the endpoints of a Service have.
#[derive(Debug, Clone, Copy)]
struct Hints {
    zones: bool,
    nodes: bool,
    /// The percentage of endpoints without hints.
    missing: usize,
}

/// A Service of both families. Its name contains its number. Its ports are named `http` and, for
/// some Services, `dns`.
pub(super) fn service(seed: &mut Seed, number: usize) -> Value {
    let protocol = |seed: &mut Seed| if seed.chance(20) { "UDP" } else { "TCP" };
    let mut ports = vec![json!({"name": "http", "port": 80, "protocol": protocol(seed)})];
    if seed.chance(40) {
        ports.push(json!({"name": "dns", "port": 53, "protocol": protocol(seed)}));
    }
    let internal = if seed.chance(30) { "Local" } else { "Cluster" };
    let mut spec = json!({
        "ports": ports,
        "ipFamilyPolicy": "RequireDualStack",
        "internalTrafficPolicy": internal,
    });
    let external = if seed.chance(50) { "Local" } else { "Cluster" };
    match seed.below(4) {
        0 | 1 => {}
        2 => {
            spec["type"] = json!("NodePort");
            spec["externalTrafficPolicy"] = json!(external);
        }
        // Exposed in one family only.
        _ => {
            let address = format!("198.51.100.{}", number % 250 + 1);
            spec["externalIPs"] = json!([address]);
            spec["externalTrafficPolicy"] = json!(external);
        }
    }
    json!({"metadata": {"name": format!("s{number}")}, "spec": spec})
}

/// The slices of a Service, of both families: none to three of each.
pub(super) fn slices(seed: &mut Seed, service: &str) -> Vec<Value> {
    let mut slices = Vec::new();
    for family in ["IPv4", "IPv6"] {
        let hints = Hints {
            zones: seed.chance(75),
            nodes: seed.chance(50),
            missing: [0, 0, 0, 15][seed.below(4)],
        };
        // No endpoint is ready in some Services, and all are ready in others.
        let unready = [0, 20, 50, 100][seed.below(4)];
        let mut last = 0;
        let mut twins = Vec::new();
        for _ in 0..seed.below(4) {
            let mut endpoints = std::mem::take(&mut twins);
            for _ in 0..seed.below(5) {
                last += 1;
                let endpoint = endpoint(seed, family, last, hints, unready);
                // The address also belongs to a pod that has nearly ended.
                if seed.chance(10) && endpoint["conditions"]["terminating"] != json!(true) {
                    let mut twin = endpoint.clone();
                    twin["conditions"] =
                        json!({"ready": false, "serving": true, "terminating": true});
                    twin["hints"] = Value::Null;
                    twins.push(twin);
                }
                endpoints.push(endpoint);
            }
            slices.push(json!({
                "metadata": {
                    "generateName": format!("{service}-"),
                    "labels": {SERVICE_NAME: service, MANAGED_BY: WRITER},
                },
                "addressType": family,
                "ports": ports(seed),
                "endpoints": endpoints,
            }));
        }
    }
    slices
}

/// Ports with other numbers than those of the Service. Sometimes the protocol differs, or a port is
/// missing.
fn ports(seed: &mut Seed) -> Vec<Value> {
    let mut ports = Vec::new();
    for (name, number) in [("http", 8080), ("dns", 5353)] {
        let protocol = if seed.chance(20) { "UDP" } else { "TCP" };
        match seed.below(10) {
            0 => {}
            1 => ports.push(json!({"name": name, "port": null, "protocol": protocol})),
            _ => {
                let number = number + seed.below(2);
                ports.push(json!({"name": name, "port": number, "protocol": protocol}));
            }
        }
    }
    ports
}

fn endpoint(seed: &mut Seed, family: &str, number: usize, hints: Hints, unready: usize) -> Value {
    let address = match family {
        "IPv4" => format!("203.0.113.{number}"),
        _ => format!("2001:db8::{number:x}"),
    };
    let mut endpoint = json!({"addresses": [address], "conditions": conditions(seed, unready)});
    if seed.chance(90) {
        endpoint["nodeName"] = json!(seed.pick(&NODES));
    }
    if seed.chance(90) {
        endpoint["zone"] = json!(seed.pick(&ZONES));
    }
    let mut own = json!({});
    if hints.zones && !seed.chance(hints.missing) {
        own["forZones"] = names(seed, &ZONES);
    }
    if hints.nodes && !seed.chance(hints.missing) {
        own["forNodes"] = names(seed, &NODES);
    }
    endpoint["hints"] = own;
    endpoint
}

fn conditions(seed: &mut Seed, unready: usize) -> Value {
    if !seed.chance(unready) {
        // A missing condition means ready.
        return if seed.chance(15) { json!({}) } else { json!({"ready": true, "serving": true}) };
    }
    match seed.below(4) {
        0 => json!({"ready": false, "serving": false, "terminating": false}),
        1 => json!({"ready": false, "serving": true, "terminating": false}),
        2 => json!({"ready": false, "serving": false, "terminating": true}),
        _ => json!({"ready": false, "serving": true, "terminating": true}),
    }
}

/// One name, sometimes two.
fn names(seed: &mut Seed, from: &[&str]) -> Value {
    let first = seed.below(from.len());
    let mut names = vec![json!({"name": from[first]})];
    if seed.chance(30) {
        names.push(json!({"name": from[(first + 1) % from.len()]}));
    }
    Value::Array(names)
}
