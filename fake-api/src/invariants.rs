//! Invariants: what must hold at all times, whatever fails. They are checked over the record of a
//! run, change by change, and know nothing of how closehaul decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use closehaul::{
    model::slice::{CONTROLLER, MANAGED_BY, SERVICE_NAME, TRIGGER_TIME},
    plan::policy::outcome::PLACEHOLDER,
};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    collections::{CLUSTER_POLICIES, EVACUATIONS, LEASES, NODES, PODS, POLICIES, SERVICES, SLICES},
    recorder::{Caller, Change},
};

/// What a run is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most endpoints in a slice.
    pub max_endpoints: usize,
    /// How old the knowledge of a replica may be: an endpoint that the world has had for longer must
    /// not leave the slices. `None`: as old as the run.
    pub staleness: Option<Duration>,
    /// Whether the server stores hints for nodes. If not, replicas learn that from writes which
    /// change nothing.
    pub stores_node_hints: bool,
    /// How long the slices of a Service may differ from the world, and the Services for which this
    /// holds: those at which nothing fails.
    pub lag: Option<(Duration, &'static [&'static str])>,
}

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// Which invariant, the same text for each violation of it.
    pub invariant: &'static str,
    /// What broke it.
    pub what: String,
}

/// No slice has too many endpoints.
pub const SIZE: &str = "a slice has more endpoints than allowed";
/// No slice of another controller is written.
pub const FOREIGN: &str = "a slice of another controller was written";
/// No write changes nothing but the trigger time.
pub const REASON: &str = "a write changed nothing";
/// Hints name zones that exist or existed, and nodes that pods were bound to.
pub const NAMES: &str = "a hint names no zone or node of the cluster";
/// An endpoint that the world has before and after a change is never out of all slices.
pub const ENDPOINT: &str = "an endpoint that the world has was taken out of all slices";
/// No slice is created whose endpoints all are in others that are not about to go.
pub const DUPLICATE: &str = "a slice was created for endpoints that were in slices already";
/// A Service at which nothing fails is written in time, whatever fails elsewhere.
pub const LAG: &str = "a healthy Service was not written in time";
/// Only the holder of the lease writes.
pub const WRITER: &str = "a replica wrote that does not lead";

/// The violations in a record, in order.
pub fn violations(record: &[Change], limits: Limits) -> Vec<Violation> {
    let is_placed = limits.staleness.is_some() || limits.lag.is_some();
    let mut world = World { is_placed, ..World::default() };
    let mut found = Vec::new();
    for change in record {
        world.check_lag(change.at, limits, &mut found);
        world.take_in(change, limits, &mut found);
        world.note_lag(change.at, limits);
    }
    found
}

/// A pod's endpoint under one Service port name: namespace, Service, port name, UID of the pod.
type Place = (String, String, String, String);
type Objects = BTreeMap<(String, String), Value>;

/// The state of the world at one change, and what is remembered of earlier ones.
#[derive(Default)]
struct World {
    /// Whether places are followed. That takes long where there are thousands of Services.
    is_placed: bool,
    services: Objects,
    pods: Objects,
    nodes: Objects,
    slices: Objects,
    /// All zones and nodes that there have been.
    zones: BTreeSet<String>,
    node_names: BTreeSet<String>,
    /// Since when the world has each place.
    wanted: BTreeMap<Place, Instant>,
    /// The places in slices.
    present: BTreeSet<Place>,
    /// Who wrote the Lease last.
    holder: Option<Caller>,
    /// Since when the slices of a healthy Service differ from the world.
    late: BTreeMap<&'static str, Instant>,
}

impl World {
    fn take_in(&mut self, change: &Change, limits: Limits, found: &mut Vec<Violation>) {
        let is_replica = change.by != Caller::World;
        match change.collection.as_str() {
            SLICES => {
                if is_replica {
                    self.check(change, limits, found);
                }
                store(&mut self.slices, change);
                if !self.is_placed {
                    return;
                }
                let present = self.places_in_slices();
                if is_replica {
                    self.check_endpoints(change, &present, limits, found);
                }
                self.present = present;
            }
            LEASES => self.holder = Some(change.by),
            SERVICES => self.world_changed(change, |world| &mut world.services),
            PODS => {
                // The node of a pod may never have existed.
                let node = change.after.as_ref().and_then(|pod| pod["spec"]["nodeName"].as_str());
                self.node_names.extend(node.map(str::to_owned));
                self.world_changed(change, |world| &mut world.pods);
            }
            NODES => {
                if let Some(node) = &change.after {
                    let zone = &node["metadata"]["labels"]["topology.kubernetes.io/zone"];
                    self.zones.extend(zone.as_str().map(str::to_owned));
                    self.node_names.insert(change.name.clone());
                }
                self.world_changed(change, |world| &mut world.nodes);
            }
            POLICIES | CLUSTER_POLICIES | EVACUATIONS => {
                // What stands for no zone and no node: where a zone is evacuated, and on nodes of
                // zones to which a policy has not been rolled out.
                self.zones.insert(PLACEHOLDER.to_owned());
                self.node_names.insert(PLACEHOLDER.to_owned());
            }
            _ => {}
        }
    }

