//! Ready: the ready endpoints of slices, counted by what readers see of them. Assessments of a
//! Service depend on these numbers alone. So the numbers can be kept, and only their changes added.

use std::{net::IpAddr, sync::Arc};

use foldhash::{HashSet, HashSetExt as _};

use crate::model::{
    name::{Name, are_same, is_same},
    node::Nodes,
    port::Ports,
    slice::{Endpoint, Slice},
};

/// The ready endpoints of some slices of one address type. An endpoint that is listed twice counts
/// twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The slices.
    pub slices: usize,
    /// The endpoints by the ports of their slices, sorted.
    pub sets: Vec<PortSet>,
    /// Ready endpoints on a known node that has no zone.
    pub unlabelled: usize,
    /// Whether two endpoints, ready or not, have the same first address. Then readers do not see
    /// each of them as one of its own, and these numbers do not say what they see.
    pub has_twins: bool,
    /// Pods that would be endpoints, but have no address of this type.
    pub without_address: usize,
}

/// The endpoints of the slices that have the same ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// The ports.
    pub ports: Ports,
    /// All endpoints, ready or not.
    pub endpoints: usize,
    /// The ready ones, sorted.
    pub ready: Vec<(Alike, usize)>,
}

/// What endpoints have in common that readers treat alike. On which node they are does not matter to
/// readers, except for hints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alike {
    /// Their zone.
    pub zone: Option<Name>,
    /// The zones for which they are hinted.
    pub zones: Vec<Name>,
    /// The nodes for which they are hinted.
    pub nodes: NodeHint,
}

/// The nodes for which endpoints are hinted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeHint {
    /// None.
    None,
    /// Each for the node on which it is, which is in its zone.
    Own,
    /// These.
    These(Vec<Name>),
}

impl NodeHint {
    fn of(endpoint: &Endpoint) -> Self {
        match nodes(endpoint) {
            [] => Self::None,
            hinted if is_own(endpoint, hinted) => Self::Own,
            hinted => Self::These(hinted.to_vec()),
        }
    }

    /// Whether the endpoint has this hint.
    fn is_of(&self, endpoint: &Endpoint) -> bool {
        match (self, nodes(endpoint)) {
            (Self::None, hinted) => hinted.is_empty(),
            (Self::Own, hinted) => is_own(endpoint, hinted),
            (Self::These(names), hinted) => names == hinted && !is_own(endpoint, hinted),
        }
    }
}

impl Alike {
    /// What is the same for all endpoints like this one.
    pub fn of(endpoint: &Endpoint) -> Self {
        Self {
            zone: endpoint.zone.clone(),
            zones: zones(endpoint).to_vec(),
            nodes: NodeHint::of(endpoint),
        }
    }

    /// The same with the names of the nodes, of an endpoint that may claim another zone than that of
    /// its node.
    pub fn named(endpoint: &Endpoint) -> Self {
        let hinted = nodes(endpoint);
        let names = || NodeHint::These(hinted.to_vec());
        let nodes = if hinted.is_empty() { NodeHint::None } else { names() };
        Self { zone: endpoint.zone.clone(), zones: zones(endpoint).to_vec(), nodes }
    }

    fn is_of(&self, endpoint: &Endpoint) -> bool {
        let is_in_zone = are_same(self.zone.as_ref(), endpoint.zone.as_ref());
        let hinted = zones(endpoint);
        is_in_zone
            && self.zones.len() == hinted.len()
            && self.zones.iter().zip(hinted).all(|(one, other)| is_same(one, other))
            && self.nodes.is_of(endpoint)
    }

    /// Whether they have any hint.
    pub fn is_hinted(&self) -> bool {
        !self.zones.is_empty() || self.nodes != NodeHint::None
    }
}

fn zones(endpoint: &Endpoint) -> &[Name] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.zones)
}

fn nodes(endpoint: &Endpoint) -> &[Name] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.nodes)
}

fn is_own(endpoint: &Endpoint, hinted: &[Name]) -> bool {
    match (hinted, &endpoint.node) {
        ([hinted], Some(node)) => is_same(hinted, node),
        _ => false,
    }
}

impl PortSet {
    fn new(ports: &Ports) -> Self {
        Self { ports: ports.clone(), endpoints: 0, ready: Vec::new() }
    }

    fn add(&mut self, endpoint: &Endpoint, more: usize) {
        match self.ready.iter_mut().find(|(alike, _)| alike.is_of(endpoint)) {
            Some((_, count)) => *count += more,
            None => self.add_all(&Alike::of(endpoint), more),
        }
    }

    fn add_all(&mut self, alike: &Alike, more: usize) {
        match self.ready.binary_search_by(|(other, _)| other.cmp(alike)) {
            Ok(at) => self.ready[at].1 += more,
            Err(at) => self.ready.insert(at, (alike.clone(), more)),
        }
    }

    fn remove_all(&mut self, alike: &Alike, fewer: usize) {
        if let Ok(at) = self.ready.binary_search_by(|(other, _)| other.cmp(alike)) {
            self.ready[at].1 = self.ready[at].1.saturating_sub(fewer);
            if self.ready[at].1 == 0 {
                self.ready.remove(at);
            }
        }
    }
}

