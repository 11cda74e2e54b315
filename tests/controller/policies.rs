//! Policies and evacuations in the running controller: what they change, what is written while they
//! are not known, and when they come and go.

use fake_api::{
    FakeApi,
    collections::{
        CLUSTER_POLICIES, EVACUATIONS, NAMESPACES, NODES, PODS, POLICIES, SERVICES, SLICES,
    },
    faults::{Effect, on},
    rig::*,
    samples::{node, pod, ready_condition, service},
};
use serde_json::{Value, json};

/// A guard under which two endpoints of a zone may not carry much more than the even share.
fn guarded(name: &str) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": name },
        "spec": { "prefer": ["Zone"], "guard": { "maxOverloadPercent": 20 } },
    })
}

fn prefer_zone() -> Value {
    json!({ "metadata": { "name": "all" }, "spec": { "prefer": ["Zone"] } })
}

/// Evacuates zone a from now on, for this many seconds.
fn evacuation(api: &FakeApi, seconds: i64) -> Value {
    let until = api.wall_clock().now() + jiff::SignedDuration::from_secs(seconds);
    json!({
        "metadata": { "name": "a-1" },
        "spec": { "zones": ["a"], "until": until.to_string() },
    })
}

/// The names of the zones that each pod of a Service is hinted to, sorted: `web-1: a`.
fn hints(rig: &Rig, service: &str) -> Vec<String> {
    let slices = rig.slices(service);
    let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
    let text = |endpoint: &Value| {
        let zones = endpoint["hints"]["forZones"].as_array().cloned().unwrap_or_default();
        let zones: Vec<_> = zones.iter().map(|zone| zone["name"].as_str().unwrap()).collect();
        format!("{}: {}", endpoint["targetRef"]["name"].as_str().unwrap(), zones.join(" "))
    };
    let mut hints: Vec<_> = endpoints.map(text).collect();
    hints.sort();
    hints
}

/// How many writes of slices there were since the last look.
fn slices_written(rig: &mut Rig) -> usize {
    rig.look().iter().filter(|seen| seen.path.contains("/endpointslices")).count()
}

/// A cluster whose API server has closehaul's own kinds.
fn installed(pods: &[&str]) -> FakeApi {
    let api = cluster(pods);
    api.install();
    api
}

const SPREAD: [&str; 3] = ["web-0", "web-1", "web-2"];
const OWN: [&str; 3] = ["web-0: c", "web-1: a", "web-2: b"];
const NONE: [&str; 3] = ["web-0: ", "web-1: ", "web-2: "];

#[tokio::test(start_paused = true)]
async fn a_policy_applies_changes_and_goes() {
    let api = installed(&SPREAD);
    let mut rig = Rig::settled(api.clone()).await;
    assert_eq!(hints(&rig, "web"), NONE);
    let before = rig.slice("web")["endpoints"].clone();
    api.put(CLUSTER_POLICIES, prefer_zone());
    rig.pass(SECOND).await;
    assert_eq!(
        (hints(&rig, "web"), rig.methods()),
        (OWN.map(Into::into).into(), vec!["PUT".into()])
    );
    api.put(
        POLICIES,
        json!({
            "metadata": { "namespace": "shop", "name": "not-here" }, "spec": { "prefer": [] },
        }),
    );
    rig.pass(SECOND).await;
    assert_eq!(hints(&rig, "web"), NONE, "a policy of the namespace comes first");
    api.delete(POLICIES, "shop", "not-here");
    rig.pass(SECOND).await;
    assert_eq!(hints(&rig, "web"), OWN);
    api.delete(CLUSTER_POLICIES, "", "all");
    rig.pass(SECOND).await;
    assert_eq!(rig.slice("web")["endpoints"], before, "as without policies");
}

