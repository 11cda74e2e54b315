//! Hints by a plan under a policy or an evacuation (docs/planner.md 8). Endpoints are planned together
//! if their pods resolve the same ports of the Service by name, since readers merge the slices of a
//! port whatever its number is. The limit on overload must hold for each port over all of them. Where
//! it does not, more endpoints are planned together.

mod kept;
mod limit;

use std::{sync::Arc, time::Duration};

use foldhash::HashMap;

use self::limit::{counted, exceeded};
use super::{Choice, Choices};
use crate::{
    model::{
        name::{Name, ServiceKey, Uid},
        port::Ports,
        slice::{Endpoint, Hints},
    },
    plan::{
        in_force::uid,
        pack::Packing,
        policy::{
            choose,
            group::{Candidate, Group, Identity},
            outcome::{Chosen, ChosenNode, Naming, Outcome, PLACEHOLDER},
            request::{Request, Standing},
            searches::Searches,
            unknown,
            zones::Zones,
        },
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
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// One for each group of endpoints that are planned together.
    pub groups: Vec<PlannedGroup>,
    /// The ports for which no plan keeps within the limit. If there is one, no endpoint has hints.
    pub exceeded: Vec<Name>,
}

/// The plan for endpoints that are planned together.
#[derive(Clone, Debug, PartialEq)]
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

/// The same with what its endpoints name.
struct NamedGroup {
    group: PlannedGroup,
    naming: Naming,
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
    /// What searches have found.
    pub searches: &'t Searches,
    /// Whether hints for nodes may be written.
    pub node_hints: bool,
    /// How long the hints in force have stood; `None` stands for long enough.
    pub stood: Option<Duration>,
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
    /// Whether no slice has it yet.
    is_new: bool,
}

/// All endpoints of a packing, in the order of [`Packing::slices`].
struct Places<'p> {
    all: Vec<Place<'p>>,
    sets: Vec<PortNames>,
}

impl<'p> Places<'p> {
    fn of(packing: &'p Packing<'_>) -> Self {
        let written = packing.drafts().map(|draft| (&draft.ports, &*draft.endpoints, draft.kept));
        let unchanged = packing.unchanged.iter();
        let unchanged =
            unchanged.map(|slice| (&slice.ports, &*slice.endpoints, slice.endpoints.len()));
        let mut of = Self { all: Vec::new(), sets: Vec::new() };
        for (ports, endpoints, kept) in written.chain(unchanged) {
            let names = port_names(ports);
            let known = of.sets.iter().position(|set| *set == names);
            let set = known.unwrap_or_else(|| {
                of.sets.push(names);
                of.sets.len() - 1
            });
            for (at, endpoint) in endpoints.iter().enumerate() {
                // One that goes from one slice to another keeps its hints.
                let is_new = at >= kept && endpoint.hints.is_none();
                of.all.push(Place { endpoint, set, is_new });
            }
        }
        of
    }
}

/// What tells an endpoint apart.
fn key(endpoint: &Endpoint) -> Identity<'_> {
    let address = || endpoint.addresses.first().map(Identity::Address);
    uid(endpoint).map(Identity::Pod).or_else(address).unwrap_or(Identity::Text(""))
}

/// The node that the hints in force name.
fn node_in_force(endpoint: &Endpoint) -> ChosenNode {
    match endpoint.hints.as_ref().and_then(|hints| hints.nodes.first()) {
        Some(name) if Some(name) == endpoint.node.as_ref() => ChosenNode::Own,
        Some(name) if &**name == PLACEHOLDER => ChosenNode::Placeholder,
        _ => ChosenNode::Nothing,
    }
}

/// Chooses the hints of all endpoints of `packing`, which have the hints in force. `other` is what was
/// chosen for the address type before this one. If the Service has several, what is chosen now takes
/// its place.
pub fn choose(
    terms: Terms<'_>,
    other: Option<&mut OtherFamily>,
    packing: &Packing<'_>,
) -> (Choices, Planned) {
    let places = Places::of(packing);
    let request = standing(terms, &places);
    let terms = Terms { request: &request, ..terms };
    let (groups, exceeded) = plan(terms, other.as_deref(), &places);
    let mut pen = Pen::default();
    let mut endpoints = vec![Choice::Nothing; places.all.len()];
    if exceeded.is_empty() {
        for NamedGroup { group, naming } in &groups {
            let members = members(&places, &group.ports);
            for (at, chosen) in members.zip(&naming.hints) {
                endpoints[at] = pen.choice(chosen, places.all[at].endpoint);
            }
        }
    }
    if let Some(other) = other {
        *other = OtherFamily::of(&places, &endpoints);
    }
    let split = groups.into_iter().map(|named| (named.group, named.naming.newcomers));
    let (groups, newcomers) = split.unzip();
    (Choices { newcomers, ..Choices::of(endpoints) }, Planned { groups, exceeded })
}

/// The hints while it is not known what policies request: those in force, and what follows from them
/// for new endpoints. `None` if those in force are what the Service's own fields stand for.
pub fn unknown(
    service: &ServiceKey,
    zones: &Zones,
    prefers_zone: bool,
    packing: &Packing<'_>,
) -> Option<Choices> {
    let places = Places::of(packing);
    let candidates = (0..places.all.len()).map(|at| candidate(&places, at)).collect();
    let group = Group { service, candidates, is_twin: false };
    let unknown = unknown::unknown(zones, &group, prefers_zone)?;
    let mut pen = Pen::default();
    let places = places.all.iter().zip(&unknown.hints);
    let endpoints = places.map(|(place, chosen)| pen.choice(chosen, place.endpoint)).collect();
    Some(Choices::of(endpoints))
}

