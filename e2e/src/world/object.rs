//! What tests create most often, as JSON to be changed in place before it is created.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A namespace.
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A ready node with 4 CPUs, in a zone or without the zone's label.
pub fn node(name: &str, zone: Option<&str>) -> Value {
    let labels =
        zone.map_or_else(|| json!({}), |zone| json!({"topology.kubernetes.io/zone": zone}));
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {
            "conditions": ready(true),
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "250"},
        },
    })
}

/// A Service whose selector is `app: NAME`, with one port `http`, 80 to 8080.
pub fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    })
}

/// A ready pod with the label `app`, on a node and at an address of each family.
pub fn pod(namespace: &str, name: &str, app: &str, node: &str, addresses: &[String]) -> Value {
    let all = addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none"}]},
        "status": {
            "phase": "Running",
            "podIP": addresses.first(),
            "podIPs": all,
            "conditions": ready(true),
        },
    })
}

/// The conditions of a pod or node that has just become ready or not ready.
pub fn ready(ready: bool) -> Value {
    let (status, now) = (if ready { "True" } else { "False" }, Timestamp::now());
    // The API uses whole seconds.
    let now = now.round(jiff::Unit::Second).unwrap_or(now);
    json!([{"type": "Ready", "status": status, "lastTransitionTime": now.to_string()}])
}

/// The IPv4 and IPv6 addresses of the pod with a number below 2^16.
pub fn addresses(number: u64) -> [String; 2] {
    [format!("10.200.{}.{}", number / 250, number % 250 + 1), format!("fd10::{:x}", number + 1)]
}
