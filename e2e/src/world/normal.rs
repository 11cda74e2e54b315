//! Slices without what two controllers may do differently: names, versions, times, the order of
//! endpoints, and which of the equal slices an endpoint is in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What stays the same in all slices of one Service, family and port set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The namespace.
    pub namespace: String,
    /// The Service, by the slice's label.
    pub service: String,
    /// `IPv4` or `IPv6`.
    pub address_type: String,
    /// The ports, in order of their text.
    pub ports: Vec<String>,
    /// The labels, as JSON.
    pub labels: String,
    /// Kind and name of the owners.
    pub owners: Vec<String>,
}

/// The endpoints of each group, in order of their text, each as often as it occurs.
pub type Normal = BTreeMap<Group, Vec<String>>;

/// The normal form of `slices`. Endpoints keep all their fields, with `UID` for the pod's uid.
pub fn form(slices: &[Value]) -> Normal {
    let mut normal = Normal::new();
    for slice in slices {
        let endpoints = normal.entry(group(slice)).or_default();
        endpoints.extend(items(&slice["endpoints"]).map(endpoint));
        endpoints.sort_unstable();
    }
    normal
}

/// The differences between two normal forms, one per line. There are none if they are equal.
pub fn differences(left: &Normal, right: &Normal) -> Vec<String> {
    let groups = left.keys().chain(right.keys()).collect::<std::collections::BTreeSet<_>>();
    let mut lines = Vec::new();
    for group in groups {
        match (left.get(group), right.get(group)) {
            (Some(left), Some(right)) => {
                lines.extend(only(left, right).map(|it| format!("left only: {group:?} {it}")));
                lines.extend(only(right, left).map(|it| format!("right only: {group:?} {it}")));
            }
            (Some(left), None) => lines.push(format!("left only: {group:?} {left:?}")),
            (None, right) => lines.push(format!("right only: {group:?} {right:?}")),
        }
    }
    lines
}

/// What is in `here` more often than in `there`, once each.
fn only<'a>(here: &'a [String], there: &'a [String]) -> impl Iterator<Item = &'a String> {
    let count = |all: &[String], it: &String| all.iter().filter(|other| *other == it).count();
    let mut distinct = here.iter().collect::<Vec<_>>();
    distinct.dedup();
    distinct.into_iter().filter(move |it| count(here, it) > count(there, it))
}

fn group(slice: &Value) -> Group {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &slice["metadata"];
    let mut ports = items(&slice["ports"]).map(Value::to_string).collect::<Vec<_>>();
    ports.sort_unstable();
    let owner = |owner: &Value| format!("{} {}", text(&owner["kind"]), text(&owner["name"]));
    Group {
        namespace: text(&metadata["namespace"]),
        service: text(&metadata["labels"]["kubernetes.io/service-name"]),
        address_type: text(&slice["addressType"]),
        ports,
        labels: metadata["labels"].to_string(),
        owners: items(&metadata["ownerReferences"]).map(owner).collect(),
    }
}

fn endpoint(endpoint: &Value) -> String {
    let mut endpoint = endpoint.clone();
    if let Some(uid) = endpoint.pointer_mut("/targetRef/uid") {
        *uid = json!("UID");
    }
    endpoint.to_string()
}

/// The items of a list that may be null or missing.
pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str, addresses: &[&str]) -> Value {
        let endpoint = |it: &&str| json!({"addresses": [it], "targetRef": {"uid": name}});
        json!({
            "metadata": {"name": name, "resourceVersion": name,
                "labels": {"kubernetes.io/service-name": "cart"}},
            "addressType": "IPv4",
            "ports": [{"port": 80}],
            "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>(),
        })
    }

    #[test]
    fn names_order_and_slices_do_not_count_but_endpoints_do() {
        let one = form(&[slice("a", &["10.0.0.1", "10.0.0.2"]), slice("b", &["10.0.0.3"])]);
        let other = form(&[slice("c", &["10.0.0.3", "10.0.0.2"]), slice("d", &["10.0.0.1"])]);
        assert_eq!(differences(&one, &other), Vec::<String>::new());
        let twice = form(&[slice("c", &["10.0.0.3", "10.0.0.2", "10.0.0.1", "10.0.0.1"])]);
        assert_eq!(differences(&one, &twice).len(), 1);
        assert_eq!(differences(&one, &form(&[])).len(), 1);
    }

    #[test]
    fn fields_of_an_endpoint_count() {
        let mut changed = slice("a", &["10.0.0.1"]);
        changed["endpoints"][0]["hints"] = json!({"forZones": [{"name": "zone-a"}]});
        let before = form(&[slice("a", &["10.0.0.1"])]);
        assert_eq!(differences(&before, &form(&[changed])).len(), 2);
    }
}
