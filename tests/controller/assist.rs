//! `--mode assist`: another controller writes the slices, and hints are patched into them. Here that
//! controller is closehaul itself without policies, which writes what the built-in controller does.

use closehaul::{
    admission::{annotation::ANNOTATION, names::BINDING},
    control::{controller::Mode, lease::Leadership},
};
use fake_api::{
    FakeApi, Seen,
    collections::{
        CLUSTER_POLICIES, EVACUATIONS, MUTATING_BINDINGS, NODES, PODS, POLICIES, SERVICES, SLICES,
    },
    faults::{Effect, on},
    replica::Replica,
    rig::*,
    samples::{name, node, pod, service},
};
use serde_json::{Value, json};

/// The options of the controller that writes the slices.
fn built_in() -> Options {
    let mut options = Options { is_foreign: true, ..Options::default() };
    options.settings.policies = false;
    options
}

fn assisting() -> Options {
    let mut options = Options::default();
    options.settings.mode = Mode::Assist { kube_system: false };
    options.settings.replan_qps = 5.0;
    options
}

/// A cluster of which another controller writes the slices, with the admission policy.
struct Beside {
    api: FakeApi,
    built_in: Rig,
    rig: Rig,
}

impl Beside {
    /// With these objects of closehaul's own kinds, settled.
    async fn start(pods: &[&str]) -> Self {
        Self::start_in(cluster(pods)).await
    }

    async fn start_in(api: FakeApi) -> Self {
        api.install();
        api.install_admission();
        let built_in = Rig::settled_with(api.clone(), built_in()).await;
        let rig = Rig::settled_with(api.clone(), assisting()).await;
        Self { api, built_in, rig }
    }

    /// The patches of slices since the last look.
    fn patches(&mut self) -> Vec<Seen> {
        let mut writes = self.rig.look();
        writes.retain(|seen| seen.method == "PATCH" && seen.path.contains("/endpointslices/"));
        writes
    }

    /// How many patches of slices there were since the last look.
    fn patched(&mut self) -> usize {
        self.patches().len()
    }

    /// How often slices have been stored.
    fn stored(&self) -> usize {
        self.api.record().iter().filter(|change| change.collection == SLICES).count()
    }
}

/// The hints of each pod of a Service: zones, then nodes after a slash.
fn hints(api: &FakeApi, service: &str) -> Vec<String> {
    let of_service = |slice: &Value| {
        slice["metadata"]["labels"]["kubernetes.io/service-name"] == service
            && slice["metadata"]["namespace"] != "kube-system"
    };
    let slices = api.list(SLICES).into_iter().filter(of_service);
    let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().unwrap().clone());
    let names = |value: &Value| {
        let names = value.as_array().into_iter().flatten();
        names.map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let text = |endpoint: Value| {
        let pod = endpoint["targetRef"]["name"].as_str().unwrap().to_owned();
        let [zones, nodes] = ["forZones", "forNodes"].map(|field| names(&endpoint["hints"][field]));
        let nodes = if nodes.is_empty() { nodes } else { format!(" / {nodes}") };
        format!("{pod}: {zones}{nodes}")
    };
    let mut hints: Vec<_> = endpoints.map(text).collect();
    hints.sort();
    hints
}

/// What the annotations of all slices of a Service say.
fn annotations(rig: &Rig, service: &str) -> Vec<Option<String>> {
    let text =
        |slice: &Value| slice["metadata"]["annotations"][ANNOTATION].as_str().map(str::to_owned);
    rig.slices(service).iter().map(text).collect()
}

fn prefer(keys: &[&str]) -> Value {
    json!({ "metadata": { "name": "all" }, "spec": { "prefer": keys } })
}

fn guarded() -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": "guard" },
        "spec": { "prefer": ["Zone"], "guard": { "maxOverloadPercent": 20 } },
    })
}

/// Evacuates zone a from now on, for this many seconds.
fn evacuation(api: &FakeApi, seconds: i64) -> Value {
    let until = api.wall_clock().now() + jiff::SignedDuration::from_secs(seconds);
    json!({
        "metadata": { "name": "a-1" },
        "spec": { "zones": ["a"], "until": until.to_string() },
    })
}

