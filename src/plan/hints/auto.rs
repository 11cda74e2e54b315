//! Hints by the legacy annotation: zones get endpoints in proportion to their CPU
//! (docs/semantics.md 5.3; KEP-2433). Where the built-in controller chooses at random,
//! this is deterministic: of equal zones, it chooses the one whose name sorts first.

use std::collections::BTreeMap;

use super::{Choice, Choices};
use crate::{
    model::{
        name::Name,
        node::Nodes,
        slice::{Endpoint, Slice},
    },
    plan::pack::Packing,
};

/// How much more than its share the endpoints of a zone may carry: 20 %.
const OVERLOAD: f64 = 0.2;

/// The share of each zone in the CPU of all nodes that count: at least two zones, with the sum 1.
pub type CpuShares = BTreeMap<Name, f64>;

/// How many endpoints are hinted to each zone.
pub type ZoneCounts = BTreeMap<Name, usize>;

/// The zones' shares of CPU. Control-plane nodes and nodes that are not ready do not count;
/// `None` if a node that counts lacks a zone or CPU, or if there are fewer than two zones.
pub fn cpu_shares(nodes: &Nodes) -> Option<CpuShares> {
    let mut by_zone: BTreeMap<Name, u64> = BTreeMap::new();
    for node in nodes.values().filter(|node| node.is_sending()) {
        let zone = node.zone.clone().filter(|_| node.cpu > 0)?;
        *by_zone.entry(zone).or_default() += node.cpu;
    }
    let total: u64 = by_zone.values().sum();
    if by_zone.len() < 2 {
        return None;
    }
    Some(by_zone.into_iter().map(|(zone, cpu)| (zone, as_float(cpu) / as_float(total))).collect())
}

/// Whether a Service with these counts should be planned again after nodes have changed.
pub fn is_overloaded(counts: &ZoneCounts, shares: Option<&CpuShares>) -> bool {
    let Some(shares) = shares else { return true };
    let total = counts.values().sum::<usize>();
    shares.iter().any(|(zone, share)| match counts.get(zone) {
        None => true,
        Some(count) => *count < minimum(*share, total),
    })
}

/// Chooses hints for the ready endpoints. No endpoint has any if it cannot be done: no shares, more
/// zones than endpoints, an endpoint without zone, or a zone that would be overloaded.
pub fn choose(packing: &Packing<'_>, shares: Option<&CpuShares>) -> Choices {
    shared_out(packing, shares).unwrap_or_else(|| Choices::none(packing))
}

fn shared_out(packing: &Packing<'_>, shares: Option<&CpuShares>) -> Option<Choices> {
    if ready(packing).any(|endpoint| endpoint.zone.is_none()) {
        return None;
    }
    let allocations = allocate(shares?, ready(packing).count())?;
    let mut counts = ZoneCounts::new();
    // `None` where the endpoint keeps what it has: its slice is accepted, or it is not ready, and
    // proxies ignore it.
    let own = |endpoint: &Endpoint| endpoint.zone.clone().filter(|_| endpoint.is_ready());
    let mut unchanged = Vec::new();
    for slice in &packing.unchanged {
        let is_chosen = !accept(slice, &mut counts, &allocations);
        unchanged
            .extend(slice.endpoints.iter().map(|endpoint| own(endpoint).filter(|_| is_chosen)));
    }
    let written = packing.drafts().flat_map(|draft| &draft.endpoints);
    let mut zones: Vec<Option<Name>> = written.map(own).chain(unchanged).collect();
    for zone in zones.iter().flatten() {
        *counts.entry(zone.clone()).or_default() += 1;
    }
    let (mut giving, mut receiving) = transfers(&allocations, &counts);
    redistribute(&mut zones, &mut counts, &mut giving, &mut receiving);
    let counts = Some(counts).filter(|counts| !counts.is_empty())?;
    let endpoints = zones.into_iter().map(|zone| zone.map_or(Choice::Any, Choice::Zone));
    Some(Choices { counts: Some(counts), ..Choices::of(endpoints.collect()) })
}

/// How many endpoints a zone should have, and how many it may have.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Allocation {
    desired: f64,
    maximum: usize,
}

/// Distributes `ready` endpoints; `None` if there are fewer than zones, or if the minima of
/// all zones together are more than there are.
fn allocate(shares: &CpuShares, ready: usize) -> Option<BTreeMap<Name, Allocation>> {
    if shares.len() > ready {
        return None;
    }
    let minima: usize = shares.values().map(|share| minimum(*share, ready)).sum();
    let spare = ready.checked_sub(minima)?;
    let allocation = |share: f64| {
        let least = minimum(share, ready);
        Allocation { desired: (share * count(ready)).max(count(least)), maximum: least + spare }
    };
    Some(shares.iter().map(|(zone, share)| (zone.clone(), allocation(*share))).collect())
}