#[tokio::test(start_paused = true)]
async fn a_policy_affects_only_the_services_that_it_is_for() {
    let api = installed(&["web-0", "web-1", "db-0", "other/web-1"]);
    let mut rig = Rig::settled(api.clone()).await;
    api.put(
        POLICIES,
        json!({
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": { "services": { "names": ["web"] }, "prefer": ["Zone"] },
        }),
    );
    rig.pass(SECOND).await;
    let mut written = rig.look();
    written.retain(|seen| seen.path.contains("/endpointslices"));
    assert_eq!(written.len(), 1, "{written:#?}");
    assert!(written[0].writes_slice_of("web"));
    assert_eq!(hints(&rig, "web"), ["web-0: c", "web-1: a"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_kinds_nothing_waits_and_they_may_come_later() {
    let api = cluster(&SPREAD);
    let rig = Rig::start(api.clone());
    let took = rig.until_endpoints("web", &SPREAD).await;
    assert!(took < SECOND, "{took:?}");
    api.install();
    api.put(CLUSTER_POLICIES, prefer_zone());
    let took = rig.until("hints", |rig| hints(rig, "web") == OWN).await;
    assert!(took <= 16 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_sync_waits_for_policies_for_a_while() {
    let api = installed(&SPREAD);
    api.put(CLUSTER_POLICIES, prefer_zone());
    api.fault(on("GET", "/clusterlocalitypolicies"), Effect::Delay(3 * SECOND));
    let rig = Rig::start(api.clone());
    rig.until("slices", |rig| !rig.slices("web").is_empty()).await;
    assert_eq!(hints(&rig, "web"), OWN, "written once, with hints");
    assert_eq!(rig.writes().len(), 1);
}

/// Policies that cannot be read are no reason to leave dead endpoints in slices, nor to drop hints.
#[tokio::test(start_paused = true)]
async fn while_policies_may_not_be_read_endpoints_are_right_and_hints_stay() {
    let api = installed(&["web-0", "web-1", "web-2", "plain-1"]);
    api.put(
        CLUSTER_POLICIES,
        json!({
            "metadata": { "name": "all" },
            "spec": { "services": { "names": ["web"] }, "prefer": ["Zone"] },
        }),
    );
    let rig = Rig::settled(api.clone()).await;
    assert_eq!(hints(&rig, "web"), OWN);
    api.fault(on("GET", "/clusterlocalitypolicies"), Effect::Answer(403));
    let mut rig = rig.crash(Options::default()).await;
    rig.look();
    rig.pass(10 * SECOND).await;
    assert_eq!(slices_written(&mut rig), 0, "nothing to write");
    api.put(PODS, pod("web-4"));
    set_ready(&api, "web-1", false);
    set_ready(&api, "plain-1", false);
    rig.pass(10 * MINUTE).await;
    assert_eq!(rig.endpoints("web"), ["web-0", "web-1!", "web-2", "web-4"]);
    assert_eq!(rig.endpoints("plain"), ["plain-1!"]);
    assert_eq!(hints(&rig, "web"), ["web-0: c", "web-1: a", "web-2: b", "web-4: a"]);
    assert_eq!(rig.metric("closehaul_decisions{reason=\"PolicyUnknown\"}"), 2.0);
    let unknown =
        |rig: &Rig, kind| rig.metric(&format!("closehaul_policies_unknown{{kind=\"{kind}\"}}"));
    assert_eq!(unknown(&rig, "clusterlocalitypolicies"), 1.0);
    assert_eq!(unknown(&rig, "localitypolicies"), 0.0);
    assert_eq!(unknown(&rig, "namespaces"), 0.0, "no selector needs them");
    api.clear_faults();
    rig.until("known", |rig| rig.metric("closehaul_decisions{reason=\"PolicyUnknown\"}") == 0.0)
        .await;
    assert_eq!(hints(&rig, "web"), ["web-0: c", "web-1: a", "web-2: b", "web-4: a"]);
    rig.pass(SECOND).await;
    assert_eq!(unknown(&rig, "clusterlocalitypolicies"), 0.0);
}

/// API servers answer 404 for a while around their start.
#[tokio::test(start_paused = true)]
async fn a_kind_that_has_been_listed_is_gone_only_after_two_minutes() {
    let api = installed(&SPREAD);
    api.put(CLUSTER_POLICIES, prefer_zone());
    let mut rig = Rig::settled(api.clone()).await;
    for path in ["/apis/closehaul.io/v1alpha1", "/clusterlocalitypolicies"] {
        api.fault(on("GET", path), Effect::Answer(404));
    }
    api.end_watches();
    api.compact();
    rig.pass(100 * SECOND).await;
    assert_eq!((hints(&rig, "web"), slices_written(&mut rig)), (OWN.map(Into::into).into(), 0));
    api.clear_faults();
    rig.pass(5 * MINUTE).await;
    assert_eq!(slices_written(&mut rig), 0, "it was spurious");
    api.uninstall();
    let took = rig.until("no hints", |rig| hints(rig, "web") == NONE).await;
    assert!((2 * MINUTE..4 * MINUTE).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_evacuation_begins_at_once_and_ends_on_time() {
    let api = installed(&SPREAD);
    let mut rig = Rig::settled(api.clone()).await;
    let before = rig.slice("web")["endpoints"].clone();
    api.put(EVACUATIONS, evacuation(&api, 600));
    rig.pass(SECOND).await;
    let evacuated = ["web-0: a b c", "web-1: evacuated.closehaul.io", "web-2: a b c"];
    assert_eq!(hints(&rig, "web"), evacuated);
    api.put(PODS, pod("web-4"));
    rig.pass(SECOND).await;
    assert_eq!(hints(&rig, "web")[3], "web-4: evacuated.closehaul.io", "it starts in zone a");
    assert_eq!(slices_written(&mut rig), 2);
    let mut rig = rig.crash(Options::default()).await;
    rig.look();
    rig.pass(5 * MINUTE).await;
    assert_eq!(slices_written(&mut rig), 0, "a restart changes nothing");
    let took = rig.until("the end", |rig| hints(rig, "web")[0] == "web-0: ").await;
    assert!((298 * SECOND..302 * SECOND).contains(&took), "{took:?}");
    api.remove(PODS, "shop", "web-4");
    rig.pass(SECOND).await;
    assert_eq!(rig.slice("web")["endpoints"], before);
}

/// Evacuations do not wait behind the pace of other rewrites of hints.
#[tokio::test(start_paused = true)]
async fn evacuations_are_not_paced() {
    let names: Vec<String> = (0..100).map(|number| format!("s{number}-1")).collect();
    let api = installed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut options = Options::default();
    options.settings.replan_qps = 1.0;
    let mut rig = Rig::settled_with(api.clone(), options).await;
    api.put(EVACUATIONS, evacuation(&api, 60));
    rig.pass(SECOND).await;
    assert_eq!(slices_written(&mut rig), 100);
    rig.pass(60 * SECOND).await;
    assert_eq!(slices_written(&mut rig), 100, "the end is not paced either");
    api.put(CLUSTER_POLICIES, prefer_zone());
    rig.pass(10 * SECOND).await;
    assert!(slices_written(&mut rig) < 15, "a policy is paced");
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_read_only_if_a_selector_needs_them() {
    let api = installed(&SPREAD);
    api.put(NAMESPACES, json!({ "metadata": { "name": "shop", "labels": { "tier": "web" } } }));
    let rig = Rig::settled(api.clone()).await;
    let lists = |rig: &Rig| rig.api.count(|seen| seen.path == "/api/v1/namespaces");
    assert_eq!(lists(&rig), 0);
    let mut policy = prefer_zone();
    policy["spec"]["namespaceSelector"] = json!({ "matchLabels": { "tier": "web" } });
    api.put(CLUSTER_POLICIES, policy);
    rig.pass(2 * SECOND).await;
    assert!(lists(&rig) > 0);
    assert_eq!(hints(&rig, "web"), OWN);
    api.put(NAMESPACES, json!({ "metadata": { "name": "shop", "labels": { "tier": "db" } } }));
    rig.pass(2 * SECOND).await;
    assert_eq!(hints(&rig, "web"), NONE);
}

/// What is in force is left for something narrower only when it has stood for `hold`.
#[tokio::test(start_paused = true)]
async fn a_narrower_plan_waits_for_hold_and_a_wider_one_does_not() {
    // One in zone c, two in a, one in b: not within 20 %.
    let api = installed(&["web-0", "web-1", "web-2", "web-4"]);
    api.put(POLICIES, guarded("guard"));
    let rig = Rig::settled(api.clone()).await;
    let names = |rig: &Rig, pod: usize| hints(rig, "web")[pod].matches(' ').count();
    assert!((0..4).any(|pod| names(&rig, pod) > 1), "{:?}", hints(&rig, "web"));
    // Now two in each zone, so each can be local.
    api.put(PODS, pod("web-3"));
    api.put(PODS, pod("web-5"));
    rig.pass(60 * SECOND).await;
    assert!((0..6).any(|pod| names(&rig, pod) > 1), "held: {:?}", hints(&rig, "web"));
    assert_eq!(rig.metric("closehaul_decisions{reason=\"Held\"}"), 1.0);
    let strict = |rig: &Rig| (0..6).all(|pod| names(rig, pod) == 1);
    let took = rig.until("strict", strict).await;
    assert!((55 * SECOND..65 * SECOND).contains(&took), "two minutes in all: {took:?}");
    api.remove(PODS, "shop", "web-3");
    api.remove(PODS, "shop", "web-5");
    rig.pass(SECOND).await;
    let wide = |rig: &Rig| (0..4).any(|pod| names(rig, pod) > 1);
    assert!(wide(&rig), "at once: {:?}", hints(&rig, "web"));
}

#[tokio::test(start_paused = true)]
async fn without_policies_by_flag_none_is_read_and_none_stays_in_force() {
    let api = installed(&SPREAD);
    api.put(CLUSTER_POLICIES, prefer_zone());
    api.put(EVACUATIONS, evacuation(&api, 3600));
    let rig = Rig::settled(api.clone()).await;
    assert_ne!(hints(&rig, "web"), NONE);
    let mut options = Options::default();
    options.settings.policies = false;
    let before = api.count(|seen| seen.path.contains("closehaul.io"));
    let rig = rig.crash(options).await;
    rig.pass(10 * SECOND).await;
    assert_eq!(hints(&rig, "web"), NONE);
    assert_eq!(api.count(|seen| seen.path.contains("closehaul.io")), before);
}

/// A newer version of the API may have fields that this one does not know.
#[tokio::test(start_paused = true)]
async fn a_policy_of_a_newer_version_keeps_the_hints_in_force() {
    let api = installed(&SPREAD);
    api.put(CLUSTER_POLICIES, prefer_zone());
    let mut rig = Rig::settled(api.clone()).await;
    api.edit(CLUSTER_POLICIES, "", "all", |policy| {
        policy["spec"]["prefer"] = json!(["Zone", "Rack"]);
        policy["spec"]["racks"] = json!(3);
    });
    rig.pass(MINUTE).await;
    assert_eq!((hints(&rig, "web"), slices_written(&mut rig)), (OWN.map(Into::into).into(), 0));
    assert_eq!(rig.metric("closehaul_decisions{reason=\"PolicyUnknown\"}"), 1.0);
    api.put(NODES, node("d1"));
    api.edit(SERVICES, "shop", "web", |it| it["metadata"]["labels"] = json!({ "a": "b" }));
    rig.pass(MINUTE).await;
    assert_eq!(hints(&rig, "web"), OWN);
    assert_eq!(api.list(SLICES).len(), 1);
    api.put(SERVICES, service("new"));
    api.put(PODS, pod("new-1"));
    rig.pass(SECOND).await;
    assert_eq!(hints(&rig, "new"), ["new-1: "], "as by its own fields");
}

/// Client pods that come and go lead to a new plan only when a zone's share of them has moved.
#[tokio::test(start_paused = true)]
async fn clients_are_sampled() {
    let api = installed(&["web-0", "web-1", "web-2"]);
    let client = |number: usize| {
        let mut client = pod(&format!("client-{number}"));
        client["metadata"]["labels"] = json!({ "role": "client" });
        client
    };
    for number in 0..30 {
        api.put(PODS, client(number));
    }
    api.put(
        POLICIES,
        json!({
            "metadata": { "namespace": "shop", "name": "guard" },
            "spec": {
                "services": { "names": ["web"] }, "prefer": ["Zone"],
                "guard": { "maxOverloadPercent": 30 },
                "demand": {
                    "source": "Clients", "clientSelector": { "matchLabels": { "role": "client" } },
                },
            },
        }),
    );
    let mut rig = Rig::settled(api.clone()).await;
    rig.pass(30 * SECOND).await;
    rig.look();
    assert_eq!(hints(&rig, "web"), OWN);
    // Ten in each zone, some of which are replaced.
    for number in 30..60 {
        api.remove(PODS, "shop", &format!("client-{}", number - 30));
        api.put(PODS, client(number));
        rig.pass(SECOND).await;
    }
    rig.pass(MINUTE).await;
    assert_eq!((hints(&rig, "web"), slices_written(&mut rig)), (OWN.map(Into::into).into(), 0));
    // Ten more in zone a, so its endpoint would carry half of the traffic.
    for number in (61..91).step_by(3) {
        api.put(PODS, client(number));
    }
    rig.pass(15 * SECOND).await;
    assert_ne!(hints(&rig, "web"), OWN);
}

/// A zone-by-zone upgrade does not stop a zone's clients at once.
#[tokio::test(start_paused = true)]
async fn a_zone_leaves_the_demand_a_minute_after_its_last_node() {
    let api = installed(&SPREAD);
    api.put(POLICIES, guarded("guard"));
    let rig = Rig::settled(api.clone()).await;
    let before = hints(&rig, "web");
    assert_eq!(before, OWN);
    api.edit(NODES, "", "c1", |node| node["status"]["conditions"][0] = ready_condition(false));
    // Then each of the other zones sends half of the traffic, to one endpoint of three.
    let took = rig.until("a new plan", |rig| hints(rig, "web") != before).await;
    assert!((60 * SECOND..80 * SECOND).contains(&took), "{took:?}");
}

/// The status is written by closehaul itself, and so it must not lead to more work.
#[tokio::test(start_paused = true)]
async fn a_status_plans_nothing() {
    let api = installed(&SPREAD);
    api.put(POLICIES, guarded("guard"));
    let mut rig = Rig::settled(api.clone()).await;
    let planned = |rig: &Rig| rig.metric("endpoint_slice_controller_syncs{result=\"success\"}");
    let before = planned(&rig);
    assert!(before > 0.0);
    for status in ["False", "True"] {
        api.edit(POLICIES, "shop", "guard", |policy| {
            policy["status"] = json!({ "conditions": [{
                "type": "Programmed", "status": status, "observedGeneration": 1,
            }] });
        });
        rig.pass(5 * SECOND).await;
    }
    assert_eq!((planned(&rig), slices_written(&mut rig)), (before, 0));
}

/// Beyond the limits, the youngest policies are not accepted: each zone is assumed to send the same.
#[tokio::test(start_paused = true)]
async fn client_selectors_are_limited() {
    let api = installed(&["web-0"]);
    for number in 10..21 {
        api.put(
            POLICIES,
            json!({
                "metadata": {
                    "namespace": "shop", "name": format!("p{number}"),
                    "creationTimestamp": format!("2026-01-01T00:00:{number}Z"),
                },
                "spec": {
                    "services": { "names": [format!("s{number}")] },
                    "demand": { "source": "Clients", "clientSelector": {} },
                },
            }),
        );
    }
    let rig = Rig::settled(api.clone()).await;
    rig.pass(10 * SECOND).await;
    let accepted = |name: &str| {
        let policy = api.get(POLICIES, "shop", name).unwrap();
        policy["status"]["conditions"][0]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!((accepted("p10"), accepted("p19")), ("Accepted".into(), "Accepted".into()));
    assert_eq!(accepted("p20"), "TooManyClientSelectors");
    api.delete(POLICIES, "shop", "p10");
    rig.pass(10 * SECOND).await;
    assert_eq!(accepted("p20"), "Accepted");
}
