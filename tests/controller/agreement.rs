//! Agreement: the running controller and `closehaul plan` on a dump of the same cluster state the
//! same: state and reasons of each Service, and what is in the slices.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use fake_api::{
    FakeApi,
    collections::{NODES, PODS, SERVICES, SLICES},
    dice::Dice,
    rig::*,
    samples::{self, name, node, ready_condition},
    seeds::{each, seeds, simulate},
};
use serde_json::{Value, json};

use crate::log::Log;

/// Many, in some minutes: `SEEDS=500`. A single one: `SEED=7`.
const SEEDS: u64 = 24;
const SERVICES_AT_MOST: usize = 6;
/// More than a deleted node stays known.
const SETTLED: std::time::Duration = MINUTE;

/// State and reasons, the most important first.
type Stated = (String, Vec<String>);

#[test]
fn the_controller_and_a_plan_of_its_cluster_state_the_same() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for stated in each(&seeds(SEEDS), |seed| simulate(compared(seed))) {
        let reasons = stated.into_values().flat_map(|(_, reasons)| reasons);
        reasons.for_each(|reason| *seen.entry(reason).or_default() += 1);
    }
    // Otherwise little is compared.
    let is_whole = std::env::var_os("SEED").is_none();
    assert!(!is_whole || (seen.len() >= 14 && seen.contains_key("Applied")), "{seen:?}");
}

/// Changes a cluster under a controller, compares, and returns what both state.
async fn compared(seed: u64) -> BTreeMap<String, Stated> {
    let log = Log::start();
    let mut dice = Dice::new(seed);
    let mut options = Options { services: SERVICES_AT_MOST, ..Options::default() };
    options.settings.plan.max_endpoints = 100;
    let api = FakeApi::new();
    for name in ["a1", "a2", "b1", "c1"] {
        api.put(NODES, node(name));
    }
    let rig = Rig::settled_with(api.clone(), options).await;
    for _ in 0..60 {
        change(&api, &mut dice);
        rig.pass(SECOND).await;
    }
    rig.pass(SETTLED).await;
    let plan = planned(&api, seed);
    let totals = &plan["totals"];
    let writes = ["creates", "updates", "deletes"].map(|kind| totals[kind].as_u64().unwrap());
    assert_eq!(writes, [0; 3], "SEED={seed}: {:#?}", api.list(SLICES));
    let of_plan = states(&plan, seed);
    let of_run = reported(&log);
    for (service, stated) in of_plan.iter().filter(|(_, stated)| !is_nothing(stated)) {
        assert_eq!(of_run.get(service), Some(stated), "SEED={seed}: {service}");
    }
    let text = rig.metrics.text().unwrap();
    for (service, (state, reasons)) in &of_plan {
        let info = format!(
            "closehaul_service_info{{namespace=\"shop\",reason=\"{}\",service=\"{service}\",state=\"{state}\"}} 1",
            reasons[0]
        );
        assert!(text.contains(&info), "SEED={seed}: no {info} in\n{text}");
    }
    let infos = text.lines().filter(|line| line.starts_with("closehaul_service_info{"));
    assert_eq!(infos.count(), of_plan.len(), "SEED={seed}");
    measured(&rig, &plan, &text, seed);
    of_plan
}

/// The metrics state the shares and the overload that the plan states, for each Service that prefers
/// locality and for all together.
fn measured(rig: &Rig, plan: &Value, text: &str, seed: u64) {
    let services = plan["services"].as_array().unwrap().iter();
    let prefers = |service: &&Value| service["state"] != "None";
    let (mut shares, mut worst) = (Vec::new(), None);
    let mut series = 0;
    for service in services.filter(prefers) {
        let labels = format!("{{namespace=\"shop\",service={}}}", service["name"]);
        for (field, name) in
            [("inZoneShare", "planned_in_zone_ratio"), ("overload", "overload_ratio")]
        {
            let name = format!("closehaul_service_{name}{labels}");
            let Some(expected) = service[field].as_f64() else {
                assert!(!text.contains(&name), "SEED={seed}: {name} in\n{text}");
                continue;
            };
            assert!(text.contains(&name), "SEED={seed}: no {name} in\n{text}");
            let value = rig.metric(&name);
            assert!((value - expected).abs() < 1e-3, "SEED={seed}: {name} {value}, not {expected}");
            series += 1;
            if field == "overload" {
                worst = Some(f64::max(expected, worst.unwrap_or(expected)));
            } else {
                shares.push(expected);
            }
        }
    }
    let shown = text.lines().filter(|line| {
        line.starts_with("closehaul_service_planned_in_zone_ratio{")
            || line.starts_with("closehaul_service_overload_ratio{")
    });
    assert_eq!(shown.count(), series, "SEED={seed}\n{text}");
    let count = u32::try_from(shares.len()).unwrap();
    let mean = (count > 0).then(|| shares.iter().sum::<f64>() / f64::from(count));
    for (name, expected) in
        [("closehaul_planned_in_zone_ratio", mean), ("closehaul_worst_overload_ratio", worst)]
    {
        let is_shown = text.lines().any(|line| line.starts_with(&format!("{name} ")));
        assert_eq!(is_shown, expected.is_some(), "SEED={seed}: {name} in\n{text}");
        let (value, expected) = (rig.metric(name), expected.unwrap_or_default());
        assert!((value - expected).abs() < 1e-3, "SEED={seed}: {name} {value}, not {expected}");
    }
}

