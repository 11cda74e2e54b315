//! Patch: what is sent to a slice that another controller writes: a JSON Patch (RFC 6902) of hints and
//! of closehaul's annotation. Nothing else of the slice is named, so that nothing is lost which this
//! version does not know.
//!
//! Two tests come first. The version must be the one that the plan is based on, and each endpoint must
//! be the pod that it was planned for. If one of them fails, the API server stores nothing.

use serde_json::{Value, json};

use crate::{
    admission::annotation::ANNOTATION,
    model::{
        name::Name,
        slice::{Endpoint, Hints, Slice},
    },
};

/// The `Content-Type` of a patch.
pub(super) const CONTENT_TYPE: &str = "application/json-patch+json";

/// The patch that gives `before` the hints and the annotation of `after`. The endpoints of both are the
/// same.
pub(super) fn patch(before: &Slice, after: &Slice) -> Value {
    let version = before.meta.version.to_string();
    let mut operations = vec![test("/metadata/resourceVersion", &version)];
    let pairs = before.endpoints.iter().zip(after.endpoints.iter()).enumerate();
    for (at, (old, new)) in pairs.filter(|(_, (old, new))| old.hints != new.hints) {
        let uid = uid(old).unwrap_or_default();
        operations.push(test(&format!("/endpoints/{at}/targetRef/uid"), &uid));
        let path = format!("/endpoints/{at}/hints");
        operations.push(match &new.hints {
            Some(hints) => json!({"op": "add", "path": path, "value": value(hints)}),
            None => json!({"op": "remove", "path": path}),
        });
    }
    operations.extend(annotation(before, after));
    Value::Array(operations)
}

fn test(path: &str, value: &str) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

fn uid(endpoint: &Endpoint) -> Option<String> {
    Some(endpoint.target.as_ref()?.uid.as_ref()?.to_string())
}

/// `hints` as the API has it. An empty list is left out.
fn value(hints: &Hints) -> Value {
    let list =
        |names: &[Name]| -> Value { names.iter().map(|name| json!({"name": name})).collect() };
    let mut value = json!({});
    for (field, names) in [("forZones", &hints.zones), ("forNodes", &hints.nodes)] {
        if !names.is_empty() {
            value[field] = list(names);
        }
    }
    value
}

/// What becomes of the annotation, if that changes.
fn annotation(before: &Slice, after: &Slice) -> Option<Value> {
    let path =
        format!("/metadata/annotations/{}", ANNOTATION.replace('~', "~0").replace('/', "~1"));
    match (before.meta.annotations.get(ANNOTATION), after.meta.annotations.get(ANNOTATION)) {
        (old, new) if old == new => None,
        (_, None) => Some(json!({"op": "remove", "path": path})),
        // There is no place yet where it could be added.
        (_, Some(text)) if before.meta.annotations.is_empty() => {
            let all = json!({ANNOTATION: text});
            Some(json!({"op": "add", "path": "/metadata/annotations", "value": all}))
        }
        (_, Some(text)) => Some(json!({"op": "add", "path": path, "value": text})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Object;

    /// A slice with the pods `u1` and `u2`, with these hints and annotations.
    fn slice(hints: [Value; 2], annotations: Value) -> Slice {
        let endpoint = |(number, hints): (usize, Value)| {
            let uid = format!("00000000-0000-4000-8000-00000000000{number}");
            let target = json!({"kind": "Pod", "name": "p", "namespace": "shop", "uid": uid});
            json!({"addresses": [format!("10.0.0.{number}")], "targetRef": target, "hints": hints})
        };
        let endpoints: Vec<_> = hints.into_iter().enumerate().map(endpoint).collect();
        let mut slice = json!({
            "metadata": {"name": "web-x", "namespace": "shop", "resourceVersion": "12"},
            "addressType": "IPv4", "endpoints": endpoints, "ports": []});
        slice["metadata"]["annotations"] = annotations;
        serde_json::from_value::<Object<Slice>>(slice).unwrap().value
    }

    fn zone(name: &str) -> Value {
        json!({"forZones": [{"name": name}]})
    }

    #[test]
    fn only_what_differs_is_patched_behind_tests() {
        let both = json!({"forZones": [{"name": "a"}, {"name": "b"}], "forNodes": [{"name": "n"}]});
        let before = slice([json!(null), zone("b")], json!({"other": "stays"}));
        let after = slice(
            [both.clone(), zone("b")],
            json!({"other": "stays", "closehaul.io/hints": "a=a"}),
        );
        assert_eq!(
            patch(&before, &after),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "12"},
                {"op": "test", "path": "/endpoints/0/targetRef/uid", "value": "00000000-0000-4000-8000-000000000000"},
                {"op": "add", "path": "/endpoints/0/hints", "value": both},
                {"op": "add", "path": "/metadata/annotations/closehaul.io~1hints", "value": "a=a"},
            ])
        );
        assert_eq!(
            patch(&after, &before),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "12"},
                {"op": "test", "path": "/endpoints/0/targetRef/uid", "value": "00000000-0000-4000-8000-000000000000"},
                {"op": "remove", "path": "/endpoints/0/hints"},
                {"op": "remove", "path": "/metadata/annotations/closehaul.io~1hints"},
            ])
        );
    }

    #[test]
    fn the_first_annotation_makes_room_for_itself() {
        let before = slice([json!(null), json!(null)], json!(null));
        let after = slice([json!(null), json!(null)], json!({"closehaul.io/hints": ""}));
        assert_eq!(
            patch(&before, &after)[1],
            json!({"op": "add", "path": "/metadata/annotations", "value": {"closehaul.io/hints": ""}})
        );
    }
}
