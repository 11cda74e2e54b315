//! Crowd: the ports of a Service that lead to the same endpoints, with those endpoints as readers
//! tell them apart: by address and port, over all slices of an address type (docs/semantics.md 6.1).
//!
//! Mostly, the numbers of [`Ready`] say all. Where two endpoints have the same address, the slices
//! are read as kube-proxy reads them.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use foldhash::HashMap;

use crate::{
    consumers::kube_proxy::{Hinted, Target, Targets, is_seen},
    model::{
        address::AddressType,
        name::Name,
        port::Port,
        service::{Service, ServicePort},
        slice::Slice,
    },
    plan::{
        hints::planned::Planned,
        ready::{Alike, NodeHint, PortSet, Ready},
    },
};

/// The ports of a Service that lead to the same endpoints, in one address type.
#[derive(Debug)]
pub struct Crowd<'a> {
    /// Their positions in [`Service::ports`].
    pub ports: Vec<usize>,
    /// The ready endpoints.
    pub flocks: Vec<Flock<'a>>,
    /// Whether the managed slices have an endpoint with these ports, ready or not.
    pub has_endpoints: bool,
}

/// Ready endpoints that readers treat alike.
#[derive(Clone, Debug)]
pub struct Flock<'a> {
    /// What they have in common.
    pub alike: Cow<'a, Alike>,
    /// How many there are.
    pub count: usize,
    /// Whether they are in a slice of another manager.
    pub is_foreign: bool,
}

impl Hinted for Flock<'_> {
    fn zones(&self) -> &[Name] {
        &self.alike.zones
    }

    /// Of endpoints that are hinted for their own nodes, the nodes are not counted. The name here is
    /// that of no client: one without an endpoint on its node.
    fn nodes(&self) -> &[Name] {
        static OWN: LazyLock<[Name; 1]> = LazyLock::new(|| ["".into()]);
        match &self.alike.nodes {
            NodeHint::None => &[],
            NodeHint::Own => &*OWN,
            NodeHint::These(names) => names,
        }
    }
}

/// What proxies find of a Service in one address type.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The address type.
    pub family: AddressType,
    /// The endpoints of the managed slices.
    pub own: &'a Ready,
    /// Those of other managers' slices that proxies read.
    pub foreign: Option<&'a Ready>,
    /// All these slices, in case that two endpoints have the same address.
    pub slices: Vec<&'a Slice>,
    /// The plans of its hints, where policies or evacuations decide them.
    pub planned: Option<&'a Planned>,
}

