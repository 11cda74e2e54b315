//! Everything that decides: which endpoints a Service has, into which slices they go, with
//! which hints, and what must be written. Only pure functions over plain data belong here: no
//! I/O, no clock, no `async`, no logs. They depend on nothing outside but [`crate::model`].
//!
//! ```text
//! pods -> endpoint -> pack -> placeholder -> moves -> hints -> changes
//! ```

pub mod census;
pub mod changes;
pub mod endpoint;
pub mod endpoint_ip;
pub mod hints;
pub mod hints_only;
pub mod in_force;
pub mod in_place;
pub mod intent;
pub mod metadata;
pub mod moves;
pub mod pack;
pub mod patch;
pub mod placeholder;
pub mod policy;
pub mod port;
pub mod precedence;
pub mod ready;
pub mod slice_name;
pub mod topology;
pub mod trigger;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use foldhash::HashMap;

use jiff::Timestamp;

use self::{
    census::Census,
    changes::Changes,
    endpoint::Desired,
    hints::{
        Choices,
        auto::{CpuShares, ZoneCounts},
        planned::{self, OtherFamily, Planned, Terms},
    },
    intent::{Intent, Mechanism},
    pack::{Group, Packing},
    policy::{outcome::Newcomers, request::Request, searches::Searches, zones::Zones},
    ready::Ready,
};
use crate::model::{
    address::AddressType, name::Name, node::Nodes, pod::Pod, port::Ports, service::Service,
    slice::Slice,
};

/// What a Service's slices depend on.
#[derive(Clone, Copy, Debug)]
pub struct World<'w, 'a> {
    /// The Service; [`Service::is_served`] holds.
    pub service: &'a Service,
    /// The pods that it selects.
    pub pods: &'w [&'a Pod],
    /// All nodes.
    pub nodes: &'a Nodes,
    /// The zones' shares of CPU, for the legacy annotation.
    pub shares: Option<&'a CpuShares>,
    /// The managed slices that bear its name.
    pub slices: &'w [&'a Slice],
    /// When the change happened that a write responds to; see [`trigger::trigger_time`].
    pub trigger_time: Option<Timestamp>,
    /// What is requested for the Service.
    pub intent: &'w Intent,
    /// What policies and evacuations request; `None` if its own fields alone decide its hints.
    pub policy: Option<Policy<'w>>,
    /// How slices are written.
    pub settings: Settings,
}

/// What policies and evacuations request of a Service's hints.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'w> {
    /// What is requested. `None` if it is not known, so that the hints in force stay.
    pub request: Option<&'w Request>,
    /// The zones, and what each sends to the Service.
    pub zones: &'w Zones,
    /// What searches for plans have found.
    pub searches: &'w Searches,
    /// See [`Circumstances::stood`].
    pub stood: Option<Duration>,
}

/// What plans under policies depend on besides the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// How long the hints in force have stood; `None` stands for long enough, where there is no
    /// clock.
    pub stood: Option<Duration>,
    /// Whether another client overwrites the slices again and again. Policies pause then, so that
    /// the two do not fight about hints. Evacuations do not.
    pub is_contested: bool,
}

impl<'w> Policy<'w> {
    /// What policies and evacuations request by this intent, with the zones for it.
    pub fn of(
        intent: &'w Intent,
        zones: Option<&'w Zones>,
        searches: &'w Searches,
        Circumstances { stood, is_contested }: Circumstances,
    ) -> Option<Self> {
        let is_meant = intent.request().is_some() || intent.is_unknown();
        let zones = zones.filter(|_| is_meant)?;
        let request = intent.request().filter(|_| !is_contested || intent.is_evacuated());
        Some(Self { request, zones, searches, stood })
    }
}

/// How slices are written, the same for all Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `--max-endpoints-per-slice`, at least 1.
    pub max_endpoints: usize,
    /// Whether `forNodes` may be written. It must not if the API server drops it. Services that
    /// prefer the same node then get hints for the zone alone (docs/semantics.md 5.4).
    pub node_hints: bool,
}

impl Settings {
    /// Slices of this size, with all hints.
    pub fn with(max_endpoints: usize) -> Self {
        Self { max_endpoints, node_hints: true }
    }
}

impl<'w, 'a: 'w> World<'w, 'a> {
    /// What plans under policies depend on besides the endpoints; `None` if there are none.
    fn terms(&self) -> Option<Terms<'w>> {
        let Policy { request, zones, searches, stood } = self.policy?;
        let (service, node_hints) = (&self.service.key, self.settings.node_hints);
        Some(Terms { service, request: request?, zones, searches, node_hints, stood })
    }
}