/// The request with what the hints in force say about themselves: those of an evacuation that has
/// ended are void, and others are a plan.
fn standing(Terms { request, node_hints, stood, .. }: Terms<'_>, places: &Places<'_>) -> Request {
    let zones = || places.all.iter().filter_map(|place| place.endpoint.hints.as_ref());
    let is_evacuated = |hints: &Arc<Hints>| hints.zones.iter().any(|zone| &**zone == PLACEHOLDER);
    let standing = match request.standing {
        _ if request.evacuated.is_empty() && zones().any(is_evacuated) => Standing::Void,
        Standing::New if zones().next().is_none() => Standing::New,
        // Without an endpoint that stays, nothing was in force, not even no hints.
        _ if places.all.iter().all(|place| place.is_new) => Standing::New,
        _ => Standing::For(stood),
    };
    Request { standing, node: request.node && node_hints, ..request.clone() }
}

/// The endpoints whose ports are one of these sets, by their places.
fn members(places: &Places<'_>, ports: &[PortNames]) -> impl Iterator<Item = usize> {
    let is_member: Vec<bool> = places.sets.iter().map(|set| ports.contains(set)).collect();
    let places = places.all.iter().enumerate();
    places.filter(move |(_, place)| is_member[place.set]).map(|(at, _)| at)
}

/// Plans each set of ports by itself, and more together where the limit does not hold for a port. Returns
/// the ports for which it does not hold at all.
fn plan(
    terms: Terms<'_>,
    other: Option<&OtherFamily>,
    places: &Places<'_>,
) -> (Vec<NamedGroup>, Vec<Name>) {
    let group = |ports: Vec<PortNames>| {
        let (naming, outcome) = plan_group(terms, other, places, &ports);
        NamedGroup { group: PlannedGroup { ports, outcome: Arc::new(outcome) }, naming }
    };
    let mut partition: Vec<Vec<PortNames>> =
        places.sets.iter().map(|set| vec![set.clone()]).collect();
    if partition.len() < 2 {
        // The plan of a single group keeps within the limit by itself.
        let groups = partition.into_iter().map(group).collect();
        return (groups, Vec::new());
    }
    partition.sort_unstable();
    let plan = |partition: Vec<Vec<PortNames>>| {
        let groups: Vec<NamedGroup> = partition.into_iter().map(group).collect();
        let counted = counted(terms.zones, places, &groups);
        (groups, exceeded(terms.request, terms.zones, &counted))
    };
    let (mut groups, mut exceeded) = plan(partition.clone());
    if !exceeded.is_empty() {
        partition = joined(partition, &exceeded);
        (groups, exceeded) = plan(partition.clone());
    }
    if !exceeded.is_empty() && partition.len() > 1 {
        (groups, exceeded) = plan(vec![partition.concat()]);
    }
    (groups, exceeded)
}

/// One endpoint, without the plan of the other address type.
fn candidate<'p>(places: &'p Places<'p>, at: usize) -> Candidate<'p> {
    let Place { endpoint, is_new, .. } = places.all[at];
    let zones = endpoint.hints.as_ref().map_or(&[][..], |hints| &hints.zones);
    Candidate {
        key: key(endpoint),
        zone: endpoint.zone.as_ref(),
        node: endpoint.node.as_ref(),
        is_ready: endpoint.is_ready(),
        in_force: (!is_new).then_some(zones),
        node_in_force: node_in_force(endpoint),
        other_family: None,
    }
}

fn plan_group(
    terms: Terms<'_>,
    other: Option<&OtherFamily>,
    places: &Places<'_>,
    ports: &[PortNames],
) -> (Naming, Outcome) {
    let members: Vec<usize> = members(places, ports).collect();
    let other = other.and_then(|other| match ports {
        [set] => other.0.get(set),
        _ => None,
    });
    let candidate = |at: &usize| {
        let uid = uid(places.all[*at].endpoint);
        let named = other.zip(uid).and_then(|(other, uid)| other.get(uid));
        Candidate { other_family: named.map(|hints| &*hints.zones), ..candidate(places, *at) }
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
        terms.searches,
        &Group { service: terms.service, candidates, is_twin },
    )
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

/// Writes hints, and shares those that are the same. A plan shares the same zones, so where they are
/// tells them apart.
#[derive(Default)]
struct Pen(HashMap<(*const Name, Option<Name>), Arc<Hints>>);

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
        let hints = self.0.entry((zones.as_ptr(), node)).or_insert_with_key(|(_, node)| {
            Arc::new(Hints { zones: zones.to_vec(), nodes: node.iter().cloned().collect() })
        });
        Choice::Planned(Arc::clone(hints))
    }
}

impl OtherFamily {
    /// What was chosen for these endpoints.
    fn of(places: &Places<'_>, choices: &[Choice]) -> Self {
        let none = Arc::new(Hints::default());
        let mut of = Self::default();
        for (place, choice) in places.all.iter().zip(choices) {
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
