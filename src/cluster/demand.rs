//! Demand: the zones of the cluster with what each of them sends to a Service, for plans under a
//! policy (docs/planner.md 5).
//!
//! Plans read samples. A sample is taken when it is first needed, and again every ten seconds at
//! most, and only a zone whose share has moved by two points leads to new plans. So a pod's or a node's
//! event costs nothing here, whatever selectors there are. Only the zones' names are always those of
//! now, since a hint for a zone without nodes leads nowhere.

#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use foldhash::HashMap;
use tokio::time::Instant;

use super::{Index, island::Island, keys};
use crate::{
    model::{
        name::{Name, ServiceKey},
        pod::Pod,
        policy::{DemandSource, Key},
        selector::Selector,
    },
    plan::{
        intent::Intent,
        policy::{
            demand::{self, Clients},
            zones::Zones,
        },
    },
};

/// From one sample to the next.
pub const SAMPLED: Duration = Duration::from_secs(10);
/// How long a zone without nodes that send keeps its share.
const LASTS: Duration = Duration::from_secs(60);

/// What each zone sends, as it was last sampled.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// By the namespace whose pods count; empty for samples that all Services share.
    samples: RefCell<HashMap<Name, Vec<Sample>>>,
    /// The zones by nodes alone, as they are now. Emptied by a change of nodes.
    by_nodes: RefCell<Vec<(Part, Arc<Zones>)>>,
}

/// The part of a request on which its zones depend.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    keys: Vec<Key>,
    source: DemandSource,
}

/// The zones for one part.
#[derive(Debug)]
struct Sample {
    part: Part,
    zones: Arc<Zones>,
    /// Since when zones have had no node that sends.
    silent: BTreeMap<Name, Instant>,
}

impl Demand {
    /// A node has changed.
    pub(super) fn node_changed(&mut self) {
        self.by_nodes.get_mut().clear();
    }

    /// A policy has changed, so other samples may be needed.
    pub(super) fn forget(&mut self) {
        self.samples.get_mut().clear();
    }
}

impl Part {
    /// Whether it is this one.
    fn is(&self, keys: &[Key], source: &DemandSource) -> bool {
        self.keys == keys && self.source == *source
    }

    /// Whether nodes say which zones send.
    fn is_of_nodes(&self) -> bool {
        matches!(self.source, DemandSource::Equal | DemandSource::Nodes | DemandSource::Cpu)
    }
}

/// Under which namespace a sample of this source for a Service is kept.
fn place<'a>(source: &DemandSource, service: &'a ServiceKey) -> &'a str {
    match source {
        DemandSource::Clients { namespaces: None, .. } => &service.namespace,
        _ => "",
    }
}

impl Index {
    /// The zones with what each sends to the Service, if this is requested for it.
    pub fn zones(&self, service: &ServiceKey, intent: &Intent) -> Option<Arc<Zones>> {
        let (keys, source) = match intent.request() {
            Some(request) => (&*request.keys, &request.demand),
            None if intent.is_unknown() => (&[][..], &DemandSource::Equal),
            None => return None,
        };
        let place = place(source, service);
        let mut samples = self.demand.samples.borrow_mut();
        let known = samples.get(place).into_iter().flatten();
        if let Some(sample) = known.clone().find(|sample| sample.part.is(keys, source)) {
            return Some(Arc::clone(&sample.zones));
        }
        let (place, part) =
            (Name::from(place), Part { keys: keys.to_vec(), source: source.clone() });
        let zones = self.now(&place, &part);
        samples.entry(place).or_default().push(Sample {
            part,
            zones: Arc::clone(&zones),
            silent: BTreeMap::new(),
        });
        Some(zones)
    }

    /// Takes samples again. Returns the Services to which some zone sends another share, sorted. Must be
    /// called every [`SAMPLED`].
    pub fn sample_demand(&mut self, now: Instant) -> Vec<ServiceKey> {
        let mut taken = std::mem::take(self.demand.samples.get_mut());
        let mut moved = Vec::new();
        for (place, samples) in &mut taken {
            for sample in samples {
                if self.sample_again(place, sample, now) {
                    moved.push((place.clone(), sample.part.clone()));
                }
            }
        }
        *self.demand.samples.get_mut() = taken;
        self.with_parts(&moved)
    }

