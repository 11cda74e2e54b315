//! In place: the hints of slices that another controller writes (docs/assist.md). The endpoints, and
//! which of them are in which slice, stay as they are stored. The mechanisms choose among them as they
//! do among those of a packing that is written here.
//!
//! A slice of which closehaul has decided the hints is marked. What the other controller writes into a
//! slice that is not marked is right, unless something else is requested than what the Service's own
//! fields stand for.

use std::collections::BTreeMap;

use super::{
    Family, Plan, Policy, World,
    census::Census,
    changes::Changes,
    choose, endpoint,
    hints::{self, Choices, planned::OtherFamily},
    in_force::uid,
    pack::{Draft, Packing},
    ready::{self, Ready},
};
use crate::model::{
    address::AddressType,
    slice::{Endpoint, Slice},
};

/// Whether a slice is marked: closehaul has decided its hints.
pub type IsMarked = fn(&Slice) -> bool;

/// Plans the hints of a Service's slices as they stand. Only hints are changed:
///
/// - of all slices, if other hints are requested than those that the Service's own fields stand for;
/// - of the marked ones otherwise, back to what these fields stand for;
/// - of none while it is not known what is requested (docs/planner.md 8.8).
pub fn plan<'a>(world: World<'_, 'a>, is_marked: IsMarked) -> Plan<'a> {
    let mut plan = Plan::new(&world);
    let is_own = |slice: &&&Slice| slice.is_owned_by(world.service.uid.as_ref());
    let standing = world.slices.iter().filter(|slice| !slice.meta.terminating);
    let mut by_type: BTreeMap<AddressType, Vec<&Slice>> = BTreeMap::new();
    for slice in standing.filter(is_own) {
        by_type.entry(slice.address_type).or_default().push(slice);
    }
    let address_types = world.service.address_types();
    let mut other = (address_types.len() > 1).then(OtherFamily::default);
    for address_type in address_types {
        let mut slices = by_type.remove(&address_type).unwrap_or_default();
        slices.sort_unstable_by(|a, b| a.meta.name.cmp(&b.meta.name));
        let family = family(world, other.as_mut(), address_type, slices, is_marked);
        if family.ready.endpoints() == 0 {
            // Only then does it matter why.
            let desired = endpoint::desired(world.service, world.pods, world.nodes, address_type);
            plan.nodeless = desired.nodeless;
            plan.not_allowed.extend(desired.not_allowed);
        }
        plan.families.push(family);
    }
    plan.not_allowed.sort_unstable();
    plan
}

fn family<'a>(
    world: World<'_, 'a>,
    other: Option<&mut OtherFamily>,
    address_type: AddressType,
    slices: Vec<&'a Slice>,
    is_marked: IsMarked,
) -> Family<'a> {
    let endpoints = slices.iter().map(|slice| slice.endpoints.len()).sum();
    let census = Census { endpoints, slices: slices.len(), added: 0, removed: 0 };
    let is_beyond = world.intent.is_beyond(world.service);
    let (may_change, stay): (Vec<_>, Vec<_>) = slices
        .into_iter()
        .partition(|slice| !world.intent.is_unknown() && (is_beyond || is_marked(slice)));
    let mut packing = packing(world.policy, may_change, is_marked);
    let (choices, planned) = choose(world, other, &packing);
    let Choices { endpoints, counts, newcomers } = choices;
    hints::apply(&mut packing, &endpoints, world.settings.node_hints);
    let mut changes = Changes { is_locality_only: true, is_in_place: true, ..Changes::default() };
    let mut unchanged = packing.unchanged;
    packing.updates.sort_unstable_by(|a, b| a.meta.name.cmp(&b.meta.name));
    for Draft { base, endpoints, .. } in packing.updates {
        let Some(base) = base else { continue };
        let pairs = base.endpoints.iter().zip(endpoints);
        let endpoints: Vec<Endpoint> = pairs.map(|(old, new)| hinted(old, new)).collect();
        if *endpoints == *base.endpoints {
            unchanged.push(base);
        } else {
            changes.updates.push(Slice { endpoints: endpoints.into(), ..base.clone() });
            changes.replaced.push(base.clone());
        }
    }
    unchanged.extend(stay);
    let mut family = Family {
        address_type,
        changes,
        unchanged,
        counts,
        planned,
        newcomers,
        census: Some(census),
        ready: Ready::default(),
    };
    family.ready = Ready::of(family.after(), world.nodes);
    family.ready.has_twins = ready::has_twins(family.after());
    family
}

/// The slices as a packing. Where a policy decides and some are marked, an endpoint of one that is not
/// is a newcomer, whatever hints the other controller has given it, unless its pod is in a marked slice,
/// too.
fn packing<'a>(
    policy: Option<Policy<'_>>,
    slices: Vec<&'a Slice>,
    is_marked: IsMarked,
) -> Packing<'a> {
    let has_memory = policy.is_some_and(|policy| policy.request.is_some());
    let has_newcomers = has_memory
        && slices.iter().copied().any(is_marked)
        && !slices.iter().copied().all(is_marked);
    let mut packing = Packing::default();
    for slice in slices {
        if !has_newcomers || is_marked(slice) {
            packing.unchanged.push(slice);
            continue;
        }
        let bare = |endpoint: &Endpoint| Endpoint { hints: None, ..endpoint.clone() };
        let endpoints = slice.endpoints.iter().map(bare).collect();
        let draft = Draft::of(slice, slice.meta.labels.clone(), endpoints);
        packing.updates.push(Draft { kept: 0, ..draft });
    }
    if has_newcomers {
        let known = packing.unchanged.iter().flat_map(|slice| slice.endpoints.iter());
        known.for_each(|endpoint| packing.displaced.add(endpoint));
        packing.restore_hints();
    }
    packing
}

/// An endpoint as it is stored, with these hints. Without the UID of a pod, nothing tells it apart when
/// its slice is written the next time, so its hints stay.
fn hinted(stored: &Endpoint, planned: Endpoint) -> Endpoint {
    let hints = if uid(stored).is_some() { planned.hints } else { stored.hints.clone() };
    Endpoint { hints, ..stored.clone() }
}
