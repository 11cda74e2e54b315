//! Hints by a plan under a policy or an evacuation (docs/planner.md 8). Endpoints are planned together
//! if their pods resolve the same ports of the Service by name, since readers merge the slices of a
//! port whatever its number is. The limit on overload must hold for each port over all of them. Where
//! it does not, more endpoints are planned together.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::{Choice, Choices};
use crate::{
    model::{
        name::{Name, ServiceKey, Uid},
        port::Ports,
        slice::{Endpoint, Hints},
    },
    plan::{
        pack::Packing,
        policy::{
            choose,
            counts::{Names, TOLERANCE, Tally},
            group::{Candidate, Group},
            keep::{self, Keeping, percent},
            outcome::{Chosen, ChosenNode, Outcome, PLACEHOLDER},
            request::{Request, Standing},
            zones::Zones,
        },
        ready::{PortSet, Ready},
    },
};

/// The names of the ports that endpoints have, sorted. Ports without a name have an empty one.
pub type PortNames = Vec<Name>;

/// The names of these ports.
pub fn port_names(ports: &Ports) -> PortNames {
    let mut names: PortNames =
        ports.iter().map(|port| port.name.clone().unwrap_or_else(|| "".into())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The plans for one address type of a Service.
#[derive(Clone, Debug)]
pub struct Planned {
    /// One for each group of endpoints that are planned together.
    pub groups: Vec<PlannedGroup>,
    /// The ports for which no plan keeps within the limit. If there is one, no endpoint has hints.
    pub exceeded: Vec<Name>,
}

/// The plan for endpoints that are planned together.
#[derive(Clone, Debug)]
pub struct PlannedGroup {
    /// The sets of ports that its endpoints have.
    pub ports: Vec<PortNames>,
    /// The plan.
    pub outcome: Arc<Outcome>,
}

impl PlannedGroup {
    /// Whether it has endpoints with a port of this name.
    pub fn has_port(&self, name: &str) -> bool {
        self.ports.iter().flatten().any(|port| &**port == name)
    }
}

impl Planned {
    /// Whether the plans stay if the ready endpoints are these now. It costs as much as there are
    /// different sets of names. What numbers of endpoints by zone and names do not tell counts as a
    /// reason to plan anew.
    pub fn stays(&self, request: &Request, zones: &Zones, ready: &Ready) -> bool {
        if request.node || !request.evacuated.is_empty() || !self.exceeded.is_empty() {
            return false;
        }
        let Some(sets) = ready.sets.iter().map(|set| tally(zones, set)).collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        let stays = |group: &PlannedGroup| {
            let mut all = Tally::default();
            for (_, tally) in sets.iter().filter(|(ports, _)| group.ports.contains(ports)) {
                tally.iter().for_each(|(origin, names, count)| all.add(origin, names, count));
            }
            !all.is_empty() && keep::keeps(request, zones, &all) == Keeping::Stays
        };
        let counted = sets.iter().map(|(ports, tally)| {
            let tally = tally.clone();
            Counted { ports, tally, is_kept: true }
        });
        let counted: Vec<Counted<'_>> = counted.collect();
        self.groups.iter().all(stays) && exceeded(request, zones, &counted).is_empty()
    }
}

/// The ready endpoints of these slices, with the names of their ports; `None` if one names something
/// else than zones.
fn tally(zones: &Zones, set: &PortSet) -> Option<(PortNames, Tally)> {
    let mut tally = Tally::default();
    for (alike, count) in &set.ready {
        let names = alike.zones.iter().map(|zone| zones.number(zone));
        let names: Names = names.collect::<Option<Vec<_>>>()?.into_iter().collect();
        // Without hints, the clients of every zone reach all.
        let names = if names.is_empty() { (0..zones.named()).collect() } else { names };
        tally.add(alike.zone.as_ref().and_then(|zone| zones.number(zone)), names, *count);
    }
    Some((port_names(&set.ports), tally))
}

/// What the plans of one address type depend on besides its endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// The Service.
    pub service: &'t ServiceKey,
    /// What is requested for it.
    pub request: &'t Request,
    /// The zones.
    pub zones: &'t Zones,
    /// Whether hints for nodes may be written.
    pub node_hints: bool,
    /// The hints that were chosen for the address type before this one.
    pub other: Option<&'t OtherFamily>,
}

/// The zones that the ready pods of another address type name, by the pod and its ports.
#[derive(Debug, Default)]
pub struct OtherFamily(HashMap<PortNames, HashMap<Uid, Arc<Hints>>>);

/// An endpoint with the names of its ports.
#[derive(Clone, Copy, Debug)]
struct Place<'p> {
    endpoint: &'p Endpoint,
    /// The number of its set of ports.
    set: usize,
}

/// All endpoints of a packing, in the order of [`Packing::slices`].
struct Places<'p> {
    all: Vec<Place<'p>>,
    keys: Vec<String>,
    sets: Vec<PortNames>,
}

