//! Situations, each with the whole text: every reason that files can show, each consumer, both families,
//! several ports. The snapshot is a table for readers, too.

use std::{collections::BTreeSet, fmt::Write as _};

use closehaul::assess::reason::Reason;
use serde_json::{Value, json};

use crate::{command::explain, world::World};

const ZONE: Option<&str> = Some("PreferSameZone");
const NODE: Option<&str> = Some("PreferSameNode");
const NOW: [&str; 2] = ["--at", "2026-01-02T03:04:05Z"];

struct Situation {
    title: &'static str,
    world: World,
    args: Vec<&'static str>,
}

fn plain(title: &'static str, counts: [usize; 3], distribution: Option<&str>) -> Situation {
    Situation { title, world: World::new(counts, distribution), args: Vec::new() }
}

fn with(
    title: &'static str,
    (counts, distribution): ([usize; 3], Option<&str>),
    change: impl FnOnce(&mut World),
) -> Situation {
    let mut world = World::new(counts, distribution);
    change(&mut world);
    Situation { title, world, args: Vec::new() }
}

fn asking(mut situation: Situation, args: &[&'static str]) -> Situation {
    situation.args = args.to_vec();
    situation
}

fn annotated(name: &str, value: &str) -> Value {
    json!({ "metadata": { "annotations": { name: value } } })
}

fn spec(fields: &Value) -> Value {
    json!({ "spec": fields })
}

fn unready() -> Value {
    json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } })
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn situations() -> Vec<Situation> {
    let equal = ([2, 2, 2], ZONE);
    let uneven = ([3, 3, 1], ZONE);
    let without = ([2, 2, 2], None);
    let two_ports = json!([
        { "name": "http", "port": 80, "targetPort": "web" },
        { "name": "metrics", "port": 90, "targetPort": "metrics" },
    ]);
    vec![
        plain("no preference", [2, 2, 2], None),
        plain("every zone local", [2, 2, 2], ZONE),
        plain("uneven, without a guard", [3, 3, 1], ZONE),
        plain("a zone without endpoints", [3, 3, 0], ZONE),
        plain("node, then zone", [1, 2, 1], NODE),
        plain("node, and a zone without endpoints", [1, 0, 1], NODE),
        plain("no pods", [0, 0, 0], ZONE),
        with("a guard lends", uneven, |w| {
            w.guard(20, &json!({}));
        }),
        with("a guard widens", ([2, 1, 1], ZONE), |w| {
            w.guard(20, &json!({}));
        }),
        with("a guard that is kept", ([4, 4, 3], ZONE), |w| {
            w.guard(30, &json!({}));
        }),
        with("a guard that allows no local plan", ([9, 1, 1], ZONE), |w| {
            w.guard(0, &json!({}));
        }),
        with("a guard that the next loss of an endpoint would exceed", ([4, 4, 3], ZONE), |w| {
            w.guard(40, &json!({ "releaseOverloadPercent": 50 }));
        }),
        plain("uneven, without a guard, and soon more so", [3, 3, 2], ZONE),
        with("a minimum", uneven, |w| {
            w.guard(1000, &json!({ "minEndpointsPerZone": 2 }));
        }),
        with("a policy that prefers", without, |w| {
            w.policy("near", &json!({ "prefer": ["Zone"] }));
        }),
        with("a policy for nodes", without, |w| {
            w.policy(
                "near",
                &json!({ "prefer": ["Node", "Zone"], "guard": { "maxOverloadPercent": 50 } }),
            );
        }),
        with("demand by shares", ([3, 3, 3], ZONE), |w| {
            let demand = json!({ "source": "Shares", "shares": { "zone-a": 60, "zone-b": 20, "zone-c": 20 } });
            w.policy("even", &json!({ "guard": { "maxOverloadPercent": 30 }, "demand": demand }));
        }),
        with("demand by nodes", equal, |w| {
            w.node("node-a2", Some("a"));
            w.policy(
                "even",
                &json!({
                    "guard": { "maxOverloadPercent": 30 }, "demand": { "source": "Nodes" },
                }),
            );
        }),
        with("rolled out in one zone", equal, |w| {
            w.policy("step", &json!({ "rollout": { "zones": ["zone-a"] } }));
        }),
        with("a policy in mode Shadow", ([3, 3, 1], None), |w| {
            w.policy(
                "try",
                &json!({
                    "mode": "Shadow", "prefer": ["Zone"], "guard": { "maxOverloadPercent": 20 },
                }),
            );
        }),
        with("a zone is evacuated", equal, |w| {
            w.evacuate(&["a"]);
        }),
        with("an evacuation without preference", without, |w| {
            w.evacuate(&["a"]);
        }),
        with("the only zone with endpoints is evacuated", ([2, 0, 0], ZONE), |w| {
            w.evacuate(&["a"]);
        }),
        with("exempt by its annotation", without, |w| {
            w.policy("near", &json!({ "prefer": ["Zone"] }));
            w.service(&annotated("closehaul.io/policy", "none"));
        }),
        with("a policy that prefers nothing", without, |w| {
            w.policy("spread", &json!({ "prefer": [] }));
        }),
        with("an annotation for a policy that is missing", equal, |w| {
            w.service(&annotated("closehaul.io/policy", "missing"));
        }),
        with("two policies of the same rank", without, |w| {
            w.policy("near", &json!({ "prefer": ["Zone"] }));
            w.policy("other", &json!({ "prefer": [] }));
        }),
        with("the legacy annotation", ([2, 2, 2], None), |w| {
            w.service(&annotated("service.kubernetes.io/topology-mode", "Auto"));
        }),
        with("the legacy annotation with too few endpoints", ([1, 1, 0], None), |w| {
            w.service(&annotated("service.kubernetes.io/topology-mode", "Auto"));
        }),
        with("the legacy annotation beats a policy", without, |w| {
            w.policy("near", &json!({ "prefer": ["Zone"] }));
            w.service(&annotated("service.kubernetes.io/topology-mode", "Auto"));
        }),
        with("a node without zone has an endpoint", equal, |w| {
            w.node("node-x", None);
            w.pod("node-x", &json!({}));
        }),
        with("a node without zone has only clients", equal, |w| {
            w.node("node-x", None);
        }),
        with("a pod on a node that is gone", equal, |w| {
            w.pod("node-gone", &json!({}));
        }),
        with("all nodes in one zone", ([2, 0, 0], ZONE), |w| {
            for node in ["node-b", "node-c"] {
                let label = json!({ "topology.kubernetes.io/zone": "zone-a" });
                w.change("Node", node, &json!({ "metadata": { "labels": label } }));
            }
        }),
        with("more than eight zones to name", ([1, 1, 0], ZONE), |w| {
            for zone in ["d", "e", "f", "g", "h", "i", "j"] {
                w.node(&format!("node-{zone}"), Some(zone));
            }
            w.evacuate(&["b"]);
        }),
        with("a slice of another controller", equal, |w| {
            w.foreign();
        }),
        with("internal traffic stays on the node", ([1, 1, 0], ZONE), |w| {
            w.service(&spec(&json!({ "internalTrafficPolicy": "Local" })));
        }),
        with("headless", equal, |w| {
            w.service(&spec(&json!({ "clusterIP": "None" })));
        }),
        with("left to another proxy", equal, |w| {
            let label = json!({ "service.kubernetes.io/service-proxy-name": "mesh" });
            w.service(&json!({ "metadata": { "labels": label } }));
        }),
        with("an alias", without, |w| {
            w.service(&spec(&json!({
                "type": "ExternalName", "externalName": "cart.example.com", "clusterIP": null,
                "selector": null, "ipFamilies": null,
            })));
        }),
        with("without selector", equal, |w| {
            w.service(&spec(&json!({ "selector": null })));
        }),
        with("without selector, with slices of another controller", without, |w| {
            w.service(&spec(&json!({ "selector": null })));
            w.foreign();
            let zones = json!([{ "name": "zone-a" }]);
            let (near, far) =
                (json!({ "forZones": zones }), json!({ "forZones": [{ "name": "zone-c" }] }));
            let endpoint = |address: &str, zone: &str, hints: &Value| {
                json!({
                    "addresses": [address], "zone": zone, "hints": hints, "conditions": { "ready": true },
                })
            };
            let endpoints = json!([
                endpoint("10.9.9.1", "zone-a", &near),
                endpoint("10.9.9.2", "zone-c", &far)
            ]);
            w.change("EndpointSlice", "cart-mesh", &json!({ "endpoints": endpoints }));
        }),
        with("nothing is ready", ([0, 0, 0], ZONE), |w| {
            w.pod("node-a", &unready());
        }),
        with("a port that no pod declares", equal, |w| {
            w.service(&spec(
                &json!({ "ports": [{ "name": "http", "port": 80, "targetPort": "wbe" }] }),
            ));
        }),
        with("two ports, one of them only in one zone", equal, |w| {
            w.service(&spec(&json!({ "ports": two_ports })));
            let ports = json!([
                { "name": "web", "containerPort": 8080 }, { "name": "metrics", "containerPort": 9090 },
            ]);
            let containers = json!([{ "name": "main", "image": "cart", "ports": ports }]);
            w.pod("node-a", &spec(&json!({ "containers": containers })));
        }),
        with("two families with the same endpoints", equal, |w| {
            w.service(&spec(&json!({ "ipFamilies": ["IPv4", "IPv6"] })));
        }),
        with("two families, one of them without addresses", ([0, 0, 0], ZONE), |w| {
            w.service(&spec(&json!({ "ipFamilies": ["IPv4", "IPv6"] })));
            for node in ["node-a", "node-b", "node-c"] {
                w.pod(node, &json!({}));
            }
            for pod in w.objects.iter_mut().filter(|object| object["kind"] == "Pod") {
                pod["status"]["podIPs"].as_array_mut().unwrap().truncate(1);
            }
        }),
        asking(plain("from a node", [2, 2, 2], ZONE), &["--from", "node-b"]),
        asking(
            plain("from a node with an endpoint of its own", [2, 2, 2], NODE),
            &["--from", "node-b"],
        ),
        asking(
            with("from a node without zone", equal, |w| {
                w.node("node-x", None);
            }),
            &["--from", "node-x", "--consumer", "kube-proxy"],
        ),
        asking(
            plain("by Linkerd, which ignores nodes", [1, 2, 1], NODE),
            &["--consumer", "linkerd"],
        ),
        asking(plain("by Cilium", [2, 2, 2], ZONE), &["--consumer", "cilium"]),
        asking(
            with("by Cilium, where only a policy prefers", without, |w| {
                w.policy("near", &json!({ "prefer": ["Zone"] }));
            }),
            &["--consumer", "cilium"],
        ),
    ]
}

