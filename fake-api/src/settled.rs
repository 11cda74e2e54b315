//! Settled: whether the slices are what the plan requires, once the world stands still and all
//! faults have ended.

use std::{collections::BTreeSet, time::Duration};

use closehaul::{
    api::{Kind, Object, guard::Guarded},
    cluster::Index,
    model::{
        namespace::Namespace,
        node::Node,
        pod::Pod,
        policy::{ClusterLocalityPolicy, LocalityPolicy, ZoneEvacuation},
        service::Service,
        slice::Slice,
    },
    plan::{Circumstances, Plan, Settings, changes::Changes},
};
use serde_json::Value;

use crate::{
    FakeApi,
    collections::{
        CLUSTER_POLICIES, EVACUATIONS, NAMESPACES, NODES, PODS, POLICIES, SERVICES, SLICES,
    },
    invariants::listed_addresses,
    rig::Rig,
    samples::{FOREIGN_SLICE, name},
};

/// Until all is written: a watch that fell silent is given up after 295 s, and a list that hangs
/// after 70 s; then come the longest back-offs of a watch and of a write, a minute each.
pub const BOUND: Duration = Duration::from_secs(500);

/// Whether all slices are as planned.
pub fn check(rig: &Rig, max_endpoints: usize, node_hints: bool) -> Result<(), String> {
    let api = &rig.api;
    let index = index_of(api);
    for service in index.services() {
        let settings = Settings { max_endpoints, node_hints };
        if let Some(plan) = index.plan(&service.key, None, settings, Circumstances::default()) {
            ensure(plan.is_empty(), || format!("{}: {}", service.key, unwritten(&plan)))?;
            let name = service.key.name.to_string();
            let (found, wanted) = (found(rig, &name), wanted(api, &name));
            ensure(found == wanted, || format!("{name}: {found:?} for {wanted:?}"))?;
        }
    }
    let is_large = |slice: &Value| slice["endpoints"].as_array().unwrap().len() > max_endpoints;
    ensure(!api.list(SLICES).iter().any(is_large), || "a slice is too large".to_owned())
}

/// What a plan would still change, with the hints of all endpoints before and after.
fn unwritten(plan: &Plan<'_>) -> String {
    let mut lines = vec![format!("not written under {:?}", plan.intent)];
    for family in &plan.families {
        let Changes { creates, updates, replaced, deletes, .. } = &family.changes;
        let gone = deletes.len();
        lines.push(format!("{}: {gone} deleted, {:?}", family.address_type, family.planned));
        let stays = family.unchanged.iter().map(|slice| ("stays", *slice));
        let changes = [("created", creates), ("updated", updates), ("was", replaced)];
        let changes =
            changes.into_iter().flat_map(|(what, all)| all.iter().map(move |it| (what, it)));
        for (what, slice) in stays.chain(changes) {
            for endpoint in slice.endpoints.iter() {
                let pod = endpoint.target.as_ref().map(|target| &target.name);
                let (hints, zone) = (&endpoint.hints, &endpoint.zone);
                let is_ready = endpoint.is_ready();
                lines.push(format!("{what} {pod:?}, ready: {is_ready}, in {zone:?}: {hints:?}"));
            }
        }
    }
    lines.join("\n  ")
}

/// Address and readiness of each endpoint; one that is listed twice gets an additional entry.
fn found(rig: &Rig, service: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for slice in rig.slices(service) {
        if name(&slice) == FOREIGN_SLICE {
            continue;
        }
        for endpoint in slice["endpoints"].as_array().unwrap() {
            let address = &endpoint["addresses"][0];
            let pod = &endpoint["targetRef"]["name"];
            if !found.insert(format!("{pod} {address} {}", endpoint["conditions"]["ready"])) {
                found.insert(format!("{pod} {address} twice"));
            }
        }
    }
    found
}

/// The same, by the simplest reading of the objects.
fn wanted(api: &FakeApi, service: &str) -> BTreeSet<String> {
    let service = api.get(SERVICES, "shop", service).unwrap();
    let publishes_all = service["spec"]["publishNotReadyAddresses"] == true;
    let mut wanted = BTreeSet::new();
    for pod in api.list(PODS) {
        let has_node = api.get(NODES, "", pod["spec"]["nodeName"].as_str().unwrap()).is_some();
        let is_ready = pod["status"]["conditions"][0]["status"] == "True"
            && pod["metadata"]["deletionTimestamp"].is_null();
        let is_ready = is_ready || publishes_all;
        for ip in listed_addresses(&service, &pod, has_node) {
            wanted.insert(format!("{} \"{ip}\" {is_ready}", pod["metadata"]["name"]));
        }
    }
    wanted
}

/// An index of what is stored now, at the server's time.
pub fn index_of(api: &FakeApi) -> Index {
    let mut index = Index::default();
    index.set_policies_known(true);
    index.set_time(api.wall_clock().now());
    for namespace in read::<Namespace>(api, NAMESPACES) {
        index.apply_namespace(namespace.value);
    }
    for policy in read::<LocalityPolicy>(api, POLICIES) {
        index.apply_policy(policy.value);
    }
    for policy in read::<ClusterLocalityPolicy>(api, CLUSTER_POLICIES) {
        index.apply_cluster_policy(policy.value);
    }
    for evacuation in read::<ZoneEvacuation>(api, EVACUATIONS) {
        index.apply_evacuation(evacuation.value);
    }
    for service in read::<Service>(api, SERVICES) {
        index.apply_service(service.value);
    }
    for node in read::<Node>(api, NODES) {
        index.apply_node(node.value);
    }
    for pod in read::<Pod>(api, PODS) {
        index.apply_pod(&pod.namespace, pod.value);
    }
    for slice in read::<Slice>(api, SLICES) {
        index.apply_slice(slice.value);
    }
    index
}

fn read<T: Kind>(api: &FakeApi, collection: &str) -> Vec<Object<T>> {
    // Read as the controller does: parts of a policy that are not known here do not matter.
    let read = |object: &Value| match serde_json::from_str(&object.to_string()).unwrap() {
        Guarded::Good(object) => object,
        Guarded::Bad(malformed) => panic!("{malformed:?}"),
    };
    api.list(collection).iter().map(read).collect()
}

/// `otherwise` says what is wrong.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
