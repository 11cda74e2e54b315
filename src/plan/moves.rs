//! Moves: endpoints that go from one slice to another, because their pods are served with other
//! ports than before (docs/semantics.md 4.4).
//!
//! How many slices there are, and of which sizes, is decided in [`super::pack`]. Which endpoint goes
//! where, which slice is reused for which ports, and the order of the writes are decided here, so
//! that no endpoint is ever out of all slices under a port name that it had and keeps. Slices are
//! written as a whole, one after the other, so a slice must not be written before all endpoints that
//! it loses are in others.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
};

use foldhash::HashMap;

use super::pack::{Draft, Packing};
use crate::model::{
    name::{Name, Uid},
    port::Ports,
    service::Service,
    slice::{Endpoint, Slice},
};

/// Reuses slices that are no longer needed in place of new ones, and puts the writes in order. A
/// reused slice keeps its name, everything that other clients put into its metadata, and as many of
/// its endpoints as fit.
///
/// Where slices would have to wait for each other, one of them is replaced: its successor is created
/// first, and it is deleted at the end.
pub fn arrange(service: &Service, packing: &mut Packing<'_>) {
    if is_needed(service, packing) {
        Moves::take(service, packing).arrange(packing);
    }
    packing.updates.sort_by_key(Draft::takes_out);
}

/// Whether a slice can be reused, or an endpoint may go from one to another.
fn is_needed(service: &Service, packing: &Packing<'_>) -> bool {
    let may_reuse = || packing.deletes.iter().any(|slice| slice.is_owned_by(service.uid.as_ref()));
    let may_move = |from: &Draft<'_>| {
        from.takes_out()
            && packing.drafts().any(|to| to.endpoints.len() > to.kept && to.ports != from.ports)
    };
    !packing.creates.is_empty() && may_reuse() || packing.updates.iter().any(may_move)
}

/// What makes a pod this pod.
type PodKey = (Name, Option<Uid>);

/// The state of the arrangement: what is not placed yet.
struct Moves<'a, 's> {
    service: &'s Service,
    bases: Vec<Base<'a>>,
    groups: Vec<Group<'a>>,
    loose: Vec<Loose>,
    creates: Vec<Draft<'a>>,
    updates: Vec<Draft<'a>>,
}

/// A slice that can or must be written.
struct Base<'a> {
    slice: &'a Slice,
    /// What is written over it; `None` if it is not needed anymore and can take any new slice.
    draft: Option<Room<'a>>,
    /// Its endpoints that need a place, in order.
    loose: Vec<usize>,
    /// How many of them have none yet, by group.
    shares: BTreeMap<usize, Share>,
    is_done: bool,
}

/// What a base has for one group.
struct Share {
    /// Endpoints without a place.
    count: usize,
    /// Whether the base has a port name in common with the group. If not, its endpoints may leave it
    /// at any time.
    binds: bool,
}

/// A slice to be filled.
struct Room<'a> {
    draft: Draft<'a>,
    group: usize,
    /// How many endpoints it takes, those that it has not counted.
    size: usize,
}

/// What has the same ports.
#[derive(Default)]
struct Group<'a> {
    /// New slices without a base, the largest last.
    rooms: Vec<Room<'a>>,
    /// Its endpoints that need a place, those first that other slices wait for.
    order: std::vec::IntoIter<usize>,
}

/// An endpoint that needs a place.
struct Loose {
    /// `None` once it has one.
    endpoint: Option<Endpoint>,
    group: usize,
    /// The bases that have it.
    bases: Vec<usize>,
}

impl<'a, 's> Moves<'a, 's> {
    /// Takes all drafts, and the slices that can be reused, out of `packing`.
    fn take(service: &'s Service, packing: &mut Packing<'a>) -> Self {
        let mut moves = Self {
            service,
            bases: Vec::new(),
            groups: Vec::new(),
            loose: Vec::new(),
            creates: Vec::new(),
            updates: Vec::new(),
        };
        let mut groups: HashMap<Ports, usize> = HashMap::default();
        for draft in packing.creates.drain(..).chain(packing.updates.drain(..)) {
            let room = moves.empty(draft, &mut groups);
            match room.draft.base {
                Some(slice) => moves.bases.push(Base::new(slice, Some(room))),
                None => moves.groups[room.group].rooms.push(room),
            }
        }
        let owned = |slice: &mut &Slice| slice.is_owned_by(service.uid.as_ref());
        let unneeded = packing.deletes.extract_if(.., owned);
        moves.bases.extend(unneeded.map(|slice| Base::new(slice, None)));
        moves.find();
        moves.put_in_order();
        moves
    }