/// What must be done for one Service.
#[derive(Debug)]
pub struct Plan<'a> {
    /// What is requested for the Service.
    pub intent: Intent,
    /// How its slices are written.
    pub settings: Settings,
    /// One entry for each address type that the Service has or had.
    pub families: Vec<Family<'a>>,
    /// Whether the Service selects any pod.
    pub has_pods: bool,
    /// Pods left out because their node is not known, sorted.
    pub nodeless: Vec<Name>,
    /// Addresses left out because slices must not contain them, with their pods, sorted by pod.
    pub not_allowed: Vec<(Name, IpAddr)>,
}

/// What must be done for one address type of a Service.
#[derive(Debug)]
pub struct Family<'a> {
    /// The address type.
    pub address_type: AddressType,
    /// What must be written.
    pub changes: Changes,
    /// Slices that stay as they are, without those that a [`patch`] skipped.
    pub unchanged: Vec<&'a Slice>,
    /// Endpoints hinted to each zone, where the legacy annotation is in force.
    pub counts: Option<ZoneCounts>,
    /// The plans of its hints, where policies or evacuations decide them.
    pub planned: Option<Arc<Planned>>,
    /// What endpoints name that appear before the next plan, for each group of [`Self::planned`]. Only
    /// a plan [`in_place`] has it: here, a new endpoint is planned before it is written.
    pub newcomers: Vec<Newcomers>,
    /// Its numbers; `None` if the Service no longer has this address type.
    pub census: Option<Census>,
    /// The ready endpoints of all slices as they will stand.
    pub ready: Ready,
}

impl Plan<'_> {
    fn new(world: &World<'_, '_>) -> Self {
        Self {
            intent: world.intent.clone(),
            settings: world.settings,
            families: Vec::new(),
            has_pods: !world.pods.is_empty(),
            nodeless: Vec::new(),
            not_allowed: Vec::new(),
        }
    }

    /// How many slices must be written.
    pub fn writes(&self) -> usize {
        self.families.iter().map(|family| family.changes.len()).sum()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes() == 0
    }

    /// Whether only zones and hints change.
    pub fn is_locality_only(&self) -> bool {
        self.families.iter().all(|family| family.changes.is_locality_only)
    }
}

impl Family<'_> {
    /// The slices as they will stand.
    pub fn after(&self) -> impl Iterator<Item = &Slice> + Clone {
        let written = self.changes.creates.iter().chain(&self.changes.updates);
        written.chain(self.unchanged.iter().copied())
    }
}

/// Plans the slices of one Service (docs/semantics.md 1.6, 4).
pub fn plan<'a>(world: World<'_, 'a>) -> Plan<'a> {
    let mut plan = Plan::new(&world);
    let mut existing: Vec<&Slice> =
        world.slices.iter().copied().filter(|slice| !slice.meta.terminating).collect();
    existing.sort_unstable_by(|a, b| a.meta.name.cmp(&b.meta.name));
    let mut by_type: BTreeMap<AddressType, Vec<&Slice>> = BTreeMap::new();
    for slice in existing {
        by_type.entry(slice.address_type).or_default().push(slice);
    }
    let address_types = world.service.address_types();
    plan.families.reserve_exact(address_types.len());
    let mut other = (address_types.len() > 1).then(OtherFamily::default);
    for address_type in address_types {
        let existing = by_type.remove(&address_type).unwrap_or_default();
        let desired = endpoint::desired(world.service, world.pods, world.nodes, address_type);
        let scope = Scope::Whole(other.as_mut());
        let mut family = family(world, scope, address_type, existing, &desired);
        family.ready.without_address = desired.without_address;
        family.ready.has_twins = ready::has_twins(family.after());
        plan.families.push(family);
        // The same for each type: a pod waits for its node, whatever its addresses.
        plan.nodeless = desired.nodeless;
        plan.not_allowed.extend(desired.not_allowed);
    }
    plan.not_allowed.sort_unstable();
    // Slices of an address type that the Service no longer has, or that no controller writes
    // anymore.
    for (address_type, obsolete) in by_type {
        let deletes = obsolete.into_iter().cloned().collect();
        let changes = Changes { deletes, ..Changes::default() };
        plan.families.push(Family {
            address_type,
            changes,
            unchanged: Vec::new(),
            counts: None,
            planned: None,
            newcomers: Vec::new(),
            census: None,
            ready: Ready::default(),
        });
    }
    plan
}

/// How much of the slices of an address type is planned.
enum Scope<'s> {
    /// All of them. What was chosen for the address type before, if the Service has several, is
    /// replaced by what is chosen now.
    Whole(Option<&'s mut OtherFamily>),
    /// Some of them, and the plan of their hints stays.
    Part,
}

