//! Test objects as JSON, as a client would send them.
//!
//! Objects are named `namespace/name`, or by name alone in namespace `shop`. Pod `web-1` belongs to
//! Service `web`, and node `a1` is in zone `a`. Each test sets the fields that it is about.

use serde_json::{Value, json};

/// Namespace and name.
pub fn parts(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("shop", name))
}

/// The name in the metadata of an object.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// A node in the zone that its first letter names.
pub fn node(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "labels": { "topology.kubernetes.io/zone": name.get(..1).unwrap() },
        },
        "status": { "allocatable": { "cpu": "4" }, "conditions": [ready_condition(true)] },
    })
}

/// A Service that selects the pods named after it.
pub fn service(name: &str) -> Value {
    let (namespace, name) = parts(name);
    json!({
        "metadata": { "namespace": namespace, "name": name },
        "spec": {
            "selector": { "app": name }, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"],
            "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 8080 }],
        },
    })
}

/// A ready pod. Its number determines its address and its node, one of `a1`, `b1` and `c1`.
pub fn pod(name: &str) -> Value {
    let (namespace, name) = parts(name);
    let (app, number) = name.rsplit_once('-').unwrap();
    let number: usize = number.parse().unwrap();
    let ip = format!("10.0.{}.{}", number / 256, number % 256);
    let node = ["c1", "a1", "b1"][number % 3];
    json!({
        "metadata": { "namespace": namespace, "name": name, "labels": { "app": app } },
        "spec": { "nodeName": node, "containers": [] },
        "status": {
            "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }],
            "conditions": [ready_condition(true)],
        },
    })
}

/// A pod that does not parse.
pub fn bad_pod(name: &str) -> Value {
    let mut pod = pod(name);
    pod["status"]["podIPs"] = json!([{ "ip": BAD_ADDRESS }]);
    pod
}

/// Whether a pod is one of [`bad_pod`].
pub fn is_bad_pod(pod: &Value) -> bool {
    pod["status"]["podIPs"][0]["ip"] == BAD_ADDRESS
}

const BAD_ADDRESS: &str = "ten";

/// The condition `Ready` of a pod or node.
pub fn ready_condition(is_ready: bool) -> Value {
    json!({ "type": "Ready", "status": if is_ready { "True" } else { "False" } })
}

/// The name of [`foreign_slice`].
pub const FOREIGN_SLICE: &str = "others";

/// A slice of Service `s0` that another controller manages.
pub fn foreign_slice() -> Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": FOREIGN_SLICE,
            "labels": {
                "kubernetes.io/service-name": "s0",
                "endpointslice.kubernetes.io/managed-by": "example.com/other",
            },
        },
        "addressType": "IPv4", "endpoints": [], "ports": [],
    })
}