    /// Takes out of a draft the endpoints that it does not have already.
    fn empty(&mut self, mut draft: Draft<'a>, groups: &mut HashMap<Ports, usize>) -> Room<'a> {
        let group = *groups.entry(draft.ports.clone()).or_insert_with(|| {
            self.groups.push(Group::default());
            self.groups.len() - 1
        });
        let free = draft.endpoints.split_off(draft.kept);
        let size = free.len();
        let loose = |endpoint| Loose { endpoint: Some(endpoint), group, bases: Vec::new() };
        self.loose.extend(free.into_iter().map(loose));
        Room { draft, group, size }
    }

    /// Finds the loose endpoints in the bases.
    fn find(&mut self) {
        let key = |at: usize, loose: &Loose| Some((pod(loose.endpoint.as_ref()?)?, at));
        let by_pod: HashMap<PodKey, usize> =
            self.loose.iter().enumerate().filter_map(|(at, loose)| key(at, loose)).collect();
        for (at, base) in self.bases.iter_mut().enumerate() {
            for endpoint in base.slice.endpoints.iter() {
                let Some(&index) = pod(endpoint).and_then(|pod| by_pod.get(&pod)) else { continue };
                let loose = &mut self.loose[index];
                loose.bases.push(at);
                base.loose.push(index);
                let share = base.shares.entry(loose.group);
                share.or_insert(Share { count: 0, binds: false }).count += 1;
            }
        }
        let mut ports: Vec<Option<Ports>> = vec![None; self.groups.len()];
        let fixed = self.bases.iter().filter_map(|base| base.draft.as_ref());
        for room in fixed.chain(self.groups.iter().flat_map(|group| &group.rooms)) {
            ports[room.group].get_or_insert_with(|| room.draft.ports.clone());
        }
        for base in &mut self.bases {
            for (group, share) in &mut base.shares {
                let ports = ports[*group].as_ref();
                share.binds = ports.is_some_and(|ports| share_a_name(&base.slice.ports, ports));
            }
        }
    }

    /// Decides which endpoints of each group go first where there is a choice: those that their
    /// slices cannot keep, so that these can be written or deleted.
    fn put_in_order(&mut self) {
        let mut bases_of: Vec<Vec<usize>> = vec![Vec::new(); self.groups.len()];
        for (at, base) in self.bases.iter().enumerate() {
            base.shares.keys().for_each(|group| bases_of[*group].push(at));
        }
        let mut new: Vec<Vec<usize>> = vec![Vec::new(); self.groups.len()];
        for (at, loose) in self.loose.iter().enumerate().filter(|(_, l)| l.bases.is_empty()) {
            new[loose.group].push(at);
        }
        for (group, (mut bases, new)) in bases_of.into_iter().zip(new).enumerate() {
            self.groups[group].rooms.sort_by_key(|room| room.size);
            let largest = self.groups[group].largest();
            let of_group = |base: &Base<'_>| {
                let all = base.loose.iter().copied();
                all.filter(|loose| self.loose[*loose].group == group).collect::<Vec<_>>()
            };
            bases.sort_by_key(|at| {
                let base = &self.bases[*at];
                let is_split = base.draft.is_some() || base.bound().nth(1).is_some();
                (!is_split, base.count(group), Reverse(*at))
            });
            let (mut first, mut then) = (Vec::new(), Vec::new());
            for at in bases {
                let base = &self.bases[at];
                let mut all = of_group(base);
                let kept = if base.draft.is_some() { all.len() } else { largest };
                first.extend(all.split_off(kept.min(all.len())));
                then.extend(all);
            }
            let order: Vec<usize> = first.into_iter().chain(then).chain(new).collect();
            self.groups[group].order = order.into_iter();
        }
    }

