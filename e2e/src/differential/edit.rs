//! Edit: what another client does to a slice, as a merge patch.

use serde_json::{Map, Value, json};

use super::step::Edit;

/// What edits leave in the metadata of a slice, in the format of [`super::form::Form::foreign`].
pub const FOREIGN: [&str; 2] =
    ["annotation example.com/note=\"mine\"", "finalizer \"example.com/keep\""];

/// What is done for an edit, in this order.
#[derive(Debug, Default, PartialEq)]
pub struct Hand {
    /// The merge patch.
    pub patch: Option<Value>,
    /// Whether the slice is deleted afterwards.
    pub is_deleted: bool,
    /// The slice that is created in addition, still without a name.
    pub copy: Option<Value>,
}

/// What the edit consists of.
pub fn hand(slice: &Value, edit: Edit) -> Hand {
    let label = |key: &str, value: Value| json!({"metadata": {"labels": {key: value}}});
    let finalizer = json!({"metadata": {"finalizers": ["example.com/keep"]}});
    let patch = match edit {
        Edit::Delete => return Hand { is_deleted: true, ..Hand::default() },
        Edit::Hold => {
            return Hand { patch: Some(finalizer), is_deleted: true, ..Hand::default() };
        }
        Edit::Copy => return Hand { copy: Some(copy(slice)), ..Hand::default() },
        Edit::CopyEmpty => return Hand { copy: Some(with(slice, &[])), ..Hand::default() },
        Edit::CopyBare => {
            let mut bare = with(slice, &[]);
            bare["ports"] = Value::Null;
            return Hand { copy: Some(bare), ..Hand::default() };
        }
        Edit::Split => {
            let mut stay = slice["endpoints"].as_array().cloned().unwrap_or_default();
            stay.sort_by_cached_key(key);
            let go = stay.split_off(stay.len() / 2);
            let copy = Some(with(slice, &go));
            return Hand { copy, patch: Some(json!({"endpoints": stay})), ..Hand::default() };
        }
        Edit::DropEndpoint => endpoints(slice, |all| {
            // The order differs between the sides.
            let first = first(all)?;
            all.remove(first);
            Some(())
        }),
        Edit::AddEndpoint => endpoints(slice, |all| {
            let address = if slice["addressType"] == "IPv6" { "fd10::ffff" } else { "10.9.9.8" };
            all.push(json!({"addresses": [address], "conditions": {"ready": true}}));
            Some(())
        }),
        Edit::FlipReady => endpoints(slice, |all| {
            let first = first(all)?;
            let ready = &mut all[first]["conditions"]["ready"];
            *ready = json!(*ready != json!(true));
            Some(())
        }),
        Edit::WrongHint => endpoints(slice, |all| {
            let first = first(all)?;
            all[first]["hints"] = json!({"forZones": [{"name": "zone-x"}]});
            Some(())
        }),
        Edit::EmptyHints => endpoints(slice, |all| {
            for endpoint in all {
                endpoint["hints"] = json!({});
            }
            Some(())
        }),
        Edit::DropHints => endpoints(slice, |all| {
            for endpoint in all {
                endpoint["hints"] = Value::Null;
            }
            Some(())
        }),
        Edit::Ports => Some(json!({"ports": [{"name": "odd", "port": 7, "protocol": "TCP"}]})),
        Edit::AddLabel => Some(label("example.com/foreign", json!("yes"))),
        Edit::DropLabels => Some(json!({"metadata": {"labels": {"team": null, "tier": null}}})),
        Edit::Headless => {
            let key = "service.kubernetes.io/headless";
            let is_there = slice["metadata"]["labels"].get(key).is_some();
            Some(label(key, if is_there { Value::Null } else { json!("") }))
        }
        Edit::Annotate => Some(json!({"metadata": {"annotations": {"example.com/note": "mine"}}})),
        Edit::AddFinalizer => Some(finalizer),
        Edit::DropOwner => Some(json!({"metadata": {"ownerReferences": null}})),
        Edit::Unmanage => {
            Some(label("endpointslice.kubernetes.io/managed-by", json!("somebody.else")))
        }
        Edit::Rename => Some(label("kubernetes.io/service-name", json!("elsewhere"))),
    };
    Hand { patch, ..Hand::default() }
}

/// A slice like this one, as a user creates it by hand.
fn copy(slice: &Value) -> Value {
    let mut copy = slice.clone();
    copy["apiVersion"] = json!("discovery.k8s.io/v1");
    copy["kind"] = json!("EndpointSlice");
    let metadata = &slice["metadata"];
    copy["metadata"] = json!({
        "namespace": metadata["namespace"],
        "labels": metadata["labels"],
        "annotations": metadata["annotations"],
        "finalizers": metadata["finalizers"],
        "ownerReferences": metadata["ownerReferences"],
    });
    copy
}

/// The same with these endpoints.
fn with(slice: &Value, endpoints: &[Value]) -> Value {
    let mut copy = copy(slice);
    copy["endpoints"] = json!(endpoints);
    copy
}

/// The key by which endpoints are ordered, because their order in a slice differs between the
/// sides.
fn key(endpoint: &Value) -> (String, String) {
    (endpoint["addresses"].to_string(), endpoint["targetRef"]["name"].to_string())
}

/// The first endpoint by its addresses and its pod.
fn first(endpoints: &[Value]) -> Option<usize> {
    (0..endpoints.len()).min_by_key(|at| key(&endpoints[*at]))
}

fn endpoints(slice: &Value, change: impl FnOnce(&mut Vec<Value>) -> Option<()>) -> Option<Value> {
    let mut all = slice["endpoints"].as_array().cloned().unwrap_or_default();
    change(&mut all)?;
    Some(json!({"endpoints": all}))
}

/// The merge patch that turns one slice into another of the same type and ports.
pub fn difference(from: &Value, to: &Value) -> Value {
    let whole = |field: &str| {
        let (from, to) = (&from["metadata"][field], &to["metadata"][field]);
        let keys = |value: &Value| value.as_object().map(Map::len).unwrap_or_default();
        let mut merged = Map::new();
        if keys(from) + keys(to) > 0 {
            for (key, _) in from.as_object().into_iter().flatten() {
                merged.insert(key.clone(), Value::Null);
            }
            merged.extend(to.as_object().cloned().unwrap_or_default());
        }
        Value::Object(merged)
    };
    json!({
        "metadata": {
            "labels": whole("labels"),
            "annotations": whole("annotations"),
            "finalizers": to["metadata"]["finalizers"],
        },
        "endpoints": to["endpoints"],
    })
}