/// Endpoints that are not added yet, counted with one that is like them. Most have the very storage
/// of another one's zone and hints, so they need not be compared by content.
#[derive(Default)]
struct Lately<'a> {
    places: [Option<(&'a Endpoint, usize)>; 4],
}

impl<'a> Lately<'a> {
    fn add(&mut self, endpoint: &'a Endpoint, set: &mut PortSet) {
        // Whether hints for nodes are for its own depends on its node.
        if !nodes(endpoint).is_empty() {
            return set.add(endpoint, 1);
        }
        for place in &mut self.places {
            match place {
                Some((other, count)) if shares_storage(other, endpoint) => {
                    *count += 1;
                    return;
                }
                Some(_) => {}
                None => {
                    *place = Some((endpoint, 1));
                    return;
                }
            }
        }
        set.add(endpoint, 1);
    }

    fn flush(self, set: &mut PortSet) {
        for (endpoint, count) in self.places.into_iter().flatten() {
            set.add(endpoint, count);
        }
    }
}

fn shares_storage(one: &Endpoint, other: &Endpoint) -> bool {
    fn is_same<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
    is_same(one.hints.as_ref(), other.hints.as_ref())
        && is_same(one.zone.as_ref(), other.zone.as_ref())
}

impl Ready {
    /// The ready endpoints of these slices. Readers consider an absent condition ready
    /// (docs/semantics.md 6.1).
    pub fn of<'a>(slices: impl IntoIterator<Item = &'a Slice>, nodes: &Nodes) -> Self {
        Self::among(slices.into_iter().map(|slice| (&slice.ports, &*slice.endpoints)), nodes)
    }

    /// The same for the ports and the endpoints of slices.
    pub fn among<'a>(
        slices: impl Iterator<Item = (&'a Ports, &'a [Endpoint])>,
        nodes: &Nodes,
    ) -> Self {
        let mut ready = Self::default();
        for (ports, endpoints) in slices {
            ready.slices += 1;
            let set = ready.set(ports);
            set.endpoints += endpoints.len();
            let mut unlabelled = 0;
            let mut lately = Lately::default();
            for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_served()) {
                lately.add(endpoint, set);
                if endpoint.zone.is_none() {
                    let is_known = |name: &Name| nodes.get(name).is_some();
                    unlabelled += usize::from(endpoint.node.as_ref().is_some_and(is_known));
                }
            }
            lately.flush(set);
            ready.unlabelled += unlabelled;
        }
        ready
    }

    /// The ready endpoints of slices of other managers. What they say of nodes is not known to be
    /// right.
    pub fn of_foreign<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> Self {
        let mut ready = Self::default();
        for slice in slices {
            ready.slices += 1;
            let set = ready.set(&slice.ports);
            set.endpoints += slice.endpoints.len();
            let served = slice.endpoints.iter().filter(|endpoint| endpoint.is_served());
            served.for_each(|endpoint| set.add_all(&Alike::named(endpoint), 1));
        }
        ready
    }

    fn set(&mut self, ports: &Ports) -> &mut PortSet {
        let at = match self.sets.binary_search_by(|set| set.ports.cmp(ports)) {
            Ok(at) => at,
            Err(at) => {
                self.sets.insert(at, PortSet::new(ports));
                at
            }
        };
        &mut self.sets[at]
    }

    /// The ready endpoints, by what they have in common.
    pub fn alike(&self) -> impl Iterator<Item = (&Alike, usize)> {
        self.sets.iter().flat_map(|set| &set.ready).map(|(alike, count)| (alike, *count))
    }

    /// How many there are for which `holds` is true.
    pub fn count_if(&self, holds: impl Fn(&Alike) -> bool) -> usize {
        self.alike().filter(|(alike, _)| holds(alike)).map(|(_, count)| count).sum()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count_if(|_| true)
    }

    /// All endpoints, ready or not.
    pub fn endpoints(&self) -> usize {
        self.sets.iter().map(|set| set.endpoints).sum()
    }

    /// Replaces some of these slices, counted in `old`, with others, counted in `new`, which have
    /// the same endpoints in other conditions.
    pub fn replace(&mut self, old: &Self, new: &Self) {
        let swap =
            |all: &mut usize, old: usize, new: usize| *all = (*all + new).saturating_sub(old);
        swap(&mut self.slices, old.slices, new.slices);
        swap(&mut self.unlabelled, old.unlabelled, new.unlabelled);
        for set in &new.sets {
            let all = self.set(&set.ports);
            all.endpoints += set.endpoints;
            set.ready.iter().for_each(|(alike, count)| all.add_all(alike, *count));
        }
        for set in &old.sets {
            let all = self.set(&set.ports);
            all.endpoints = all.endpoints.saturating_sub(set.endpoints);
            set.ready.iter().for_each(|(alike, count)| all.remove_all(alike, *count));
        }
    }
}

/// Up to this many addresses are compared with each other, which costs less than to hash them.
const FEW: usize = 16;

/// Whether two endpoints of these slices, ready or not, have the same first address. Readers use no
/// other.
pub fn has_twins<'a>(slices: impl Iterator<Item = &'a Slice> + Clone) -> bool {
    let count = slices.clone().map(|slice| slice.endpoints.len()).sum();
    let endpoints = slices.flat_map(|slice| slice.endpoints.iter());
    // All are of one type, so the bits tell them apart.
    let mut addresses = endpoints.filter_map(|endpoint| {
        Some(match endpoint.addresses.first()? {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        })
    });
    if count <= FEW {
        let mut few = [0_u128; FEW];
        let mut all = few.iter_mut().zip(&mut addresses);
        let mut known = 0;
        for (place, address) in &mut all {
            *place = address;
            known += 1;
        }
        return (1..known).any(|at| few[..at].contains(&few[at]));
    }
    let mut seen = HashSet::with_capacity(count);
    addresses.any(|address| !seen.insert(address))
}