    fn world_changed(&mut self, change: &Change, objects: fn(&mut Self) -> &mut Objects) {
        store(objects(self), change);
        if !self.is_placed {
            return;
        }
        let mut wanted = BTreeMap::new();
        for place in self.places_of_pods() {
            let since = self.wanted.get(&place).copied().unwrap_or(change.at);
            wanted.insert(place, since);
        }
        self.wanted = wanted;
    }

    /// What one write shows by itself.
    fn check(&self, change: &Change, limits: Limits, found: &mut Vec<Violation>) {
        let mut violated = |invariant, what: String| {
            let what = format!("{} {}/{}: {what}", change.what(), change.namespace, change.name);
            found.push(Violation { at: change.at, invariant, what });
        };
        if self.holder.is_some_and(|holder| holder != change.by) {
            violated(WRITER, format!("{:?}, and the Lease is of {:?}", change.by, self.holder));
        }
        if let Some(before) = &change.before
            && !is_managed(before)
        {
            violated(FOREIGN, before["metadata"]["labels"].to_string());
        }
        let Some(after) = &change.after else { return };
        let size = entries(&after["endpoints"]).count();
        if size > limits.max_endpoints {
            violated(SIZE, format!("{size} endpoints"));
        }
        let is_same = |before: &Value| content(before) == content(after);
        if limits.stores_node_hints && change.before.as_ref().is_some_and(is_same) {
            violated(REASON, after["metadata"].to_string());
        }
        if change.before.is_none() && size > 0 {
            let group = |slice: &Value| {
                let labels = &slice["metadata"]["labels"];
                let kept = [&labels[SERVICE_NAME], &labels[MANAGED_BY], &slice["ports"]];
                let owners = slice["metadata"]["ownerReferences"].clone();
                (kept.map(Value::clone), slice["addressType"].clone(), owners)
            };
            let of_namespace = self.slices.iter().filter(|((of, _), _)| *of == change.namespace);
            let others = of_namespace.map(|(_, other)| other);
            let others = others.filter(|other| other["metadata"]["deletionTimestamp"].is_null());
            let others = others.filter(|other| group(other) == group(after));
            // A pod whose address changes is another endpoint.
            let identity =
                |endpoint: &Value| (uid(endpoint).to_owned(), endpoint["addresses"].to_string());
            let there: BTreeSet<_> =
                others.flat_map(|other| entries(&other["endpoints"])).map(identity).collect();
            if entries(&after["endpoints"]).all(|endpoint| there.contains(&identity(endpoint))) {
                violated(DUPLICATE, format!("{size} endpoints"));
            }
        }
        for endpoint in entries(&after["endpoints"]) {
            let hints = |field: &str| {
                let names = entries(&endpoint["hints"][field]).map(|hint| text(&hint["name"]));
                names.map(str::to_owned).collect::<BTreeSet<_>>()
            };
            let unknown = &hints("forZones") - &self.zones;
            let unknown = &unknown | &(&hints("forNodes") - &self.node_names);
            if !unknown.is_empty() {
                violated(NAMES, format!("{unknown:?}"));
            }
        }
    }

    /// Whether a write took an endpoint out of all slices that the world has had for long enough.
    fn check_endpoints(
        &self,
        change: &Change,
        present: &BTreeSet<Place>,
        limits: Limits,
        found: &mut Vec<Violation>,
    ) {
        let Some(staleness) = limits.staleness else { return };
        for place in self.present.difference(present) {
            let is_known = self
                .wanted
                .get(place)
                .is_some_and(|since| change.at.saturating_duration_since(*since) > staleness);
            if is_known {
                let (namespace, service, port, pod) = place;
                let what = format!(
                    "{} {}/{}: pod {pod} of {namespace}/{service}, port `{port}`",
                    change.what(),
                    change.namespace,
                    change.name
                );
                found.push(Violation { at: change.at, invariant: ENDPOINT, what });
            }
        }
    }