impl<'p> Places<'p> {
    fn of(packing: &'p Packing<'_>) -> Self {
        let written = packing.drafts().map(|draft| (&draft.ports, &*draft.endpoints));
        let unchanged = packing.unchanged.iter().map(|slice| (&slice.ports, &*slice.endpoints));
        let mut of = Self { all: Vec::new(), keys: Vec::new(), sets: Vec::new() };
        for (ports, endpoints) in written.chain(unchanged) {
            let names = port_names(ports);
            let known = of.sets.iter().position(|set| *set == names);
            let set = known.unwrap_or_else(|| {
                of.sets.push(names);
                of.sets.len() - 1
            });
            for endpoint in endpoints {
                of.all.push(Place { endpoint, set });
                of.keys.push(key(endpoint));
            }
        }
        of
    }
}

/// What tells an endpoint apart, in both address types if it is a pod.
fn key(endpoint: &Endpoint) -> String {
    let Some(uid) = uid(endpoint) else {
        return endpoint.addresses.first().map(|address| address.to_string()).unwrap_or_default();
    };
    let mut bytes = Vec::new();
    uid.write(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn uid(endpoint: &Endpoint) -> Option<&Uid> {
    endpoint.target.as_ref()?.uid.as_ref()
}

/// The node that the hints in force name.
fn node_in_force(endpoint: &Endpoint) -> ChosenNode {
    match endpoint.hints.as_ref().and_then(|hints| hints.nodes.first()) {
        Some(name) if Some(name) == endpoint.node.as_ref() => ChosenNode::Own,
        Some(name) if &**name == PLACEHOLDER => ChosenNode::Placeholder,
        _ => ChosenNode::Nothing,
    }
}

/// Chooses the hints of all endpoints of `packing`, which have the hints in force.
pub fn choose(terms: Terms<'_>, packing: &Packing<'_>) -> (Choices, Planned) {
    let places = Places::of(packing);
    let request = standing(terms.request, &places);
    let request = Request { node: request.node && terms.node_hints, ..request };
    let terms = Terms { request: &request, ..terms };
    let planned = plan(terms, &places);
    let mut pen = Pen::default();
    let mut endpoints = vec![Choice::Nothing; places.all.len()];
    if planned.exceeded.is_empty() {
        for group in &planned.groups {
            let members = members(&places, &group.ports);
            for (at, chosen) in members.zip(&group.outcome.hints) {
                endpoints[at] = pen.choice(chosen, places.all[at].endpoint);
            }
        }
    }
    (Choices { endpoints, counts: None }, planned)
}

/// The hints in force, exactly, for a part of a Service whose plan stays.
pub fn keep(packing: &Packing<'_>) -> Choices {
    let choice = |endpoint: &Endpoint| match &endpoint.hints {
        Some(hints) => Choice::Planned(Arc::clone(hints)),
        None => Choice::Nothing,
    };
    Choices { endpoints: packing.slices().flatten().map(choice).collect(), counts: None }
}

/// The request with what the hints in force say about themselves: those of an evacuation that has
/// ended are void, and others are a plan.
fn standing<'r>(request: &Request, places: &Places<'r>) -> Request {
    let zones = || places.all.iter().filter_map(|place| place.endpoint.hints.as_ref());
    let is_evacuated = |hints: &Arc<Hints>| hints.zones.iter().any(|zone| &**zone == PLACEHOLDER);
    let standing = match request.standing {
        _ if request.evacuated.is_empty() && zones().any(is_evacuated) => Standing::Void,
        Standing::New if zones().next().is_some() => Standing::For(None),
        standing => standing,
    };
    Request { standing, ..request.clone() }
}

/// The endpoints whose ports are one of these sets, by their places.
fn members<'p>(places: &'p Places<'_>, ports: &'p [PortNames]) -> impl Iterator<Item = usize> + 'p {
    let is_member = |at: &usize| ports.contains(&places.sets[places.all[*at].set]);
    (0..places.all.len()).filter(is_member)
}

/// Plans each set of ports by itself, and more together where the limit does not hold for a port.
fn plan(terms: Terms<'_>, places: &Places<'_>) -> Planned {
    let mut partition: Vec<Vec<PortNames>> =
        places.sets.iter().map(|set| vec![set.clone()]).collect();
    partition.sort_unstable();
    let plan = |partition| {
        let groups = plan_each(terms, places, partition);
        let sets = counted(terms.zones, places, &groups);
        let exceeded = exceeded(terms.request, terms.zones, &sets);
        Planned { groups, exceeded }
    };
    let mut planned = plan(partition.clone());
    if !planned.exceeded.is_empty() {
        partition = joined(partition, &planned.exceeded);
        planned = plan(partition.clone());
    }
    if !planned.exceeded.is_empty() && partition.len() > 1 {
        planned = plan(vec![partition.concat()]);
    }
    planned
}

fn plan_each(
    terms: Terms<'_>,
    places: &Places<'_>,
    partition: Vec<Vec<PortNames>>,
) -> Vec<PlannedGroup> {
    let plan = |ports: Vec<PortNames>| {
        let outcome = Arc::new(plan_group(terms, places, &ports));
        PlannedGroup { ports, outcome }
    };
    partition.into_iter().map(plan).collect()
}

