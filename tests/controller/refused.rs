//! What the API server rejects as invalid: addresses that slices must not contain, and other fields
//! of a slice. The rest of the Service continues to be written.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use fake_api::{
    collections::{EVENTS, NODES, PODS, SERVICES},
    faults::{Effect, on},
    rig::*,
    samples::{name, pod, service},
};
use serde_json::{Value, json};

fn set_addresses(api: &fake_api::FakeApi, name: &str, addresses: &[&str]) {
    edit(api, PODS, name, |pod| {
        let all: Vec<_> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
        pod["status"]["podIP"] = json!(addresses[0]);
        pod["status"]["podIPs"] = json!(all);
    });
}

/// Sets the zone of a node. A zone that is not a valid label value is rejected in hints.
fn set_zone(api: &fake_api::FakeApi, node: &str, zone: &str) {
    edit(api, NODES, &format!("/{node}"), |node| {
        node["metadata"]["labels"] = json!({ "topology.kubernetes.io/zone": zone });
    });
}

fn prefer_zone(api: &fake_api::FakeApi, service: &str) {
    edit(api, SERVICES, service, |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
}

fn refused(rig: &Rig) -> f64 {
    let results = ["create", "update"].map(|operation| {
        ["endpoints", "hints"].map(|kind| {
            let labels = format!("kind=\"{kind}\",operation=\"{operation}\",result=\"refused\"");
            rig.metric(&format!("closehaul_writes_total{{{labels}}}"))
        })
    });
    results.iter().flatten().sum()
}

/// The note of the last Event with a reason.
fn note(rig: &Rig, reason: &str) -> String {
    let events = rig.api.list(EVENTS);
    let event = events.iter().rfind(|event| event["reason"] == reason).unwrap();
    event["note"].as_str().unwrap().to_owned()
}

/// The slice that contains a pod.
fn slice_of(rig: &Rig, service: &str, pod: &str) -> Option<Value> {
    let mut slices = rig.slices(service).into_iter();
    slices.find(|slice| {
        slice["endpoints"].as_array().is_some_and(|endpoints| {
            endpoints.iter().any(|endpoint| endpoint["targetRef"]["name"] == pod)
        })
    })
}

#[tokio::test(start_paused = true)]
async fn an_address_that_slices_may_not_carry_is_left_out_and_the_rest_goes_on() {
    let addresses = ["0.0.0.0", "127.0.0.1", "169.254.169.254", "224.0.0.1", "::ffff:127.0.0.1"];
    for address in addresses {
        let rig = Rig::settled(cluster(&["web-1", "web-2", "web-3"])).await;
        rig.pass(MINUTE).await;
        set_addresses(&rig.api, "web-3", &[address]);
        assert!(rig.until_endpoints("web", &["web-1", "web-2"]).await < SECOND, "{address}");
        remove(&rig.api, PODS, "web-1");
        set_ready(&rig.api, "web-2", false);
        assert!(rig.until_endpoints("web", &["web-2!"]).await < SECOND, "{address}");
        rig.pass(MINUTE).await;
        assert_eq!(refused(&rig), 0.0, "{address}");
        assert_eq!(rig.events("web"), ["AddressNotAllowed"], "{address}");
        assert!(note(&rig, "AddressNotAllowed").contains(" of pod web-3 is left out"));
        let decided = "closehaul_services{reason=\"AddressNotAllowed\",state=\"None\"}";
        assert_eq!(rig.metric(decided), 1.0);
        assert_eq!(rig.metric("closehaul_decisions{reason=\"AddressNotAllowed\"}"), 1.0);
        // With another address, all is well.
        set_addresses(&rig.api, "web-3", &["10.0.0.3"]);
        assert!(rig.until_endpoints("web", &["web-2!", "web-3"]).await < SECOND, "{address}");
        assert_eq!(rig.metric(decided), 0.0);
        assert_eq!(rig.metric("closehaul_decisions{reason=\"AddressNotAllowed\"}"), 0.0);
        rig.pass(MINUTE).await;
        assert_eq!(rig.events("web"), ["AddressNotAllowed"], "once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_keeps_its_good_address_in_the_other_family() {
    let api = cluster(&["web-1", "web-2"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
        service["spec"]["clusterIPs"] = json!(["10.96.0.1", "fd00::96"]);
    });
    set_addresses(&api, "web-1", &["10.0.0.1", "fe80::1"]);
    set_addresses(&api, "web-2", &["127.0.0.1", "fd00::2"]);
    let rig = Rig::settled(api).await;
    let addresses = rig.slices("web").into_iter().map(|slice| {
        let endpoints = slice["endpoints"].as_array().unwrap().iter();
        let addresses = endpoints.map(|one| one["addresses"][0].as_str().unwrap().to_owned());
        (slice["addressType"].as_str().unwrap().to_owned(), addresses.collect::<Vec<_>>())
    });
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort();
    let expected = [("IPv4", "10.0.0.1"), ("IPv6", "fd00::2")];
    let expected = expected.map(|(family, ip)| (family.to_owned(), vec![ip.to_owned()]));
    assert_eq!(addresses, expected);
    assert_eq!(refused(&rig), 0.0);
}

/// One slice for each pod. Only the update for `web-1` is rejected.
async fn one_refused() -> Rig {
    let pods = ["web-1", "web-2", "web-3", "db-1"];
    let options = Options { settings: settings_of(1), ..Options::default() };
    let rig = Rig::settled_with(cluster(&pods), options).await;
    rig.pass(MINUTE).await;
    let slice = slice_of(&rig, "web", "web-1").unwrap();
    let path: &'static str = format!("/endpointslices/{}", name(&slice)).leak();
    rig.api.fault(on("PUT", path), Effect::Answer(422));
    rig
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_the_other_slices_go_on() {
    let rig = one_refused().await;
    set_ready(&rig.api, "web-1", false);
    rig.pass(SECOND).await;
    remove(&rig.api, PODS, "web-2");
    set_ready(&rig.api, "web-3", false);
    rig.api.put(PODS, pod("web-4"));
    let took = rig.until_endpoints("web", &["web-1", "web-3!", "web-4"]).await;
    assert!(took < 2 * SECOND, "{took:?}");
    // The rejected write is retried ever more slowly. When it succeeds, the report ends at once.
    rig.pass(10 * MINUTE).await;
    let before = rig.writes().len();
    rig.pass(10 * MINUTE).await;
    let tries = rig.writes().len() - before;
    assert!((9..=11).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(rig.events("web"), ["WriteRefused", "FailedToUpdateEndpointSlices"]);
    assert_eq!(rig.metric("closehaul_decisions{reason=\"WriteRefused\"}"), 1.0);
    rig.api.clear_faults();
    rig.until_endpoints("web", &["web-1!", "web-3!", "web-4"]).await;
    rig.pass(SECOND).await;
    assert_eq!(rig.metric("closehaul_decisions{reason=\"WriteRefused\"}"), 0.0);
}

/// Other failures may concern all writes, so they end those of the family as always.
#[tokio::test(start_paused = true)]
async fn after_any_other_failure_the_family_waits() {
    for code in [403, 500] {
        let rig = one_refused().await;
        rig.api.clear_faults();
        rig.api.fault(on("PUT", "/endpointslices"), Effect::Answer(code));
        set_ready(&rig.api, "web-1", false);
        remove(&rig.api, PODS, "web-2");
        rig.pass(MINUTE).await;
        assert_eq!(rig.endpoints("web"), ["web-1", "web-2", "web-3"], "{code}");
    }
}

/// Slices are filled while one is rejected: every pod stays in a slice, and new ones are added.
#[tokio::test(start_paused = true)]
async fn no_endpoint_is_lost_by_a_refused_slice() {
    let pods: Vec<String> = (1..=8).map(|number| format!("web-{number}")).collect();
    let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
    for refused in 0..4 {
        let options = Options { settings: settings_of(2), ..Options::default() };
        let rig = Rig::settled_with(cluster(&pods), options).await;
        let slices = rig.slices("web");
        assert_eq!(slices.len(), 4);
        let path: &'static str = format!("/endpointslices/{}", name(&slices[refused])).leak();
        rig.api.fault(on("PUT", path), Effect::Answer(422));
        let held: Vec<String> = slices[refused]["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| endpoint["targetRef"]["name"].as_str().unwrap().to_owned())
            .collect();
        // One pod becomes unready, and three are new: slices are filled, even the rejected one.
        set_ready(&rig.api, &held[0], false);
        for number in 9..12 {
            rig.api.put(PODS, pod(&format!("web-{number}")));
        }
        rig.pass(MINUTE).await;
        let endpoints = rig.endpoints("web");
        for pod in &pods {
            assert!(endpoints.iter().any(|one| one.trim_end_matches('!') == *pod), "{pod}");
        }
        assert!((9..12).all(|number| endpoints.contains(&format!("web-{number}"))));
    }
}

#[tokio::test(start_paused = true)]
async fn refused_hints_are_left_out_and_the_endpoint_stays() {
    let api = cluster(&["web-1", "web-2", "web-3"]);
    prefer_zone(&api, "web");
    let mut rig = Rig::settled(api).await;
    rig.pass(MINUTE).await;
    rig.look();
    set_zone(&rig.api, "a1", "no zone");
    rig.pass(SECOND).await;
    let slice = rig.slice("web");
    let hints = |pod: &str| {
        let endpoints = slice["endpoints"].as_array().unwrap().iter();
        let mut of_pod = endpoints.filter(|one| one["targetRef"]["name"] == pod);
        of_pod.next().unwrap()["hints"].clone()
    };
    assert_eq!(hints("web-1"), Value::Null);
    assert_eq!(hints("web-2"), json!({ "forZones": [{ "name": "b" }] }));
    // A change of a pod is still written at once.
    rig.pass(MINUTE).await;
    set_ready(&rig.api, "web-2", false);
    remove(&rig.api, PODS, "web-3");
    let took = rig.until_endpoints("web", &["web-1", "web-2!"]).await;
    assert!(took < 2 * SECOND, "{took:?}");
    assert_eq!(rig.events("web"), ["WriteRefused"]);
    let note = note(&rig, "WriteRefused");
    assert!(note.contains("written without the hints of pod web-1"), "{note}");
    let decided = "closehaul_services{reason=\"WriteRefused\",state=\"Ineffective\"}";
    assert_eq!(rig.metric(decided), 1.0);

    // The plan still differs from what is stored. It is retried once a minute, no more, and what
    // is sent without the hints changes nothing.
    rig.pass(10 * MINUTE).await;
    rig.look();
    let version = rig.slice("web")["metadata"]["resourceVersion"].clone();
    rig.pass(30 * MINUTE).await;
    let writes = rig.look().len();
    assert!((58..=62).contains(&writes), "{writes} writes in half an hour, two for each try");
    assert_eq!(rig.slice("web")["metadata"]["resourceVersion"], version);

    set_zone(&rig.api, "a1", "a");
    rig.pass(2 * MINUTE).await;
    let slice = rig.slice("web");
    let mut endpoints = slice["endpoints"].as_array().unwrap().iter();
    let first = endpoints.find(|one| one["targetRef"]["name"] == "web-1").unwrap();
    assert_eq!(first["hints"], json!({ "forZones": [{ "name": "a" }] }));
    assert_eq!(rig.metric(decided), 0.0);
    rig.look();
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.look().len(), 0, "all stands as planned");
}

/// The rule of another server may be stricter than ours. Such an endpoint is left out, and the rest
/// of the slice is still written.
#[tokio::test(start_paused = true)]
async fn an_endpoint_is_left_out_only_for_its_address() {
    let rig = Rig::settled(cluster(&["web-1", "web-2", "web-3"])).await;
    let slice = rig.slice("web");
    let at = slice["endpoints"].as_array().unwrap().iter();
    let at = at.clone().position(|one| one["targetRef"]["name"] == "web-1").unwrap();
    let field = format!("endpoints[{at}].addresses[0]");
    let invalid = |by_webhook| Effect::Invalid {
        field: field.clone(),
        value: "10.0.0.1".to_owned(),
        by_webhook,
    };
    // The same message from a webhook is ignored.
    rig.api.fault(on("PUT", "/endpointslices"), invalid(true));
    set_ready(&rig.api, "web-2", false);
    rig.pass(MINUTE).await;
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2", "web-3"]);
    rig.api.clear_faults();
    rig.pass(2 * MINUTE).await;
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2!", "web-3"]);

    rig.api.fault(on("PUT", "/endpointslices").times(1), invalid(false));
    set_ready(&rig.api, "web-3", false);
    rig.until_endpoints("web", &["web-2!", "web-3!"]).await;
    // The next try brings it back, as it is no longer refused.
    let took = rig.until_endpoints("web", &["web-1", "web-2!", "web-3!"]).await;
    assert!(took < SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slice_is_sent_twice_more_at_most() {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2", "web-3", "web-4"])).await;
    rig.look();
    for at in 0..3 {
        let (field, value) = (format!("endpoints[{at}].zone"), "x".to_owned());
        let effect = Effect::Invalid { field, value, by_webhook: false };
        rig.api.fault(on("PUT", "/endpointslices").times(1), effect);
    }
    set_ready(&rig.api, "web-1", false);
    rig.pass(50 * MS).await;
    let zones = |seen: &fake_api::Seen| {
        let endpoints = seen.body["endpoints"].as_array().unwrap().iter();
        endpoints.filter(|one| !one["zone"].is_null()).count()
    };
    assert_eq!(rig.look().iter().map(zones).collect::<Vec<_>>(), [4, 3, 2]);
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2", "web-3", "web-4"]);
    // Then it is a failure like any other.
    rig.until_endpoints("web", &["web-1!", "web-2", "web-3", "web-4"]).await;
    assert_eq!(rig.look().iter().map(zones).collect::<Vec<_>>(), [4]);
}

/// The slices of the Service before are deleted when the same endpoints stand in new ones. As long
/// as these are refused, only what no pod stands in goes.
#[tokio::test(start_paused = true)]
async fn slices_are_not_deleted_whose_endpoints_are_refused_elsewhere() {
    let options = Options { settings: settings_of(1), ..Options::default() };
    let rig = Rig::settled_with(cluster(&["web-1", "web-2"]), options).await;
    rig.api.fault(on("POST", "/endpointslices"), Effect::Answer(422));
    remove(&rig.api, SERVICES, "web");
    rig.pass(SECOND).await;
    rig.api.put(SERVICES, service("web"));
    rig.pass(MINUTE).await;
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2"]);
    remove(&rig.api, PODS, "web-2");
    assert!(rig.until_endpoints("web", &["web-1"]).await < 2 * SECOND);
    rig.api.clear_faults();
    rig.pass(2 * MINUTE).await;
    assert_eq!(rig.endpoints("web"), ["web-1"]);
}