    /// A healthy Service that is late at this time is reported once.
    fn check_lag(&mut self, at: Instant, limits: Limits, found: &mut Vec<Violation>) {
        let Some((bound, _)) = limits.lag else { return };
        self.late.retain(|service, since| {
            let late = at.saturating_duration_since(*since);
            if late > bound {
                let what = format!("{service}: not after {:.1} s", late.as_secs_f64());
                found.push(Violation { at, invariant: LAG, what });
            }
            late <= bound
        });
    }

    /// Records which healthy Services differ from the world now.
    fn note_lag(&mut self, at: Instant, limits: Limits) {
        let Some((_, services)) = limits.lag else { return };
        for service in services {
            let of = |place: &&Place| place.1 == *service;
            let wanted: BTreeSet<&Place> = self.wanted.keys().filter(of).collect();
            if wanted == self.present.iter().filter(of).collect() {
                self.late.remove(service);
            } else {
                self.late.entry(service).or_insert(at);
            }
        }
    }

    /// What the slices contain.
    fn places_in_slices(&self) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        for ((namespace, _), slice) in &self.slices {
            let service = text(&slice["metadata"]["labels"][SERVICE_NAME]);
            for (endpoint, port) in entries(&slice["endpoints"])
                .flat_map(|endpoint| entries(&slice["ports"]).map(move |port| (endpoint, port)))
            {
                let place =
                    [namespace, service, text(&port["name"]), uid(endpoint)].map(str::to_owned);
                places.insert(place.into());
            }
        }
        places
    }

    /// What the slices should contain, by the simplest reading of Services, pods and nodes. A place
    /// that cannot be told is left out.
    fn places_of_pods(&self) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        for ((namespace, name), service) in &self.services {
            for ((of, _), pod) in &self.pods {
                let node = (String::new(), text(&pod["spec"]["nodeName"]).to_owned());
                let has_node = self.nodes.contains_key(&node);
                if of != namespace || listed_addresses(service, pod, has_node).is_empty() {
                    continue;
                }
                for port in entries(&service["spec"]["ports"]) {
                    let uid = text(&pod["metadata"]["uid"]);
                    let place = [namespace, name, text(&port["name"]), uid].map(str::to_owned);
                    places.insert(place.into());
                }
            }
        }
        places
    }
}

/// The addresses of a pod that slices of a Service contain, by the simplest reading of both: the
/// Service selects the pod, which runs, and whose node exists (`has_node`) if that is required.
pub fn listed_addresses<'p>(service: &Value, pod: &'p Value, has_node: bool) -> Vec<&'p str> {
    let (spec, labels) = (&service["spec"], &pod["metadata"]["labels"]);
    let selector = spec["selector"].as_object().filter(|selector| !selector.is_empty());
    let is_selected =
        selector.is_some_and(|selector| selector.iter().all(|(key, value)| labels[key] == *value));
    let is_served =
        spec["type"] != "ExternalName" && service["metadata"]["deletionTimestamp"].is_null();
    let is_running = !["Failed", "Succeeded"].contains(&text(&pod["status"]["phase"]));
    let is_placed = has_node || spec["publishNotReadyAddresses"] == true;
    if !(is_selected && is_served && is_running && is_placed) {
        return Vec::new();
    }
    let is_listed = |address: &&str| {
        let family = match address.parse() {
            Ok(IpAddr::V4(_)) => "IPv4",
            Ok(IpAddr::V6(_)) => "IPv6",
            Err(_) => return false,
        };
        entries(&spec["ipFamilies"]).any(|other| other == family)
    };
    let addresses = entries(&pod["status"]["podIPs"]).map(|address| text(&address["ip"]));
    addresses.filter(is_listed).collect()
}

/// The UID of the pod behind an endpoint.
fn uid(endpoint: &Value) -> &str {
    text(&endpoint["targetRef"]["uid"])
}

fn is_managed(slice: &Value) -> bool {
    slice["metadata"]["labels"][MANAGED_BY] == CONTROLLER
}

/// A slice without what changes with every write.
fn content(slice: &Value) -> Value {
    let mut content = slice.clone();
    if let Some(metadata) = content["metadata"].as_object_mut() {
        for field in ["resourceVersion", "generation", "managedFields"] {
            metadata.remove(field);
        }
    }
    if let Some(annotations) = content["metadata"]["annotations"].as_object_mut() {
        annotations.remove(TRIGGER_TIME);
    }
    if content["metadata"]["annotations"].as_object().is_some_and(serde_json::Map::is_empty) {
        content["metadata"]["annotations"].take();
    }
    content
}

fn store(objects: &mut Objects, change: &Change) {
    let key = (change.namespace.clone(), change.name.clone());
    match &change.after {
        Some(after) => drop(objects.insert(key, after.clone())),
        None => drop(objects.remove(&key)),
    }
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