    /// Places everything, and puts the writes back into `packing`.
    fn arrange(mut self, packing: &mut Packing<'a>) {
        let mut order: Vec<usize> = (0..self.bases.len()).collect();
        order.sort_by_key(|at| {
            let base = &self.bases[*at];
            (base.draft.is_none(), Reverse(base.loose.len()))
        });
        loop {
            let mut is_stuck = true;
            for at in &order {
                if let Some(room) = self.room_for(*at) {
                    self.write(*at, room);
                    is_stuck = false;
                }
            }
            if is_stuck {
                for at in &order {
                    if let Some(room) = self.room_for_any(*at) {
                        self.write(*at, room);
                        is_stuck = false;
                    }
                }
            }
            if is_stuck && !self.make_way(&order, &mut packing.deletes) {
                break;
            }
        }
        let rest: Vec<Room<'_>> =
            self.groups.iter_mut().flat_map(|group| group.rooms.drain(..)).collect();
        for room in rest {
            let draft = self.fill(room, &[]);
            self.creates.push(draft);
        }
        let left = self.bases.iter().filter(|base| !base.is_done);
        packing.deletes.extend(left.map(|base| base.slice));
        packing.creates = self.creates;
        packing.updates = self.updates;
    }

    /// What to write over a base now, if nothing that it loses is without a place.
    fn room_for(&mut self, at: usize) -> Option<Room<'a>> {
        let base = &mut self.bases[at];
        if base.is_done {
            return None;
        }
        if let Some(room) = &base.draft {
            let fits = base.bound().all(|(group, count)| group == room.group && count <= room.size);
            return base.draft.take_if(|_| fits);
        }
        let mut bound = base.bound();
        let (group, count) = bound.next()?;
        let rooms = &mut self.groups[group];
        if bound.next().is_some() || count > rooms.largest() {
            return None;
        }
        rooms.rooms.pop()
    }

    /// What to write over a base that may lose all of its endpoints: preferably what keeps most of
    /// them.
    fn room_for_any(&mut self, at: usize) -> Option<Room<'a>> {
        let base = &self.bases[at];
        if base.is_done || base.draft.is_some() || base.bound().next().is_some() {
            return None;
        }
        let open = |group: &usize| !self.groups[*group].rooms.is_empty();
        let shares = base.shares.iter().filter(|(group, share)| share.count > 0 && open(group));
        let most = shares.max_by_key(|(group, share)| (share.count, Reverse(**group)));
        let group = most.map(|(group, _)| *group);
        let group = group.or_else(|| (0..self.groups.len()).find(open))?;
        self.groups[group].rooms.pop()
    }

    /// All bases that are left wait for each other: creates the slice that frees the one that lacks
    /// least. Returns whether anything was left to do.
    fn make_way(&mut self, order: &[usize], deletes: &mut Vec<&'a Slice>) -> bool {
        let has_rooms = self.groups.iter().any(|group| !group.rooms.is_empty());
        let waiting = order.iter().copied().filter(|at| {
            let base = &self.bases[*at];
            !base.is_done && (base.draft.is_some() || has_rooms)
        });
        let lacking = waiting.map(|at| (self.lacks(at), at));
        let Some(((_, group), at)) = lacking.min_by_key(|((count, _), _)| *count) else {
            return false;
        };
        if self.service.terminating {
            // Nothing is created for it.
            let room = self.bases[at].draft.take().or_else(|| self.any_room());
            if let Some(room) = room {
                self.write(at, room);
            }
            return true;
        }
        let room = self.groups[group].rooms.pop();
        let Some(room) = room.or_else(|| self.replace(group, at, order, deletes)) else {
            return false;
        };
        let first = std::mem::take(&mut self.bases[at].loose);
        let draft = self.fill(room, &first);
        self.bases[at].loose = first;
        self.creates.push(draft);
        true
    }

    /// How many endpoints of a base lack a place before it can be written, and to which group most
    /// of them belong.
    fn lacks(&self, at: usize) -> (usize, usize) {
        let base = &self.bases[at];
        let fits = |(group, count): (usize, usize)| match &base.draft {
            Some(room) if room.group == group => count.min(room.size),
            Some(_) => 0,
            None => count.min(self.groups[group].largest()),
        };
        let total: usize = base.bound().map(|(_, count)| count).sum();
        let best = base.bound().max_by_key(|bound| (fits(*bound), Reverse(bound.0)));
        let (own, fitting) = best.map_or((0, 0), |best| (best.0, fits(best)));
        let others = base.bound().filter(|(group, _)| *group != own);
        let most = others.max_by_key(|(group, count)| (*count, Reverse(*group)));
        (total - fitting, most.map_or(own, |(group, _)| group))
    }

    /// Takes a slice of `group` that waits, to be created under a new name and deleted at the end.
    fn replace(
        &mut self,
        group: usize,
        waiting: usize,
        order: &[usize],
        deletes: &mut Vec<&'a Slice>,
    ) -> Option<Room<'a>> {
        let is_of_group =
            |at: &usize| self.bases[*at].draft.as_ref().is_some_and(|room| room.group == group);
        let other = order.iter().copied().find(|at| *at != waiting && is_of_group(at));
        let at = other.or_else(|| Some(waiting).filter(is_of_group))?;
        let base = &mut self.bases[at];
        base.is_done = true;
        deletes.push(base.slice);
        let Room { draft, group, size } = base.draft.take()?;
        Some(Room { draft: draft.recreated(self.service), group, size })
    }

    fn any_room(&mut self) -> Option<Room<'a>> {
        self.groups.iter_mut().find_map(|group| group.rooms.pop())
    }

    /// Writes over a base. What it has of the group stays.
    fn write(&mut self, at: usize, room: Room<'a>) {
        let own = std::mem::take(&mut self.bases[at].loose);
        self.bases[at].is_done = true;
        let slice = self.bases[at].slice;
        let Room { draft, group, size } = room;
        let draft = if draft.base.is_none() { draft.in_place_of(slice) } else { draft };
        let draft = self.fill(Room { draft, group, size }, &own);
        self.updates.push(draft);
    }

    /// Fills a slice, with endpoints of `first` before others.
    fn fill(&mut self, room: Room<'a>, first: &[usize]) -> Draft<'a> {
        let Room { mut draft, group, size } = room;
        let full = draft.endpoints.len() + size;
        for at in first {
            if draft.endpoints.len() < full && self.loose[*at].group == group {
                draft.endpoints.extend(self.place(*at));
            }
        }
        if draft.base.is_some() {
            draft.kept = draft.endpoints.len();
        }
        while draft.endpoints.len() < full {
            let Some(at) = self.groups[group].order.next() else { break };
            draft.endpoints.extend(self.place(at));
        }
        draft
    }

    /// Gives an endpoint its place, unless it has one.
    fn place(&mut self, at: usize) -> Option<Endpoint> {
        let Loose { endpoint, group, bases } = &mut self.loose[at];
        let endpoint = endpoint.take()?;
        for base in bases {
            if let Some(share) = self.bases[*base].shares.get_mut(group) {
                share.count -= 1;
            }
        }
        Some(endpoint)
    }
}

