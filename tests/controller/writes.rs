//! Writes: one for each change, with the version that the plan is based on, and one writer per
//! Service.

use std::{collections::HashMap, time::Duration};

use fake_api::{
    collections::{NODES, PODS, SERVICES, SLICES},
    faults::{Effect, on},
    rig::*,
    samples::{name, pod},
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A change of one pod leads to one update, and its echo to nothing.
async fn one_update(rig: &mut Rig, is_ready: bool) {
    set_ready(&rig.api, "web-1", is_ready);
    let first = if is_ready { "web-1" } else { "web-1!" };
    rig.until_endpoints("web", &[first, "web-2"]).await;
    rig.pass(5 * MINUTE).await;
    assert_eq!(rig.methods(), ["PUT"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_written_once_and_its_echo_causes_nothing() {
    let mut rig = Rig::start(cluster(&["web-1", "web-2"]));
    rig.until_endpoints("web", &["web-1", "web-2"]).await;
    rig.pass(5 * MINUTE).await;
    assert_eq!(rig.methods(), ["POST"]);
    for is_ready in [false, true, false] {
        one_update(&mut rig, is_ready).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_before_the_answer_causes_nothing() {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    rig.api.fault(on("PUT", "/endpointslices"), Effect::DoAndDelay(5 * SECOND));
    one_update(&mut rig, false).await;
}

#[tokio::test(start_paused = true)]
async fn an_echo_long_after_the_answer_causes_nothing() {
    for late in [SECOND, 20 * SECOND, 5 * MINUTE] {
        let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
        rig.api.hold(SLICES);
        set_ready(&rig.api, "web-1", false);
        rig.pass(late).await;
        rig.api.release(SLICES);
        rig.pass(5 * MINUTE).await;
        assert_eq!(rig.methods(), ["PUT"], "{late:?} late");
    }
}

/// As in a rolling update: the first change is written at once, and later ones are batched.
#[tokio::test(start_paused = true)]
async fn changes_of_pods_in_a_row_are_gathered() {
    let names: Vec<_> = (0..100).map(|number| format!("web-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut rig = Rig::settled(cluster(&names)).await;
    let step = Duration::from_millis(5);
    for (number, name) in names.iter().enumerate() {
        set_ready(&rig.api, name, false);
        rig.pass(step).await;
        if number == 0 {
            assert_eq!(rig.methods(), ["PUT"]);
        }
    }
    rig.pass(SECOND).await;
    let writes = rig.methods().len();
    // Half a second at fifty a second, and ten at once.
    assert!((30..=37).contains(&writes), "{writes} writes");
    assert!(rig.endpoints("web").iter().all(|endpoint| endpoint.ends_with('!')));
}

/// If it were planned before the echo, the update would have a version that is out of date.
#[tokio::test(start_paused = true)]
async fn a_change_before_the_echo_waits_for_it() {
    let mut rig = Rig::settled(cluster(&["web-1", "web-2"])).await;
    rig.api.hold(SLICES);
    set_ready(&rig.api, "web-1", false);
    rig.pass(SECOND).await;
    set_ready(&rig.api, "web-2", false);
    rig.pass(10 * SECOND).await;
    assert_eq!(rig.methods(), ["PUT"]);
    rig.api.release(SLICES);
    let took = rig.until_endpoints("web", &["web-1!", "web-2!"]).await;
    assert!(took < SECOND, "{took:?}");
    assert_eq!(rig.methods(), ["PUT"], "and no conflict");
}

/// With a watch that has died silently, new endpoints are still added, some of them twice.
#[tokio::test(start_paused = true)]
async fn an_echo_is_not_waited_for_longer_than_half_a_minute() {
    let options = Options { settings: settings_of(1), ..Options::default() };
    let rig = Rig::settled_with(cluster(&["web-1"]), options).await;
    rig.api.hold(SLICES);
    rig.api.put(PODS, pod("web-2"));
    rig.pass(SECOND).await;
    rig.api.put(PODS, pod("web-3"));
    let what = "the third pod is served";
    let took = rig.until(what, |rig| rig.endpoints("web").contains(&"web-3".to_owned())).await;
    assert!((28 * SECOND..=31 * SECOND).contains(&took), "{took:?}");
    rig.api.release(SLICES);
    rig.pass(5 * SECOND).await;
    assert_eq!(rig.endpoints("web"), ["web-1", "web-2", "web-3"]);
}

#[tokio::test(start_paused = true)]
async fn changes_that_slices_do_not_show_write_nothing() {
    let mut rig = Rig::settled(cluster(&["web-1"])).await;
    edit(&rig.api, PODS, "web-1", |pod| pod["metadata"]["annotations"] = json!({ "a": "b" }));
    edit(&rig.api, SERVICES, "web", |service| service["status"] = json!({ "loadBalancer": {} }));
    edit(&rig.api, NODES, "/a1", |node| node["status"]["images"] = json!([]));
    rig.pass(MINUTE).await;
    assert_eq!(rig.look().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn updates_and_deletes_name_the_version_they_were_planned_on() {
    let options = Options { settings: settings_of(1), ..Options::default() };
    let mut rig = Rig::settled_with(cluster(&["web-1", "web-2"]), options).await;
    let before: HashMap<String, Value> =
        rig.slices("web").into_iter().map(|slice| (name(&slice).to_owned(), slice)).collect();
    set_ready(&rig.api, "web-1", false);
    remove(&rig.api, PODS, "web-2");
    rig.until_endpoints("web", &["web-1!"]).await;
    let writes = rig.look();
    assert_eq!(writes.len(), 2);
    for write in writes {
        let slice = &before[write.path.rsplit_once('/').unwrap().1]["metadata"];
        let given = match write.method.as_str() {
            "PUT" => &write.body["metadata"],
            _ => &write.body["preconditions"],
        };
        assert_eq!(given["resourceVersion"], slice["resourceVersion"], "{write:?}");
        assert_eq!(given["uid"], slice["uid"], "{write:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_is_gone_already_counts_as_deleted() {
    let options = Options { settings: settings_of(1), ..Options::default() };
    let mut rig = Rig::settled_with(cluster(&["web-1", "web-2"]), options).await;
    rig.api.hold(SLICES);
    let slices = rig.slices("web");
    let second = slices.iter().find(|slice| slice["endpoints"][0]["targetRef"]["name"] == "web-2");
    remove(&rig.api, SLICES, name(second.unwrap()));
    remove(&rig.api, PODS, "web-2");
    rig.pass(MINUTE).await;
    assert_eq!(rig.methods(), ["DELETE"], "answered with 404, and not tried again");
    rig.api.release(SLICES);
    rig.pass(MINUTE).await;
    assert_eq!(rig.look().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn so_many_services_are_written_at_once_and_no_more() {
    let pods: Vec<String> = (0..9).map(|service| format!("s{service}-1")).collect();
    let api = cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>());
    api.fault(on("POST", "/endpointslices"), Effect::Delay(SECOND));
    let start = Instant::now();
    let mut options = Options::default();
    options.settings.concurrency = 3;
    let rig = Rig::start_with(api, options);
    rig.pass(MINUTE).await;
    let seconds: Vec<_> =
        rig.writes().iter().map(|seen| (seen.at - start).as_millis() / 1000).collect();
    assert_eq!(seconds, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_service_never_has_two_writers() {
    let pods: Vec<String> = (0..4).map(|service| format!("s{service}-1")).collect();
    let rig = Rig::settled(cluster(&pods.iter().map(String::as_str).collect::<Vec<_>>())).await;
    rig.api.fault(on("PUT", "/endpointslices"), Effect::Delay(700 * MS));
    for round in 0..200_u32 {
        for pod in &pods {
            set_ready(&rig.api, pod, round % 2 == 0);
        }
        rig.pass(33 * MS).await;
    }
    rig.pass(MINUTE).await;
    let mut last: HashMap<String, Instant> = HashMap::new();
    for seen in rig.writes().iter().filter(|seen| seen.method == "PUT") {
        if let Some(earlier) = last.insert(seen.path.clone(), seen.at) {
            assert!(seen.at - earlier >= 700 * MS, "two at once: {}", seen.path);
        }
    }
    assert_eq!(rig.endpoints("s0"), ["s0-1!"], "as the last round left it");
}
