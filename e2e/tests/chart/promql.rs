//! The names of metrics in expressions of `PromQL`, and whether they exist.

use std::{collections::BTreeSet, fs};

use e2e::chart::{directory, repository};
use serde_json::Value;

/// Words of `PromQL` that stand where a metric's name could.
const WORDS: [&str; 8] = ["or", "and", "unless", "bool", "offset", "by", "without", "on"];

#[test]
fn every_query_and_alert_refers_to_a_metric_that_exists() {
    let documented = documented();
    let alerts = fs::read_to_string(directory().join("alerts/closehaul.yaml")).unwrap();
    let alerts = serde_saphyr::from_str::<Value>(&alerts).unwrap();
    let dashboard = fs::read_to_string(directory().join("dashboards/closehaul.json")).unwrap();
    let dashboard = serde_json::from_str::<Value>(&dashboard).unwrap();
    let mut expressions = Vec::new();
    collect(&alerts, "expr", &mut expressions);
    let of_alerts = expressions.len();
    collect(&dashboard, "expr", &mut expressions);
    // One Prometheus may have the metrics of several clusters.
    for query in &expressions[of_alerts..] {
        assert!(query.contains("{cluster=~\"$cluster\",namespace=\"$namespace\""), "{query}");
    }
    assert!(of_alerts >= 6 && expressions.len() >= of_alerts + 15, "{}", expressions.len());
    for expression in &expressions {
        let names = names(expression);
        assert!(!names.is_empty(), "no metric in {expression}");
        for name in names {
            assert!(is_documented(&name, &documented), "{name} is not in docs/metrics.md");
        }
    }
}

#[test]
fn names_are_told_from_functions_labels_and_strings() {
    let expression = "sum by (le, kind) (rate(a_total{b=~\"c|d\", e=\"f\"}[5m])) / max(g) > 0.1 or absent(h{}) unless on (i) j offset 5m";
    let wanted = ["a_total", "g", "h", "j"].map(str::to_owned);
    assert_eq!(names(expression), BTreeSet::from(wanted));
}

/// The values of `key` anywhere in `value`.
fn collect(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) if name == key => found.push(text.clone()),
                    value => collect(value, key, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}

/// The names of metrics in the first column of the tables of docs/metrics.md.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next()).map(str::to_owned);
    let names = names.collect::<BTreeSet<_>>();
    assert!(names.len() >= 20, "{names:?}");
    names
}

/// Whether it is in the list, by itself or as a part of a histogram.
fn is_documented(name: &str, documented: &BTreeSet<String>) -> bool {
    let parts = ["", "_bucket", "_sum", "_count"];
    parts.iter().any(|part| name.strip_suffix(part).is_some_and(|name| documented.contains(name)))
}

/// The names of metrics in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = expression;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    while let Some(first) = rest.chars().next() {
        let past = |end: char| rest.find(end).map_or("", |at| &rest[at + end.len_utf8()..]);
        if first == '{' {
            // Values of labels may have braces in them, but ours have none.
            rest = past('}');
        } else if first == '[' {
            rest = past(']');
        } else if first == '"' {
            rest = rest[1..].split_once('"').map_or("", |(_, after)| after);
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c| is_name(c) || c == '.');
        } else if is_name(first) {
            let after = rest.trim_start_matches(is_name);
            let name = &rest[..rest.len() - after.len()];
            rest = after;
            if matches!(name, "by" | "without" | "on") {
                rest = after.split_once(')').map_or("", |(_, after)| after);
            } else if !WORDS.contains(&name) && !after.trim_start().starts_with('(') {
                names.insert(name.to_owned());
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    // `sum by (kind) (…)` and `sum(…)`: in the first one, there is no bracket after the function's
    // name.
    for function in ["sum", "max", "min", "avg", "count"] {
        names.remove(function);
    }
    names
}
