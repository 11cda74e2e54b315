//! Inputs that were misjudged in the field, each with its siblings. They are modelled on public
//! reports, which each test names.

use serde_json::{Value, json};

use super::command::{plan_text, text};

fn world(name: &str) -> String {
    text(&format!("field/{name}.yaml"))
}

/// The only Service in the summary.
fn assessed(world: &str) -> Value {
    let summary = plan_text(world, &["-o", "summary"]).good();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    summary["services"][0].clone()
}

fn wide(world: &str) -> String {
    plan_text(world, &["-o", "wide"]).good()
}

/// State and reasons.
#[track_caller]
fn assert_state(of: &Value, state: &str, reasons: &[&str]) {
    assert_eq!((&of["state"], &of["reasons"]), (&json!(state), &json!(reasons)), "{of:#}");
}

/// What hinders the Service.
fn details(service: &Value) -> Vec<&str> {
    let hindrances = service["hindrances"].as_array().unwrap();
    hindrances.iter().map(|hindrance| hindrance["detail"].as_str().unwrap()).collect()
}

/// The endpoints in each zone of a port.
fn in_zones(of: &Value) -> Vec<u64> {
    let zones = of["zones"].as_array().unwrap();
    zones.iter().map(|zone| zone["endpoints"].as_u64().unwrap()).collect()
}

/// The world with another value in place of one that it has.
#[track_caller]
fn with(world: &str, old: &str, new: &str) -> String {
    assert!(world.contains(old), "{old}");
    world.replace(old, new)
}

/// zalando/skipper#1645, grafana/grafana-operator#974.
#[test]
fn a_target_port_that_no_pod_has() {
    let astray = world("targetport-name-matches-nothing");
    let service = assessed(&astray);
    assert_state(&service, "Empty", &["NoSuchPort"]);
    assert_eq!(details(&service), ["port http, IPv4: no pod declares a port `http-web` (TCP)"]);
    assert!(wide(&astray).contains("NoSuchPort: port http, IPv4"), "{}", wide(&astray));

    // One port of two: the other one is local.
    let ports = "  - {name: http, port: 80, targetPort: http-web}\n";
    let two = format!("{ports}  - {{name: good, port: 81, targetPort: http}}\n");
    let service = assessed(&with(&astray, ports, &two));
    assert_state(&service, "Empty", &["NoSuchPort"]);
    assert_state(&service["ports"][0], "Empty", &["NoSuchPort"]);
    assert_state(&service["ports"][1], "Applied", &["Applied"]);

    // The name is right, and the protocol is not.
    let udp = ports.replace("http-web", "http").replace("port: 80", "port: 80, protocol: UDP");
    let service = assessed(&with(&astray, ports, &udp));
    assert_state(&service, "Empty", &["NoSuchPort"]);
    assert_eq!(details(&service), ["port http, IPv4: no pod declares a port `http` (UDP)"]);

    // Only one of the pods has it.
    let right = with(&astray, "http-web", "http");
    let one = right.replacen("{name: http, containerPort", "{name: other, containerPort", 1);
    let service = assessed(&one);
    assert_state(&service, "Partial", &["ZoneEmpty"]);
    assert_eq!(details(&service), ["port http, IPv4: no ready endpoint in zone-a"]);
    assert_state(&assessed(&right), "Applied", &["Applied"]);
}

/// kubernetes/website#52500.
#[test]
fn two_applications_behind_one_service() {
    let shared = world("two-apps-behind-one-service");
    let service = assessed(&shared);
    assert_state(&service, "Partial", &["ZoneEmpty"]);
    let ports = [("front", [2, 0], "zone-b"), ("back", [0, 2], "zone-a")];
    for (at, (name, endpoints, empty)) in ports.into_iter().enumerate() {
        let port = &service["ports"][at];
        assert_eq!((&port["port"], &port["family"]), (&json!(name), &json!("IPv4")));
        assert_state(port, "Partial", &["ZoneEmpty"]);
        assert_eq!((in_zones(port), &port["inZoneShare"]), (endpoints.to_vec(), &json!(0.5)));
        let detail = format!("port {name}, IPv4: no ready endpoint in {empty}");
        assert_eq!(details(&service)[at], detail);
        assert!(wide(&shared).contains(&detail));
    }
    // One of them is in both zones.
    let moved = shared.replacen("nodeName: node-a", "nodeName: node-b", 1);
    let service = assessed(&moved);
    assert_state(&service["ports"][0], "Applied", &["Applied"]);
    assert_state(&service["ports"][1], "Partial", &["ZoneEmpty"]);
    assert_state(&service, "Partial", &["ZoneEmpty"]);
    // Both have both ports.
    let same = with(&shared, "name: back, containerPort", "name: front, containerPort");
    assert_state(&assessed(&same)["ports"][0], "Applied", &["Applied"]);
    assert_state(&assessed(&same)["ports"][1], "Empty", &["NoSuchPort"]);
}