/// What becomes of the hints of one address type.
enum Decided {
    /// They are chosen, perhaps by plans under policies.
    Chosen(Choices, Option<Arc<Planned>>),
    /// All stay as they are, by plans in force. These are the ready endpoints then.
    Kept(Planned, Ready),
    /// All stay as they are, for the numbers of all slices will say whether the plans in force do.
    Part,
}

/// Decides about the hints of all endpoints of `packing`.
fn decide(world: World<'_, '_>, scope: Scope<'_>, packing: &Packing<'_>) -> Decided {
    let other = match scope {
        Scope::Whole(other) => other,
        Scope::Part if world.policy.is_some() => return Decided::Part,
        Scope::Part => None,
    };
    // A second address type takes over the plan of the first one for each pod.
    let guarded = world.terms().filter(|terms| terms.request.guard.is_some() && other.is_none());
    if let Some(terms) = guarded {
        let ready = Ready::among(packing.slices_with_ports(), world.nodes);
        if let Some(planned) = Planned::in_force(terms, packing, &ready) {
            #[cfg(test)]
            planned.assert_is_chosen(terms, packing);
            return Decided::Kept(planned, ready);
        }
    }
    let (choices, planned) = choose(world, other, packing);
    Decided::Chosen(choices, planned)
}

/// Chooses the hints of all endpoints of `packing`, perhaps by plans under policies. See [`Scope`] for
/// `other`.
fn choose(
    world: World<'_, '_>,
    other: Option<&mut OtherFamily>,
    packing: &Packing<'_>,
) -> (Choices, Option<Arc<Planned>>) {
    let without_policy = || (hints::choose(world.intent, packing, world.shares), None);
    let Some(policy) = world.policy else { return without_policy() };
    let Some(terms) = world.terms() else {
        let prefers_zone = world.intent.mechanism != Mechanism::Off;
        let kept = planned::unknown(&world.service.key, policy.zones, prefers_zone, packing);
        return kept.map_or_else(without_policy, |choices| (choices, None));
    };
    let (choices, planned) = planned::choose(terms, other, packing);
    (choices, Some(Arc::new(planned)))
}

/// Plans the slices of one address type.
fn family<'a>(
    world: World<'_, 'a>,
    scope: Scope<'_>,
    address_type: AddressType,
    existing: Vec<&'a Slice>,
    desired: &Desired,
) -> Family<'a> {
    let service = world.service;
    let total = existing.len();
    let mut packing = Packing::default();
    let mut by_ports: HashMap<&Ports, Vec<&Slice>> = HashMap::default();
    for slice in existing {
        if slice.is_owned_by(service.uid.as_ref()) {
            by_ports.entry(&slice.ports).or_default().push(slice);
        } else {
            packing.deletes.push(slice);
        }
    }
    let mut groups: Vec<_> = desired.groups.iter().collect();
    groups.sort_unstable_by_key(|(ports, _)| *ports);
    for (ports, endpoints) in groups {
        let existing = by_ports.remove(ports).unwrap_or_default();
        let group = Group { address_type, ports: ports.clone() };
        packing.append(pack::pack(
            service,
            &group,
            &existing,
            endpoints,
            world.settings.max_endpoints,
        ));
    }
    let mut unwanted: Vec<&Slice> = by_ports.into_values().flatten().collect();
    unwanted.sort_unstable_by(|a, b| a.meta.name.cmp(&b.meta.name));
    let displaced = unwanted.iter().flat_map(|slice| slice.endpoints.iter());
    displaced.for_each(|endpoint| packing.displaced.add(endpoint));
    packing.deletes.extend(unwanted);
    placeholder::ensure(service, address_type, total, &mut packing);
    moves::arrange(service, &mut packing);
    packing.restore_hints();
    let (mut counts, mut planned, mut ready) = (None, None, None);
    match decide(world, scope, &packing) {
        Decided::Chosen(choices, of) => {
            hints::apply(&mut packing, &choices.endpoints, world.settings.node_hints);
            (counts, planned) = (choices.counts, of);
        }
        Decided::Kept(of, among) => (planned, ready) = (Some(Arc::new(of)), Some(among)),
        Decided::Part => {}
    }
    let changes = Changes::of(&mut packing, service, world.trigger_time);
    // Without endpoints, there is the placeholder.
    let census = Census { slices: packing.census.slices.max(1), ..packing.census };
    let mut family = Family {
        address_type,
        changes,
        unchanged: packing.unchanged,
        counts,
        planned,
        newcomers: Vec::new(),
        census: Some(census),
        ready: Ready::default(),
    };
    family.ready = ready.unwrap_or_else(|| Ready::of(family.after(), world.nodes));
    family
}
