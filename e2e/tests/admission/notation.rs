//! Notation: endpoints and hints in one line each, so that a table of them can be read.

use serde_json::{Value, json};

/// `POD ZONE NODE HINTS`, with `-` for what is absent. A pod is `p` and a number. [`hints`] says what HINTS are.
pub fn endpoint(text: &str) -> Value {
    let fields: Vec<&str> = text.split(' ').collect();
    let [pod, zone, node, of] = fields[..] else { panic!("{text}: four fields") };
    let number: usize = pod.trim_start_matches(['p', '-']).parse().unwrap_or_default();
    let mut endpoint = json!({
        "addresses": [format!("10.0.{}.{}", number / 250, number % 250 + 1)],
        "conditions": {"ready": true, "serving": true, "terminating": false},
    });
    if pod != "-" {
        endpoint["targetRef"] =
            json!({"kind": "Pod", "namespace": "default", "name": pod, "uid": pod});
    }
    for (field, value) in [("zone", zone), ("nodeName", node)] {
        if value != "-" {
            endpoint[field] = json!(value);
        }
    }
    match of {
        "-" => {}
        "null" => endpoint["hints"] = Value::Null,
        _ => endpoint["hints"] = hints(of),
    }
    endpoint
}

/// The hints of `ZONE,ZONE/NODE,NODE`, where either side may be empty.
pub fn hints(text: &str) -> Value {
    let (zones, nodes) = text.split_once('/').unwrap_or((text, ""));
    let mut hints = json!({});
    for (field, names) in [("forZones", zones), ("forNodes", nodes)] {
        let names: Value = names
            .split(',')
            .filter(|name| !name.is_empty())
            .map(|it| json!({"name": it}))
            .collect();
        if names != json!([]) {
            hints[field] = names;
        }
    }
    hints
}

/// The hints of an endpoint in that notation; `-` for none.
pub fn written(endpoint: &Value) -> String {
    let names = |field: &str| {
        let names = endpoint["hints"][field].as_array().into_iter().flatten();
        names.map(|name| name["name"].as_str().unwrap()).collect::<Vec<_>>().join(",")
    };
    let (zones, nodes) = (names("forZones"), names("forNodes"));
    match (endpoint["hints"].is_null(), nodes.is_empty()) {
        (true, _) => "-".to_owned(),
        (false, true) => zones,
        (false, false) => format!("{zones}/{nodes}"),
    }
}

/// A slice of the built-in controller with these endpoints.
pub fn slice(name: &str, annotation: Option<&str>, endpoints: Value) -> Value {
    let mut slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    });
    slice["endpoints"] = endpoints;
    if let Some(text) = annotation {
        slice["metadata"]["annotations"] = json!({ "closehaul.io/hints": text });
    }
    slice
}
