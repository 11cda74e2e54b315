//! A world that changes at random, determined by a seed: objects change, other clients edit slices,
//! and requests and watches fail.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    FakeApi,
    collections::{
        CLUSTER_POLICIES, EVACUATIONS, NAMESPACES, NODES, PODS, POLICIES, SERVICES, SLICES,
    },
    dice::Dice,
    faults::{Effect, on, on_streaming, on_watch},
    policies::Request,
    rig::set_ready,
    samples::{FOREIGN_SLICE, bad_pod, is_bad_pod, name, node, pod, service},
};

const KINDS: [&str; 8] =
    [SERVICES, PODS, NODES, SLICES, POLICIES, CLUSTER_POLICIES, EVACUATIONS, NAMESPACES];
const PATHS: [&str; 10] = [
    "/services",
    "/pods",
    "/nodes",
    "/endpointslices",
    "/localitypolicies",
    "/clusterlocalitypolicies",
    "/zoneevacuations",
    "/namespaces",
    "/closehaul.io/v1alpha1",
    "",
];
const NAMES: [&str; 3] = ["s0", "s1", "s2"];
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", ""];

/// Makes a random change. Returns a description of it.
pub fn change(api: &FakeApi, dice: &mut Dice) -> String {
    match dice.roll(24) {
        0..8 => pod_step(api, dice),
        8..12 => service_step(api, dice),
        12..14 => node_step(api, dice),
        14..17 => slice_step(api, dice),
        17..21 => {
            let request = Request::random(&NAMES, dice);
            request.apply(api);
            format!("{request:?}")
        }
        _ => fault_step(api, dice),
    }
}

/// The time until the next step.
pub fn pause(dice: &mut Dice) -> Duration {
    match dice.roll(8) {
        0..3 => Duration::ZERO,
        3..5 => Duration::from_millis(dice.roll(50)),
        5..7 => Duration::from_millis(dice.roll(2000)),
        _ => Duration::from_secs(dice.roll(40)),
    }
}

fn pod_step(api: &FakeApi, dice: &mut Dice) -> String {
    let name = format!("p-{}", dice.roll(8));
    let exists = api.get(PODS, "shop", &name).is_some();
    match dice.roll(6) {
        0 if exists => {
            api.remove(PODS, "shop", &name);
            format!("remove pod {name}")
        }
        1 if exists => {
            api.edit(PODS, "shop", &name, |pod| pod["metadata"]["finalizers"] = json!(["a/b"]));
            api.delete(PODS, "shop", &name);
            format!("terminate pod {name}")
        }
        2 if exists => {
            set_ready(api, &name, dice.one_in(2));
            format!("readiness of pod {name}")
        }
        _ => {
            let mut pod = if dice.one_in(20) { bad_pod(&name) } else { pod(&name) };
            pod["metadata"]["labels"]["app"] = json!(dice.pick(&["x", "y"]));
            pod["metadata"]["labels"]["tier"] = json!(dice.pick(&["front", "back"]));
            pod["spec"]["nodeName"] = json!(dice.pick(&["a1", "b1", "c1", "d1"]));
            if dice.one_in(8) {
                pod["status"]["phase"] = json!("Failed");
            }
            if dice.one_in(3) {
                let both = json!([{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }]);
                pod["status"]["podIPs"] = both;
            }
            api.put(PODS, pod);
            format!("put pod {name}")
        }
    }
}

fn service_step(api: &FakeApi, dice: &mut Dice) -> String {
    let name = dice.pick(&NAMES);
    if dice.one_in(3) && api.get(SERVICES, "shop", name).is_some() {
        api.remove(SERVICES, "shop", name);
        if dice.one_in(2) {
            return format!("remove service {name}");
        }
    }
    let mut service = service(name);
    service["spec"]["selector"] = match dice.roll(8) {
        0..3 => json!({ "app": "x" }),
        3..5 => json!({ "app": "y" }),
        5..7 => json!({ "tier": "front" }),
        _ => json!(null),
    };
    service["spec"]["ports"][0]["targetPort"] = json!(dice.pick(&[8080, 9090]));
    service["spec"]["ipFamilies"] = dice.pick(&[&["IPv4"][..], &["IPv4", "IPv6"]]).into();
    service["spec"]["publishNotReadyAddresses"] = json!(dice.one_in(4));
    service["spec"]["trafficDistribution"] =
        json!(dice.pick(&[None, Some("PreferSameZone"), Some("PreferSameNode")]));
    service["spec"]["type"] = json!(if dice.one_in(10) { "ExternalName" } else { "ClusterIP" });
    service["metadata"]["labels"] = json!({ "version": dice.roll(2).to_string() });
    if dice.one_in(5) {
        let policy = dice.pick(&["none", "one", "cluster/two", "absent"]);
        service["metadata"]["annotations"] = json!({ "closehaul.io/policy": policy });
    }
    api.put(SERVICES, service);
    format!("put service {name}")
}

