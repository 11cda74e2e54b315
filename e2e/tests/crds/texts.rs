//! Texts: all kinds of texts where a format is expected. The API server checks them by regular
//! expressions and closehaul by code of its own, and both must say the same.

use kube::Client;
use serde_json::{Value, json};

use crate::agreement::Which::{self, Evacuation, Namespaced};

const DURATIONS: [&str; 38] = [
    "2m",
    "2m0s",
    "1h0m0s",
    "1.5s",
    ".5m",
    "5.m",
    "250ms",
    "0",
    "+0",
    "0s",
    "-0s",
    "-0",
    "+1s",
    "++1s",
    "1s+1s",
    "1us",
    "1µs",
    "1μs",
    "1ns",
    "0.0000000001s",
    "1h0m0.0000000001s",
    "1h0m0.000000001s",
    "60m",
    "3600s",
    "3601s",
    "3600000000000ns",
    "",
    "2",
    "00",
    "0.0",
    "2 m",
    "2 minutes",
    "PT2M",
    "1d",
    "m",
    "1.2.3s",
    ".s",
    "9999999h",
];
const TIMES: [&str; 39] = [
    "2026-01-02T03:04:05.1234567891Z",
    "1970-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59Z",
    "2999-12-31T23:59:59-23:59",
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.5Z",
    "2026-01-02T03:04:05.123456789Z",
    "2026-01-02T03:04:05.Z",
    "2026-01-02T03:04:05,5Z",
    "2026-01-02T03:04:05+00:00",
    "2026-01-02T03:04:05-23:59",
    "2026-01-02T03:04:05+14:00",
    "2026-01-02T03:04:05+24:00",
    "2026-01-02T03:04:05+00:60",
    "2026-01-02T03:04:05+0100",
    "2026-01-02T03:04:05+01",
    "2026-01-02t03:04:05Z",
    "2026-01-02T03:04:05z",
    "2026-01-02 03:04:05Z",
    "2026-01-02T03:04:05",
    "2026-01-02T03:04Z",
    "2026-01-02",
    "20260102T030405Z",
    "2026-02-29T03:04:05Z",
    "2028-02-29T03:04:05Z",
    "2026-13-01T03:04:05Z",
    "2026-00-01T03:04:05Z",
    "2026-01-00T03:04:05Z",
    "2026-01-02T24:00:00Z",
    "2026-01-02T23:59:60Z",
    "2026-01-02T23:60:00Z",
    "0001-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-01:00",
    "12026-01-02T03:04:05Z",
    "2026-01-02T03:04:05Z[UTC]",
    " 2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05+00:00:00",
];

/// Keys and values of labels, zones and names of Services.
fn names() -> Vec<String> {
    let parts = ["a", "A", "0", "-", "_", ".", "/", " ", "ä", "\n", ""];
    let mut names: Vec<String> = Vec::new();
    for first in parts {
        for last in parts {
            names.push(format!("{first}{last}"));
            names.extend(["a", "-", "/"].map(|middle| format!("{first}{middle}{last}")));
        }
    }
    let (name, prefix) = ("n".repeat(63), "p".repeat(253));
    names.extend([
        name.clone(),
        format!("{name}n"),
        format!("{prefix}/{name}"),
        format!("{prefix}/n"),
        format!("{prefix}p/n"),
        format!("{prefix}p/{name}"),
        "example.com/app".to_owned(),
        "example..com/app".to_owned(),
        "example.com/a/b".to_owned(),
        "Example.com/app".to_owned(),
        "-a.b/app".to_owned(),
        "NODE".to_owned(),
        "zOnE".to_owned(),
        "Zone".to_owned(),
        "Zones".to_owned(),
        "X/app".to_owned(),
        "kubernetes.io/hostname".to_owned(),
        "topology.kubernetes.io/region".to_owned(),
    ]);
    names.sort();
    names.dedup();
    names
}

pub async fn judge(client: &Client) {
    let mut specs: Vec<(Which, Value)> = Vec::new();
    for text in DURATIONS {
        let guard = json!({"maxOverloadPercent": 30, "hold": text});
        specs.push((Namespaced, json!({"guard": guard})));
    }
    for text in TIMES {
        specs.push((Evacuation, json!({"zones": ["zone-a"], "until": text})));
    }
    for name in names() {
        let expression = json!({"key": &name, "operator": "Exists"});
        for spec in [
            json!({"prefer": [&name]}),
            json!({"rollout": {"zones": [&name]}}),
            json!({"services": {"names": [&name]}}),
            json!({"services": {"selector": {"matchLabels": {&name: "a"}}}}),
            json!({"services": {"selector": {"matchLabels": {"a": &name}}}}),
            json!({"services": {"selector": {"matchExpressions": [expression]}}}),
            json!({"demand": {"source": "Shares", "shares": {&name: 1}}}),
        ] {
            specs.push((Namespaced, spec));
        }
    }
    let mut accepted = 0;
    let mut differences = Vec::new();
    for (which, spec) in &specs {
        let said = which.said(client, spec).await;
        accepted += usize::from(said.server.is_ok());
        if said.server.is_ok() == said.file.is_ok() {
            said.agree(*which, spec);
        } else {
            differences.push(format!("{which:?} {spec}: {said:?}"));
        }
    }
    eprintln!("crds: {} texts, of which {accepted} are accepted", specs.len());
    assert!(differences.is_empty(), "{}\n{}", differences.len(), differences.join("\n"));
    // Neither is too rare to show anything.
    assert!(accepted > 200 && accepted < specs.len() - 200, "{accepted} of {}", specs.len());
}
