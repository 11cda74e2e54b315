//! Metrics: what they show after a known history.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use closehaul::{clock::Clock, control::lease::leadership, plan};
use fake_api::{
    collections::{NODES, PODS, POLICIES, SERVICES, SLICES},
    faults::{Effect, on},
    rig::*,
    samples::bad_pod,
};
use serde_json::{Value, json};

/// A metric of the built-in controller.
fn slices(rig: &Rig, series: &str) -> f64 {
    rig.metric(&format!("endpoint_slice_controller_{series}"))
}

/// A metric of the work queue.
fn queue(rig: &Rig, name: &str) -> f64 {
    rig.metric(&format!("workqueue_{name}{{name=\"endpoint_slice\"}}"))
}

/// A metric of closehaul.
fn own(rig: &Rig, series: &str) -> f64 {
    rig.metric(&format!("closehaul_{series}"))
}

/// Count and sum of a histogram.
fn observed(rig: &Rig, name: &str, labels: &str) -> [f64; 2] {
    ["count", "sum"].map(|part| rig.metric(&format!("{name}_{part}{labels}")))
}

/// Endpoints, slices, slices that would be enough.
fn sums(rig: &Rig) -> [f64; 3] {
    ["endpoints_desired", "num_endpoint_slices", "desired_endpoint_slices"]
        .map(|series| slices(rig, series))
}

fn prefer(rig: &Rig, service: &str, value: Value) {
    edit(&rig.api, SERVICES, service, |service| {
        service["spec"]["trafficDistribution"] = value;
    });
}

async fn of_two(pods: &[&str]) -> Rig {
    let options = Options { settings: settings_of(2), ..Options::default() };
    Rig::settled_with(cluster(pods), options).await
}

#[tokio::test(start_paused = true)]
async fn the_sums_follow_each_service() {
    let rig = of_two(&["web-1", "web-2", "web-3", "web-4", "web-5", "db-1"]).await;
    assert_eq!(sums(&rig), [6.0, 4.0, 4.0]);
    // Nothing is compacted: one endpoint less in each of two slices.
    let slices = rig.slices("web");
    let full = slices.iter().filter(|slice| slice["endpoints"].as_array().unwrap().len() == 2);
    for slice in full {
        let pod = slice["endpoints"][0]["targetRef"]["name"].as_str().unwrap();
        remove(&rig.api, PODS, pod);
    }
    rig.pass(SECOND).await;
    assert_eq!(sums(&rig), [4.0, 4.0, 3.0]);
    remove(&rig.api, PODS, "db-1");
    rig.pass(SECOND).await;
    assert_eq!(sums(&rig), [3.0, 4.0, 3.0], "the placeholder");
    remove(&rig.api, SERVICES, "web");
    rig.pass(SECOND).await;
    assert_eq!(sums(&rig), [0.0, 1.0, 1.0]);
    edit(&rig.api, SERVICES, "db", |service| service["spec"]["type"] = json!("ExternalName"));
    rig.pass(SECOND).await;
    assert_eq!(sums(&rig), [0.0; 3], "it is not served any more");
}

/// Upstream shows only the last address type (docs/semantics.md 7).
#[tokio::test(start_paused = true)]
async fn the_sums_are_of_both_address_types() {
    let api = cluster(&["web-1", "web-2"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
    });
    edit(&api, PODS, "web-1", |pod| {
        pod["status"]["podIPs"] = json!([{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }]);
    });
    let rig = Rig::settled(api).await;
    assert_eq!(sums(&rig), [3.0, 2.0, 2.0]);
    assert_eq!(own(&rig, "ready_endpoints"), 3.0);
    edit(&rig.api, SERVICES, "web", |service| service["spec"]["ipFamilies"] = json!(["IPv4"]));
    rig.pass(SECOND).await;
    assert_eq!(sums(&rig), [2.0, 1.0, 1.0]);
    assert_eq!(slices(&rig, "changes{operation=\"delete\"}"), 1.0);
    let labels = "{topology=\"Disabled\",traffic_distribution=\"\"}";
    let [_, written] =
        observed(&rig, "endpoint_slice_controller_endpointslices_changed_per_sync", labels);
    assert_eq!(written, 2.0, "the slice of the address type that is gone does not count");
}

