//! Value: the values that a field may have, where the API has a closed list of them.

use std::net::IpAddr;

use serde_json::Value;

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
pub(super) fn check(kind: &str, document: &Value) -> Result<(), FieldError> {
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
    match kind {
        "EndpointSlice" => addresses(document),
        "Pod" => pod_ip(document),
        _ => Ok(()),
    }
}

/// Checks that the addresses of a slice are of the type that it states.
fn addresses(slice: &Value) -> Result<(), FieldError> {
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
fn pod_ip(pod: &Value) -> Result<(), FieldError> {
    let status = &pod["status"];
    match (status["podIP"].as_str(), status["podIPs"][0]["ip"].as_str()) {
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
    value: &Value,
    path: &str,
    written: &str,
    visit: &mut dyn FnMut(&str, &Value) -> Result<(), FieldError>,
) -> Result<(), FieldError> {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, is_list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
    let Some(value) = value.get(name) else { return Ok(()) };
    let written = if written.is_empty() { name.to_owned() } else { format!("{written}.{name}") };
    let mut go_on = |value: &Value, written: String| {
        if rest.is_empty() { visit(&written, value) } else { each(value, rest, &written, visit) }
    };
    if !is_list {
        return go_on(value, written);
    }
    let entries = value.as_array().into_iter().flatten().enumerate();
    for (at, entry) in entries {
        go_on(entry, format!("{written}[{at}]"))?;
    }
    Ok(())
}
