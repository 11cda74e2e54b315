//! Limit: whether the limit on overload holds for each port, over all endpoints that have it, and
//! whether plans in force stay. Both follow from numbers of endpoints by zone and names.

use foldhash::HashSet;

use super::{Place, Places, Planned, PlannedGroup, PortNames, members, port_names};
use crate::{
    model::name::Name,
    plan::{
        policy::{
            counts::{Names, TOLERANCE, Tally},
            keep::{self, Keeping, percent},
            request::Request,
            zones::Zones,
        },
        ready::{PortSet, Ready},
    },
};

impl Planned {
    /// Whether the plans stay if the ready endpoints are these now. It costs as much as there are
    /// different sets of names. What numbers of endpoints by zone and names do not tell counts as a
    /// reason to plan anew.
    pub fn stays(&self, request: &Request, zones: &Zones, ready: &Ready) -> bool {
        if request.node || !request.evacuated.is_empty() || !self.exceeded.is_empty() {
            return false;
        }
        let Some(sets) =
            ready.sets.iter().map(|set| in_force(zones, set)).collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        let stays = |group: &PlannedGroup| {
            let mut all = Tally::default();
            let of_group = sets.iter().filter(|set| group.ports.contains(&set.ports));
            of_group.for_each(|set| all.append(&set.tally));
            !all.is_empty() && keep::keeps(request, zones, &all) == Keeping::Stays
        };
        self.groups.iter().all(stays) && exceeded(request, zones, &sets).is_empty()
    }
}

/// The ready endpoints of these slices, with the names of their ports; `None` if one names something
/// else than zones.
fn in_force(zones: &Zones, set: &PortSet) -> Option<Counted> {
    let mut tally = Tally::default();
    for (alike, count) in &set.ready {
        let names = alike.zones.iter().map(|zone| zones.number(zone));
        let names: Names = names.collect::<Option<Vec<_>>>()?.into_iter().collect();
        // Without hints, the clients of every zone reach all.
        let names = if names.is_empty() { (0..zones.named()).collect() } else { names };
        tally.add(alike.zone.as_ref().and_then(|zone| zones.number(zone)), names, *count);
    }
    Some(Counted { ports: port_names(&set.ports), tally, is_kept: true })
}

/// The ready endpoints that have the same ports, in numbers.
pub(super) struct Counted {
    ports: PortNames,
    tally: Tally,
    /// Whether their plan was kept.
    is_kept: bool,
}

/// The ready endpoints of each set of ports, with the names that were chosen for them.
pub(super) fn counted(zones: &Zones, places: &Places<'_>, groups: &[PlannedGroup]) -> Vec<Counted> {
    let new = |ports| Counted { ports, tally: Tally::default(), is_kept: true };
    let mut counted: Vec<Counted> = places.sets.iter().cloned().map(new).collect();
    for group in groups {
        for (at, chosen) in members(places, &group.ports).zip(&group.outcome.hints) {
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