/// The condition `Complete` of the evacuation: status and reason.
fn complete(api: &FakeApi) -> (String, String) {
    let evacuation = api.get(EVACUATIONS, "", "a-1").unwrap();
    let conditions = evacuation["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|it| it["type"] == "Complete").unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

const SPREAD: [&str; 3] = ["web-0", "web-1", "web-2"];
const OWN: [&str; 3] = ["web-0: c", "web-1: a", "web-2: b"];
const NONE: [&str; 3] = ["web-0: ", "web-1: ", "web-2: "];
const ALL_ZONES: &str = "a=a;b=b;c=c";

#[tokio::test(start_paused = true)]
async fn without_policies_nothing_is_written() {
    let mut beside = Beside::start(&["web-0", "web-1", "web-2", "db-1"]).await;
    for distribution in [json!("PreferSameZone"), json!("PreferSameNode"), Value::Null] {
        edit(&beside.api, SERVICES, "web", |service| {
            service["spec"]["trafficDistribution"] = distribution.clone();
        });
        beside.rig.pass(5 * SECOND).await;
        set_ready(&beside.api, "web-1", false);
        beside.rig.pass(5 * SECOND).await;
        set_ready(&beside.api, "web-1", true);
        beside.rig.pass(5 * SECOND).await;
    }
    assert_eq!(beside.patched(), 0);
    assert_eq!(annotations(&beside.rig, "web"), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_patched_in_and_taken_away_again() {
    let mut beside = Beside::start(&SPREAD).await;
    let before = beside.rig.slice("web");
    beside.api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(hints(&beside.api, "web"), OWN);
    assert_eq!(annotations(&beside.rig, "web"), [Some(ALL_ZONES.into())]);
    let patches = beside.patches();
    let [patch] = &patches[..] else { panic!("one patch: {patches:#?}") };
    assert_eq!(patch.content_type, "application/json-patch+json");
    assert_eq!(patch.query, "fieldManager=closehaul");
    let operations = patch.body.as_array().unwrap();
    let uid = |at: usize| &before["endpoints"][at]["targetRef"]["uid"];
    let zone = |at: usize| json!({ "forZones": [{ "name": before["endpoints"][at]["zone"] }] });
    let mut wanted = vec![json!({
        "op": "test", "path": "/metadata/resourceVersion", "value": before["metadata"]["resourceVersion"],
    })];
    for at in 0..3 {
        let place = format!("/endpoints/{at}");
        wanted.push(
            json!({ "op": "test", "path": format!("{place}/targetRef/uid"), "value": uid(at) }),
        );
        wanted.push(json!({ "op": "add", "path": format!("{place}/hints"), "value": zone(at) }));
    }
    wanted.push(json!({
        "op": "add", "path": "/metadata/annotations/closehaul.io~1hints", "value": ALL_ZONES,
    }));
    assert_eq!(operations, &wanted);

    beside.rig.pass(10 * MINUTE).await;
    assert_eq!(beside.patched(), 0, "it stands");
    remove(&beside.api, CLUSTER_POLICIES, "/all");
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(beside.patched(), 1);
    let mut after = beside.rig.slice("web");
    // The other controller removes the trigger time with its next write.
    for field in ["resourceVersion", "generation", "annotations"] {
        after["metadata"][field] = before["metadata"][field].clone();
    }
    assert_eq!(after, before, "byte for byte");
    assert_eq!(annotations(&beside.rig, "web"), [None]);
    beside.rig.pass(MINUTE).await;
    assert_eq!(beside.patched(), 0);
}

/// Hints stay through the other controller's writes, and newcomers get theirs by its writes already.
#[tokio::test(start_paused = true)]
async fn hints_stay_whatever_the_other_controller_writes() {
    let mut beside = Beside::start(&SPREAD).await;
    beside.api.put(CLUSTER_POLICIES, prefer(&["Node", "Zone"]));
    beside.rig.pass(5 * SECOND).await;
    let own = ["web-0: c / c1", "web-1: a / a1", "web-2: b / b1"];
    assert_eq!(hints(&beside.api, "web"), own);
    assert_eq!(beside.patched(), 1);
    for _ in 0..20 {
        set_ready(&beside.api, "web-1", false);
        beside.rig.pass(200 * MS).await;
        set_ready(&beside.api, "web-1", true);
        beside.rig.pass(200 * MS).await;
    }
    assert_eq!(hints(&beside.api, "web"), own);
    beside.api.put(PODS, pod("web-3"));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(hints(&beside.api, "web")[3], "web-3: c / c1");
    edit(&beside.api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(hints(&beside.api, "web")[1], "web-1: a", "the Service's own field decides");
    assert_eq!(annotations(&beside.rig, "web"), [None]);
    assert_eq!(beside.patched(), 1, "{:?}", annotations(&beside.rig, "web"));
    let stored = beside.stored();
    beside.rig.pass(10 * MINUTE).await;
    assert_eq!((beside.stored() - stored, beside.patched()), (0, 0), "no loop");
}

#[tokio::test(start_paused = true)]
async fn a_new_slice_gets_hints_at_once() {
    let api = cluster(&SPREAD);
    let mut beside = Beside::start_in(api).await;
    edit(&beside.api, SERVICES, "web", |service| {
        service["spec"]["trafficDistribution"] = json!("PreferSameZone");
    });
    beside.api.put(EVACUATIONS, evacuation(&beside.api, 3600));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(
        hints(&beside.api, "web"),
        ["web-0: a c", "web-1: evacuated.closehaul.io", "web-2: a b"]
    );
    beside.rig.look();
    // Port numbers differ, so the new pod is in a slice of its own.
    let mut new = pod("web-4");
    new["spec"]["containers"] = json!([{ "ports": [{ "name": "http", "containerPort": 9090 }] }]);
    edit(&beside.api, SERVICES, "web", |service| {
        service["spec"]["ports"] = json!([{ "port": 80, "protocol": "TCP", "targetPort": "http" }]);
    });
    beside.rig.pass(5 * SECOND).await;
    beside.rig.look();
    beside.api.put(PODS, new);
    let has_new = |rig: &Rig| rig.endpoints("web").contains(&"web-4".to_owned());
    beside.rig.until("the other controller has created the slice", has_new).await;
    let took = beside
        .rig
        .until("it has hints", |rig| annotations(rig, "web").iter().all(Option::is_some))
        .await;
    assert!(took <= 50 * MS, "{took:?}");
    let all = hints(&beside.api, "web");
    assert!(all.contains(&"web-4: evacuated.closehaul.io".to_owned()), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing() {
    let mut beside = Beside::start(&["web-0", "web-1", "web-2", "web-4", "db-1", "db-2"]).await;
    beside.api.put(POLICIES, guarded());
    beside.rig.pass(10 * SECOND).await;
    assert!(beside.patched() >= 1);
    let stored = beside.stored();
    let Beside { api, built_in, rig } = beside;
    rig.abort().await;
    let rig = Rig::settled_with(api.clone(), assisting()).await;
    let mut beside = Beside { api, built_in, rig };
    beside.rig.pass(10 * MINUTE).await;
    assert_eq!((beside.stored() - stored, beside.patched()), (0, 0));
}

/// Endpoints are not in the same order in two slices, and pods come and go under a guard.
#[tokio::test(start_paused = true)]
async fn no_loop_under_a_guard() {
    let pods: Vec<String> = (0..40).map(|number| format!("web-{number}")).collect();
    let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
    let mut beside = Beside::start(&pods).await;
    beside.api.put(POLICIES, guarded());
    beside.rig.pass(10 * SECOND).await;
    for number in [3, 5, 7, 11] {
        remove(&beside.api, PODS, &format!("web-{number}"));
        beside.rig.pass(SECOND).await;
    }
    beside.rig.pass(5 * MINUTE).await;
    let stored = beside.stored();
    beside.rig.look();
    beside.rig.pass(10 * MINUTE).await;
    assert_eq!((beside.stored() - stored, beside.patched()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_evacuation_begins_and_ends() {
    let mut beside = Beside::start(&["web-0", "web-1", "web-2", "db-0", "db-2"]).await;
    let before = beside.rig.slice("web")["endpoints"].clone();
    beside.api.put(EVACUATIONS, evacuation(&beside.api, 60));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(
        hints(&beside.api, "web"),
        ["web-0: a b c", "web-1: evacuated.closehaul.io", "web-2: a b c"]
    );
    beside.rig.pass(10 * SECOND).await;
    assert_eq!(complete(&beside.api), ("True".into(), "Complete".into()));
    beside.api.put(PODS, pod("web-4"));
    beside.rig.pass(SECOND).await;
    assert_eq!(hints(&beside.api, "web")[3], "web-4: evacuated.closehaul.io", "a newcomer");
    remove(&beside.api, PODS, "web-4");
    beside.rig.pass(MINUTE).await;
    assert_eq!(beside.rig.slice("web")["endpoints"], before);
    assert_eq!(annotations(&beside.rig, "web"), [None]);
    beside.rig.look();
    beside.rig.pass(MINUTE).await;
    assert_eq!(beside.patched(), 0);
}

/// Services with endpoints in the sick zone come first, ten a second; all others five a second.
#[tokio::test(start_paused = true)]
async fn patches_are_paced() {
    let sick = (0..40).map(|number| format!("a{number:02}-1"));
    let others = (0..20).map(|number| format!("b{number:02}-2"));
    let pods: Vec<String> = sick.chain(others).collect();
    let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
    let mut beside = Beside::start(&pods).await;
    beside.rig.pass(5 * SECOND).await;
    beside.api.put(EVACUATIONS, evacuation(&beside.api, 3600));
    beside.rig.pass(MINUTE).await;
    let patches = beside.patches();
    let of = |prefix: &str| {
        let is_it = |seen: &&Seen| seen.path.rsplit('/').next().unwrap().starts_with(prefix);
        patches.iter().filter(is_it).map(|seen| seen.at).collect::<Vec<_>>()
    };
    let (sick, others) = (of("a"), of("b"));
    assert_eq!((sick.len(), others.len()), (40, 20));
    assert!(sick.iter().max() <= others.iter().min(), "the sick zone comes first");
    let took = *sick.iter().max().unwrap() - *sick.iter().min().unwrap();
    assert!((2900 * MS..=3200 * MS).contains(&took), "30 after a burst of 10: {took:?}");
    let took = *others.iter().max().unwrap() - *others.iter().min().unwrap();
    assert!((2900 * MS..=3200 * MS).contains(&took), "15 after a burst of 5: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_all_patches() {
    let api = cluster(&SPREAD);
    api.install();
    api.install_admission();
    let _built_in = Rig::settled_with(api.clone(), built_in()).await;
    let replica = Replica::start(&api, assisting());
    replica.rig.pass(20 * SECOND).await;
    replica.rig.api.cut_off();
    replica.rig.pass(20 * SECOND).await;
    api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    replica.rig.api.rejoin();
    replica.rig.pass(MINUTE).await;
    assert_eq!(hints(&api, "web"), NONE);
}

#[tokio::test(start_paused = true)]
async fn nothing_changes_while_policies_are_not_known() {
    let beside = Beside::start(&SPREAD).await;
    beside.api.put(EVACUATIONS, evacuation(&beside.api, 3600));
    beside.rig.pass(5 * SECOND).await;
    let stand = hints(&beside.api, "web");
    let Beside { api, built_in, rig } = beside;
    rig.abort().await;
    api.fault(on("GET", "/zoneevacuations"), Effect::Answer(403));
    let rig = Rig::settled_with(api.clone(), assisting()).await;
    let mut beside = Beside { api, built_in, rig };
    beside.rig.pass(5 * MINUTE).await;
    assert_eq!((beside.patched(), hints(&beside.api, "web")), (0, stand));
    remove(&beside.api, EVACUATIONS, "/a-1");
    beside.api.clear_faults();
    beside.rig.pass(5 * MINUTE).await;
    assert_eq!((beside.patched(), hints(&beside.api, "web")), (1, NONE.map(Into::into).into()));
}

#[tokio::test(start_paused = true)]
async fn without_the_admission_policy_nothing_is_patched() {
    let mut beside = Beside::start(&SPREAD).await;
    beside.api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(beside.patched(), 1);
    remove(&beside.api, MUTATING_BINDINGS, &format!("/{BINDING}"));
    beside.rig.pass(2 * MINUTE).await;
    let outside = "closehaul_services{reason=\"OutsideAdmission\",state=\"Ineffective\"}";
    assert_eq!(beside.rig.metric(outside), 1.0);
    assert_eq!(beside.rig.metric("closehaul_admission_absent"), 1.0);
    let checks = beside.rig.health.readiness();
    let detail = checks.iter().find(|check| check.name == "admission-policy").unwrap();
    assert!(detail.note.as_ref().unwrap().contains("there is no MutatingAdmissionPolicyBinding"));
    assert!(detail.wrong.is_none(), "another replica could do no better");
    set_ready(&beside.api, "web-1", false);
    beside.rig.pass(MINUTE).await;
    set_ready(&beside.api, "web-1", true);
    beside.rig.pass(MINUTE).await;
    assert_eq!(beside.patched(), 0);
    assert_eq!(hints(&beside.api, "web"), NONE, "the other controller decides");
    beside.api.install_admission();
    beside.rig.pass(2 * MINUTE).await;
    assert_eq!((beside.patched(), hints(&beside.api, "web")), (1, OWN.map(Into::into).into()));
    assert_eq!(beside.rig.metric(outside), 0.0);
    assert_eq!(beside.rig.metric("closehaul_admission_absent"), 0.0);
}

/// An API server that has just started may answer 404 for a moment.
#[tokio::test(start_paused = true)]
async fn one_answer_that_it_is_gone_is_not_believed() {
    let beside = Beside::start(&SPREAD).await;
    beside.api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    beside.rig.pass(10 * SECOND).await;
    beside.api.fault(on("GET", "/mutatingadmissionpolicies").times(1), Effect::Answer(404));
    for _ in 0..100 {
        beside.rig.pass(SECOND).await;
        assert_eq!(beside.rig.metric("closehaul_admission_absent"), 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn kube_system_is_left_alone_unless_asked_for() {
    let mut beside = Beside::start(&["kube-system/dns-0", "kube-system/dns-1", "web-0"]).await;
    beside.api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(annotations(&beside.rig, "kube-system/dns"), [None]);
    assert_eq!(annotations(&beside.rig, "web"), [Some(ALL_ZONES.into())]);
    let outside = "closehaul_services{reason=\"OutsideAdmission\",state=\"Ineffective\"}";
    assert_eq!(beside.rig.metric(outside), 1.0);
    beside.api.put(EVACUATIONS, evacuation(&beside.api, 3600));
    beside.rig.pass(20 * SECOND).await;
    assert_eq!(complete(&beside.api), ("False".into(), "OutsideAdmission".into()));
    remove(&beside.api, EVACUATIONS, "/a-1");
    let mut options = assisting();
    options.settings.mode = Mode::Assist { kube_system: true };
    beside.rig = beside.rig.crash(options).await;
    beside.rig.pass(20 * SECOND).await;
    assert_eq!(annotations(&beside.rig, "kube-system/dns"), [Some(ALL_ZONES.into())]);
    beside.rig = beside.rig.crash(assisting()).await;
    beside.rig.pass(20 * SECOND).await;
    assert_eq!(annotations(&beside.rig, "kube-system/dns"), [None], "taken away again");
}

/// Plays a controller that writes its own hints after each patch. Returns when there were patches.
async fn overwrite(rig: &mut Rig, service: &str, seconds: u32) -> Vec<tokio::time::Instant> {
    let upstream = |slice: &mut Value| {
        for endpoint in slice["endpoints"].as_array_mut().unwrap() {
            endpoint.as_object_mut().unwrap().remove("hints");
        }
    };
    let mut at = Vec::new();
    for _ in 0..seconds {
        rig.pass(SECOND).await;
        let patches = rig.look().into_iter().filter(|seen| seen.path.contains("/endpointslices/"));
        let patches: Vec<_> = patches.filter(|seen| seen.method == "PATCH").collect();
        if !patches.is_empty() {
            edit(&rig.api, SLICES, name(&rig.slice(service)), upstream);
        }
        at.extend(patches.into_iter().map(|seen| seen.at));
    }
    at
}

#[tokio::test(start_paused = true)]
async fn a_war_about_hints_is_given_up() {
    let api = cluster(&SPREAD);
    api.install();
    api.install_admission();
    Rig::settled_with(api.clone(), built_in()).await.abort().await;
    let mut rig = Rig::settled_with(api.clone(), assisting()).await;
    api.put(EVACUATIONS, evacuation(&api, 86_400));
    let at = overwrite(&mut rig, "web", 3600).await;
    let waits: Vec<_> = at.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
    assert_eq!(
        waits.len(),
        4,
        "three patches, and then one after 10 and one after 20 minutes: {waits:?}"
    );
    assert!(waits[..2].iter().all(|wait| *wait <= 3), "{waits:?}");
    assert!((600..=603).contains(&waits[2]) && (1200..=1203).contains(&waits[3]), "{waits:?}");
    let events = rig.events("web");
    assert_eq!(events, ["OverwrittenByOtherController"; 3], "each time it gives up");
    assert_eq!(rig.metric("closehaul_overwritten_services{evacuated=\"true\"}"), 1.0);
    let overwritten =
        "closehaul_services{reason=\"OverwrittenByOtherController\",state=\"Ineffective\"}";
    assert_eq!(rig.metric(overwritten), 1.0);
    assert_eq!(complete(&api), ("False".into(), "OverwrittenByOtherController".into()));
    // From now on, hints stay.
    rig.pass(3 * 20 * MINUTE).await;
    assert_eq!(hints(&api, "web")[1], "web-1: evacuated.closehaul.io");
    assert_eq!(rig.metric(overwritten), 0.0);
    assert_eq!(rig.metric("closehaul_overwritten_services{evacuated=\"true\"}"), 0.0);
    assert_eq!(complete(&api), ("True".into(), "Complete".into()));
}

/// Other Services are not affected, and who edits hints now and then is no controller.
#[tokio::test(start_paused = true)]
async fn hints_that_a_hand_has_changed_are_repaired() {
    let api = cluster(&["web-0", "web-1", "web-2", "db-1"]);
    api.install();
    api.install_admission();
    Rig::settled_with(api.clone(), built_in()).await.abort().await;
    let mut rig = Rig::settled_with(api.clone(), assisting()).await;
    api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    rig.pass(5 * SECOND).await;
    for _ in 0..10 {
        edit(&api, SLICES, name(&rig.slice("web")), |slice| {
            slice["endpoints"][0]["hints"] = json!({ "forZones": [{ "name": "b" }] });
        });
        rig.pass(2 * MINUTE).await;
        assert_eq!(hints(&api, "web"), OWN);
    }
    assert_eq!(rig.events("web"), [""; 0]);
    rig.look();
}

/// The slice changes between the plan and the patch, which is not applied then.
#[tokio::test(start_paused = true)]
async fn a_patch_for_an_older_slice_is_not_applied() {
    let api = cluster(&SPREAD);
    api.install();
    api.install_admission();
    Rig::settled_with(api.clone(), built_in()).await.abort().await;
    let mut rig = Rig::settled_with(api.clone(), assisting()).await;
    api.hold(SLICES);
    edit(&api, SLICES, name(&rig.slice("web")), |slice| {
        slice["endpoints"].as_array_mut().unwrap().remove(0);
    });
    let left = rig.slice("web")["endpoints"].clone();
    api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    rig.pass(5 * SECOND).await;
    assert_eq!(rig.slice("web")["endpoints"], left);
    assert!(
        rig.metric(
            "closehaul_writes_total{kind=\"hints\",operation=\"update\",result=\"conflict\"}"
        ) >= 1.0
    );
    api.release(SLICES);
    rig.pass(20 * SECOND).await;
    assert_eq!(hints(&api, "web").len(), 2);
    assert!(
        hints(&api, "web").iter().all(|hints| OWN.contains(&&**hints)),
        "{:?}",
        hints(&api, "web")
    );
    rig.look();
}

/// A node in a zone that is new, and a Service that is new.
#[tokio::test(start_paused = true)]
async fn what_is_new_is_patched_in() {
    let mut beside = Beside::start(&SPREAD).await;
    beside.api.put(CLUSTER_POLICIES, prefer(&["Zone"]));
    beside.rig.pass(5 * SECOND).await;
    beside.api.put(NODES, node("d1"));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(annotations(&beside.rig, "web"), [Some("a=a;b=b;c=c;d=d".into())]);
    beside.api.put(SERVICES, service("db"));
    beside.api.put(PODS, pod("db-1"));
    beside.rig.pass(5 * SECOND).await;
    assert_eq!(hints(&beside.api, "db"), ["db-1: a"]);
    assert!(beside.patched() <= 4);
    let never = Rig::start_led(beside.api.clone(), assisting(), Leadership::never());
    never.pass(5 * SECOND).await;
    assert_eq!(beside.patched(), 0, "who does not lead patches nothing");
}