    /// Takes the samples again whose zones are not those of the nodes any more. Must be called when a
    /// node has come, gone or moved.
    pub(super) fn rename_zones(&mut self) {
        let mut taken = std::mem::take(self.demand.samples.get_mut());
        for (place, samples) in &mut taken {
            for sample in samples.iter_mut().filter(|it| !self.topology.has_zones(it.zones.names()))
            {
                let live = self.now(place, &sample.part);
                let silent = sample.silent.keys().collect();
                sample.zones = Arc::new(demand::lasting(&sample.zones, &live, &silent));
            }
        }
        *self.demand.samples.get_mut() = taken;
    }

    /// Takes a sample again. Returns whether a share has moved.
    fn sample_again(&self, place: &Name, sample: &mut Sample, now: Instant) -> bool {
        let live = self.now(place, &sample.part);
        let before = &sample.zones;
        let falls_silent = |zone: &Name| {
            sample.part.is_of_nodes() && before.share(zone) > 0.0 && live.share(zone) <= 0.0
        };
        sample.silent.retain(|zone, _| falls_silent(zone));
        for zone in live.names().iter().filter(|zone| falls_silent(zone)) {
            sample.silent.entry(zone.clone()).or_insert(now);
        }
        let lasts = |since: &Instant| now.saturating_duration_since(*since) < LASTS;
        let silent: BTreeSet<&Name> =
            sample.silent.iter().filter(|(_, since)| lasts(since)).map(|(zone, _)| zone).collect();
        let live = demand::lasting(before, &live, &silent);
        let is_moved = demand::has_moved(before, &live);
        // What does not lead to new plans is no step on the way to one.
        sample.zones =
            Arc::new(if is_moved { live } else { live.sending(|zone| before.share(zone)) });
        is_moved
    }

    /// The Services of which a request has one of these parts, sorted.
    fn with_parts(&self, parts: &[(Name, Part)]) -> Vec<ServiceKey> {
        let mut services = Vec::new();
        if parts.is_empty() {
            return services;
        }
        for (namespace, island) in &self.islands {
            let has_part = |intent: &Intent| {
                let Some(request) = intent.request() else { return false };
                let is_same = |(place, part): &&(Name, Part)| {
                    (place.is_empty() || place == namespace)
                        && part.is(&request.keys, &request.demand)
                };
                parts.iter().any(|it| is_same(&it))
            };
            let affected = island.services.values().filter(|it| has_part(&it.intent));
            services.extend(keys(namespace, affected.map(|it| it.service.key.name.clone())));
        }
        services.sort_unstable();
        services
    }

    /// The zones with what each sends now.
    fn now(&self, place: &Name, part: &Part) -> Arc<Zones> {
        let DemandSource::Clients { pods, namespaces } = &part.source else {
            return self.by_nodes(part);
        };
        let zones = self.by_nodes(&Part { source: DemandSource::Equal, ..part.clone() });
        let clients = self.clients(place, pods, namespaces.as_ref());
        Arc::new(demand::of_clients(&zones, &clients))
    }

    fn by_nodes(&self, part: &Part) -> Arc<Zones> {
        let mut known = self.demand.by_nodes.borrow_mut();
        if let Some((_, zones)) = known.iter().find(|(of, _)| of == part) {
            return Arc::clone(zones);
        }
        let zones = Arc::new(demand::zones(&self.nodes, &part.keys, &part.source));
        known.push((part.clone(), Arc::clone(&zones)));
        zones
    }

    /// The ready pods in each zone that `pods` selects, in the namespace `own` or in the selected
    /// ones.
    fn clients(&self, own: &Name, pods: &Selector, namespaces: Option<&Selector>) -> Clients {
        let is_meant = |name: &Name| match namespaces {
            None => name == own,
            Some(selector) => {
                let known = self.rules.namespaces.get(name);
                known.is_some_and(|known| selector.selects(&known.labels))
            }
        };
        let mut clients = Clients::new();
        let islands = self.islands.iter().filter(|(name, _)| is_meant(name));
        for pod in islands.flat_map(|(_, island)| island.selected(pods)).filter(|pod| pod.ready) {
            let node = pod.node.as_ref().and_then(|node| self.nodes.get(node));
            if let Some(zone) = node.and_then(|node| node.zone.as_ref()) {
                *clients.entry(zone.clone()).or_default() += 1;
            }
        }
        clients
    }
}

impl Island {
    /// The pods that a selector selects, which is asked once for all pods with the same labels.
    fn selected(&self, selector: &Selector) -> impl Iterator<Item = &Pod> {
        let groups = self.groups.iter().map(|(_, group)| group);
        let groups = groups.filter(|group| selector.selects(&group.labels));
        groups.flat_map(|group| &group.pods).map(|id| &self.pods.at(*id).pod)
    }
}
