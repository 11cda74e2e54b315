//! Pace: batches of pod events, and rewrites of hints behind changes of endpoints.

use std::time::Duration;

use fake_api::{
    FakeApi, Seen,
    collections::{NODES, PODS, SERVICES, SLICES},
    rig::*,
    samples::{name, pod, service},
};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn events_of_a_batch_period_are_one_write_and_the_window_does_not_slide() {
    let mut options = Options::default();
    options.settings.batch_period = 2 * SECOND;
    let pods: Vec<String> = (0..30).map(|number| format!("web-{number}")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    let mut rig = Rig::settled_with(api, options).await;
    let start = Instant::now();
    // An event every 100 ms for three seconds: the window ends in the middle of them.
    for pod in &pods {
        set_ready(&rig.api, pod, false);
        rig.pass(100 * MS).await;
    }
    rig.pass(MINUTE).await;
    let waits: Vec<_> =
        rig.look().iter().map(|seen| (seen.at - start).as_millis() / 100 * 100).collect();
    assert_eq!(waits, [2000, 4000]);
    assert!(rig.endpoints("web").iter().all(|endpoint| endpoint.ends_with('!')));
}

/// `PodAdds`, `PodUpdates` and `PodDelete` batching of upstream's controller
/// (docs/semantics.md 10.6): without a period, each of three events causes a sync. Within a
/// period, they cause only one, and a third event after it causes another.
#[tokio::test(start_paused = true)]
async fn pods_that_come_change_and_go_are_batched() {
    let pods = ["web-1", "web-2", "web-3"];
    for what in ["come", "change", "go"] {
        for (period, pause, expected) in
            [(Duration::ZERO, 200 * MS, 3), (SECOND, 200 * MS, 1), (SECOND, 1300 * MS, 2)]
        {
            let mut options = Options::default();
            options.settings.batch_period = period;
            let api = cluster(if what == "come" { &[] } else { &pods });
            api.put(SERVICES, service("web"));
            let mut rig = Rig::settled_with(api, options).await;
            for (name, wait) in pods.iter().zip([200 * MS, pause, MINUTE]) {
                match what {
                    "come" => drop(rig.api.put(PODS, pod(name))),
                    "change" => set_ready(&rig.api, name, false),
                    _ => remove(&rig.api, PODS, name),
                }
                rig.pass(wait).await;
            }
            assert_eq!(rig.methods(), vec!["PUT"; expected], "{what}, {period:?}, {pause:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_services_and_nodes_do_not_wait_for_the_batch_period() {
    let mut options = Options::default();
    options.settings.batch_period = 20 * SECOND;
    let rig = Rig::start_with(cluster(&["web-1"]), options);
    assert!(rig.until_endpoints("web", &["web-1"]).await < SECOND);
    edit(&rig.api, SERVICES, "web", |service| service["spec"]["ports"][0]["targetPort"] = json!(9));
    let took = rig.until("port 9", |rig| rig.slice("web")["ports"][0]["port"] == 9).await;
    assert!(took < SECOND, "{took:?}");
    edit(&rig.api, NODES, "/a1", |node| {
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("d");
    });
    let zone_of = |rig: &Rig| rig.slice("web")["endpoints"][0]["zone"].clone();
    let took = rig.until("zone d", |rig| zone_of(rig) == "d").await;
    assert!(took < SECOND, "{took:?}");
}

/// A hundred Services with two pods each.
fn hundred() -> (Vec<String>, FakeApi) {
    let services: Vec<String> = (0..100).map(|number| format!("s{number}")).collect();
    let pods: Vec<String> =
        services.iter().flat_map(|name| [format!("{name}-1"), format!("{name}-2")]).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    (services, api)
}

/// For five seconds, changes of one pod are written at once. Returns the writes of all other
/// Services in that time and in the minute after.
async fn pods_are_followed_at_once(rig: &mut Rig) -> Vec<Seen> {
    for _ in 0..5 {
        rig.pass(SECOND).await;
        set_ready(&rig.api, "s77-1", false);
        let took = rig.until_endpoints("s77", &["s77-1!", "s77-2"]).await;
        assert!(took <= 10 * MS, "{took:?}");
        set_ready(&rig.api, "s77-1", true);
        rig.until_endpoints("s77", &["s77-1", "s77-2"]).await;
    }
    rig.pass(MINUTE).await;
    rig.look().into_iter().filter(|seen| !seen.path.contains("/s77-")).collect()
}

#[tokio::test(start_paused = true)]
async fn hints_are_rewritten_at_their_rate_behind_changes_of_endpoints() {
    let (services, api) = hundred();
    let mut options = Options::default();
    options.settings.replan_qps = 10.0;
    let mut rig = Rig::settled_with(api, options).await;
    let start = Instant::now();
    for service in &services {
        edit(&rig.api, SERVICES, service, |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        });
    }
    let hints = pods_are_followed_at_once(&mut rig).await;
    assert_eq!(hints.len(), 99);
    for second in 1..=8 {
        let so_far = hints.iter().filter(|seen| seen.at - start < second * SECOND).count();
        let expected = 10 + 10 * second as usize;
        assert!(so_far.abs_diff(expected) <= 2, "{so_far} in {second} s");
    }
    assert!(hints[98].at - start < 10 * SECOND);
}

/// A hundred settled Services that prefer their zone. Ten of them a second are rewritten for zones
/// and hints alone.
async fn hundred_by_zone() -> Rig {
    let (services, api) = hundred();
    for service in &services {
        edit(&api, SERVICES, service, |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        });
    }
    let mut options = Options::default();
    options.settings.replan_qps = 10.0;
    Rig::settled_with(api, options).await
}

/// All nodes move to other zones, and all slices with them. A pod's change waits neither while that
/// is planned nor while it is written.
#[tokio::test(start_paused = true)]
async fn nodes_that_move_are_followed_behind_changes_of_endpoints() {
    let mut rig = hundred_by_zone().await;
    let start = Instant::now();
    for node in rig.api.list(NODES) {
        edit(&rig.api, NODES, &format!("/{}", name(&node)), |node| {
            node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("elsewhere");
        });
    }
    let moved = pods_are_followed_at_once(&mut rig).await;
    assert_eq!(moved.len(), 99);
    let after = moved[98].at - start;
    assert!((8 * SECOND..10 * SECOND).contains(&after), "one second, and 90 at 10/s: {after:?}");
    for slice in rig.api.list(SLICES) {
        for endpoint in slice["endpoints"].as_array().unwrap() {
            assert_eq!(endpoint["zone"], "elsewhere");
            assert_eq!(endpoint["hints"]["forZones"][0]["name"], "elsewhere");
        }
    }
}

/// A plan that was requested for endpoints may turn out to change only hints. Here, another client
/// removes the hints.
#[tokio::test(start_paused = true)]
async fn a_plan_that_changes_only_hints_is_paced_whatever_asked_for_it() {
    let mut rig = hundred_by_zone().await;
    let start = Instant::now();
    for slice in rig.api.list(SLICES) {
        edit(&rig.api, SLICES, name(&slice), |slice| {
            for endpoint in slice["endpoints"].as_array_mut().unwrap() {
                endpoint.as_object_mut().unwrap().remove("hints");
            }
        });
    }
    rig.pass(MINUTE).await;
    let writes = rig.look();
    assert_eq!(writes.len(), 100);
    let after = writes[99].at - start;
    assert!((10 * SECOND..11 * SECOND).contains(&after), "one second, and 90 at 10/s: {after:?}");
}

#[tokio::test(start_paused = true)]
async fn no_rate_means_no_limit() {
    let (services, api) = hundred();
    let mut options = Options::default();
    options.settings.replan_qps = 0.0;
    let mut rig = Rig::settled_with(api, options).await;
    for service in &services {
        edit(&rig.api, SERVICES, service, |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        });
    }
    rig.pass(SECOND).await;
    assert_eq!(rig.look().len(), 100);
}
