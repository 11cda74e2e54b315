//! Value: the values that a field may have, where the API has a closed list of them.

use std::{collections::HashMap, net::IpAddr};

use super::tree::Tree;
use crate::{api::field::FieldError, model::service::TrafficDistribution};

/// Kind, field, and the values that the API knows for it. To the API, an empty text means an absent
/// field.
const LISTS: &[(&str, &str, &[&str])] = &[
    ("Service", "spec.type", &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
    ("Service", "spec.trafficDistribution", &TrafficDistribution::NAMES),
    ("Service", "spec.internalTrafficPolicy", &["Cluster", "Local"]),
    ("Service", "spec.externalTrafficPolicy", &["Cluster", "Local"]),
    ("Service", "spec.ports[].protocol", PROTOCOLS),
    ("Pod", "spec.containers[].ports[].protocol", PROTOCOLS),
    ("Pod", "spec.initContainers[].ports[].protocol", PROTOCOLS),
    ("Pod", "status.phase", &["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    ("Pod", "status.conditions[].status", CONDITIONS),
    ("Node", "status.conditions[].status", CONDITIONS),
    ("EndpointSlice", "addressType", &["IPv4", "IPv6", "FQDN"]),
    ("EndpointSlice", "ports[].protocol", PROTOCOLS),
];

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];
const CONDITIONS: &[&str] = &["True", "False", "Unknown"];

/// Checks the values of a document whose types are correct.
pub(super) fn check(kind: &str, document: &Tree) -> Result<(), FieldError> {
    for (_, path, known) in LISTS.iter().filter(|(of, _, _)| *of == kind) {
        each(document, path, "", &mut |path, value| match value.as_str() {
            Some(text) if !text.is_empty() && !known.contains(&text) => {
                let known = known.join(", ");
                Err(FieldError::new(
                    path,
                    format!("unknown value `{text}`; expected one of {known}"),
                ))
            }
            _ => Ok(()),
        })?;
    }
    names(kind, document)?;
    for (_, path) in PORTS.iter().filter(|(of, _)| *of == kind) {
        each(document, path, "", &mut |path, value| port(path, value))?;
    }
    for (_, list, fields) in UNIQUE.iter().filter(|(of, _, _)| *of == kind) {
        each(document, list, "", &mut |path, value| unique(path, value, fields))?;
    }
    match kind {
        "EndpointSlice" => addresses(document),
        "Pod" => pod_ip(document),
        _ => Ok(()),
    }
}

/// Kind, and a field that has the number of a port: 1 to 65535. The API server does not check the
/// numbers in slices.
const PORTS: &[(&str, &str)] = &[
    ("Service", "spec.ports[].port"),
    ("Service", "spec.ports[].targetPort"),
    ("Service", "spec.ports[].nodePort"),
    ("Pod", "spec.containers[].ports[].containerPort"),
    ("Pod", "spec.initContainers[].ports[].containerPort"),
];

/// Kind, a list, and the fields that no two of its entries may have in common; none: the entries
/// are texts.
const UNIQUE: &[(&str, &str, &[&str])] = &[
    ("Service", "spec.ports", &["name"]),
    ("Service", "spec.ports", &["protocol", "port"]),
    ("Service", "spec.ipFamilies", &[]),
    ("EndpointSlice", "ports", &["name"]),
];

/// The most letters of a label, as in DNS.
const LABEL: usize = 63;
/// The most letters of a name.
const NAME: usize = 253;

fn names(kind: &str, document: &Tree) -> Result<(), FieldError> {
    let metadata = &document["metadata"];
    let wrong = |path: &str, text: &str, rule: &str| {
        let template = if text.contains("{{") { "; render the template first" } else { "" };
        Err(FieldError::new(path, format!("`{text}` is not {rule}{template}; correct it")))
    };
    let is_label = matches!(kind, "Service" | "Namespace");
    if let Some(name) = metadata["name"].as_str().filter(|name| !name.is_empty()) {
        if is_label && !is_dns_label(name) {
            let rule = "a DNS label (lower-case letters, digits and `-`, at most 63)";
            return wrong("metadata.name", name, rule);
        }
        if !is_dns_name(name) {
            let rule = "a DNS name (lower-case letters, digits, `-` and `.`, at most 253)";
            return wrong("metadata.name", name, rule);
        }
    }
    match metadata["namespace"].as_str().filter(|name| !name.is_empty()) {
        Some(name) if !is_dns_label(name) => {
            let rule = "a DNS label (lower-case letters, digits and `-`, at most 63)";
            wrong("metadata.namespace", name, rule)
        }
        _ => Ok(()),
    }
}

/// A DNS-1123 label.
fn is_dns_label(text: &str) -> bool {
    text.len() <= LABEL && is_part(text)
}

/// A DNS-1123 subdomain. Its parts have no limit of their own.
fn is_dns_name(text: &str) -> bool {
    text.len() <= NAME && text.split('.').all(is_part)
}

/// Letters, digits and inner hyphens.
fn is_part(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A port's number. A name is judged elsewhere, and 0 means none where the field may be absent.
fn port(path: &str, value: &Tree) -> Result<(), FieldError> {
    let may_be_zero = path.ends_with("nodePort") || path.ends_with("targetPort");
    let least = i64::from(!may_be_zero);
    match value.as_whole() {
        Some(number) if !(least..=65535).contains(&number) => {
            Err(FieldError::new(path, format!("is {number}, expected 1 to 65535; correct it")))
        }
        _ => Ok(()),
    }
}

/// A field that tells the entries of a list apart, as the API server fills it in.
fn part<'a>(entry: &'a Tree, field: &str) -> &'a str {
    match &entry[field] {
        Tree::Number(number) => &number.text,
        Tree::Text(text) if !text.is_empty() => text,
        _ if field == "protocol" => "TCP",
        _ => "",
    }
}

/// Checks that no two entries of a list have the same fields.
fn unique(path: &str, list: &Tree, fields: &[&str]) -> Result<(), FieldError> {
    let mut seen = HashMap::new();
    for (at, entry) in list.as_list().into_iter().flatten().enumerate() {
        let key = match fields {
            [] => vec![entry.as_str().unwrap_or_default()],
            fields => fields.iter().map(|name| part(entry, name)).collect(),
        };
        if let Some(first) = seen.insert(key.clone(), at) {
            let field = fields.first().map(|field| format!(".{field}")).unwrap_or_default();
            let key = key.join(" ");
            let problem = if key.is_empty() {
                "is missing; each of several needs its own".to_owned()
            } else {
                format!("`{key}` is also in {path}[{first}]; give each its own")
            };
            return Err(FieldError::new(format!("{path}[{at}]{field}"), problem));
        }
    }
    Ok(())
}

/// Checks that the addresses of a slice are of the type that it states.
fn addresses(slice: &Tree) -> Result<(), FieldError> {
    let wants_v4 = match slice["addressType"].as_str() {
        Some("IPv4") => true,
        Some("IPv6") => false,
        Some("FQDN") => return Ok(()),
        _ => {
            let problem = "is missing; expected one of IPv4, IPv6, FQDN";
            return Err(FieldError::new("addressType", problem));
        }
    };
    each(slice, "endpoints[].addresses[]", "", &mut |path, value| {
        let text = value.as_str().unwrap_or_default();
        let address = text.parse::<IpAddr>().ok();
        if address.is_some_and(|address| address.is_ipv4() == wants_v4) {
            return Ok(());
        }
        let family = if wants_v4 { "IPv4" } else { "IPv6" };
        Err(FieldError::new(path, format!("`{text}` is not an {family} address; correct it")))
    })
}

/// Checks that `status.podIP` is the first of `status.podIPs`, as the API requires.
fn pod_ip(pod: &Tree) -> Result<(), FieldError> {
    let status = &pod["status"];
    match (
        status["podIP"].as_str(),
        status["podIPs"].as_list().and_then(|ips| ips.first()?["ip"].as_str()),
    ) {
        (Some(one), Some(first)) if !one.is_empty() && one != first => {
            let problem = format!(
                "`{one}` is not the first of status.podIPs, `{first}`; correct one of them"
            );
            Err(FieldError::new("status.podIP", problem))
        }
        _ => Ok(()),
    }
}

/// Calls `visit` for every value that `path` leads to. `[]` stands for every entry of a list.
fn each(
    value: &Tree,
    path: &str,
    written: &str,
    visit: &mut dyn FnMut(&str, &Tree) -> Result<(), FieldError>,
) -> Result<(), FieldError> {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, is_list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
    let Some(value) = value.get(name) else { return Ok(()) };
    let written = if written.is_empty() { name.to_owned() } else { format!("{written}.{name}") };
    let mut go_on = |value: &Tree, written: String| {
        if rest.is_empty() { visit(&written, value) } else { each(value, rest, &written, visit) }
    };
    if !is_list {
        return go_on(value, written);
    }
    let entries = value.as_list().into_iter().flatten().enumerate();
    for (at, entry) in entries {
        go_on(entry, format!("{written}[{at}]"))?;
    }
    Ok(())
}
