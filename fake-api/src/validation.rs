//! What an API server rejects in slices: with a cause for each field, in the wording of
//! kube-apiserver 1.37 (`ValidateEndpointSlice`).

use std::net::IpAddr;

use serde_json::Value;

use crate::{
    collections::SLICES,
    refusal::{About, FieldProblem, Refusal},
};

/// The most endpoints in a slice.
const MAX_ENDPOINTS: usize = 1000;
/// The most names in a hint.
const MAX_HINTS: usize = 8;

/// Rejects an invalid slice that would replace `stored`, if one is stored. Unchanged endpoints were
/// valid when they were stored.
pub fn validate(collection: &str, slice: &Value, stored: Option<&Value>) -> Result<(), Refusal> {
    if collection != SLICES {
        return Ok(());
    }
    let mut problems = Vec::new();
    if stored.is_none_or(|stored| stored["endpoints"] != slice["endpoints"]) {
        endpoints(slice, &mut problems);
    }
    if stored.is_some_and(|stored| stored["addressType"] != slice["addressType"]) {
        problems.push(FieldProblem::invalid("addressType", &Value::Null, "field is immutable"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let name = slice["metadata"]["name"].as_str().unwrap_or_default();
    Err(Refusal::invalid(About::kind(collection, name), &problems))
}

fn endpoints(slice: &Value, problems: &mut Vec<FieldProblem>) {
    problems.extend(too_many("endpoints", &slice["endpoints"], MAX_ENDPOINTS));
    if !problems.is_empty() {
        return;
    }
    for (at, endpoint) in items(&slice["endpoints"]).enumerate() {
        for (number, address) in items(&endpoint["addresses"]).enumerate() {
            let problem = special(address.as_str().unwrap_or_default());
            problems.extend(problem.map(|problem| {
                let field = format!("endpoints[{at}].addresses[{number}]");
                FieldProblem::invalid(&field, address, &problem)
            }));
        }
        for kind in ["forZones", "forNodes"] {
            let field = format!("endpoints[{at}].hints.{kind}");
            problems.extend(too_many(&field, &endpoint["hints"][kind], MAX_HINTS));
        }
        for (number, zone) in items(&endpoint["hints"]["forZones"]).enumerate() {
            let problem = no_label(zone["name"].as_str().unwrap_or_default());
            problems.extend(problem.map(|problem| {
                let field = format!("endpoints[{at}].hints.forZones[{number}].name");
                FieldProblem::invalid(&field, &zone["name"], problem)
            }));
        }
    }
}

fn too_many(field: &str, list: &Value, limit: usize) -> Option<FieldProblem> {
    let count = items(list).count();
    (count > limit).then(|| FieldProblem {
        field: field.to_owned(),
        reason: "FieldValueTooMany",
        problem: format!("Too many: {count}: must have at most {limit} items"),
    })
}

/// Why a text is no value of a label.
fn no_label(text: &str) -> Option<&'static str> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_outer = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if bytes.len() > 63 {
        return Some("must be no more than 63 bytes");
    }
    let is_label =
        bytes.iter().copied().all(is_inner) && is_outer(bytes.first()) && is_outer(bytes.last());
    (!is_label).then_some(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
         '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
         'my_value',  or '12345', regex used for validation is \
         '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    )
}

/// Why a slice must not contain this address (`ValidateEndpointIP`). It checks prefixes, unlike the
/// rule that it tests.
fn special(address: &str) -> Option<String> {
    let is_in = |prefixes: &[&str]| prefixes.iter().any(|prefix| address.starts_with(prefix));
    let Ok(parsed) = address.parse::<IpAddr>() else {
        let has_zeros = address.split('.').any(|part| part.len() > 1 && part.starts_with('0'));
        let problem = if has_zeros {
            "must not have leading 0s"
        } else {
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        };
        return Some(problem.to_owned());
    };
    let is_v6 = parsed.is_ipv6();
    let problem = if address.starts_with("::ffff:") {
        "must not be an IPv4-mapped IPv6 address"
    } else if address == "0.0.0.0" {
        "may not be unspecified (0.0.0.0)"
    } else if address == "::" {
        "may not be unspecified (::)"
    } else if !is_v6 && is_in(&["127."]) || address == "::1" {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    } else if is_in(if is_v6 { &["fe8", "fe9", "fea", "feb"] } else { &["169.254."] }) {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    } else if is_in(if is_v6 { &["ff02:"] } else { &["224.0.0."] }) {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    } else {
        return None;
    };
    Some(problem.to_owned())
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
