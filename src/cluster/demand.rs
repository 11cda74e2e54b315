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
    plan::policy::{
        demand::{self, Clients},
        request::Request,
        zones::Zones,
    },
};

/// Zones that have been collected, by the part of a request on which they depend.
#[derive(Debug, Default)]
pub(super) struct Collected(RefCell<Vec<(Vec<Key>, DemandSource, Arc<Zones>)>>);

impl Collected {
    /// A node has changed.
    pub(super) fn clear(&mut self) {
        self.0.get_mut().clear();
    }
}

/// How many different requests are remembered. There are as many as policies differ.
const REMEMBERED: usize = 64;

impl Index {
    /// The zones with what each sends to the Service.
    pub(super) fn zones(&self, service: &ServiceKey, request: &Request) -> Arc<Zones> {
        if let DemandSource::Clients { .. } = request.demand {
            // Clients come and go with every pod.
            let clients = self.clients(&service.namespace, &request.demand);
            return Arc::new(demand::zones(&self.nodes, request, &clients));
        }
        let mut collected = self.collected.0.borrow_mut();
        let is_same = |(keys, source, _): &&(Vec<Key>, DemandSource, _)| {
            *keys == request.keys && *source == request.demand
        };
        if let Some((_, _, zones)) = collected.iter().find(is_same) {
            return Arc::clone(zones);
        }
        let zones = Arc::new(demand::zones(&self.nodes, request, &Clients::new()));
        if collected.len() < REMEMBERED {
            let (keys, source) = (request.keys.clone(), request.demand.clone());
            collected.push((keys, source, Arc::clone(&zones)));
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
