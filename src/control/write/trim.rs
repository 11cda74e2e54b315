//! Trim: what to leave out of a slice so that the API server accepts the rest. Pure.
//!
//! The API server rejects a whole slice because of a single field. Its own validation names the
//! field, so the smallest part that contains it is left out: the hints, zone, hostname or node of
//! one endpoint, and an endpoint only for its address. Nothing is left out because of an admission
//! webhook or policy. Their answers may contain anything, and may mean the whole slice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use kube::core::{Status, response::StatusCause};

use crate::{
    api::Kind,
    model::{
        address::Addresses,
        slice::{Endpoint, Slice},
    },
};

/// A slice without what the API server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trimmed {
    /// The slice.
    pub(super) slice: Slice,
    /// What is left out, in words.
    pub(super) without: String,
    /// Those endpoints that are left out completely.
    pub(super) endpoints: Vec<Endpoint>,
}

impl Trimmed {
    /// The same with what had been left out `before`.
    #[must_use]
    pub(super) fn after(self, before: Self) -> Self {
        let without = format!("{}, {}", before.without, self.without);
        let endpoints = before.endpoints.into_iter().chain(self.endpoints).collect();
        Self { without, endpoints, ..self }
    }
}

/// The smallest part of an endpoint that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Hints,
    Zone,
    Hostname,
    Node,
    /// The endpoint itself.
    Address,
}

impl Part {
    /// By the field below `endpoints[i].`.
    fn of(field: &str) -> Option<Self> {
        match field.split(['.', '[']).next()? {
            "hints" => Some(Self::Hints),
            "zone" => Some(Self::Zone),
            "hostname" => Some(Self::Hostname),
            "nodeName" => Some(Self::Node),
            "addresses" => Some(Self::Address),
            _ => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hints => "the hints",
            Self::Zone => "the zone",
            Self::Hostname => "the hostname",
            Self::Node => "the node name",
            Self::Address => "the address",
        })
    }
}

/// The slice without the parts that `status` refuses. `None` unless the API server's own validation
/// refuses parts of endpoints, and nothing else.
pub(super) fn trim(slice: &Slice, status: &Status) -> Option<Trimmed> {
    let mut refused: BTreeMap<usize, BTreeSet<Part>> = BTreeMap::new();
    for cause in causes(status)? {
        let (at, part) = place(&cause.field)?;
        let endpoint = slice.endpoints.get(at)?;
        if !has(endpoint, part, cause) {
            return None;
        }
        refused.entry(at).or_default().insert(part);
    }
    let (first, parts) = refused.first_key_value()?;
    let count: usize = refused.values().map(BTreeSet::len).sum();
    let pod = slice.endpoints.get(*first)?.pod_name()?;
    let without = match (parts.first()?, count - 1) {
        (part, 0) => format!("{part} of pod {pod}"),
        (part, others) => format!("{part} of pod {pod} and {others} more"),
    };
    let (mut endpoints, mut left_out) = (Vec::with_capacity(slice.endpoints.len()), Vec::new());
    for (at, endpoint) in slice.endpoints.iter().enumerate() {
        let parts = refused.get(&at);
        if parts.is_some_and(|parts| parts.contains(&Part::Address)) {
            left_out.push(endpoint.clone());
            continue;
        }
        let mut endpoint = endpoint.clone();
        for part in parts.into_iter().flatten() {
            match part {
                Part::Hints => endpoint.hints = None,
                Part::Zone => endpoint.zone = None,
                Part::Hostname => endpoint.hostname = None,
                Part::Node => endpoint.node = None,
                Part::Address => {}
            }
        }
        endpoints.push(endpoint);
    }
    let slice = Slice { endpoints: endpoints.into(), ..slice.clone() };
    Some(Trimmed { slice, without, endpoints: left_out })
}

/// What the API server's own validation rejects in a slice. `None` if the answer may come from a
/// webhook or policy. A webhook's message begins with its name, whatever status it returns, and a
/// policy names no fields.
fn causes(status: &Status) -> Option<&[StatusCause]> {
    let details = status.details.as_ref()?;
    let is_own = status.code == 422
        && status.reason == "Invalid"
        && (details.group.as_str(), details.kind.as_str()) == (Slice::GROUP, Slice::KIND)
        && status.message.starts_with(&format!("{}.{} \"", Slice::KIND, Slice::GROUP));
    is_own.then_some(&details.causes)
}

/// The endpoint and its part that contain the field.
fn place(field: &str) -> Option<(usize, Part)> {
    let (at, below) = field.strip_prefix("endpoints[")?.split_once("].")?;
    Some((at.parse().ok()?, Part::of(below)?))
}