fn plan_group(terms: Terms<'_>, places: &Places<'_>, ports: &[PortNames]) -> Outcome {
    let members: Vec<usize> = members(places, ports).collect();
    let other = terms.other.and_then(|other| match ports {
        [set] => other.0.get(set),
        _ => None,
    });
    let candidate = |at: &usize| {
        let endpoint = places.all[*at].endpoint;
        let hints = endpoint.hints.as_ref();
        let named = other.zip(uid(endpoint)).and_then(|(other, uid)| other.get(uid));
        Candidate {
            key: &places.keys[*at],
            zone: endpoint.zone.as_ref(),
            node: endpoint.node.as_ref(),
            is_ready: endpoint.is_ready(),
            in_force: hints.map(|hints| &*hints.zones),
            node_in_force: node_in_force(endpoint),
            other_family: named.map(|hints| &*hints.zones),
        }
    };
    let candidates: Vec<Candidate<'_>> = members.iter().map(candidate).collect();
    let ready = candidates.iter().filter(|candidate| candidate.is_ready);
    let is_known = |candidate: &Candidate<'_>| candidate.other_family.is_some();
    let is_twin = other.is_some_and(|other| {
        let mut count = 0;
        ready.inspect(|_| count += 1).all(is_known) && count == other.len()
    });
    choose::choose(
        terms.request,
        terms.zones,
        &Group { service: terms.service, candidates, is_twin },
    )
}

/// The ready endpoints that have the same ports, in numbers.
struct Counted<'c> {
    ports: &'c PortNames,
    tally: Tally,
    /// Whether their plan was kept.
    is_kept: bool,
}

/// The ready endpoints of each set of ports, with the names that were chosen for them.
fn counted<'p>(zones: &Zones, places: &'p Places<'_>, groups: &[PlannedGroup]) -> Vec<Counted<'p>> {
    let new = |ports| Counted { ports, tally: Tally::default(), is_kept: true };
    let mut counted: Vec<Counted<'_>> = places.sets.iter().map(new).collect();
    for group in groups {
        for (at, chosen) in members(places, &group.ports).zip(&group.outcome.hints) {
            let Place { endpoint, set } = places.all[at];
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
fn exceeded(request: &Request, zones: &Zones, sets: &[Counted<'_>]) -> Vec<Name> {
    let Some(guard) = request.guard.filter(|_| sets.len() > 1) else { return Vec::new() };
    let names: HashSet<&Name> = sets.iter().flat_map(|set| set.ports).collect();
    let is_exceeded = |name: &&Name| {
        let (mut all, mut is_kept) = (Tally::default(), true);
        for set in sets.iter().filter(|set| set.ports.contains(name)) {
            set.tally.iter().for_each(|(origin, names, count)| all.add(origin, names, count));
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

/// The same with the sets together that have one of these ports.
fn joined(partition: Vec<Vec<PortNames>>, ports: &[Name]) -> Vec<Vec<PortNames>> {
    let mut all = partition;
    for port in ports {
        let has_port = |group: &mut Vec<PortNames>| group.iter().flatten().any(|name| name == port);
        let with_port: Vec<PortNames> = all.extract_if(.., has_port).flatten().collect();
        all.push(with_port);
    }
    all
}

/// Writes hints, and shares those that are the same.
#[derive(Default)]
struct Pen(HashMap<(Arc<[Name]>, Option<Name>), Arc<Hints>>);

impl Pen {
    fn choice(&mut self, Chosen { zones, node }: &Chosen, endpoint: &Endpoint) -> Choice {
        let node: Option<Name> = match node {
            ChosenNode::Nothing => None,
            ChosenNode::Own => endpoint.node.clone(),
            ChosenNode::Placeholder => Some(PLACEHOLDER.into()),
        };
        if zones.is_empty() && node.is_none() {
            return Choice::Nothing;
        }
        let hints = self.0.entry((Arc::clone(zones), node)).or_insert_with_key(|(zones, node)| {
            Arc::new(Hints { zones: zones.to_vec(), nodes: node.iter().cloned().collect() })
        });
        Choice::Planned(Arc::clone(hints))
    }
}

impl OtherFamily {
    /// What was chosen for the endpoints of this packing.
    pub fn of(packing: &Packing<'_>, choices: &Choices) -> Self {
        let none = Arc::new(Hints::default());
        let places = Places::of(packing);
        let mut of = Self::default();
        for (place, choice) in places.all.iter().zip(&choices.endpoints) {
            let hints = match choice {
                Choice::Planned(hints) => hints,
                _ => &none,
            };
            if let Some(uid) = uid(place.endpoint).filter(|_| place.endpoint.is_ready()) {
                let of_set = of.0.entry(places.sets[place.set].clone()).or_default();
                of_set.insert(uid.clone(), Arc::clone(hints));
            }
        }
        of
    }
}
