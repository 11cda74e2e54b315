//! What a slice says about a ready endpoint.

use std::collections::BTreeSet;

use serde_json::Value;

/// A ready endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The name of its pod, with which its answers begin.
    pub pod: String,
    /// Its own zone.
    pub zone: String,
    /// The zones that it is hinted to.
    pub zones: BTreeSet<String>,
    /// The number of its port.
    pub port: u64,
}

impl Endpoint {
    /// The ready endpoints of slices.
    pub(super) fn of(slices: &[Value]) -> Vec<Self> {
        let of_slice = |slice: &Value| {
            let ready = slice["endpoints"].as_array().into_iter().flatten();
            let ready = ready.filter(|endpoint| endpoint["conditions"]["ready"] == true);
            ready.map(|endpoint| Self::read(endpoint, &slice["ports"][0])).collect::<Vec<_>>()
        };
        slices.iter().flat_map(of_slice).collect()
    }

    fn read(endpoint: &Value, port: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let zones = endpoint["hints"]["forZones"].as_array().into_iter().flatten();
        Self {
            pod: text(&endpoint["targetRef"]["name"]),
            zone: text(&endpoint["zone"]),
            zones: zones.map(|zone| text(&zone["name"])).collect(),
            port: port["port"].as_u64().unwrap_or_default(),
        }
    }
}

/// The pods that clients of a zone reach: those whose endpoints are hinted to it, or all
/// (docs/semantics.md 6.2).
pub fn reached(endpoints: &[Endpoint], zone: &str) -> BTreeSet<String> {
    let is_hinted = endpoints.iter().all(|endpoint| !endpoint.zones.is_empty());
    let own: BTreeSet<_> = endpoints
        .iter()
        .filter(|endpoint| endpoint.zones.contains(zone))
        .map(|endpoint| endpoint.pod.clone())
        .collect();
    if own.is_empty() || !is_hinted {
        return endpoints.iter().map(|endpoint| endpoint.pod.clone()).collect();
    }
    own
}