impl<'a> Base<'a> {
    fn new(slice: &'a Slice, draft: Option<Room<'a>>) -> Self {
        Self { slice, draft, loose: Vec::new(), shares: BTreeMap::new(), is_done: false }
    }

    /// How many endpoints it must not lose yet, by group.
    fn bound(&self) -> impl Iterator<Item = (usize, usize)> {
        let shares = self.shares.iter().filter(|(_, share)| share.binds && share.count > 0);
        shares.map(|(group, share)| (*group, share.count))
    }

    fn count(&self, group: usize) -> usize {
        self.shares.get(&group).map_or(0, |share| share.count)
    }
}

impl Group<'_> {
    /// The size of the largest new slice without a base; 0 if there is none.
    fn largest(&self) -> usize {
        self.rooms.last().map_or(0, |room| room.size)
    }
}

fn pod(endpoint: &Endpoint) -> Option<PodKey> {
    let target = endpoint.target.as_ref()?;
    Some((target.name.clone(), target.uid.clone()))
}

/// Whether there is a port name that both have.
fn share_a_name(one: &Ports, other: &Ports) -> bool {
    // They are in order.
    let (mut one, mut other) = (one.names().peekable(), other.names().peekable());
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        match a.cmp(b) {
            Ordering::Less => drop(one.next()),
            Ordering::Greater => drop(other.next()),
            Ordering::Equal => return true,
        }
    }
    false
}