fn node_step(api: &FakeApi, dice: &mut Dice) -> String {
    let name = dice.pick(&["a1", "b1", "c1", "d1"]);
    if dice.one_in(3) && api.get(NODES, "", name).is_some() {
        api.remove(NODES, "", name);
        return format!("remove node {name}");
    }
    let mut node = node(name);
    node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(dice.pick(&["a", "b", "c"]));
    api.put(NODES, node);
    format!("put node {name}")
}

/// What another client does to a slice.
fn slice_step(api: &FakeApi, dice: &mut Dice) -> String {
    let mut slices = api.list(SLICES);
    slices.retain(|slice| name(slice) != FOREIGN_SLICE);
    if slices.is_empty() {
        return "no slice".to_owned();
    }
    let at = usize::try_from(dice.roll(slices.len() as u64)).unwrap();
    let name = name(&slices[at]);
    let namespace = slices[at]["metadata"]["namespace"].as_str().unwrap();
    let edit = |edit: fn(&mut Value)| api.edit(SLICES, namespace, name, edit);
    let what = match dice.roll(9) {
        0 | 1 => {
            api.remove(SLICES, namespace, name);
            "remove"
        }
        2 => {
            api.delete(SLICES, namespace, name);
            "delete"
        }
        3 => {
            edit(|slice| slice["metadata"]["finalizers"] = json!(["a/b"]));
            "finalizer of"
        }
        4 => {
            edit(|slice| slice["endpoints"] = json!([{ "addresses": ["10.9.9.9"] }]));
            "endpoints of"
        }
        5 => {
            edit(|slice| slice["ports"] = json!([{ "name": "x", "port": 1, "protocol": "TCP" }]));
            "ports of"
        }
        6 => {
            edit(|slice| {
                slice["metadata"]["labels"]["kubernetes.io/service-name"] = json!("s1");
            });
            "take over"
        }
        7 => {
            edit(|slice| slice["metadata"]["ownerReferences"] = json!([]));
            "disown"
        }
        _ => {
            edit(|slice| slice["metadata"]["annotations"] = json!({ "a": "b" }));
            "annotate"
        }
    };
    format!("{what} slice {name}")
}

fn fault_step(api: &FakeApi, dice: &mut Dice) -> String {
    let kind = dice.pick(&KINDS);
    match dice.roll(14) {
        0 => api.disconnect(),
        1 | 2 => api.connect(),
        3 => api.compact(),
        4 => api.end_watches(),
        5 => api.expire_watches(kind),
        6 => api.hold(kind),
        7 => KINDS.iter().for_each(|kind| api.release(kind)),
        8 => api.clear_faults(),
        9 => {
            let wait = Duration::from_secs(dice.roll(30));
            let stale = Effect::Stale(api.version().saturating_sub(dice.roll(10)));
            let effect = [Effect::MarkAfter(wait), Effect::CloseBeforeMark, Effect::Silence, stale]
                [usize::try_from(dice.roll(4)).unwrap()]
            .clone();
            api.fault(on_streaming(dice.pick(&PATHS)).times(2), effect.clone());
            return format!("streaming: {effect:?}");
        }
        10 => {
            let effect = if dice.one_in(2) { Effect::Silence } else { Effect::CloseAtOnce };
            api.fault(on_watch(dice.pick(&PATHS)).times(2), effect.clone());
            return format!("watch: {effect:?}");
        }
        _ => {
            let wait = Duration::from_millis(dice.roll(15_000));
            // A terminating namespace is not among them, because it does not come back.
            let effect = match dice.roll(9) {
                0 => Effect::Refuse,
                1 => Effect::Hang,
                2 => Effect::DoAndHang,
                3 => Effect::Delay(wait),
                4 => Effect::DoAndDelay(wait),
                5 => Effect::Answer(dice.pick(&[403, 409, 500, 503, 504])),
                6 => Effect::TooMany(u32::try_from(dice.roll(5)).unwrap()),
                _ => Effect::DoAndAnswer(dice.pick(&[500, 504])),
            };
            let (method, path) = (dice.pick(&METHODS), dice.pick(&PATHS));
            let times = u32::try_from(1 + dice.roll(5)).unwrap();
            api.fault(on(method, path).times(times), effect.clone());
            return format!("{times} times {method} {path}: {effect:?}");
        }
    }
    format!("something with watches of {kind}, or with the connection")
}

/// Ends all faults, and deletes pods that do not parse.
pub fn calm(api: &FakeApi) {
    api.clear_faults();
    api.connect();
    for kind in KINDS {
        api.release(kind);
    }
    for pod in api.list(PODS) {
        if is_bad_pod(&pod) {
            api.remove(PODS, "shop", name(&pod));
        }
    }
}
