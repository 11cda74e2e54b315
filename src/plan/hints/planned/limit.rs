//! Limit: whether the limit on overload holds for each port, over all endpoints that have it. It follows
//! from numbers of endpoints by zone and names.

use foldhash::HashSet;

use super::{NamedGroup, Place, Places, PortNames, members};
use crate::{
    model::name::Name,
    plan::policy::{
        counts::{Names, TOLERANCE, Tally},
        keep::percent,
        request::Request,
        zones::Zones,
    },
};

/// The ready endpoints that have the same ports, in numbers.
pub(super) struct Counted {
    pub(super) ports: PortNames,
    pub(super) tally: Tally,
    /// Whether their plan was kept.
    pub(super) is_kept: bool,
}

/// The ready endpoints of each set of ports, with the names that were chosen for them.
pub(super) fn counted(zones: &Zones, places: &Places<'_>, groups: &[NamedGroup]) -> Vec<Counted> {
    let new = |ports| Counted { ports, tally: Tally::default(), is_kept: true };
    let mut counted: Vec<Counted> = places.sets.iter().cloned().map(new).collect();
    for NamedGroup { group, naming } in groups {
        for (at, chosen) in members(places, &group.ports).zip(&naming.hints) {
            let Place { endpoint, set, .. } = places.all[at];
            counted[set].is_kept &= group.outcome.is_kept;
            let names: Names = chosen.zones.iter().filter_map(|zone| zones.number(zone)).collect();
            // One that is evacuated has no traffic.
            if endpoint.is_ready() && (chosen.zones.is_empty() || !names.is_empty()) {
                let origin = endpoint.zone.as_ref().and_then(|zone| zones.number(zone));
                counted[set].tally.add(origin, names, 1);
            }
        }
    }
    counted
}

/// The ports over all of whose endpoints the limit does not hold, sorted.
pub(super) fn exceeded(request: &Request, zones: &Zones, sets: &[Counted]) -> Vec<Name> {
    let Some(guard) = request.guard.filter(|_| sets.len() > 1) else { return Vec::new() };
    let names: HashSet<&Name> = sets.iter().flat_map(|set| &set.ports).collect();
    let is_exceeded = |name: &&Name| {
        let (mut all, mut is_kept) = (Tally::default(), true);
        for set in sets.iter().filter(|set| set.ports.contains(name)) {
            all.append(&set.tally);
            is_kept &= set.is_kept;
        }
        let cap = if is_kept { guard.release_overload } else { guard.max_overload };
        let demand = &zones.demand()[..zones.named()];
        all.load(demand).overload > percent(cap) + TOLERANCE
    };
    let mut exceeded: Vec<Name> = names.into_iter().filter(is_exceeded).cloned().collect();
    exceeded.sort_unstable();
    exceeded
}
