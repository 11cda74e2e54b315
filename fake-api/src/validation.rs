//! What an API server rejects in slices: the addresses and hints of endpoints, with a cause for
//! each, in the wording of kube-apiserver 1.37 (`ValidateEndpointSlice`).

use std::net::IpAddr;

use serde_json::Value;

use crate::refusal::{FieldProblem, Refusal};

/// Rejects an invalid slice that would replace `stored`, if one is stored. Unchanged endpoints were
/// valid when they were stored.
pub fn validate(collection: &str, slice: &Value, stored: Option<&Value>) -> Result<(), Refusal> {
    let is_unchanged = stored.is_some_and(|stored| stored["endpoints"] == slice["endpoints"]);
    if collection != "discovery.k8s.io/v1/endpointslices" || is_unchanged {
        return Ok(());
    }
    let mut problems = Vec::new();
    for (at, endpoint) in items(&slice["endpoints"]).enumerate() {
        for (number, address) in items(&endpoint["addresses"]).enumerate() {
            let address = address.as_str().unwrap_or_default();
            let problem = special(address);
            problems.extend(problem.map(|problem| FieldProblem {
                field: format!("endpoints[{at}].addresses[{number}]"),
                value: address.to_owned(),
                problem,
            }));
        }
        for (number, zone) in items(&endpoint["hints"]["forZones"]).enumerate() {
            let zone = zone["name"].as_str().unwrap_or_default();
            let is_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if zone.len() > 63 || !zone.bytes().all(is_label) {
                problems.push(FieldProblem {
                    field: format!("endpoints[{at}].hints.forZones[{number}].name"),
                    value: zone.to_owned(),
                    problem: "a valid label must consist of alphanumeric characters",
                });
            }
        }
    }
    let name = slice["metadata"]["name"].as_str().unwrap_or_default();
    if problems.is_empty() { Ok(()) } else { Err(Refusal::invalid_slice(name, &problems)) }
}

/// Why a slice must not contain this address (`ValidateEndpointIP`). It checks prefixes, unlike the
/// rule that it tests.
fn special(address: &str) -> Option<&'static str> {
    let Ok(parsed) = address.parse::<IpAddr>() else { return Some("must be a valid IP address") };
    let is_in = |prefixes: &[&str]| prefixes.iter().any(|prefix| address.starts_with(prefix));
    if address.starts_with("::ffff:") {
        return Some("must not be an IPv4-mapped IPv6 address");
    }
    match parsed {
        IpAddr::V4(_) if address == "0.0.0.0" => Some("may not be unspecified"),
        IpAddr::V4(_) if is_in(&["127."]) => Some("may not be in the loopback range"),
        IpAddr::V4(_) if is_in(&["169.254."]) => Some("may not be in the link-local range"),
        IpAddr::V4(_) if is_in(&["224.0.0."]) => {
            Some("may not be in the link-local multicast range")
        }
        IpAddr::V6(_) if address == "::" => Some("may not be unspecified"),
        IpAddr::V6(_) if address == "::1" => Some("may not be in the loopback range"),
        IpAddr::V6(_) if is_in(&["fe8", "fe9", "fea", "feb"]) => {
            Some("may not be in the link-local range")
        }
        IpAddr::V6(_) if is_in(&["ff02:"]) => Some("may not be in the link-local multicast range"),
        _ => None,
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