#[test]
fn each_is_explained() {
    let situations = situations();
    assert!(situations.len() >= 40);
    let mut text = String::new();
    for Situation { title, world, args } in &situations {
        let args = [&args[..], &NOW].concat();
        let ended = explain(&world.objects, "cart", &args);
        let (stdout, stderr) = (&ended.stdout, &ended.stderr);
        assert_eq!(ended.code, Some(0), "{title}: {stderr}");
        for line in stdout.lines() {
            assert!(line.chars().count() <= 100, "{title}: {line}");
            assert_eq!(line, line.trim_end(), "{title}");
        }
        assert!(!stdout.contains("\n\n\n"), "{title}:\n{stdout}");
        write!(text, "=== {title}\n\n{stdout}\n").unwrap();
    }
    insta::assert_snapshot!(text);
}

/// What files cannot show: other clients that write, what the API server refuses, a clock, objects that
/// are not valid, and addresses that input rejects.
#[test]
fn every_reason_has_a_situation() {
    let unseen = [
        Reason::OverwrittenByOtherController,
        Reason::WriteRefused,
        Reason::OutsideAdmission,
        Reason::Held,
        Reason::PolicyInvalid,
        Reason::PolicyUnknown,
        Reason::AddressNotAllowed,
    ];
    let mut found = BTreeSet::new();
    for Situation { world, args, .. } in situations() {
        let json = [&["-o", "json"][..], &args, &NOW].concat();
        let text = explain(&world.objects, "cart", &json).good();
        let body: Value = serde_json::from_str(&text).unwrap();
        let from = body["consumers"].as_array().unwrap().iter();
        let from = from.flat_map(|consumer| consumer["from"].as_array().unwrap());
        let reasons = from.map(|from| from["reason"].as_str().unwrap().to_owned());
        found.extend(reasons);
        let all = body["reasons"].as_array().unwrap().iter();
        found.extend(all.map(|reason| reason.as_str().unwrap().to_owned()));
    }
    for reason in Reason::ALL {
        let is_seen = found.contains(&reason.to_string());
        assert_eq!(is_seen, !unseen.contains(reason), "{reason}");
    }
}
