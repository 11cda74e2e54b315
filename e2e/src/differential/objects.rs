//! What the steps' Services and pods look like, as JSON.

use serde_json::{Value, json};

use super::{
    shape::{Addresses, Auto, Coat, Distribution, PodShape, Selector, Shape, Web},
    step::{NODES, SHARED},
};
use crate::world::object;

/// How many sets of ports there are.
pub const PORTS: usize = 11;
/// The number of the set without ports, only for headless Services.
pub const NO_PORTS: usize = 10;
/// How many sets of labels there are.
pub const LABELS: usize = 4;

/// The label of nodes that do not count for the zones' shares of CPU.
pub const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// The name of a Service of a history.
pub fn service_name(number: usize) -> String {
    ["cart", "shop"][number % 2].to_owned()
}

/// The name of a pod of a history.
pub fn pod_name(number: usize) -> String {
    format!("pod-{number}")
}

/// The name of a node of the history in `namespace`, or of one that all histories share.
pub fn node_name(namespace: &str, number: usize) -> String {
    match number.checked_sub(NODES).filter(|shared| *shared < SHARED) {
        Some(shared) => shared_node_name(shared),
        None => format!("{namespace}-node-{number}"),
    }
}

/// The name of a node that all histories share.
pub fn shared_node_name(number: usize) -> String {
    format!("shared-node-{number}")
}

/// A set of Service ports, by its number.
pub fn ports(number: usize) -> Value {
    match number % PORTS {
        0 => json!([{"name": "http", "port": 80, "targetPort": 8080}]),
        1 => json!([{"name": "http", "port": 80, "targetPort": "web"}]),
        2 => json!([{"name": "http", "port": 80, "targetPort": 8080},
            {"name": "web", "port": 81, "targetPort": "web"}]),
        3 => json!([{"port": 80, "targetPort": 8080, "protocol": "UDP"}]),
        4 => json!([{"name": "http", "port": 80, "targetPort": 8080,
            "appProtocol": "kubernetes.io/h2c"}]),
        5 => json!([{"port": 36_412, "protocol": "SCTP"}]),
        6 => json!([{"name": "http", "port": 80, "targetPort": 8081}]),
        7 => json!([{"name": "www", "port": 80, "targetPort": 8080}]),
        8 => json!([{"name": "dns", "port": 53, "protocol": "TCP"},
            {"name": "dns-udp", "port": 53, "protocol": "UDP"}]),
        9 => json!([{"name": "web", "port": 80, "targetPort": "web", "protocol": "UDP"}]),
        _ => json!([]),
    }
}

/// A set of Service labels, by its number. Absent labels are `null`.
pub fn labels(number: usize) -> Value {
    let mut labels = json!({
        "team": null,
        "tier": null,
        "endpointslice.kubernetes.io/managed-by": null,
        "kubernetes.io/service-name": null,
        "service.kubernetes.io/headless": null,
    });
    match number % LABELS {
        1 => labels["team"] = json!("north"),
        2 => {
            labels["team"] = json!("south");
            labels["tier"] = json!("");
        }
        // The reserved keys, which are not propagated.
        3 => {
            labels["tier"] = json!("back");
            labels["endpointslice.kubernetes.io/managed-by"] = json!("me");
            labels["kubernetes.io/service-name"] = json!("another");
            labels["service.kubernetes.io/headless"] = json!("");
        }
        _ => {}
    }
    labels
}

/// A selector, or `null`.
pub fn selector(selector: Selector) -> Value {
    // A merge patch keeps what it does not name.
    match selector {
        Selector::Red => json!({"red": "yes", "blue": null, "app": null}),
        Selector::Blue => json!({"red": null, "blue": "yes", "app": null}),
        Selector::Both => json!({"red": "yes", "blue": "yes", "app": null}),
        Selector::Any => json!({"red": null, "blue": null, "app": "any"}),
        Selector::Absent => Value::Null,
    }
}

/// Whether a selector selects pods in that coat.
pub fn selects(selector: Selector, coat: Coat) -> bool {
    match selector {
        Selector::Red => coat.red,
        Selector::Blue => coat.blue,
        Selector::Both => coat.red && coat.blue,
        Selector::Any => true,
        Selector::Absent => false,
    }
}

/// The labels of a pod in that coat. Absent labels are `null`.
pub fn coat(coat: Coat) -> Value {
    let worn = |worn: bool| if worn { json!("yes") } else { Value::Null };
    json!({"app": "any", "red": worn(coat.red), "blue": worn(coat.blue)})
}

