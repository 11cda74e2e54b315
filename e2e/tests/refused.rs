//! What the real API server rejects in slices. The test checks that the rule in `plan::endpoint_ip`
//! is the server's rule, address by address, which fields the server's answers name, and that a
//! Service with a pod at such an address continues to be served.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use closehaul::plan::endpoint_ip::is_allowed;
use e2e::{
    closehaul::{self as program, Ports},
    cluster::{Actor, Cluster, Options},
    world::{Canary, Kind, Place, World, normal, object, until},
};
use k8s_openapi::api::{core::v1::Pod, discovery::v1::EndpointSlice};
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SETTLE: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);
const SHOP: &str = "shop";
/// Time until a Service with a pod at an address that slices must not contain is correct again.
const RIGHT: Duration = Duration::from_secs(2);

/// Addresses at the edges of each rejected range, the same as in the rule's unit test.
const ADDRESSES: [&str; 37] = [
    "0.0.0.0",
    "0.0.0.1",
    "10.0.0.1",
    "126.255.255.255",
    "127.0.0.0",
    "127.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "169.255.0.0",
    "223.255.255.255",
    "224.0.0.0",
    "224.0.0.255",
    "224.0.1.0",
    "224.1.2.3",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "64:ff9b::7f00:1",
    "fd00::1",
    "fe7f:ffff::1",
    "fe80::",
    "fe80::1",
    "febf:ffff::1",
    "fec0::1",
    "ff01::1",
    "ff02::1",
    "ff12::1",
    "fff2::1",
    "ff03::1",
    "ff05::1",
    "ff0e::1",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_refuses_in_slices() {
    tokio::time::timeout(LIMIT, all()).await.expect("the time limit");
}

async fn all() {
    let service_cidrs = ["10.96.0.0/16", "fd96::/112"].map(str::to_owned).to_vec();
    let options = Options { service_cidrs, ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client(Actor::Admin).unwrap();
    let world = World::new(client.clone());
    world.create(&object::namespace(SHOP)).await.unwrap();
    for zone in ["a", "b"] {
        let node = object::node(&format!("node-{zone}"), Some(&format!("zone-{zone}")));
        world.create(&node).await.unwrap();
    }
    let accepted = the_rule_is_the_servers(&client).await;
    the_answers_name_fields(&client).await;
    let mut canary = Canary::create(&world).await.unwrap();
    let ports = Ports::free().unwrap();
    let [metrics, health] = ports.args();
    let args = ["--leader-elect=false", &metrics, &health];
    let closehaul = program::start(&cluster, &args).await.unwrap();
    canary.follow(&world).await.unwrap();
    services_go_on(&world, &accepted).await;
    a_dual_stack_pod_keeps_its_good_address(&world).await;
    let last = format!("web-{}", accepted.len() - 1);
    events_and_metrics_say_so(&cluster, &ports, &last).await;
    closehaul.must_run().unwrap();
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));
    cluster.stop().await.unwrap();
}

fn slice(addresses: &[&str], edit: impl FnOnce(&mut Value)) -> EndpointSlice {
    let is_v6 = addresses.iter().any(|address| address.contains(':'));
    let endpoint = |address: &&str| json!({"addresses": [address], "conditions": {"ready": true}});
    let mut slice = json!({
        "metadata": {"generateName": "tried-", "namespace": SHOP},
        "addressType": if is_v6 { "IPv6" } else { "IPv4" },
        "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    });
    edit(&mut slice);
    serde_json::from_value(slice).unwrap()
}

/// The rejection of a slice, or `None` if the API server accepts it. Nothing is stored.
async fn refusal(client: &Client, slice: &EndpointSlice) -> Option<Value> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), SHOP);
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    match slices.create(&parameters, slice).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(serde_json::to_value(status).unwrap()),
        Err(error) => panic!("{error}"),
    }
}

