//! Demand: the zones of the cluster with what each of them sends to a Service, for plans under a
//! policy (docs/planner.md 5). The zones are kept until a node changes, since collecting them costs as
//! much as there are nodes.

use std::{cell::RefCell, sync::Arc};

use super::Index;
use crate::{
    model::{
        name::{Name, ServiceKey},
        policy::{DemandSource, Key},
    },
    plan::{
        intent::Intent,
        policy::{
            demand::{self, Clients},
            zones::Zones,
        },
    },
};

/// Zones that have been collected.
#[derive(Debug, Default)]
pub(super) struct Collected(RefCell<Vec<Known>>);

/// Zones with the part of a request on which they depend.
#[derive(Debug)]
struct Known {
    keys: Vec<Key>,
    source: DemandSource,
    zones: Arc<Zones>,
}

impl Collected {
    /// A node has changed.
    pub(super) fn clear(&mut self) {
        self.0.get_mut().clear();
    }
}

/// How many different requests are remembered. There are as many as policies differ.
const REMEMBERED: usize = 64;

impl Index {
    /// The zones with what each sends to the Service, if this is requested for it.
    pub(super) fn zones(&self, service: &ServiceKey, intent: &Intent) -> Option<Arc<Zones>> {
        match intent.request() {
            Some(request) => Some(self.zones_by(service, &request.keys, &request.demand)),
            None if intent.is_unknown() => Some(self.zones_by(service, &[], &DemandSource::Equal)),
            None => None,
        }
    }

    fn zones_by(&self, service: &ServiceKey, keys: &[Key], source: &DemandSource) -> Arc<Zones> {
        if let DemandSource::Clients { .. } = source {
            // Clients come and go with every pod.
            let clients = self.clients(&service.namespace, source);
            return Arc::new(demand::zones(&self.nodes, keys, source, &clients));
        }
        let mut collected = self.collected.0.borrow_mut();
        let is_same = |known: &&Known| known.keys == keys && known.source == *source;
        if let Some(known) = collected.iter().find(is_same) {
            return Arc::clone(&known.zones);
        }
        let zones = Arc::new(demand::zones(&self.nodes, keys, source, &Clients::new()));
        if collected.len() < REMEMBERED {
            let (keys, source) = (keys.to_vec(), source.clone());
            collected.push(Known { keys, source, zones: Arc::clone(&zones) });
        }
        zones
    }

    /// The ready pods in each zone that are clients of a Service of `namespace`.
    fn clients(&self, namespace: &Name, source: &DemandSource) -> Clients {
        let mut clients = Clients::new();
        let DemandSource::Clients { pods: selector, namespaces } = source else { return clients };
        let is_meant = |name: &Name| match namespaces {
            None => name == namespace,
            Some(selector) => {
                let known = self.rules.namespaces.get(name);
                known.is_some_and(|known| selector.selects(&known.labels))
            }
        };
        let islands = self.islands.iter().filter(|(name, _)| is_meant(name));
        for pod in islands.flat_map(|(_, island)| island.pods()) {
            let node = pod.node.as_ref().and_then(|node| self.nodes.get(node));
            let zone = node.and_then(|node| node.zone.as_ref());
            if let Some(zone) = zone.filter(|_| pod.ready && selector.selects(&pod.labels)) {
                *clients.entry(zone.clone()).or_default() += 1;
            }
        }
        clients
    }
}
