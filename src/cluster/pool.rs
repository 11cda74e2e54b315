//! Pool: one copy of every string and port set that many records share.

use std::{hash::Hash, sync::Arc};

use foldhash::HashSet;

use crate::model::{
    labels::Labels,
    name::Name,
    pod::{ContainerPorts, Pod},
    port::Ports,
    service::Service,
    slice::{Endpoint, Hints, Owner, Slice},
};

/// Shared values. Those that only the pool still holds are dropped from time to time.
#[derive(Debug, Default)]
pub struct Pool {
    names: Shared<Name>,
    labels: Shared<Labels>,
    ports: Shared<ContainerPorts>,
    slice_ports: Shared<Ports>,
    hints: Shared<Arc<Hints>>,
}

impl Pool {
    /// The shared copy of a name.
    pub fn name(&mut self, name: &mut Name) {
        self.names.share(name, Arc::strong_count);
    }

    /// The shared copy of labels, which consist of shared names.
    pub fn labels(&mut self, labels: &mut Labels) {
        if !self.labels.replace(labels) {
            let pairs = labels.iter().cloned().map(|(mut key, mut value)| {
                self.name(&mut key);
                self.name(&mut value);
                (key, value)
            });
            *labels = pairs.collect();
            self.labels.share(labels, Labels::holders);
        }
    }

    /// Shares what a Service has in common with others, its pods and its slices.
    pub fn service(&mut self, service: &mut Service) {
        self.name(&mut service.key.namespace);
        self.name(&mut service.key.name);
        self.labels(&mut service.labels);
        service.selector.iter_mut().for_each(|selector| self.labels(selector));
        for port in &mut service.ports {
            self.name(&mut port.name);
            self.name(&mut port.protocol);
        }
        service.ports.shrink_to_fit();
    }

    /// Shares what a pod has in common with others. Its labels are shared separately.
    pub fn pod(&mut self, pod: &mut Pod) {
        pod.node.iter_mut().for_each(|node| self.name(node));
        self.ports.share(&mut pod.ports, Arc::strong_count);
    }

    /// Shares what a slice has in common with others, and with what was known of it. `pod_name`
    /// gives the name that the record of a pod holds already.
    pub fn slice(
        &mut self,
        slice: &mut Slice,
        known: Option<&Slice>,
        pod_name: impl Fn(&str) -> Option<Name>,
    ) {
        match known {
            // To compare them costs less than to look for them.
            Some(known) if known.meta.labels == slice.meta.labels => {
                slice.meta.labels = known.meta.labels.clone();
            }
            _ => self.labels(&mut slice.meta.labels),
        }
        self.name(&mut slice.meta.namespace);
        slice.meta.generate_name.iter_mut().for_each(|name| self.name(name));
        self.slice_ports.share(&mut slice.ports, Ports::holders);
        // The value is a time, which is different in each slice.
        let annotations = slice.meta.annotations.iter().cloned().map(|(mut key, value)| {
            self.name(&mut key);
            (key, value)
        });
        slice.meta.annotations = annotations.collect();
        slice.meta.owners = match known {
            Some(known) if known.meta.owners == slice.meta.owners => known.meta.owners.clone(),
            _ => slice.meta.owners.iter().map(|owner| self.owner(owner)).collect(),
        };
        let namespace = slice.meta.namespace.clone();
        let known = known.map_or_else(|| &[][..], |known| &known.endpoints);
        let share = |(at, endpoint): (usize, &Endpoint)| {
            // Most are as they were: usually, one pod has changed.
            if let Some(known) = known.get(at).filter(|known| *known == endpoint) {
                return known.clone();
            }
            let mut endpoint = endpoint.clone();
            endpoint.node.iter_mut().for_each(|node| self.name(node));
            endpoint.zone.iter_mut().for_each(|zone| self.name(zone));
            endpoint.hints.iter_mut().for_each(|hints| self.hints.share(hints, Arc::strong_count));
            if let Some(target) = &mut endpoint.target {
                if target.namespace == namespace {
                    target.namespace = namespace.clone();
                }
                if let Some(name) = pod_name(&target.name) {
                    target.name = name;
                }
            }
            endpoint
        };
        slice.endpoints = slice.endpoints.iter().enumerate().map(share).collect();
    }

    fn owner(&mut self, owner: &Owner) -> Owner {
        let mut owner = owner.clone();
        self.name(&mut owner.api_version);
        self.name(&mut owner.kind);
        self.name(&mut owner.name);
        owner
    }
}

/// One copy of each value.
#[derive(Debug)]
struct Shared<T> {
    values: HashSet<T>,
    /// The size at which unused values are looked for.
    limit: usize,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { values: HashSet::default(), limit: 1024 }
    }
}

impl<T: Clone + Eq + Hash> Shared<T> {
    /// Puts the shared copy in place of `value`, if there is one.
    fn replace(&self, value: &mut T) -> bool {
        let Some(shared) = self.values.get(value) else { return false };
        *value = shared.clone();
        true
    }

    /// Puts the shared copy in place of `value`, or shares `value` if there is none.
    fn share(&mut self, value: &mut T, holders: impl Fn(&T) -> usize) {
        if self.replace(value) {
            return;
        }
        if self.values.len() >= self.limit {
            self.values.retain(|value| holders(value) > 1);
            self.limit = (self.values.len() * 2).max(1024);
        }
        self.values.insert(value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_become_one_and_unused_ones_go() {
        let mut pool = Pool::default();
        let (mut a, mut b): (Name, Name) = ("zone-a".into(), "zone-a".into());
        pool.name(&mut a);
        pool.name(&mut b);
        assert!(Arc::ptr_eq(&a, &b));
        for i in 0..5000 {
            pool.name(&mut format!("n{i}").into());
        }
        assert!(pool.names.values.len() <= 1024);
        assert!(pool.names.values.contains("zone-a"));
    }
}