/// Tries each address in a slice and in a pod's status. Returns those that a pod may have and a
/// slice may not.
async fn the_rule_is_the_servers(client: &Client) -> Vec<&'static str> {
    let mut refused = Vec::new();
    for address in ADDRESSES {
        let refusal = refusal(client, &slice(&[address], |_| ())).await;
        let is_right = refusal.is_none() == is_allowed(address.parse().unwrap());
        assert!(is_right, "{address}: {refusal:?}");
        if let Some(status) = refusal {
            assert_eq!(status["code"], 422, "{address}: {status}");
            let field = &status["details"]["causes"][0]["field"];
            assert_eq!(field, "endpoints[0].addresses[0]", "{address}: {status}");
            refused.push(address);
        }
    }
    // Neither family accepts these, regardless of what they map. The planner uses their IPv4
    // addresses instead.
    for address in ["::ffff:10.0.0.1", "::ffff:127.0.0.1"] {
        for family in ["IPv4", "IPv6"] {
            let slice = slice(&[address], |slice| slice["addressType"] = json!(family));
            assert!(refusal(client, &slice).await.is_some(), "{address} {family}");
        }
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), SHOP);
    let mut accepted = Vec::new();
    let world = World::new(client.clone());
    world.create(&object::pod(SHOP, "tried", "tried", "node-a", &[])).await.unwrap();
    for address in refused.iter().copied().chain(["::ffff:127.0.0.1", "010.000.0.1"]) {
        let status = json!({"status": {"podIP": address, "podIPs": [{"ip": address}]}});
        match world.patch_status(&Place::new(Kind::Pod, SHOP, "tried"), &status["status"]).await {
            Ok(_) => accepted.push(address),
            Err(error) => {
                let error = error.to_string();
                let cause = error.split(": Invalid (").next().unwrap_or_default();
                eprintln!("refused: a pod may not have {address} either: {cause}");
            }
        }
    }
    pods.delete("tried", &kube::api::DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(refused.iter().all(|address| accepted.contains(address)), "{refused:?} {accepted:?}");
    eprintln!(
        "refused: of {} addresses slices take all but {refused:?}; a pod's status takes all of these",
        ADDRESSES.len()
    );
    accepted.retain(|address| address.parse::<IpAddr>().is_ok_and(|ip| !is_allowed(ip)));
    accepted
}

/// What [`closehaul::control::write`] relies on when it leaves out parts of endpoints.
async fn the_answers_name_fields(client: &Client) {
    type Edit = fn(&mut Value);
    let table: [(&str, Edit); 7] = [
        ("endpoints[1].addresses[0]", |one| one["addresses"] = json!(["127.0.0.1"])),
        ("endpoints[1].hints.forZones[0].name", |one| {
            one["hints"] = json!({"forZones": [{"name": "no zone"}]});
        }),
        ("endpoints[1].hints.forZones", |one| {
            let zones = (0..9).map(|zone| json!({"name": format!("z{zone}")}));
            one["hints"] = json!({"forZones": zones.collect::<Vec<_>>()});
        }),
        ("endpoints[1].hints.forNodes[0].name", |one| {
            one["hints"] = json!({"forNodes": [{"name": "No Node"}]});
        }),
        ("endpoints[1].nodeName", |one| one["nodeName"] = json!("No Node")),
        ("endpoints[1].hostname", |one| one["hostname"] = json!("No Host")),
        ("endpoints[1].addresses", |one| one["addresses"] = json!([])),
    ];
    for (field, edit) in table {
        let slice = slice(&["10.0.0.1", "10.0.0.2"], |slice| edit(&mut slice["endpoints"][1]));
        let status = refusal(client, &slice).await.expect(field);
        let details = &status["details"];
        assert_eq!(details["causes"][0]["field"], field, "{status}");
        assert_eq!(
            (&details["group"], &details["kind"]),
            (&json!("discovery.k8s.io"), &json!("EndpointSlice"))
        );
        assert_eq!((&status["reason"], &status["code"]), (&json!("Invalid"), &json!(422)));
        let message = status["message"].as_str().unwrap();
        assert!(message.starts_with("EndpointSlice.discovery.k8s.io \""), "{message}");
    }
    let slice = slice(&["10.0.0.1", "127.0.0.1"], |_| ());
    let status = refusal(client, &slice).await.unwrap();
    let message = status["details"]["causes"][0]["message"].as_str().unwrap();
    assert!(message.contains("\"127.0.0.1\""), "the value is named: {message}");
}

