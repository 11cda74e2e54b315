//! Assign: which endpoint gets which names of a distribution. As many as possible keep the names that
//! they have. Of those that must change, the ones that have the names in the other address type come
//! first, then those with the lowest rank.

use std::collections::BTreeMap;

use super::{
    counts::{Names, Origin, Tally},
    group::Identity,
    rendezvous::Rendezvous,
    zones::Zones,
};
use crate::model::name::ServiceKey;

/// An endpoint that needs names.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// What tells it apart.
    pub key: Identity<'a>,
    /// The number of its zone.
    pub origin: Origin,
    /// The names that it has now.
    pub now: Names,
    /// The names that its pod has in the other address type.
    pub other: Option<Names>,
}

/// The names of each endpoint, in their order. The endpoints have the origins that the distribution
/// has.
pub fn assign(
    service: &ServiceKey,
    zones: &Zones,
    tally: &Tally,
    endpoints: &[Endpoint<'_>],
) -> Vec<Names> {
    let mut names: Vec<Names> = endpoints.iter().map(|endpoint| endpoint.now).collect();
    let mut kinds: BTreeMap<(Origin, Names), Vec<usize>> = BTreeMap::new();
    for (at, endpoint) in endpoints.iter().enumerate() {
        kinds.entry((endpoint.origin, endpoint.now)).or_default().push(at);
    }
    let has: BTreeMap<_, usize> = kinds.iter().map(|(kind, all)| (*kind, all.len())).collect();
    // Those that must change, by origin.
    let mut free: BTreeMap<Origin, Vec<usize>> = BTreeMap::new();
    for ((origin, now), mut all) in kinds {
        let stay = tally.of(origin, now);
        if all.len() > stay {
            let order = Order::of(service, zones, origin, now);
            order.sort(endpoints, &mut all);
            free.entry(origin).or_default().extend(&all[stay..]);
        }
    }
    for (origin, wanted, count) in tally.iter() {
        let Some(free) = free.get_mut(&origin) else { continue };
        let has = has.get(&(origin, wanted)).copied().unwrap_or_default();
        let missing = count.saturating_sub(has).min(free.len());
        if missing == 0 {
            continue;
        }
        Order::of(service, zones, origin, wanted).sort(endpoints, free);
        for at in free.drain(..missing) {
            names[at] = wanted;
        }
    }
    names
}

/// Who comes first to have a set of names.
struct Order {
    wanted: Names,
    rendezvous: Rendezvous,
}

impl Order {
    fn of(service: &ServiceKey, zones: &Zones, origin: Origin, wanted: Names) -> Self {
        let own = origin.map(Names::only).unwrap_or_default();
        let zone = wanted.without(own).iter().next().or(origin);
        let zone = zone.and_then(|zone| zones.names().get(zone)).map_or("", AsRef::as_ref);
        Self { wanted, rendezvous: Rendezvous::of(service, zone) }
    }

    fn sort(&self, endpoints: &[Endpoint<'_>], all: &mut [usize]) {
        all.sort_by_cached_key(|at| {
            let endpoint = &endpoints[*at];
            let has_not = endpoint.other != Some(self.wanted);
            let key = endpoint.key.text();
            (has_not, self.rendezvous.rank(&key), key)
        });
    }
}
