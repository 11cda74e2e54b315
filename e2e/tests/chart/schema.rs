//! values.schema.json: it knows each key of values.yaml, so that a misspelt one is refused.

use std::fs;

use e2e::chart;
use serde_json::{Value, json};

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let read = |name: &str| fs::read_to_string(chart::directory().join(name)).unwrap();
    let values = serde_saphyr::from_str::<Value>(&read("values.yaml")).unwrap();
    let schema = serde_json::from_str::<Value>(&read("values.schema.json")).unwrap();
    assert_eq!(differences(&values, &schema), [""; 0]);
    assert!(keys(&values) > 120, "{}", keys(&values));
}

#[test]
fn planted_differences_are_found() {
    let schema = json!({
        "definitions": {"group": {
            "type": "object", "additionalProperties": false,
            "properties": {"known": {"type": "string"}, "only here": {"type": "string"}},
        }},
        "type": "object", "additionalProperties": false,
        "properties": {
            "global": {"type": "object"},
            "free": {"type": "object"},
            "group": {"$ref": "#/definitions/group"},
            "open": {"type": "object", "properties": {"known": {"type": "string"}}},
            "any": {},
        },
    });
    let values = json!({
        "free": {"a": 1},
        "group": {"known": "", "unknown": ""},
        "open": {"known": ""},
        "any": 1,
        "other": 1,
    });
    let expected = [
        "any: the schema takes anything",
        "group.only here: not in values.yaml",
        "group.unknown: not in the schema",
        "open: the schema takes other keys",
        "other: not in the schema",
    ];
    assert_eq!(differences(&values, &schema), expected);
}

/// How values.yaml and the schema differ, sorted.
fn differences(values: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", values, schema, schema, &mut found);
    found.sort();
    found
}

/// Compares the keys of one group. A group is a value with keys that the schema names.
fn compare(path: &str, values: &Value, schema: &Value, root: &Value, found: &mut Vec<String>) {
    let schema = resolve(schema, root);
    let Some(values) = values.as_object().filter(|it| !it.is_empty()) else {
        if ["type", "enum", "anyOf"].iter().all(|key| schema.get(*key).is_none()) {
            found.push(format!("{path}: the schema takes anything"));
        }
        return;
    };
    // Objects of Kubernetes, such as resources and security contexts, are checked by the API server.
    let Some(properties) = schema["properties"].as_object() else { return };
    if schema["additionalProperties"] != false {
        found.push(format!("{path}: the schema takes other keys"));
    }
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, value) in values {
        match properties.get(key) {
            Some(schema) => compare(&at(key), value, schema, root, found),
            None => found.push(format!("{}: not in the schema", at(key))),
        }
    }
    // `global` belongs to parent charts; fields of Kubernetes need no default.
    let optional = ["global", "startupProbe", "livenessProbe", "readinessProbe", "resources"];
    let is_ours = |key: &String| key != "global" && !optional.contains(&path);
    let missing = properties.keys().filter(|key| is_ours(key) && !values.contains_key(*key));
    found.extend(missing.map(|key| format!("{}: not in values.yaml", at(key))));
}

/// The schema that a schema refers to, or itself.
fn resolve<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// How many keys there are, on all levels.
fn keys(value: &Value) -> usize {
    let object = value.as_object();
    object.map_or(0, |object| object.values().map(|value| 1 + keys(value)).sum())
}
