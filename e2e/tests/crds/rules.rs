//! One object for each rule: what the API server says about it, and what closehaul says about the
//! same object in a file.

use std::fmt::Write as _;

use e2e::cluster::{Actor, Options};
use serde_json::{Value, json};

use crate::{
    LIMIT,
    agreement::Which::{self, Cluster, Evacuation, Namespaced},
    cluster,
};

/// How many characters of an object are shown.
const SHOWN: usize = 120;

/// The objects that are valid, each with what is special about it.
fn valid() -> Vec<(&'static str, Which, Value)> {
    let until = "2026-01-02T03:04:05Z";
    let label = |key: &str, value: &str| json!({"matchLabels": {key: value}});
    let expressions = json!({"matchExpressions": [
        {"key": "example.com/app", "operator": "In", "values": ["a", ""]},
        {"key": "app", "operator": "NotIn", "values": ["b"]},
        {"key": "app", "operator": "Exists"},
        {"key": "app", "operator": "DoesNotExist", "values": []}]});
    let zones = |count: usize| (0..count).map(|at| format!("zone-{at}")).collect::<Vec<_>>();
    vec![
        ("nothing", Namespaced, json!({})),
        ("nothing", Cluster, json!({})),
        (
            "null is absent",
            Namespaced,
            json!({"services": null, "mode": null, "prefer": null,
            "guard": null, "demand": null, "rollout": null}),
        ),
        (
            "null has the default",
            Namespaced,
            json!({"guard": {"maxOverloadPercent": 0,
            "releaseOverloadPercent": null, "minEndpointsPerZone": null, "hold": null}}),
        ),
        ("names", Namespaced, json!({"services": {"names": ["cart", "search-2"]}})),
        ("a selector", Namespaced, json!({"services": {"selector": label("tier", "web")}})),
        ("an empty selector", Namespaced, json!({"services": {"selector": {}}})),
        ("expressions", Namespaced, json!({"services": {"selector": expressions}})),
        ("Enforce", Namespaced, json!({"mode": "Enforce"})),
        ("Shadow", Cluster, json!({"mode": "Shadow"})),
        ("no preference", Namespaced, json!({"prefer": []})),
        ("the node alone", Namespaced, json!({"prefer": ["Node"]})),
        ("all words", Namespaced, json!({"prefer": ["Node", "Zone", "Region"]})),
        ("a label", Namespaced, json!({"prefer": ["Zone", "example.com/rack", "Region"]})),
        ("a label after the region", Namespaced, json!({"prefer": ["Zone", "Region", "room"]})),
        ("no zone", Namespaced, json!({"prefer": ["Region"]})),
        ("a guard", Namespaced, json!({"guard": {"maxOverloadPercent": 30}})),
        (
            "a whole guard",
            Cluster,
            json!({"guard": {"maxOverloadPercent": 1000,
            "releaseOverloadPercent": 1000, "minEndpointsPerZone": 2, "hold": "1h0m0s"}}),
        ),
        ("a whole number with a point", Namespaced, json!({"guard": {"maxOverloadPercent": 30.0}})),
        ("equal demand", Namespaced, json!({"demand": {}})),
        ("nodes", Namespaced, json!({"demand": {"source": "Nodes"}})),
        ("CPU", Namespaced, json!({"demand": {"source": "CPU"}})),
        (
            "clients",
            Namespaced,
            json!({"demand": {"source": "Clients", "clientSelector": label("app", "web")}}),
        ),
        (
            "clients elsewhere",
            Cluster,
            json!({"demand": {"source": "Clients",
            "clientSelector": {}, "clientNamespaceSelector": label("team", "shop")}}),
        ),
        (
            "shares",
            Namespaced,
            json!({"demand": {"source": "Shares",
            "shares": {"zone-a": 60, "zone-b": 20.5, "zone-c": 0}}}),
        ),
        ("a roll-out", Namespaced, json!({"rollout": {"zones": zones(64)}})),
        ("namespaces", Cluster, json!({"namespaceSelector": label("team", "shop")})),
        ("an evacuation", Evacuation, json!({"zones": ["zone-a"], "until": until})),
        (
            "a whole evacuation",
            Evacuation,
            json!({"zones": zones(7), "until": until,
            "services": {"names": ["cart"]}, "namespaceSelector": label("team", "shop"),
            "reason": "the cooling has failed"}),
        ),
    ]
}

