//! Admission: what the admission policy of assist mode does, as far as the controller depends on it. It
//! is a stand-in for the expression that a real API server evaluates (`closehaul::admission`).

use std::collections::BTreeMap;

use closehaul::{
    admission::{
        annotation::{ANNOTATION, Annotation},
        names::{BINDING, POLICY},
    },
    plan::policy::outcome::{Chosen, ChosenNode, PLACEHOLDER},
};
use serde_json::{Value, json};

use crate::{
    collections::{MUTATING_BINDINGS, MUTATING_POLICIES},
    store::Store,
};

/// What is stored if another controller replaces a slice. Where the policy is in force and the slice has
/// the annotation, pods keep their hints, and new ones get those that the annotation says.
pub(crate) fn admit(store: &Store, old: &Value, mut new: Value) -> Value {
    let is_there = |collection: &str, name: &str| {
        store.get(collection, &(String::new(), name.to_owned())).is_ok()
    };
    let is_in_force = is_there(MUTATING_POLICIES, POLICY) && is_there(MUTATING_BINDINGS, BINDING);
    let text = old["metadata"]["annotations"][ANNOTATION].as_str().filter(|_| is_in_force);
    let Some(newcomers) = text.and_then(|text| Annotation::parse(text).ok()) else { return new };
    let uid = |endpoint: &Value| endpoint["targetRef"]["uid"].as_str().map(str::to_owned);
    let endpoints = old["endpoints"].as_array().into_iter().flatten();
    let kept: BTreeMap<String, Value> =
        endpoints.filter_map(|it| Some((uid(it)?, it["hints"].clone()))).collect();
    for endpoint in new["endpoints"].as_array_mut().into_iter().flatten() {
        let Some(uid) = uid(endpoint) else { continue };
        let hints = kept.get(&uid).cloned().unwrap_or_else(|| {
            let node = endpoint["nodeName"].as_str().unwrap_or_default();
            hints(newcomers.chosen(endpoint["zone"].as_str()), node)
        });
        if hints.is_null() {
            endpoint.as_object_mut().map(|fields| fields.remove("hints"));
        } else {
            endpoint["hints"] = hints;
        }
    }
    new
}

/// Hints as the API has them.
fn hints(Chosen { zones, node }: &Chosen, own: &str) -> Value {
    let named =
        |names: Vec<&str>| -> Value { names.iter().map(|it| json!({ "name": it })).collect() };
    let nodes = match node {
        ChosenNode::Nothing => Vec::new(),
        ChosenNode::Own => vec![own],
        ChosenNode::Placeholder => vec![PLACEHOLDER],
    };
    let mut hints = Value::Null;
    if !zones.is_empty() {
        hints["forZones"] = named(zones.iter().map(AsRef::as_ref).collect());
    }
    if !nodes.is_empty() {
        hints["forNodes"] = named(nodes);
    }
    hints
}
