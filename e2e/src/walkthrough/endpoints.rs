//! The slices of the Service, compared with what a step expects.

use super::steps::{Expected, Hints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// A ready endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ready {
    /// What its server answers: `POD@NODE`.
    pub(super) answer: String,
    pub(super) node: String,
    zone: Option<String>,
    for_zones: Vec<String>,
    for_nodes: Vec<String>,
}

/// The ready endpoints, ordered by node, and how many others there are.
pub(super) fn ready(slices: &[EndpointSlice]) -> (Vec<Ready>, usize) {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let (ready, others): (Vec<_>, Vec<_>) = endpoints.partition(|endpoint| {
        // Absent means ready (docs/semantics.md 6.1).
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    let mut ready: Vec<_> = ready.into_iter().map(Ready::new).collect();
    ready.sort_by(|a, b| (&a.node, &a.answer).cmp(&(&b.node, &b.answer)));
    (ready, others.len())
}

impl Ready {
    fn new(endpoint: &Endpoint) -> Self {
        let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.as_deref());
        let node = endpoint.node_name.clone().unwrap_or_default();
        let hints = endpoint.hints.clone().unwrap_or_default();
        Self {
            answer: format!("{}@{node}", pod.unwrap_or_default()),
            node,
            zone: endpoint.zone.clone(),
            for_zones: hints.for_zones.unwrap_or_default().into_iter().map(|z| z.name).collect(),
            for_nodes: hints.for_nodes.unwrap_or_default().into_iter().map(|n| n.name).collect(),
        }
    }

    fn hints_as(&self, hints: Hints) -> bool {
        let zone = hints != Hints::Absent;
        let node = hints == Hints::Node;
        self.for_zones == Vec::from_iter(self.zone.clone().filter(|_| zone))
            && self.for_nodes == Vec::from_iter(Some(self.node.clone()).filter(|_| node))
    }
}

/// What differs from the expectation, if something does.
pub(super) fn difference(slices: &[EndpointSlice], expected: &Expected) -> Option<String> {
    let (endpoints, others) = ready(slices);
    let nodes: Vec<_> = endpoints.iter().map(|endpoint| endpoint.node.as_str()).collect();
    if nodes != expected.endpoints {
        let (have, want) = (nodes.join(", "), expected.endpoints.join(", "));
        return Some(format!("ready endpoints are on [{have}] and not on [{want}]"));
    }
    if others > 0 {
        return Some(format!("{others} endpoints that are not ready are still in the slices"));
    }
    let wrong = endpoints.iter().find(|endpoint| !endpoint.hints_as(expected.hints))?;
    Some(format!(
        "{} has the hints forZones {:?}, forNodes {:?}",
        wrong.answer, wrong.for_zones, wrong.for_nodes
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn endpoint(node: &str, ready: bool, hints: &serde_json::Value) -> serde_json::Value {
        json!({
            "addresses": ["10.244.1.1"], "nodeName": node, "zone": "zone-a",
            "conditions": {"ready": ready}, "hints": hints,
            "targetRef": {"name": format!("echo-{node}")},
        })
    }

    fn slices(endpoints: &[serde_json::Value]) -> Vec<EndpointSlice> {
        let slice = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints});
        vec![serde_json::from_value(slice).unwrap()]
    }

    const NODE: Expected =
        Expected { endpoints: &["n1", "n2"], hints: Hints::Node, answers: &["n1"] };

    #[test]
    fn hints_must_be_exact() {
        let hints = |node| json!({"forZones": [{"name": "zone-a"}], "forNodes": [{"name": node}]});
        let right =
            slices(&[endpoint("n2", true, &hints("n2")), endpoint("n1", true, &hints("n1"))]);
        assert_eq!(ready(&right).0[0].answer, "echo-n1@n1");
        assert_eq!(difference(&right, &NODE), None);
        let absent = Expected { hints: Hints::Absent, ..NODE };
        assert!(difference(&right, &absent).is_some_and(|text| text.contains("forZones")));
        let zone = Expected { hints: Hints::Zone, ..NODE };
        assert!(difference(&right, &zone).is_some());

        let swapped = [endpoint("n1", true, &hints("n2")), endpoint("n2", true, &hints("n2"))];
        assert!(difference(&slices(&swapped), &NODE).is_some());
    }

    #[test]
    fn endpoints_must_be_on_the_nodes_and_the_old_ones_gone() {
        let [one, two] = ["n1", "n2"].map(|node| endpoint(node, true, &json!({})));
        let absent = Expected { hints: Hints::Absent, ..NODE };
        assert_eq!(difference(&slices(&[one.clone(), two.clone()]), &absent), None);
        let missing = difference(&slices(std::slice::from_ref(&two)), &absent);
        assert!(missing.is_some_and(|text| text.contains("[n2] and not")));
        let old = endpoint("n1", false, &json!({}));
        let old = difference(&slices(&[one, two, old]), &absent);
        assert!(old.is_some_and(|text| text.contains("not ready")));
    }
}