/// The fewest endpoints with which a zone is not overloaded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
fn minimum(share: f64, ready: usize) -> usize {
    (share * count(ready) * (1.0 / (1.0 + OVERLOAD))).ceil() as usize
}

/// The ready endpoints of all slices, written or not.
fn ready<'p>(packing: &'p Packing<'_>) -> impl Iterator<Item = &'p Endpoint> {
    packing.slices().flatten().filter(|endpoint| endpoint.is_ready())
}

/// Whether an unchanged slice may keep its hints; if so, adds them to `counts`.
fn accept(
    slice: &Slice,
    counts: &mut ZoneCounts,
    allocations: &BTreeMap<Name, Allocation>,
) -> bool {
    let mut here = ZoneCounts::new();
    for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.is_ready()) {
        let zones = endpoint.hints.as_ref().map_or(&[][..], |hints| &hints.zones);
        if zones.is_empty() {
            return false;
        }
        for zone in zones {
            *here.entry(zone.clone()).or_default() += 1;
        }
    }
    let fits = here.iter().all(|(zone, new)| {
        let before = counts.get(zone).copied().unwrap_or_default();
        allocations.get(zone).is_some_and(|allocation| before + new <= allocation.maximum)
    });
    if fits {
        for (zone, new) in here {
            *counts.entry(zone).or_default() += new;
        }
    }
    fits
}

/// How many endpoints each zone gives away, and how many each receives.
fn transfers(
    allocations: &BTreeMap<Name, Allocation>,
    counts: &ZoneCounts,
) -> (ZoneCounts, ZoneCounts) {
    let mut surplus = BTreeMap::new();
    let mut deficit = BTreeMap::new();
    for (zone, allocation) in allocations {
        let has = count(counts.get(zone).copied().unwrap_or_default());
        if has > allocation.desired {
            surplus.insert(zone.clone(), has - allocation.desired);
        } else if has < allocation.desired {
            deficit.insert(zone.clone(), allocation.desired - has);
        }
    }
    let mut giving = ZoneCounts::new();
    let mut receiving = ZoneCounts::new();
    while let (Some((giver, gives)), Some((receiver, receives))) = (most(&surplus), most(&deficit))
    {
        if (gives < 1.0 && receives < 1.0) || gives < 0.5 || receives < 0.5 {
            break;
        }
        move_one(&mut surplus, &giver, gives);
        move_one(&mut deficit, &receiver, receives);
        *giving.entry(giver).or_default() += 1;
        *receiving.entry(receiver).or_default() += 1;
    }
    (giving, receiving)
}

/// The zone with the largest amount.
fn most(amounts: &BTreeMap<Name, f64>) -> Option<(Name, f64)> {
    let mut most: Option<(&Name, f64)> = None;
    for (zone, amount) in amounts {
        if most.is_none_or(|(_, largest)| *amount > largest) {
            most = Some((zone, *amount));
        }
    }
    most.map(|(zone, amount)| (zone.clone(), amount))
}

/// Subtracts one from a zone's amount, and removes the zone if nothing is left.
fn move_one(amounts: &mut BTreeMap<Name, f64>, zone: &Name, amount: f64) {
    if amount > 1.0 {
        amounts.insert(zone.clone(), amount - 1.0);
    } else {
        amounts.remove(zone);
    }
}

/// Hints endpoints of giving zones to receiving ones, in the order of the slices.
fn redistribute(
    zones: &mut [Option<Name>],
    counts: &mut ZoneCounts,
    giving: &mut ZoneCounts,
    receiving: &mut ZoneCounts,
) {
    for zone in zones.iter_mut().flatten() {
        if !giving.contains_key(zone) {
            continue;
        }
        let Some(receiver) = receiving.keys().next().cloned() else { return };
        take_one(giving, zone);
        take_one(receiving, &receiver);
        take_one(counts, zone);
        *counts.entry(receiver.clone()).or_default() += 1;
        *zone = receiver;
    }
}

/// Subtracts one from a zone's count, and removes the zone if none is left.
fn take_one(counts: &mut ZoneCounts, zone: &Name) {
    match counts.get_mut(zone) {
        Some(count) if *count > 1 => *count -= 1,
        _ => drop(counts.remove(zone)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of endpoints are far below 2^52")]
fn count(endpoints: usize) -> f64 {
    endpoints as f64
}

#[expect(clippy::cast_precision_loss, reason = "thousandths of cores are far below 2^52")]
fn as_float(cpu: u64) -> f64 {
    cpu as f64
}
