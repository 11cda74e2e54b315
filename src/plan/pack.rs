//! Pack: which endpoint goes into which slice, with as few writes as possible
//! (docs/semantics.md 4.2). Endpoints of one group have the same address type and the same ports.

use std::cmp::Reverse;

use foldhash::HashMap;

use super::{
    census::Census,
    in_force::{self, Displaced},
    metadata,
};
use crate::model::{
    address::AddressType,
    labels::Labels,
    port::Ports,
    service::Service,
    slice::{Endpoint, Identity, Slice, SliceMeta},
};

/// What becomes of the slices of one group, or of one address type.
#[derive(Debug, Default)]
pub struct Packing<'a> {
    /// Slices to create.
    pub creates: Vec<Draft<'a>>,
    /// Slices to replace.
    pub updates: Vec<Draft<'a>>,
    /// Slices that are no longer needed.
    pub deletes: Vec<&'a Slice>,
    /// Slices that are right as they are.
    pub unchanged: Vec<&'a Slice>,
    /// All of this in numbers.
    pub census: Census,
    /// The hints in force of the endpoints that are taken out of slices.
    pub displaced: Displaced<'a>,
}

/// A slice as it will be written.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The slice that is written again; `None` for a new one.
    pub base: Option<&'a Slice>,
    /// Metadata; the annotations are those of the base.
    pub meta: SliceMeta,
    /// Address type.
    pub address_type: AddressType,
    /// Ports.
    pub ports: Ports,
    /// The endpoints, in order.
    pub endpoints: Vec<Endpoint>,
    /// How many of them, from the first, are those of the base as they are.
    pub copied: usize,
    /// How many of them, from the first, the base has already, in whatever form.
    pub kept: usize,
}

/// What the slices of one group have in common.
#[derive(Clone, Debug)]
pub struct Group {
    /// Address type.
    pub address_type: AddressType,
    /// Ports.
    pub ports: Ports,
}

impl Packing<'_> {
    /// What is created, then what is replaced.
    pub fn drafts(&self) -> impl Iterator<Item = &Draft<'_>> {
        self.creates.iter().chain(&self.updates)
    }

    /// The endpoints of each slice as it will stand: first those that are created, then those that
    /// are replaced, then those that are unchanged.
    pub fn slices(&self) -> impl Iterator<Item = &[Endpoint]> {
        self.slices_with_ports().map(|(_, endpoints)| endpoints)
    }

    /// The same with the ports of each.
    pub fn slices_with_ports(&self) -> impl Iterator<Item = (&Ports, &[Endpoint])> {
        let written = self.drafts().map(|draft| (&draft.ports, &*draft.endpoints));
        written.chain(self.unchanged.iter().map(|slice| (&slice.ports, &*slice.endpoints)))
    }

    /// Gives endpoints that go from one slice to another the hints that their pods have in force.
    pub fn restore_hints(&mut self) {
        let drafts = self.creates.iter_mut().chain(&mut self.updates);
        self.displaced.restore(drafts.flat_map(|draft| &mut draft.endpoints[draft.copied..]));
    }

    /// Adds what another group needs.
    pub fn append(&mut self, other: Self) {
        self.creates.extend(other.creates);
        self.updates.extend(other.updates);
        self.deletes.extend(other.deletes);
        self.unchanged.extend(other.unchanged);
        self.census.add(other.census);
        self.displaced.append(other.displaced);
    }
}

impl<'a> Draft<'a> {
    /// A slice written again with these labels and endpoints, none of them as it is.
    pub fn of(base: &'a Slice, labels: Labels, endpoints: Vec<Endpoint>) -> Self {
        let meta = SliceMeta { labels, ..base.meta.clone() };
        let (address_type, ports) = (base.address_type, base.ports.clone());
        let kept = endpoints.len();
        Self { base: Some(base), meta, address_type, ports, endpoints, copied: 0, kept }
    }

    /// A slice written again with these labels and its endpoints as they are.
    pub fn copy(base: &'a Slice, labels: Labels) -> Self {
        let copied = base.endpoints.len();
        Self { copied, ..Self::of(base, labels, base.endpoints.to_vec()) }
    }

    /// A new slice of `service`, still empty.
    pub fn fresh(service: &Service, group: Group) -> Self {
        let Group { address_type, ports } = group;
        Self {
            base: None,
            meta: metadata::fresh(service),
            address_type,
            ports,
            endpoints: Vec::new(),
            copied: 0,
            kept: 0,
        }
    }

    /// The same, written over `base`. The name of `base` and the metadata that other clients put
    /// there stay.
    #[must_use]
    pub fn in_place_of(self, base: &'a Slice) -> Self {
        let meta = SliceMeta { labels: self.meta.labels, ..base.meta.clone() };
        Self { base: Some(base), meta, ..self }
    }