/// The pods in the slices of a Service, by address type.
async fn pods(world: &World, service: &str, family: &str) -> BTreeSet<String> {
    let mut slices = world.slices_of(SHOP, service).await.unwrap();
    slices.retain(|slice| slice["addressType"] == family);
    let endpoints = slices.iter().flat_map(|slice| normal::items(&slice["endpoints"]));
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
    ready.map(|endpoint| endpoint["targetRef"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn until_pods(world: &World, service: &str, family: &str, expected: &[&str]) -> Duration {
    let expected = expected.iter().copied().map(str::to_owned).collect::<BTreeSet<_>>();
    let started = Instant::now();
    let what = format!("{service} has the ready pods {expected:?} in {family}");
    let is_right = until(&what, SETTLE, async || {
        let found = pods(world, service, family).await;
        Ok((found == expected).then_some(()))
    });
    is_right.await.unwrap();
    started.elapsed()
}

/// A Service for each address, with two healthy pods and one at the address.
async fn services_go_on(world: &World, addresses: &[&str]) {
    let families = |address: &str| {
        let ip: IpAddr = address.parse().unwrap();
        if ip.to_canonical().is_ipv4() { ("IPv4", 0) } else { ("IPv6", 1) }
    };
    for (number, address) in addresses.iter().enumerate() {
        let (family, at) = families(address);
        let name = format!("web-{number}");
        let mut service = object::service(SHOP, &name);
        service["spec"]["ipFamilyPolicy"] = json!("RequireDualStack");
        world.create(&service).await.unwrap();
        for pod in ["a", "b"] {
            let id = number as u64 * 2 + u64::from(pod == "b");
            let address = object::addresses(id)[at].clone();
            let pod = object::pod(SHOP, &format!("{name}-{pod}"), &name, "node-a", &[address]);
            world.create(&pod).await.unwrap();
        }
        let special = format!("{name}-special");
        let pod = object::pod(SHOP, &special, &name, "node-b", &[(*address).to_owned()]);
        world.create(&pod).await.unwrap();
        let (a, b) = (format!("{name}-a"), format!("{name}-b"));
        until_pods(world, &name, family, &[&a, &b]).await;
    }
    let mut times = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        let (family, _) = families(address);
        let name = format!("web-{number}");
        let (a, b) = (format!("{name}-a"), format!("{name}-b"));
        world.delete(&Place::new(Kind::Pod, SHOP, &a)).await.unwrap();
        let deleted = until_pods(world, &name, family, &[&b]).await;
        let unready = json!({"conditions": object::ready(false)});
        world.patch_status(&Place::new(Kind::Pod, SHOP, &b), &unready).await.unwrap();
        let unready = until_pods(world, &name, family, &[]).await;
        times.push(format!("{address} {}/{} ms", deleted.as_millis(), unready.as_millis()));
        assert!(deleted < RIGHT && unready < RIGHT, "{address}: {deleted:?} {unready:?}");
    }
    eprintln!("refused: time to right with such a pod, after a deletion/an unready pod: {times:?}");
}

async fn a_dual_stack_pod_keeps_its_good_address(world: &World) {
    let mut service = object::service(SHOP, "dual");
    service["spec"]["ipFamilyPolicy"] = json!("RequireDualStack");
    world.create(&service).await.unwrap();
    let pods = [("v4", ["10.200.9.1", "fe80::9"]), ("v6", ["169.254.9.9", "fd10::9"])];
    for (pod, addresses) in pods {
        let addresses = addresses.map(str::to_owned);
        let pod = object::pod(SHOP, &format!("dual-{pod}"), "dual", "node-a", &addresses);
        world.create(&pod).await.unwrap();
    }
    until_pods(world, "dual", "IPv4", &["dual-v4"]).await;
    until_pods(world, "dual", "IPv6", &["dual-v6"]).await;
}

async fn events_and_metrics_say_so(cluster: &Cluster, ports: &Ports, service: &str) {
    let found = until("an Event", SETTLE, async || {
        let describe = ["describe", "service", service, "-n", SHOP];
        let described = cluster.kubectl(&describe).await.unwrap().success().unwrap();
        let line = described.lines().find(|line| line.contains("AddressNotAllowed"));
        Ok(line.map(str::to_owned))
    });
    let (line, _) = found.await.unwrap();
    eprintln!("refused: {}", line.trim());
    let note = format!("of pod {service}-special is left out");
    assert!(line.contains("Warning") && line.contains(&note), "{line}");
    let series = ports.metrics().await.unwrap().series;
    let services = series.get("closehaul_decisions{reason=\"AddressNotAllowed\"}");
    assert!(services.is_some_and(|services| *services > 1.0), "{series:?}");
    for operation in ["create", "update"] {
        let labels = format!("kind=\"endpoints\",operation=\"{operation}\",result=\"refused\"");
        let refused = series.get(&format!("closehaul_writes_total{{{labels}}}"));
        assert_eq!(refused, None, "none is refused");
    }
}
