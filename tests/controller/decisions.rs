//! Decisions: one log line for each change, and one for all at the start.

use fake_api::{
    Seen,
    collections::{NODES, PODS, SERVICES, SLICES},
    rig::*,
    samples::{node, pod, service},
};
use serde_json::{Value, json};

use crate::log::Log;

/// The lines about changed decisions, each as `service prefer state reason`.
fn changes(log: &Log) -> Vec<String> {
    let field = |line: &str, name: &str| {
        let value = line.split_once(&format!(" {name}=")).unwrap().1;
        value.split(' ').next().unwrap().replace('"', "")
    };
    let line = |line: &String| {
        assert!(line.contains("INFO") && field(line, "namespace") == "shop", "{line}");
        ["service", "prefer", "state", "reason"].map(|name| field(line, name)).join(" ")
    };
    log.lines("the decision on a Service has changed").iter().map(line).collect()
}

fn prefer(rig: &Rig, service: &str, value: Option<&str>) {
    edit(&rig.api, SERVICES, service, |service| {
        service["spec"]["trafficDistribution"] = json!(value);
    });
}

#[tokio::test(start_paused = true)]
async fn a_start_says_it_in_one_line_and_each_change_in_one() {
    let log = Log::start();
    let api = cluster(&["web-1", "web-2", "web-3", "db-1", "cart-1"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    let rig = Rig::settled(api).await;
    let summary = log.lines("all Services have been planned");
    assert!(summary.len() == 1 && summary[0].contains("services=3"), "{summary:?}");
    assert!(summary[0].contains(r#"{"Applied": 1, "NoPreference": 2}"#), "{summary:?}");
    assert_eq!(changes(&log), [""; 0]);

    // Nothing that matters for the decision.
    set_ready(&rig.api, "db-1", false);
    edit(&rig.api, SERVICES, "web", |service| service["metadata"]["labels"] = json!({"a": "b"}));
    rig.api.put(SERVICES, service("new"));
    rig.pass(SECOND).await;
    assert_eq!(changes(&log), [""; 0]);

    let mut expected = Vec::new();
    let mut new = service("other");
    new["spec"]["trafficDistribution"] = json!("PreferSameNode");
    rig.api.put(PODS, pod("other-1"));
    rig.api.put(PODS, pod("other-2"));
    rig.api.put(PODS, pod("other-3"));
    rig.pass(SECOND).await;
    rig.api.put(SERVICES, new);
    rig.pass(SECOND).await;
    expected.push("other Node Applied Applied");
    assert_eq!(changes(&log), expected);
    prefer(&rig, "cart", Some("PreferSameZone"));
    rig.pass(SECOND).await;
    expected.push("cart Zone Partial ZoneEmpty");
    assert_eq!(changes(&log), expected);
    set_ready(&rig.api, "web-1", false);
    rig.pass(SECOND).await;
    expected.push("web Zone Partial ZoneEmpty");
    set_ready(&rig.api, "web-1", true);
    rig.pass(SECOND).await;
    expected.push("web Zone Applied Applied");
    prefer(&rig, "web", None);
    rig.pass(SECOND).await;
    expected.push("web  None NoPreference");
    assert_eq!(changes(&log), expected);
    rig.pass(10 * MINUTE).await;
    assert_eq!(changes(&log), expected);
}

/// A decision depends on how many zones there are and which of them send, wherever the Service's
/// pods run.
#[tokio::test(start_paused = true)]
async fn a_zone_that_comes_or_goes_concerns_all_that_prefer_locality() {
    let api = cluster(&["web-1", "web-2", "web-3", "db-1", "db-2", "db-3", "cart-1"]);
    for service in ["web", "db"] {
        edit(&api, SERVICES, service, |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        });
    }
    let rig = Rig::settled(api).await;
    let log = Log::start();
    let mut expected = Vec::new();
    let mut assert_changed = async |event: &str, reason: Option<&str>| {
        rig.pass(15 * SECOND).await;
        let state = if reason == Some("Applied") { "Applied" } else { "Partial" };
        let decided = |service| reason.map(|reason| format!("{service} Zone {state} {reason}"));
        expected.extend(["db", "web"].into_iter().filter_map(decided));
        assert_eq!(changes(&log), expected, "{event}");
    };
    let set_ready = |ready: &str| {
        edit(&rig.api, NODES, "/d1", |node| {
            node["status"]["conditions"][0]["status"] = json!(ready);
        });
    };
    rig.api.put(NODES, node("d1"));
    assert_changed("the first node of a zone", Some("ZoneEmpty")).await;
    rig.api.put(NODES, node("d2"));
    assert_changed("another node of it", None).await;
    remove(&rig.api, NODES, "/d2");
    assert_changed("one node less", None).await;
    set_ready("False");
    assert_changed("none of the zone sends", Some("Applied")).await;
    set_ready("True");
    assert_changed("one does", Some("ZoneEmpty")).await;
    remove(&rig.api, NODES, "/d1");
    assert_changed("the last node of a zone", Some("Applied")).await;
}

/// A replica that takes over has not seen the previous decisions, and logs all in one line.
#[tokio::test(start_paused = true)]
async fn a_restart_is_no_change() {
    let api = cluster(&["web-1"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    let rig = Rig::settled(api).await;
    let log = Log::start();
    let rig = rig.crash(Options::default()).await;
    rig.pass(MINUTE).await;
    assert_eq!(log.lines("all Services have been planned").len(), 1);
    assert_eq!(changes(&log), [""; 0]);
}

/// While it is not served, a Service has no decision.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_served_again_has_a_new_decision() {
    let api = cluster(&["web-1", "web-2", "web-3"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    let rig = Rig::settled(api).await;
    let log = Log::start();
    let selector = service("web")["spec"]["selector"].clone();
    edit(&rig.api, SERVICES, "web", |service| service["spec"]["selector"] = json!(null));
    rig.pass(SECOND).await;
    assert_eq!(changes(&log), [""; 0]);
    edit(&rig.api, SERVICES, "web", |service| service["spec"]["selector"] = selector);
    rig.pass(SECOND).await;
    assert_eq!(changes(&log), ["web Zone Applied Applied"]);
}

/// A slice of another manager changes what proxies do, though closehaul has nothing to write.
#[tokio::test(start_paused = true)]
async fn a_foreign_slice_concerns_the_decision() {
    let api = cluster(&["web-1", "web-2", "web-3"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    let rig = Rig::settled(api).await;
    let log = Log::start();
    let mut expected = Vec::new();
    let mut assert_changed = async |event: &str, decision: Option<&str>| {
        rig.pass(5 * SECOND).await;
        expected.extend(decision.map(|decision| format!("web Zone {decision}")));
        assert_eq!(changes(&log), expected, "{event}");
    };
    let port = rig.slice("web")["ports"].clone();
    let foreign = |endpoint: Value| {
        json!({
            "metadata": {"namespace": "shop", "name": "by-hand", "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "example.com"}},
            "addressType": "IPv4", "ports": port, "endpoints": [endpoint],
        })
    };
    rig.api.put(SLICES, foreign(json!({"addresses": ["10.9.9.9"]})));
    assert_changed("without hints", Some("Ineffective ForeignSliceWithoutHints")).await;
    let lines = log.lines("the decision on a Service has changed");
    assert!(lines[0].contains("slice by-hand of example.com without hints"), "{}", lines[0]);
    rig.api.put(
        SLICES,
        foreign(json!({"addresses": ["10.9.9.9"],
        "hints": {"forZones": [{"name": "a"}]}, "zone": "a"})),
    );
    assert_changed("with hints", Some("Applied Applied")).await;
    rig.api.put(
        SLICES,
        foreign(json!({"addresses": ["10.9.9.9"],
        "hints": {"forZones": [{"name": "a"}]}, "zone": "b"})),
    );
    assert_changed("from another zone", Some("Partial Lent")).await;
    edit(&rig.api, SLICES, "by-hand", |slice| slice["metadata"]["annotations"] = json!({"a": "b"}));
    assert_changed("what proxies do not read", None).await;
    remove(&rig.api, SLICES, "by-hand");
    assert_changed("gone", Some("Applied Applied")).await;
    let foreign = |seen: &Seen| seen.method != "GET" && seen.path.contains("by-hand");
    assert_eq!(rig.api.count(|seen| foreign(seen)), 0, "it is not ours to write");
}