#[tokio::test(start_paused = true)]
async fn endpoints_added_and_removed() {
    let rig = Rig::settled(cluster(&["web-1", "web-2", "web-3"])).await;
    let added = || observed(&rig, "endpoint_slice_controller_endpoints_added_per_sync", "");
    let removed = || observed(&rig, "endpoint_slice_controller_endpoints_removed_per_sync", "");
    let [before, sum] = added();
    assert_eq!(sum, 3.0);
    assert_eq!(removed(), [before, 0.0]);
    remove(&rig.api, PODS, "web-1");
    rig.pass(SECOND).await;
    assert_eq!((added(), removed()), ([before + 1.0, 3.0], [before + 1.0, 1.0]));
    let bucket = "endpoint_slice_controller_endpoints_added_per_sync_bucket";
    assert_eq!(rig.metric(&format!("{bucket}{{le=\"2\"}}")), before);
    assert_eq!(rig.metric(&format!("{bucket}{{le=\"4\"}}")), before + 1.0);
    assert_eq!(rig.metric(&format!("{bucket}{{le=\"32768\"}}")), before + 1.0);
}

#[tokio::test(start_paused = true)]
async fn services_by_the_preference_that_is_in_force() {
    let rig = Rig::settled(cluster(&["web-1", "db-1"])).await;
    let counts = || {
        ["PreferClose", "PreferSameZone", "PreferSameNode"].map(|value| {
            let series = "services_count_by_traffic_distribution";
            slices(&rig, &format!("{series}{{traffic_distribution=\"{value}\"}}"))
        })
    };
    assert_eq!(counts(), [0.0; 3]);
    prefer(&rig, "web", json!("PreferClose"));
    prefer(&rig, "db", json!("PreferSameNode"));
    rig.pass(SECOND).await;
    assert_eq!(counts(), [1.0, 0.0, 1.0]);
    prefer(&rig, "web", json!("PreferSameZone"));
    edit(&rig.api, SERVICES, "db", |service| {
        service["metadata"]["annotations"] =
            json!({ "service.kubernetes.io/topology-mode": "Auto" });
    });
    rig.pass(SECOND).await;
    assert_eq!(counts(), [0.0, 1.0, 0.0], "the annotation outweighs the field");
    let changed = "endpoint_slice_controller_endpointslices_changed_per_sync_sum";
    let sum = |topology: &str, preference: &str| {
        let labels = format!("topology=\"{topology}\",traffic_distribution=\"{preference}\"");
        rig.metric(&format!("{changed}{{{labels}}}"))
    };
    assert_eq!((sum("Disabled", ""), sum("Disabled", "PreferClose")), (2.0, 1.0));
    assert_eq!((sum("Disabled", "PreferSameZone"), sum("Disabled", "PreferSameNode")), (0.0, 1.0));
    assert_eq!(sum("Auto", ""), 1.0, "it took the node's hint away");
    remove(&rig.api, SERVICES, "web");
    rig.pass(SECOND).await;
    assert_eq!(counts(), [0.0; 3]);
}

#[tokio::test(start_paused = true)]
async fn work_that_succeeds_and_work_that_fails() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    let syncs = |result: &str| slices(&rig, &format!("syncs{{result=\"{result}\"}}"));
    let before = syncs("success");
    assert!(before >= 1.0);
    assert_eq!((syncs("error"), syncs("stale")), (0.0, 0.0));
    let adds = queue(&rig, "adds_total");
    rig.api.fault(on("PUT", "/endpointslices").times(2), Effect::Answer(500));
    set_ready(&rig.api, "web-1", false);
    rig.pass(5 * SECOND).await;
    assert_eq!((syncs("success"), syncs("error")), (before + 1.0, 2.0));
    assert_eq!(queue(&rig, "adds_total"), adds + 1.0, "retries are counted apart");
    assert_eq!(queue(&rig, "retries_total"), 2.0);
    assert_eq!(own(&rig, "retries_total{reason=\"refused\"}"), 2.0);
    let labels = "{topology=\"Disabled\",traffic_distribution=\"\"}";
    let changed = "endpoint_slice_controller_endpointslices_changed_per_sync";
    assert_eq!(observed(&rig, changed, labels)[1], 2.0, "only what was written");
    let duration = observed(&rig, "workqueue_work_duration_seconds", "{name=\"endpoint_slice\"}");
    assert_eq!(duration[0], syncs("success") + syncs("error"));
}