    /// The same as a new slice.
    #[must_use]
    pub fn recreated(self, service: &Service) -> Self {
        let meta = metadata::fresh(service);
        Self { base: None, meta, copied: 0, kept: 0, ..self }
    }

    /// Whether an endpoint of the base is not in it.
    pub fn takes_out(&self) -> bool {
        self.base.is_some_and(|base| base.endpoints.len() > self.kept)
    }

    /// Moves endpoints from `leftovers` here until there are `max`.
    fn fill(&mut self, leftovers: &mut std::vec::IntoIter<Endpoint>, max: usize) {
        let room = max.saturating_sub(self.endpoints.len());
        self.endpoints.extend(leftovers.by_ref().take(room));
    }
}

/// Packs the `desired` endpoints of one group into its `existing` slices and as few new ones
/// as needed, with at most `max` endpoints each. Nothing is compacted or rebalanced.
pub fn pack<'a>(
    service: &Service,
    group: &Group,
    existing: &[&'a Slice],
    desired: &[Endpoint],
    max: usize,
) -> Packing<'a> {
    // Two endpoints with the same identity are one, and the later one counts.
    let mut missing: HashMap<Identity<'_>, &Endpoint> =
        desired.iter().map(|endpoint| (endpoint.identity(), endpoint)).collect();
    let mut packing = Packing::default();
    packing.census.endpoints = missing.len();
    packing.census.slices = missing.len().div_ceil(max);
    for slice in existing {
        keep(service, slice, &mut missing, &mut packing);
    }
    packing.census.added = missing.len();
    let mut leftovers: Vec<Endpoint> = missing.into_values().cloned().collect();
    leftovers.sort_unstable_by(|a, b| a.pod_name().cmp(&b.pod_name()));
    let mut leftovers = leftovers.into_iter();

    // Slices that are written anyway take what they can, the fullest first.
    packing.updates.sort_by_key(|draft| Reverse(draft.endpoints.len()));
    for draft in &mut packing.updates {
        draft.fill(&mut leftovers, max);
    }
    while leftovers.len() > 0 {
        if let Some(at) = slice_to_fill(&packing.unchanged, leftovers.len(), max) {
            let base = packing.unchanged.remove(at);
            let mut draft = Draft::copy(base, base.meta.labels.clone());
            draft.fill(&mut leftovers, max);
            packing.updates.push(draft);
        } else {
            let mut draft = Draft::fresh(service, group.clone());
            draft.fill(&mut leftovers, max);
            packing.creates.push(draft);
        }
    }
    packing
}

/// Keeps the endpoints of `slice` that are still `missing` in their place, with fresh content,
/// and decides what becomes of the slice.
fn keep<'d, 'a: 'd>(
    service: &Service,
    slice: &'a Slice,
    missing: &mut HashMap<Identity<'d>, &'d Endpoint>,
    packing: &mut Packing<'a>,
) {
    let mut kept = Vec::with_capacity(slice.endpoints.len());
    let mut is_changed = false;
    for old in slice.endpoints.iter() {
        if let Some(fresh) = missing.remove(&old.identity()) {
            is_changed |= !fresh.is_same_but_hints(old);
            kept.push((old, fresh));
        } else {
            is_changed = true;
            packing.census.removed += 1;
            packing.displaced.add(old);
        }
    }
    if is_changed && kept.is_empty() {
        packing.deletes.push(slice);
    } else if is_changed {
        // Most slices stay as they are, so nothing is copied before.
        let copy = |(old, fresh): (&Endpoint, &Endpoint)| Endpoint {
            hints: in_force::kept(old, fresh),
            ..fresh.clone()
        };
        let endpoints = kept.into_iter().map(copy).collect();
        let labels = metadata::labels_in_place_of(&slice.meta.labels, service);
        packing.updates.push(Draft::of(slice, labels, endpoints));
    } else if metadata::are_labels_stale(&slice.meta.labels, &service.labels) {
        let labels = metadata::labels(service);
        packing.updates.push(Draft::copy(slice, labels));
    } else {
        packing.unchanged.push(slice);
    }
}

/// The unchanged slice that can take all `count` leftovers and comes nearest to full.
fn slice_to_fill(unchanged: &[&Slice], count: usize, max: usize) -> Option<usize> {
    if count >= max {
        return None;
    }
    let room_left = |slice: &&Slice| max.checked_sub(count + slice.endpoints.len());
    let fitting =
        unchanged.iter().enumerate().filter_map(|(at, slice)| Some((room_left(slice)?, at)));
    // Strictly less than `max` always holds: something is added.
    fitting.min().map(|(_, at)| at)
}