/// kubernetes/kubernetes#101935.
#[test]
fn one_address_with_two_ports() {
    let relay = world("hostnetwork-one-address-two-ports");
    let service = assessed(&relay);
    assert_state(&service, "Applied", &["Applied"]);
    assert_eq!((&service["endpoints"], &service["overload"]), (&json!(3), &json!(0.5)));
    assert_eq!(in_zones(&service), [2, 1]);
    // The same port as well: to readers, they are one endpoint.
    let twins = with(&relay, "containerPort: 7002", "containerPort: 7001");
    let service = assessed(&twins);
    assert_eq!((in_zones(&service), &service["overload"]), (vec![1, 1], &json!(0.0)));
    assert_eq!(service["endpoints"], 2);
    assert_state(&service, "Applied", &["Applied"]);
    // Of two twins, the one that readers see is not ready.
    let (first, last) = twins.rsplit_once("name: relay-2").unwrap();
    let last = last.replacen("status: \"True\"", "status: \"False\"", 1);
    let service = assessed(&format!("{first}name: relay-2{last}"));
    assert_state(&service, "Partial", &["ZoneEmpty"]);
    assert_eq!(in_zones(&service), [0, 1]);
}

/// kubernetes/kubernetes#91940.
#[test]
fn a_zone_without_ipv6() {
    let dual = world("dual-stack-one-zone-lacks-ipv6");
    let service = assessed(&dual);
    assert_state(&service, "Partial", &["ZoneEmpty"]);
    assert_state(&service["ports"][0], "Applied", &["Applied"]);
    assert_state(&service["ports"][1], "Partial", &["ZoneEmpty"]);
    assert_eq!(service["ports"][1]["family"], "IPv6");
    assert_eq!((&service["inZoneShare"], in_zones(&service)), (&json!(0.5), vec![1, 0]));
    assert_eq!(details(&service), ["port http, IPv6: no ready endpoint in zone-b"]);
    // No pod has IPv6.
    let none = with(&dual, "  - ip: \"fd00:7::1\"\n", "");
    let service = assessed(&none);
    assert_state(&service, "Empty", &["NoAddressInFamily"]);
    assert_eq!(details(&service), ["port http, IPv6: no pod has an IPv6 address"]);
    // The other way round: the first family lacks nothing, and the second comes first.
    let reversed = with(&dual, "ipFamilies: [IPv4, IPv6]", "ipFamilies: [IPv6, IPv4]");
    assert_state(&assessed(&reversed), "Partial", &["ZoneEmpty"]);
    // IPv6 alone.
    let single = with(&none, "ipFamilies: [IPv4, IPv6]", "ipFamilies: [IPv6]");
    assert_state(&assessed(&single), "Empty", &["NoAddressInFamily"]);
}

/// hcloud-cloud-controller-manager#1311.
#[test]
fn a_node_without_zone() {
    let store = world("some-nodes-without-zone");
    let service = assessed(&store);
    assert_state(&service, "Ineffective", &["EndpointWithoutZone", "NodeWithoutZoneLabel"]);
    let expected = [
        "port http, IPv4: pod s4 on node virt-1 without zone",
        "node virt-1 without the label topology.kubernetes.io/zone",
    ];
    assert_eq!(details(&service), expected);
    for detail in expected {
        assert!(wide(&store).contains(detail), "{detail}");
    }
    // No pod is there: clients of that node have no zone, and all others stay in theirs.
    let moved = with(&store, "nodeName: virt-1", "nodeName: node-a");
    let service = assessed(&moved);
    assert_state(&service, "Applied", &["NodeWithoutZoneLabel"]);
    assert_eq!(details(&service), expected[1..]);
    // The node does not exist.
    let service = assessed(&with(&store, "nodeName: virt-1", "nodeName: gone"));
    assert_eq!(service["reasons"][0], "NodeMissing");
    assert_eq!(details(&service)[0], "left out pod s4 on node gone, which is not known");
}

/// kubernetes/kubernetes#8329.
#[test]
fn a_selector_that_matches_nothing() {
    let orders = world("selector-matches-nothing");
    let service = assessed(&orders);
    assert_state(&service, "Empty", &["NoMatchingPods"]);
    assert_eq!(details(&service), ["no pod has the labels app=order-svc"]);
    // It matches, and nothing is ready.
    let matching = with(&orders, "    app: order-svc\n", "    app: order-service\n");
    assert_state(&assessed(&matching), "Applied", &["Applied"]);
    let (nodes, pods) = matching.split_once("kind: Pod").unwrap();
    let of = |old: &str, new: &str| assessed(&format!("{nodes}kind: Pod{}", with(pods, old, new)));
    let nothing_ready =
        [("status: \"True\"", "status: \"False\""), ("phase: Running", "phase: Succeeded")];
    for (old, new) in nothing_ready {
        assert_state(&of(old, new), "Empty", &["NothingReady"]);
    }
    // Without a preference, nothing is said about locality.
    let idle = with(&orders, "  trafficDistribution: PreferSameZone\n", "");
    assert_state(&assessed(&idle), "None", &["NoPreference"]);
}

/// A Service that proxies do not see is never `Applied`.
#[test]
fn services_that_proxies_do_not_see() {
    let relay = world("hostnetwork-one-address-two-ports");
    let label = "  namespace: field\n  uid: uid-svc-relay\n";
    let hidden = format!("{label}  labels: {{service.kubernetes.io/service-proxy-name: other}}\n");
    assert_state(&assessed(&with(&relay, label, &hidden)), "Ineffective", &["HiddenFromProxy"]);
    let headless = with(&relay, "clusterIP: 10.96.0.10", "clusterIP: None");
    assert_eq!(assessed(&headless)["state"], "Ineffective");
    assert_eq!(assessed(&headless)["reasons"][0], "Headless");
}