#[tokio::test(start_paused = true)]
async fn own_writes_that_stay_unseen_are_stale() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    rig.api.hold(SLICES);
    set_ready(&rig.api, "web-1", false);
    rig.pass(29 * SECOND).await;
    assert_eq!(slices(&rig, "syncs{result=\"stale\"}"), 0.0);
    rig.pass(5 * SECOND).await;
    assert_eq!(slices(&rig, "syncs{result=\"stale\"}"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_is_in_work() {
    let mut options = Options::default();
    options.settings.concurrency = 1;
    options.settings.plan = plan::Settings::with(1);
    let mut pods: Vec<String> = (0..22).map(|number| format!("web-{number}")).collect();
    pods.extend(["db-1", "mq-1"].map(str::to_owned));
    let world = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    let rig = Rig::settled_with(world, options).await;
    // The Service with many slices takes twenty seconds.
    rig.api.fault(on("PUT", "/endpointslices"), Effect::Delay(900 * MS));
    for pod in &pods {
        set_ready(&rig.api, pod, false);
    }
    rig.pass(10 * SECOND).await;
    assert_eq!(queue(&rig, "depth"), 2.0);
    assert_eq!(own(&rig, "queue_services{class=\"endpoints\"}"), 2.0);
    for seconds in [
        queue(&rig, "unfinished_work_seconds"),
        queue(&rig, "longest_running_processor_seconds"),
        own(&rig, "queue_oldest_seconds"),
    ] {
        assert!((8.5..=10.0).contains(&seconds), "{seconds}");
    }
    rig.pass(15 * SECOND).await;
    assert_eq!((queue(&rig, "depth"), queue(&rig, "unfinished_work_seconds")), (0.0, 0.0));
    assert_eq!(own(&rig, "queue_oldest_seconds"), 0.0);
    let waits =
        rig.metric("workqueue_queue_duration_seconds_bucket{name=\"endpoint_slice\",le=\"10\"}");
    let [all, sum] =
        observed(&rig, "workqueue_queue_duration_seconds", "{name=\"endpoint_slice\"}");
    assert_eq!(all - waits, 2.0, "two of them waited for the third's twenty seconds");
    assert!((39.0..42.0).contains(&sum), "{sum}");
}

#[tokio::test(start_paused = true)]
async fn from_the_event_to_the_slice() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    let took = |trigger: &str| {
        observed(&rig, "closehaul_propagation_seconds", &format!("{{trigger=\"{trigger}\"}}"))
    };
    assert_eq!((took("pod")[0], took("node")[0]), (0.0, 0.0), "the start is no event");
    rig.api.fault(on("PUT", "/endpointslices").times(1), Effect::DoAndDelay(2 * SECOND));
    set_ready(&rig.api, "web-1", false);
    rig.pass(5 * SECOND).await;
    let [count, sum] = took("pod");
    assert!(count == 1.0 && (2.0..2.1).contains(&sum), "{count} {sum}");

    // Failures count from the event on, and are reported once they are over.
    rig.api.fault(on("PUT", "/endpointslices").times(3), Effect::Answer(500));
    edit(&rig.api, NODES, "/a1", |node| {
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("d");
    });
    rig.pass(5 * SECOND).await;
    let [count, sum] = took("node");
    assert!(count == 1.0 && (0.7..0.9).contains(&sum), "{count} {sum}");
    assert_eq!(took("pod")[0], 1.0);

    // A change that needs no write is not measured.
    edit(&rig.api, PODS, "web-1", |pod| pod["metadata"]["labels"]["x"] = json!("y"));
    rig.pass(5 * SECOND).await;
    assert_eq!(took("pod")[0], 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_copy_on_standby() {
    let (_sender, leadership) = leadership(Clock::runtime());
    let rig = Rig::start_led(cluster(&["web-1", "db-1"]), Options::default(), leadership);
    rig.pass(MINUTE).await;
    set_ready(&rig.api, "web-1", false);
    rig.pass(MINUTE).await;
    assert_eq!((own(&rig, "leader"), own(&rig, "queue_oldest_seconds")), (0.0, 0.0));
    assert_eq!(queue(&rig, "depth"), 2.0);
    assert_eq!(sums(&rig), [0.0; 3]);
    assert_eq!(own(&rig, "index_objects{kind=\"pods\"}"), 2.0);
    assert!(rig.health.readiness().iter().all(|check| check.wrong.is_none()));
    assert!(
        rig.health.liveness(tokio::time::Instant::now()).iter().all(|check| check.wrong.is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_in_memory() {
    let rig = Rig::settled(cluster(&["web-1", "web-2", "db-1"])).await;
    let count = |kind: &str| own(&rig, &format!("index_objects{{kind=\"{kind}\"}}"));
    let all = || ["services", "pods", "nodes", "endpointslices"].map(count);
    assert_eq!(all(), [2.0, 3.0, 3.0, 2.0]);
    assert_eq!(own(&rig, "leader"), 1.0);
    remove(&rig.api, PODS, "web-1");
    remove(&rig.api, SERVICES, "db");
    rig.pass(2 * SECOND).await;
    assert_eq!(all(), [1.0, 2.0, 3.0, 2.0], "slices are the garbage collector's");
}

#[tokio::test(start_paused = true)]
async fn decisions_and_how_far_hints_reach() {
    let api = cluster(&["web-1", "web-2", "web-3", "db-1"]);
    let rig = Rig::settled(api).await;
    let decided = |state: &str, reason: &str| {
        own(&rig, &format!("services{{reason=\"{reason}\",state=\"{state}\"}}"))
    };
    let coverage = || {
        ["ready_endpoints", "ready_endpoints_without_zone", "ready_endpoints_hinted"]
            .map(|series| own(&rig, series))
    };
    assert_eq!((decided("None", "NoPreference"), coverage()), (2.0, [4.0, 0.0, 0.0]));
    prefer(&rig, "web", json!("PreferSameZone"));
    rig.pass(SECOND).await;
    assert_eq!((decided("None", "NoPreference"), decided("Applied", "Applied")), (1.0, 1.0));
    assert_eq!(coverage(), [4.0, 0.0, 3.0]);
    set_ready(&rig.api, "web-3", false);
    rig.pass(SECOND).await;
    assert_eq!((decided("Applied", "Applied"), decided("Partial", "ZoneEmpty")), (0.0, 1.0));
    edit(&rig.api, NODES, "/a1", |node| {
        node["metadata"]["labels"] = json!({});
    });
    rig.pass(SECOND).await;
    assert_eq!(decided("Ineffective", "EndpointWithoutZone"), 1.0);
    assert_eq!(coverage(), [3.0, 2.0, 1.0]);
    remove(&rig.api, SERVICES, "web");
    rig.pass(SECOND).await;
    assert_eq!(decided("Ineffective", "EndpointWithoutZone"), 0.0);
    assert_eq!(coverage(), [1.0, 1.0, 0.0]);
}

/// The rig's metrics have room for two Services.
#[tokio::test(start_paused = true)]
async fn series_of_single_services_are_bounded() {
    let rig = Rig::settled(cluster(&["a-1", "b-1", "b-2", "c-1"])).await;
    let ready = |name: &str| {
        own(&rig, &format!("service_ready_endpoints{{namespace=\"shop\",service=\"{name}\"}}"))
    };
    let shown = || ["a", "b", "c"].into_iter().filter(|name| ready(name) > 0.0).collect::<Vec<_>>();
    assert_eq!((shown().len(), own(&rig, "service_series_left_out")), (2, 1.0));
    let gone = shown()[0];
    let hidden = ["a", "b", "c"].into_iter().find(|name| !shown().contains(name)).unwrap();
    remove(&rig.api, SERVICES, gone);
    rig.pass(SECOND).await;
    assert_eq!((ready(gone), own(&rig, "service_series_left_out")), (0.0, 1.0));
    prefer(&rig, hidden, json!("PreferSameZone"));
    rig.pass(SECOND).await;
    assert_eq!((ready(hidden) > 0.0, own(&rig, "service_series_left_out")), (true, 0.0));
    let text = rig.metrics.text().unwrap();
    let info = text.lines().filter(|line| line.starts_with("closehaul_service_info{"));
    assert_eq!(info.count(), 2, "one line for each Service, whatever its state was");
}

/// With three zones of equal demand, two endpoints in zone a, one in b and one in c.
#[tokio::test(start_paused = true)]
async fn how_local_the_traffic_is_and_would_be() {
    let api = cluster(&["web-0", "web-1", "web-2", "web-4"]);
    api.install();
    let rig = Rig::settled(api).await;
    let shown = || {
        let text = rig.metrics.text().unwrap();
        let is_shown = |name: &str| text.lines().any(|line| line.starts_with(&format!("{name} ")));
        ["closehaul_planned_in_zone_ratio", "closehaul_worst_overload_ratio"]
            .map(|name| is_shown(name).then(|| format!("{:.2}", rig.metric(name))))
    };
    let some = |numbers: [&str; 2]| numbers.map(|number| Some(number.to_owned()));
    assert_eq!(shown(), [None, None], "nothing prefers locality");
    prefer(&rig, "web", json!("PreferSameZone"));
    rig.pass(5 * SECOND).await;
    assert_eq!(shown(), some(["1.00", "0.33"]));

    // What a policy would do is predicted.
    let spec = json!({ "mode": "Shadow", "guard": { "maxOverloadPercent": 20 } });
    let metadata = json!({ "namespace": "shop", "name": "guard" });
    rig.api.put(POLICIES, json!({ "metadata": metadata, "spec": spec }));
    rig.pass(5 * SECOND).await;
    assert_eq!(shown(), some(["0.61", "0.11"]));
    remove(&rig.api, SERVICES, "web");
    rig.pass(5 * SECOND).await;
    assert_eq!(shown(), [None, None]);
}

/// Each takes another plan, which must not take the place of what is due.
#[tokio::test(start_paused = true)]
async fn few_services_are_measured_each_second() {
    let names: Vec<String> = (0..50).map(|number| format!("web{number}-1")).collect();
    let api = cluster(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let options = Options { services: 50, ..Options::default() };
    for number in 0..50 {
        edit(&api, SERVICES, &format!("web{number}"), |service| {
            service["spec"]["trafficDistribution"] = json!("PreferSameZone");
        });
    }
    let rig = Rig::start_with(api, options);
    let measured = || {
        let text = rig.metrics.text().unwrap();
        let series = "closehaul_service_overload_ratio{";
        text.lines().filter(|line| line.starts_with(series)).count()
    };
    let mut before = 0;
    for _ in 0..10 {
        rig.pass(SECOND).await;
        let now = measured();
        assert!(now <= before + 20, "{before}, then {now}");
        before = now;
    }
    assert_eq!(before, 50);
}

#[tokio::test(start_paused = true)]
async fn writes_are_counted_by_what_came_of_them() {
    let rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    set_ready(&rig.api, "web-1", false);
    rig.pass(5 * SECOND).await;
    prefer(&rig, "web", json!("PreferSameZone"));
    rig.pass(5 * SECOND).await;
    let changes = |operation: &str| slices(&rig, &format!("changes{{operation=\"{operation}\"}}"));
    assert_eq!((changes("create"), changes("update"), changes("delete")), (1.0, 2.0, 0.0));
    let written = |kind: &str, operation: &str, result: &str| {
        let labels = format!("kind=\"{kind}\",operation=\"{operation}\",result=\"{result}\"");
        own(&rig, &format!("writes_total{{{labels}}}"))
    };
    assert_eq!(written("endpoints", "create", "done"), 1.0);
    assert_eq!(written("endpoints", "update", "done"), 1.0);
    assert_eq!(written("hints", "update", "done"), 1.0);
    let took = observed(&rig, "closehaul_write_duration_seconds", "{operation=\"update\"}");
    assert_eq!(took[0], 2.0);

    for (code, result) in [(500, "refused"), (409, "conflict"), (429, "busy")] {
        rig.api.fault(on("PUT", "/endpointslices"), Effect::Answer(code));
        edit(&rig.api, PODS, "web-2", |pod| {
            pod["metadata"]["labels"]["n"] = json!(result);
            pod["status"]["podIPs"] = json!([{ "ip": format!("10.9.0.{}", code % 256) }]);
        });
        rig.pass(10 * SECOND).await;
        assert!(written("endpoints", "update", result) >= 1.0, "{result}");
        rig.api.clear_faults();
        rig.pass(MINUTE).await;
    }
    assert_eq!(changes("update"), 5.0, "what failed has changed nothing");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_watch_is_counted_by_kind_and_cause() {
    let api = cluster(&["web-1"]);
    api.fault(on("GET", "/pods"), Effect::Answer(403));
    api.put(PODS, bad_pod("web-2"));
    let rig = Rig::start(api);
    rig.pass(10 * SECOND).await;
    let failed = own(&rig, "watch_restarts_total{kind=\"pods\",reason=\"forbidden\"}");
    assert!((2.0..20.0).contains(&failed), "{failed}");
    assert_eq!(own(&rig, "decode_errors_total{kind=\"pods\"}"), 0.0);
    let wrong: Vec<_> =
        rig.health.readiness().into_iter().filter(|check| check.wrong.is_some()).collect();
    assert_eq!((wrong.len(), wrong[0].name), (1, "pods"));
    let why = wrong[0].wrong.as_ref().unwrap();
    assert!(why.starts_with("not listed yet: "), "{why}");
    rig.api.clear_faults();
    rig.pass(MINUTE).await;
    assert!(rig.health.readiness().iter().all(|check| check.wrong.is_none()));
    assert_eq!(own(&rig, "decode_errors_total{kind=\"pods\"}"), 1.0);
    assert_eq!(own(&rig, "decode_errors_total{kind=\"services\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_main_loop_that_stands_still_is_told() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    rig.pass(10 * MINUTE).await;
    let health = rig.health.clone();
    let wrong = || {
        let checks = health.liveness(tokio::time::Instant::now());
        checks.into_iter().filter_map(|check| check.wrong).collect::<Vec<_>>()
    };
    assert_eq!(wrong(), [""; 0]);
    rig.abort().await;
    tokio::time::sleep(2 * MINUTE).await;
    assert!(wrong()[0].contains("the main loop has made no progress for 1"), "{:?}", wrong());
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_counted_and_its_age_is_shown() {
    let rig = Rig::settled(cluster(&["web-1"])).await;
    let resumed = "allowWatchBookmarks=true&resourceVersion=1";
    rig.api.fault(on("GET", "/pods").query(resumed).times(1), Effect::Silence);
    rig.api.end_watches();
    rig.pass(60 * SECOND).await;
    let age = own(&rig, "watch_last_event_seconds{kind=\"pods\"}");
    assert!((58.0..=60.0).contains(&age), "{age}");
    let silent = |kind| format!("watch_restarts_total{{kind=\"{kind}\",reason=\"silent\"}}");
    assert_eq!(own(&rig, &silent("pods")), 0.0);
    rig.pass(30 * SECOND).await;
    assert_eq!([own(&rig, &silent("pods")), own(&rig, &silent("nodes"))], [1.0, 0.0]);
    assert!(own(&rig, "watch_last_event_seconds{kind=\"pods\"}") < 30.0);
}