/// What `closehaul plan -o summary` prints about the cluster, dumped as JSON or YAML.
fn planned(api: &FakeApi, seed: u64) -> Value {
    let kinds = [(SERVICES, "Service"), (PODS, "Pod"), (NODES, "Node"), (SLICES, "EndpointSlice")];
    let items = kinds.into_iter().flat_map(|(collection, kind)| {
        let version = collection.rsplit_once('/').unwrap().0;
        api.list(collection).into_iter().map(move |mut object| {
            object["apiVersion"] = json!(version);
            object["kind"] = json!(kind);
            object
        })
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()});
    // Kinds of which there is nothing are read, too.
    let lists = kinds.map(|(collection, kind)| {
        let version = collection.rsplit_once('/').unwrap().0;
        json!({"apiVersion": version, "kind": format!("{kind}List"), "items": []})
    });
    let documents = [list].into_iter().chain(lists);
    let texts = documents.map(|document| match seed % 2 {
        0 => document.to_string(),
        _ => serde_saphyr::to_string(&document).unwrap(),
    });
    let text = texts.collect::<Vec<_>>().join("\n---\n");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(format!("agreement-{}-{seed}.yaml", std::process::id()));
    fs::write(&path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_closehaul"));
    command.args(["plan", "-o", "summary", "-f"]).arg(&path).env_clear();
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "SEED={seed}: {error}");
    fs::remove_file(&path).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What a plan states of each Service that is served. That is the worst of its ports in both
/// families.
fn states(plan: &Value, seed: u64) -> BTreeMap<String, Stated> {
    const WORST_FIRST: [&str; 6] = ["Ineffective", "Empty", "Partial", "Shadow", "Applied", "None"];
    let rank = |state: &Value| WORST_FIRST.iter().position(|worst| state == worst).unwrap();
    let mut stated = BTreeMap::new();
    let services = plan["services"].as_array().unwrap();
    for service in services.iter().filter(|service| !service["endpoints"].is_null()) {
        let ports = service["ports"].as_array().unwrap();
        let state = service["state"].as_str().unwrap().to_owned();
        let worst = ports.iter().map(|port| rank(&port["state"])).min();
        let expected = worst.map(|worst| WORST_FIRST[worst]);
        assert_eq!(Some(&*state), expected, "SEED={seed}: {service:#}");
        let reasons = texts(&service["reasons"]);
        let of_ports: Vec<_> = ports.iter().flat_map(|port| texts(&port["reasons"])).collect();
        let is_known = |reason| of_ports.contains(reason);
        assert!(reasons.iter().all(is_known), "SEED={seed}: {service:#}");
        stated.insert(service["name"].as_str().unwrap().to_owned(), (state, reasons));
    }
    stated
}

/// What is not logged of a Service that is new.
fn is_nothing((_, reasons): &Stated) -> bool {
    reasons == &["NoPreference"]
}

/// What the controller has last logged of each Service.
fn reported(log: &Log) -> BTreeMap<String, Stated> {
    let mut reported = BTreeMap::new();
    for line in log.lines("the decision on a Service has changed") {
        let rest = |name: &str| line.split_once(&format!(" {name}=")).unwrap().1.to_owned();
        let field = |name: &str| rest(name).split(' ').next().unwrap().to_owned();
        let reasons = rest("reasons").split_once(']').unwrap().0.replace('[', "");
        let reasons = reasons.split(", ").map(str::to_owned).collect();
        reported.insert(field("service"), (field("state"), reasons));
    }
    reported
}

fn change(api: &FakeApi, dice: &mut Dice) {
    match dice.roll(20) {
        0..12 => change_pod(api, dice),
        12..18 => change_service(api, dice),
        18 => change_node(api, dice),
        _ => change_foreign_slice(api, dice),
    }
}

fn change_pod(api: &FakeApi, dice: &mut Dice) {
    let number = dice.roll(12);
    let name = format!("p-{number}");
    if dice.one_in(6) && api.get(PODS, "shop", &name).is_some() {
        return api.remove(PODS, "shop", &name);
    }
    let mut pod = samples::pod(&name);
    pod["metadata"]["labels"]["app"] = json!(dice.pick(&["x", "x", "y"]));
    pod["spec"]["nodeName"] = json!(dice.pick(&["a1", "a2", "b1", "c1"]));
    let named = |name: &str, port: u64| json!({"name": name, "containerPort": port});
    let ports = match dice.roll(8) {
        0 => json!([]),
        1..5 => json!([named("web", 8080)]),
        _ => json!([named("web", dice.pick(&[8080, 8081])), named("api", 9090)]),
    };
    pod["spec"]["containers"] = json!([{"name": "main", "ports": ports}]);
    let address = |family: &str| json!({"ip": format!("{family}{}", number + 1)});
    let (v4, v6) = (address("10.1.0."), address("fd00::"));
    pod["status"]["podIPs"] = match dice.roll(6) {
        0 => json!([v6]),
        1..4 => json!([v4, v6]),
        _ => json!([v4]),
    };
    // Two pods on the network of their node.
    if dice.one_in(16) {
        pod["status"]["podIPs"] = json!([{"ip": "192.0.2.1"}]);
    }
    pod["status"]["podIP"] = pod["status"]["podIPs"][0]["ip"].clone();
    pod["status"]["conditions"][0] = ready_condition(!dice.one_in(4));
    api.put(PODS, pod);
}

fn change_service(api: &FakeApi, dice: &mut Dice) {
    let number = dice.roll(SERVICES_AT_MOST as u64);
    let name = format!("s{number}");
    if dice.one_in(8) && api.get(SERVICES, "shop", &name).is_some() {
        return api.remove(SERVICES, "shop", &name);
    }
    let mut service = samples::service(&name);
    let spec = &mut service["spec"];
    spec["selector"] = json!({"app": dice.pick(&["x", "x", "y", "none"])});
    let port = |name: &str, port: u64, target: Value| json!({"name": name, "port": port, "protocol": "TCP", "targetPort": target});
    spec["ports"] = match dice.roll(8) {
        0..5 => json!([port("", 80, json!(8080))]),
        5 => json!([port("web", 80, json!("web"))]),
        6 => json!([port("web", 80, json!("web")), port("api", 81, json!("api"))]),
        _ => json!([port("web", 80, json!(8080)), port("more", 82, json!("missing"))]),
    };
    spec["ipFamilies"] =
        dice.pick(&[&["IPv4"][..], &["IPv6"], &["IPv4", "IPv6"], &["IPv6", "IPv4"]]).into();
    if dice.one_in(10) {
        spec["clusterIP"] = json!("None");
    }
    if dice.one_in(10) {
        spec["internalTrafficPolicy"] = json!("Local");
    }
    if dice.one_in(10) {
        spec["type"] = json!("LoadBalancer");
        spec["externalTrafficPolicy"] = json!("Local");
    }
    spec["publishNotReadyAddresses"] = json!(dice.one_in(6));
    let preference = dice.pick(&[None, Some("PreferSameZone"), Some("PreferSameNode")]);
    spec["trafficDistribution"] = json!(preference);
    if dice.one_in(6) {
        service["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-mode": "Auto"});
    }
    if dice.one_in(12) {
        service["metadata"]["labels"] = json!({"service.kubernetes.io/service-proxy-name": "own"});
    }
    api.put(SERVICES, service);
}