impl<'a> Found<'a> {
    /// The crowds, by the first of their ports. A Service without ports has one.
    pub fn crowds(&self, service: &Service) -> Vec<Crowd<'a>> {
        let classes = self.classes(service);
        classes.into_iter().map(|class| self.crowd(service, class)).collect()
    }

    /// The ports of each crowd.
    pub fn groups(&self, service: &Service) -> Vec<Vec<usize>> {
        self.classes(service).into_iter().map(|class| class.ports).collect()
    }

    fn sets(&self) -> impl Iterator<Item = (&'a PortSet, bool)> + use<'a> {
        let foreign = self.foreign.into_iter().flat_map(|foreign| &foreign.sets);
        self.own.sets.iter().map(|set| (set, false)).chain(foreign.map(|set| (set, true)))
    }

    /// The ports of `service` with the slices' sets of ports in which they occur.
    fn classes(&self, service: &Service) -> Vec<Class<'a>> {
        if let ([set], None) = (&*self.own.sets, self.foreign)
            && set.ports.len() == service.ports.len()
        {
            // A managed slice has no ports but those of its Service.
            return vec![Class {
                ports: (0..service.ports.len()).collect(),
                sets: vec![(set, false)],
            }];
        }
        let mut sets: HashMap<(&str, &str), Vec<usize>> = HashMap::default();
        let all: Vec<_> = self.sets().collect();
        for (at, (set, _)) in all.iter().enumerate() {
            for port in set.ports.iter().filter(|port| is_read(port)) {
                let key = (port.name.as_deref().unwrap_or_default(), protocol(port));
                let with_port = sets.entry(key).or_default();
                if with_port.last() != Some(&at) {
                    with_port.push(at);
                }
            }
        }
        let mut known: HashMap<(Vec<usize>, Vec<usize>), usize> = HashMap::default();
        let mut classes: Vec<Class<'a>> = Vec::new();
        for (at, port) in service.ports.iter().enumerate() {
            let with_port = sets.remove(&(&*port.name, &*port.protocol)).unwrap_or_default();
            let numbers = self.equal_numbers(&with_port, &all, &port.name, &port.protocol);
            let class = *known.entry((with_port.clone(), numbers)).or_insert_with(|| {
                let sets = with_port.iter().map(|at| all[*at]).collect();
                classes.push(Class { ports: Vec::new(), sets });
                classes.len() - 1
            });
            classes[class].ports.push(at);
        }
        if classes.is_empty() {
            classes.push(Class::default());
        }
        classes
    }

    /// For each set, the first one in which the port has the same number. Endpoints with the same
    /// address are one if they have the same number, too.
    fn equal_numbers(
        &self,
        with_port: &[usize],
        all: &[(&PortSet, bool)],
        name: &str,
        protocol_of: &str,
    ) -> Vec<usize> {
        if !self.own.has_twins {
            return Vec::new();
        }
        let number = |at: &usize| {
            let mut ports = all[*at].0.ports.iter();
            let found = ports.find(|port| {
                port.name.as_deref() == Some(name) && protocol(port) == protocol_of && is_read(port)
            });
            found.and_then(|port| port.number)
        };
        let numbers: Vec<_> = with_port.iter().map(number).collect();
        numbers
            .iter()
            .map(|number| numbers.iter().position(|it| it == number).unwrap_or(0))
            .collect()
    }

    fn crowd(&self, service: &Service, class: Class<'a>) -> Crowd<'a> {
        let Class { ports, sets } = class;
        let has_endpoints = sets.iter().any(|(set, is_foreign)| !is_foreign && set.endpoints > 0);
        let port = first_port(service, &ports);
        let flocks = match port {
            Some(port) if self.own.has_twins && is_seen(service) => {
                exact(&Targets::new(service, self.slices.iter().copied(), self.family, &port.name))
            }
            _ => {
                let flock = |(set, is_foreign): &(&'a PortSet, bool)| {
                    let is_foreign = *is_foreign;
                    set.ready.iter().map(move |(alike, count)| Flock {
                        alike: Cow::Borrowed(alike),
                        count: *count,
                        is_foreign,
                    })
                };
                sets.iter().flat_map(flock).collect()
            }
        };
        Crowd { ports, flocks, has_endpoints }
    }
}

/// Ports of a Service that occur in the same sets of ports.
#[derive(Default)]
struct Class<'a> {
    ports: Vec<usize>,
    /// The sets, and whether each is of another manager.
    sets: Vec<(&'a PortSet, bool)>,
}

/// The first of these ports, which have the same endpoints.
pub(super) fn first_port<'s>(service: &'s Service, ports: &[usize]) -> Option<&'s ServicePort> {
    ports.first().and_then(|at| service.ports.get(*at))
}

/// Whether proxies read a port of a slice: it has a name and a number.
fn is_read(port: &Port) -> bool {
    port.name.is_some() && port.number.is_some_and(|number| number != 0)
}

/// Without a protocol, it is TCP.
fn protocol(port: &Port) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

/// The ready ones of these endpoints.
fn exact<'a>(targets: &Targets<'a>) -> Vec<Flock<'a>> {
    flocks(targets, |target| {
        if is_foreign(target) { Alike::named(target.endpoint) } else { Alike::of(target.endpoint) }
    })
}

/// The same with the names of the nodes for which each is hinted.
pub fn by_node<'a>(targets: &Targets<'a>) -> Vec<Flock<'a>> {
    flocks(targets, |target| Alike::named(target.endpoint))
}

fn is_foreign(target: &Target<'_>) -> bool {
    target.slice.managed_service().is_none()
}

fn flocks<'a>(targets: &Targets<'a>, alike: impl Fn(&Target<'_>) -> Alike) -> Vec<Flock<'a>> {
    let mut counts: BTreeMap<(bool, Alike), usize> = BTreeMap::new();
    for target in targets.all.iter().filter(|target| target.is_ready()) {
        *counts.entry((is_foreign(target), alike(target))).or_default() += 1;
    }
    let flock =
        |((is_foreign, alike), count)| Flock { alike: Cow::Owned(alike), count, is_foreign };
    counts.into_iter().map(flock).collect()
}
