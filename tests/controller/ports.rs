//! Changes of a Service's ports while writes are slow: no endpoint is out of all slices at any time
//! (docs/semantics.md 4.4).

use fake_api::{
    FakeApi,
    collections::{PODS, SERVICES},
    faults::{Effect, on},
    invariants::{ENDPOINT, Limits, violations},
    rig::*,
    samples,
};
use serde_json::{Value, json};

fn named(name: &str, number: i32) -> Value {
    json!({"name": name, "containerPort": number, "protocol": "TCP"})
}

/// A Service with this many pods; each has the named ports `web`, with the same number, and `api`,
/// with one of two.
fn with_pods(count: usize) -> FakeApi {
    let api = cluster(&["cart-0"]);
    for number in 0..count {
        let mut pod = samples::pod(&format!("cart-{number}"));
        let address = format!("10.1.{}.{}", number / 250, number % 250 + 1);
        pod["status"]["podIP"] = json!(address);
        pod["status"]["podIPs"] = json!([{"ip": address}]);
        let other = if number % 2 == 0 { 9090 } else { 9091 };
        pod["spec"]["containers"] =
            json!([{"name": "main", "ports": [named("web", 8080), named("api", other)]}]);
        api.put(PODS, pod);
    }
    set_ports(&api, &json!([port("http", 80)]));
    api
}

fn port(name: &str, target: impl Into<Value>) -> Value {
    let target = target.into();
    json!({"name": name, "port": 80, "protocol": "TCP", "targetPort": target})
}

fn set_ports(api: &FakeApi, ports: &Value) {
    edit(api, SERVICES, "cart", |service| service["spec"]["ports"] = ports.clone());
}

#[tokio::test(start_paused = true)]
async fn no_endpoint_is_missing_while_ports_change() {
    for count in [300, 1_000, 2_000] {
        let api = with_pods(count);
        let mut rig = Rig::settled(api.clone()).await;
        rig.pass(MINUTE).await;
        rig.look();
        api.fault(on("", "/endpointslices"), Effect::Delay(300 * MS));
        let slices = count / 100;
        let http = || port("http", 80);
        let mut second = port("https", 443);
        second["port"] = json!(443);
        for (what, ports, writes) in [
            ("a second port", json!([http(), second]), slices),
            ("one port again", json!([http()]), slices),
            ("another number", json!([port("http", 81)]), slices),
            ("another name", json!([port("web", 81)]), slices),
            ("a named target", json!([port("web", "web")]), slices),
            // All slices have pods of both numbers, so one more is created first. With an odd number
            // of slices it is needed anyway, and deleted on the way back.
            ("a target with two numbers", json!([port("web", "api")]), slices + 1),
            ("and back", json!([port("web", "web")]), slices + slices % 2),
        ] {
            set_ports(&api, &ports);
            rig.pass(MINUTE).await;
            let sent = rig.look().len();
            assert_eq!(sent, writes, "{count} pods, {what}");
            assert_eq!(rig.endpoints("cart").len(), count, "{count} pods, {what}");
        }
        let limits = Limits {
            max_endpoints: 100,
            staleness: Some(30 * SECOND),
            stores_node_hints: true,
            lag: None,
        };
        let found = violations(&api.record(), limits);
        let missing = found.iter().filter(|found| found.invariant == ENDPOINT).count();
        assert_eq!(missing, 0, "{count} pods");
        println!("{count} pods: 0 endpoints missing at any time");
    }
}