fn change_node(api: &FakeApi, dice: &mut Dice) {
    let name = dice.pick(&["a1", "a2", "b1", "c1"]);
    if dice.one_in(5) && api.get(NODES, "", name).is_some() {
        return api.remove(NODES, "", name);
    }
    let mut node = node(name);
    if dice.one_in(5) {
        node["metadata"]["labels"] = json!({});
    }
    node["status"]["conditions"][0] = ready_condition(!dice.one_in(6));
    api.put(NODES, node);
}

/// A slice of another manager, with hints or without.
fn change_foreign_slice(api: &FakeApi, dice: &mut Dice) {
    let mut slice = samples::foreign_slice();
    if dice.one_in(3) && api.get(SLICES, "shop", name(&slice)).is_some() {
        return api.remove(SLICES, "shop", samples::FOREIGN_SLICE);
    }
    let mut endpoint = json!({"addresses": ["10.2.0.1"], "conditions": {"ready": true}});
    if dice.one_in(2) {
        endpoint["hints"] = json!({"forZones": [{"name": "a"}]});
    }
    slice["endpoints"] = json!([endpoint]);
    slice["ports"] = json!([{"name": dice.pick(&["", "web"]), "port": 8080, "protocol": "TCP"}]);
    api.put(SLICES, slice);
}