/// Whether the endpoint that was sent has the part that is refused. If not, a webhook has changed
/// the slice, and the indexes may mean other endpoints. An endpoint is left out only if the answer
/// names exactly the address that was sent.
fn has(endpoint: &Endpoint, part: Part, cause: &StatusCause) -> bool {
    match part {
        Part::Hints => endpoint.hints.is_some(),
        Part::Zone => endpoint.zone.is_some(),
        Part::Hostname => endpoint.hostname.is_some(),
        Part::Node => endpoint.node.is_some(),
        Part::Address => {
            let is_named = |text: &str| cause.message.contains(&format!("\"{text}\""));
            match &endpoint.addresses {
                Addresses::One(address) => is_named(&address.to_string()),
                Addresses::Many(texts) => texts.iter().any(|text| is_named(text)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Object;

    fn slice() -> Slice {
        let endpoint = |number: usize| {
            json!({"addresses": [format!("10.0.0.{number}")], "zone": "a", "nodeName": "n1",
                "hostname": "h", "hints": {"forZones": [{"name": "a"}]},
                "targetRef": {"kind": "Pod", "name": format!("pod-{number}"), "namespace": "shop"}})
        };
        let object: Object<Slice> = serde_json::from_value(json!({
            "metadata": {"name": "cart-x", "namespace": "shop"}, "addressType": "IPv4",
            "endpoints": [endpoint(0), endpoint(1), endpoint(2)], "ports": []}))
        .unwrap();
        object.value
    }

    /// As kube-apiserver 1.37 answers. e2e/tests/refused.rs shows that it still does.
    fn answer(causes: &[(&str, &str)]) -> Value {
        let causes: Vec<_> = causes
            .iter()
            .map(|(field, message)| json!({"reason": "FieldValueInvalid", "message": message, "field": field}))
            .collect();
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "EndpointSlice.discovery.k8s.io \"cart-x\" is invalid: [and so on]",
            "details": {"name": "cart-x", "group": "discovery.k8s.io", "kind": "EndpointSlice", "causes": causes}})
    }

    fn trimmed(answer: Value) -> Option<Trimmed> {
        trim(&slice(), &serde_json::from_value(answer).unwrap())
    }

    const ADDRESS: &str = "Invalid value: \"10.0.0.1\": may not be in the link-local range";

    #[test]
    fn the_smallest_thing_named_is_left_out() {
        type Change = fn(&mut Endpoint);
        let table: [(&str, &str, Change); 6] = [
            ("endpoints[1].hints.forZones[0].name", "the hints", |one| one.hints = None),
            ("endpoints[1].hints.forNodes", "the hints", |one| one.hints = None),
            ("endpoints[1].hints", "the hints", |one| one.hints = None),
            ("endpoints[1].zone", "the zone", |one| one.zone = None),
            ("endpoints[1].hostname", "the hostname", |one| one.hostname = None),
            ("endpoints[1].nodeName", "the node name", |one| one.node = None),
        ];
        for (field, words, change) in table {
            let trimmed = trimmed(answer(&[(field, "Invalid value: \"x\": no")])).unwrap();
            let mut expected = slice().endpoints.to_vec();
            change(&mut expected[1]);
            assert_eq!(*trimmed.slice.endpoints, *expected, "{field}");
            assert_eq!(trimmed.without, format!("{words} of pod pod-1"));
            assert_eq!(trimmed.endpoints, []);
        }
    }

    #[test]
    fn an_endpoint_is_left_out_for_its_address_alone() {
        for field in ["endpoints[1].addresses[0]", "endpoints[1].addresses"] {
            let trimmed = trimmed(answer(&[(field, ADDRESS)])).unwrap();
            let all = slice().endpoints;
            assert_eq!(*trimmed.slice.endpoints, [all[0].clone(), all[2].clone()], "{field}");
            assert_eq!(trimmed.endpoints, [all[1].clone()]);
        }
    }

    #[test]
    fn several_causes_are_answered_at_once() {
        let several = answer(&[
            ("endpoints[2].zone", "Invalid value: \"a\": no"),
            ("endpoints[1].addresses[0]", ADDRESS),
            ("endpoints[1].hints.forZones[0].name", "Invalid value: \"a\": no"),
        ]);
        let trimmed = trimmed(several).unwrap();
        assert_eq!(trimmed.slice.endpoints.len(), 2);
        assert_eq!(trimmed.slice.endpoints[1].zone, None);
        assert_eq!(trimmed.without, "the hints of pod pod-1 and 2 more");
    }

    #[test]
    fn what_is_not_of_the_api_servers_own_validation_is_not_followed() {
        let own = answer(&[("endpoints[1].addresses[0]", ADDRESS)]);
        assert!(trimmed(own.clone()).is_some());
        let table = [
            (
                "/message",
                json!(
                    "admission webhook \"w\" denied the request: EndpointSlice.discovery.k8s.io \"cart-x\" is invalid"
                ),
            ),
            ("/reason", json!("Forbidden")),
            ("/code", json!(403)),
            ("/details/kind", json!("Pod")),
            ("/details/group", json!("")),
            ("/details/causes", json!([])),
            (
                "/details/causes/0/message",
                json!("Invalid value: \"10.0.0.9\": put there by a webhook"),
            ),
            ("/details/causes/0/message", json!("Invalid value: \"10.0.0.10\": no")),
            ("/details/causes/0/field", json!("endpoints[3].addresses[0]")),
            ("/details/causes/0/field", json!("endpoints[1].conditions.ready")),
            ("/details/causes/0/field", json!("endpoints[1].addressesOf")),
            ("/details/causes/0/field", json!("endpoints")),
            ("/details/causes/0/field", json!("metadata.labels")),
            ("/details/causes/0/field", json!("")),
        ];
        for (pointer, value) in table {
            let mut answer = own.clone();
            *answer.pointer_mut(pointer).unwrap() = value.clone();
            assert_eq!(trimmed(answer), None, "{pointer}: {value}");
        }
        let mixed = [("endpoints[1].addresses[0]", ADDRESS), ("metadata.name", "no")];
        assert_eq!(trimmed(answer(&mixed)), None, "the slice would be refused again");
    }
}