/// `spec.trafficDistribution`.
pub fn distribution(distribution: Distribution) -> Value {
    match distribution {
        Distribution::Unset => Value::Null,
        Distribution::PreferClose => json!("PreferClose"),
        Distribution::PreferSameZone => json!("PreferSameZone"),
        Distribution::PreferSameNode => json!("PreferSameNode"),
    }
}

/// The annotations of the legacy mechanism, `null` for those that are absent.
pub fn auto(auto: Auto) -> Value {
    let (mode, hints) = match auto {
        Auto::Off => (Value::Null, Value::Null),
        Auto::Mode => (json!("Auto"), Value::Null),
        Auto::Hints => (Value::Null, json!("auto")),
        Auto::Disabled => (json!("disabled"), Value::Null),
    };
    json!({
        "service.kubernetes.io/topology-mode": mode,
        "service.kubernetes.io/topology-aware-hints": hints,
    })
}

/// The part of a Service's spec that depends on its type.
pub fn kind(shape: &Shape) -> Value {
    if shape.external {
        return json!({
            "type": "ExternalName", "externalName": "elsewhere.example.com",
            "clusterIP": null, "clusterIPs": null, "ipFamilies": null, "ipFamilyPolicy": null,
        });
    }
    let families = if shape.ipv6 { ["IPv6", "IPv4"] } else { ["IPv4", "IPv6"] };
    let (policy, count) = if shape.dual { ("RequireDualStack", 2) } else { ("SingleStack", 1) };
    json!({
        "type": "ClusterIP", "externalName": null,
        "clusterIP": if shape.headless { json!("None") } else { Value::Null },
        "ipFamilies": families[..count], "ipFamilyPolicy": policy,
    })
}

/// A Service.
pub fn service(namespace: &str, number: usize, shape: &Shape) -> Value {
    let mut service = object::service(namespace, &service_name(number));
    service["metadata"]["labels"] = labels(shape.labels);
    service["metadata"]["annotations"] = auto(shape.auto);
    service["spec"] = kind(shape);
    service["spec"]["selector"] = selector(shape.selector);
    service["spec"]["ports"] = ports(shape.ports);
    service["spec"]["trafficDistribution"] = distribution(shape.distribution);
    service["spec"]["publishNotReadyAddresses"] = json!(shape.publish);
    without_nulls(service)
}

/// A pod on a node, without its status.
pub fn pod(namespace: &str, number: usize, node: Option<usize>, shape: &PodShape) -> Value {
    let name = pod_name(number);
    let mut pod = object::pod(namespace, &name, "any", "", &[]);
    pod["metadata"]["labels"] = coat(shape.coat);
    pod["spec"]["nodeName"] = json!(node.map(|node| node_name(namespace, node)));
    pod["status"] = Value::Null;
    if shape.hostname {
        pod["spec"]["hostname"] = json!(name);
        pod["spec"]["subdomain"] = json!(service_name(0));
    }
    let web =
        |port, protocol| json!([{"name": "web", "containerPort": port, "protocol": protocol}]);
    match shape.web {
        Web::Absent => {}
        Web::Container(port) => pod["spec"]["containers"][0]["ports"] = web(port, "TCP"),
        Web::Udp(port) => pod["spec"]["containers"][0]["ports"] = web(port, "UDP"),
        Web::Sidecar(port) => {
            pod["spec"]["initContainers"] = json!([
                // An ordinary init container's ports do not count.
                {"name": "first", "image": "none", "ports": web(1, "TCP")},
                {"name": "proxy", "image": "none", "restartPolicy": "Always",
                    "ports": web(port, "TCP")},
            ]);
        }
    }
    without_nulls(pod)
}

/// The addresses of a number in the order of `status.podIPs`.
pub fn addresses(families: Addresses, number: Option<u64>) -> Vec<String> {
    let Some(number) = number else { return Vec::new() };
    let [v4, v6] = object::addresses(number);
    match families {
        Addresses::V4 => vec![v4],
        Addresses::V6 => vec![v6],
        Addresses::Both => vec![v4, v6],
    }
}

/// Addresses that slices must not contain, in the order of `status.podIPs`.
pub fn special_addresses(families: Addresses) -> Vec<String> {
    let [v4, v6] = ["169.254.7.7", "fe80::7"].map(str::to_owned);
    match families {
        Addresses::V4 => vec![v4],
        Addresses::V6 => vec![v6],
        Addresses::Both => vec![v4, v6],
    }
}

/// The object without null fields, for a create request.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        let all = std::mem::take(fields);
        let present = all.into_iter().filter(|(_, value)| !value.is_null());
        *fields = present.map(|(key, value)| (key, without_nulls(value))).collect();
    }
    value
}