/// The objects that break a rule, one for each rule.
#[expect(clippy::too_many_lines, reason = "a table")]
fn invalid() -> Vec<(Which, Value)> {
    let guard = |fields: Value| (Namespaced, json!({"guard": fields}));
    let hold = |text: Value| guard(json!({"maxOverloadPercent": 30, "hold": text}));
    let prefer = |keys: Value| (Namespaced, json!({"prefer": keys}));
    let demand = |fields: Value| (Namespaced, json!({"demand": fields}));
    let services = |fields: Value| (Namespaced, json!({"services": fields}));
    let selector = |fields: Value| (Namespaced, json!({"services": {"selector": fields}}));
    let one = |it: Value| selector(json!({"matchExpressions": [it]}));
    let rollout = |zones: Value| (Namespaced, json!({"rollout": {"zones": zones}}));
    let until = "2026-01-02T03:04:05Z";
    let evacuation = |zones: Value| (Evacuation, json!({"zones": zones, "until": until}));
    let ending = |until: Value| (Evacuation, json!({"zones": ["zone-a"], "until": until}));
    let many = |count: usize| (0..count).map(|at| format!("a{at}")).collect::<Vec<_>>();
    let map = |count: usize, value: Value| {
        many(count).into_iter().map(|key| (key, value.clone())).collect::<Value>()
    };
    let exists = json!({"key": "a", "operator": "Exists"});
    vec![
        // What there is.
        (Namespaced, Value::Null),
        (Namespaced, json!([])),
        (Namespaced, json!({"gaurd": {}})),
        (Namespaced, json!({"namespaceSelector": {}})),
        // services
        services(json!({})),
        services(json!({"names": ["a"], "selector": {}})),
        services(json!({"names": []})),
        services(json!({"names": ["a", "a"]})),
        services(json!({"names": ["cart.shop"]})),
        services(json!({"names": ["a".repeat(64)]})),
        services(json!({"names": many(257)})),
        services(json!({"names": "cart"})),
        services(json!({"name": ["cart"]})),
        // selectors
        selector(json!([])),
        selector(json!({"app": "cart"})),
        selector(json!({"matchLabels": {"app": 1}})),
        selector(json!({"matchLabels": {"a b": "c"}})),
        selector(json!({"matchLabels": {"a": "b c"}})),
        selector(json!({"matchLabels": {"a": "b".repeat(64)}})),
        selector(json!({"matchLabels": map(65, json!("a"))})),
        selector(json!({"matchExpressions": vec![exists; 33]})),
        one(json!({"operator": "Exists"})),
        one(json!({"key": "a b", "operator": "Exists"})),
        one(json!({"key": "a"})),
        one(json!({"key": "a", "operator": "Equals", "values": ["b"]})),
        one(json!({"key": "a", "operator": "In"})),
        one(json!({"key": "a", "operator": "NotIn", "values": []})),
        one(json!({"key": "a", "operator": "In", "values": "b"})),
        one(json!({"key": "a", "operator": "In", "values": ["b c"]})),
        one(json!({"key": "a", "operator": "In", "values": many(65)})),
        one(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
        one(json!({"key": "a", "operator": "Exists", "value": "b"})),
        // mode
        (Namespaced, json!({"mode": "Enforced"})),
        (Namespaced, json!({"mode": true})),
        // prefer
        prefer(json!("Zone")),
        prefer(json!([1])),
        prefer(json!([null])),
        prefer(json!(["Zone", "Zone"])),
        prefer(json!(["Zone", "Node"])),
        prefer(json!(["Region", "Zone"])),
        prefer(json!(["Node", "Region", "Zone"])),
        prefer(json!(["example.com/rack", "Zone"])),
        prefer(json!(["zone"])),
        prefer(json!(["topology.kubernetes.io/zone"])),
        prefer(json!(["Rack"])),
        prefer(json!(["a rack"])),
        prefer(json!(many(9))),
        // guard
        guard(json!({})),
        guard(json!(30)),
        guard(json!({"maxOverloadPercent": -1})),
        guard(json!({"maxOverloadPercent": 1001})),
        guard(json!({"maxOverloadPercent": 12.5})),
        guard(json!({"maxOverloadPercent": "30"})),
        guard(json!({"maxOverloadPercent": 30, "releaseOverloadPercent": 29})),
        guard(json!({"maxOverloadPercent": 30, "releaseOverloadPercent": 65_536})),
        guard(json!({"maxOverloadPercent": 30, "minEndpointsPerZone": -1})),
        guard(json!({"maxOverloadPercent": 30, "minEndpointsPerZone": 4_294_967_296_u64})),
        guard(json!({"maxOverloadPercent": 30, "maxOverload": 30})),
        hold(json!("2")),
        hold(json!("-2m")),
        hold(json!("1h0m1s")),
        hold(json!("99999999999999h")),
        hold(json!("1s".repeat(17))),
        hold(json!(120)),
        // demand
        demand(json!({"source": "Memory"})),
        demand(json!({"clientSelector": {}})),
        demand(json!({"source": "Shares", "shares": {"a": 1}, "clientSelector": {}})),
        demand(json!({"source": "Nodes", "shares": {"a": 1}})),
        (Cluster, json!({"demand": {"source": "Nodes", "clientNamespaceSelector": {}}})),
        demand(json!({"source": "Clients"})),
        demand(json!({"source": "Clients", "clientSelector": {}, "clientNamespaceSelector": {}})),
        demand(json!({"source": "Shares"})),
        demand(json!({"source": "Shares", "shares": {}})),
        demand(json!({"source": "Shares", "shares": {"a": 0}})),
        demand(json!({"source": "Shares", "shares": {"a": -1, "b": 1}})),
        demand(json!({"source": "Shares", "shares": {"a": "1"}})),
        demand(json!({"source": "Shares", "shares": {"a zone": 1}})),
        demand(json!({"source": "Shares", "shares": map(65, json!(1))})),
        // rollout
        (Namespaced, json!({"rollout": {}})),
        rollout(json!([])),
        rollout(json!(["a", "a"])),
        rollout(json!(["a zone"])),
        rollout(json!([""])),
        rollout(json!(many(65))),
        // ClusterLocalityPolicy
        (Cluster, json!({"namespaceSelector": {"matchLabels": {"a b": "c"}}})),
        (Cluster, json!({"prefer": ["zone"]})),
        // ZoneEvacuation
        (Evacuation, Value::Null),
        (Evacuation, json!({"until": until})),
        (Evacuation, json!({"zones": ["zone-a"]})),
        (Evacuation, json!({"zones": ["zone-a"], "until": until, "for": "30m"})),
        (Evacuation, json!({"zones": ["zone-a"], "until": until, "reason": 7})),
        (Evacuation, json!({"zones": ["zone-a"], "until": until, "reason": "é".repeat(1025)})),
        (Evacuation, json!({"zones": ["zone-a"], "until": until, "services": {"names": [""]}})),
        ending(json!("tomorrow")),
        ending(json!("2026-01-02 03:04:05Z")),
        ending(json!("2026-02-30T03:04:05Z")),
        evacuation(json!([])),
        evacuation(json!(["a", "a"])),
        evacuation(json!(["a zone"])),
        evacuation(json!(many(8))),
        evacuation(json!("a")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_rejects_what_closehaul_rejects() {
    tokio::time::timeout(LIMIT, judge()).await.expect("the time limit");
}

async fn judge() {
    let cluster = cluster(Options::default()).await;
    let client = cluster.client(Actor::Admin).unwrap();
    for (what, which, spec) in valid() {
        let said = which.said(&client, &spec).await;
        assert!(said.server.is_ok() && said.file.is_ok(), "{what}: {said:#?}");
        said.agree(which, &spec);
    }
    let mut text = String::new();
    for (which, spec) in invalid() {
        let said = which.said(&client, &spec).await;
        let (Err(server), Err(file)) = (&said.server, &said.file) else {
            panic!("{which:?} {spec}: {said:#?}")
        };
        let server = server.split_once(" is invalid: ").map_or(&**server, |(_, what)| what);
        let mut shown = spec.to_string();
        if let Some((at, _)) = shown.char_indices().nth(SHOWN) {
            shown.replace_range(at.., "…");
        }
        write!(text, "{which:?} {shown}\n  server: {server}\n  file:   {file}\n").unwrap();
    }
    insta::assert_snapshot!(text);
    crate::texts::judge(&client).await;
    cluster.stop().await.unwrap();
}
