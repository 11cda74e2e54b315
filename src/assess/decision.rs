//! Decision: what becomes of a Service's preference for locality, and why. The words are the same
//! everywhere (docs/planner.md 7).

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

use super::{
    share::{self, Rung, ZoneShare},
    topology::Topology,
};
use crate::{
    model::{
        node::Nodes,
        service::{ClusterIp, Service},
        slice::Slice,
    },
    plan::{
        hints::auto::{self, cpu_shares},
        intent::{Intent, Mechanism, Preference},
        ready::Ready,
    },
};

/// What becomes of a Service's preference for locality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Hints are in force.
    Applied,
    /// Locality is requested, but some reader does not follow the hints.
    Ineffective,
    /// Locality is not requested.
    None,
}

/// Why, from a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every zone is kept local.
    Applied,
    /// No locality is requested.
    NoPreference,
    /// All nodes are in one zone.
    SingleZone,
    /// The legacy annotation: there are fewer ready endpoints than zones.
    TooFewInZone,
    /// A zone that sends has no ready endpoint of its own.
    ZoneEmpty,
    /// The legacy annotation: the endpoints of a zone would be overloaded.
    OverloadExceeded,
    /// Endpoints of a richer zone serve a poorer one.
    Lent,
    /// A ready endpoint has no zone, so readers ignore the zones of all endpoints.
    EndpointWithoutZone,
    /// A pod's node is not known.
    NodeMissing,
    /// A pod has an address that slices must not contain.
    AddressNotAllowed,
    /// A node has no zone label.
    NodeWithoutZoneLabel,
    /// A slice of another manager has ready endpoints without the requested hints.
    ForeignSliceWithoutHints,
    /// Another client repeatedly overwrites the slices.
    OverwrittenByOtherController,
    /// The Service's traffic policy is `Local`, which ignores hints.
    TrafficPolicyLocal,
    /// The Service has no cluster IP, so no proxy sees it.
    Headless,
    /// The Service is an alias.
    ExternalName,
    /// The Service selects no pods; its slices belong to another controller.
    NoSelector,
    /// Only the annotation `service.kubernetes.io/topology-mode: Auto` counts.
    LegacyAnnotationWins,
    /// The API server rejects a slice as invalid, so it differs from the plan.
    WriteRefused,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Applied,
        Self::NoPreference,
        Self::SingleZone,
        Self::TooFewInZone,
        Self::ZoneEmpty,
        Self::OverloadExceeded,
        Self::Lent,
        Self::EndpointWithoutZone,
        Self::NodeMissing,
        Self::AddressNotAllowed,
        Self::NodeWithoutZoneLabel,
        Self::ForeignSliceWithoutHints,
        Self::OverwrittenByOtherController,
        Self::TrafficPolicyLocal,
        Self::Headless,
        Self::ExternalName,
        Self::NoSelector,
        Self::LegacyAnnotationWins,
        Self::WriteRefused,
    ];
}

/// State and reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it.
    pub state: State,
    /// Why: at least one, the most important first.
    pub reasons: Vec<Reason>,
}

/// A Service with its slices of one address type, as they will stand.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The Service.
    pub service: &'a Service,
    /// What is requested for it.
    pub intent: Intent,
    /// The ready endpoints of its managed slices.
    pub ready: &'a Ready,
    /// Slices of other managers with its name.
    pub foreign: &'a [&'a Slice],
    /// Whether pods were left out because their node is not known.
    pub has_nodeless: bool,
    /// Whether addresses of pods were left out because slices must not contain them.
    pub has_not_allowed: bool,
    /// Whether slices may have hints for nodes: not if the API server drops them.
    pub node_hints: bool,
    /// All nodes.
    pub nodes: &'a Nodes,
    /// Which zones there are, and where clients run.
    pub topology: &'a Topology,
}

/// Decides what becomes of a Service's preference for locality.
pub fn decide(standing: Standing<'_>) -> Decision {
    let service = standing.service;
    let mechanism = standing.intent.mechanism;
    let idle = if mechanism == Mechanism::Off { State::None } else { State::Ineffective };
    if service.external_name {
        return Decision { state: idle, reasons: vec![Reason::ExternalName] };
    }
    if service.selector.is_none() {
        return Decision { state: idle, reasons: vec![Reason::NoSelector] };
    }
    let mut decision = match mechanism {
        Mechanism::Off => standing.without_preference(),
        Mechanism::Auto => standing.auto(),
        Mechanism::TrafficDistribution(preference) => standing.preferred(preference),
    };
    if decision.reasons.is_empty() {
        decision.reasons.push(Reason::Applied);
    }
    decision
}

impl Standing<'_> {
    /// Where no locality is requested.
    fn without_preference(self) -> Decision {
        let reasons = self.left_out().chain([Reason::NoPreference]).collect();
        Decision { state: State::None, reasons }
    }

    /// The decision under `spec.trafficDistribution`.
    fn preferred(self, preference: Preference) -> Decision {
        // Without hints for nodes, readers have only the zones.
        let preference = if self.node_hints { preference } else { Preference::Zone };
        let has_zoneless = self.ready.in_zone(None) > 0;
        let mut reasons = self.hindrances(preference);
        // If every endpoint has a node, readers find their own node with or without zones.
        if has_zoneless && (preference == Preference::Zone || self.ready.nodeless > 0) {
            reasons.push(Reason::EndpointWithoutZone);
        }
        let state = if reasons.is_empty() { State::Applied } else { State::Ineffective };
        let is_empty = |zone| self.ready.in_zone(Some(zone)) == 0;
        reasons.extend(self.left_out());
        let notes = [
            (Reason::EndpointWithoutZone, has_zoneless && state == State::Applied),
            (Reason::SingleZone, preference == Preference::Zone && self.topology.zones() == 1),
            (Reason::ZoneEmpty, self.topology.clients().keys().any(is_empty)),
            (Reason::NodeWithoutZoneLabel, self.has_unlabelled()),
            (Reason::TrafficPolicyLocal, self.service.external_local),
        ];
        reasons.extend(those_that_hold(&notes));
        Decision { state, reasons }
    }

    /// The decision under the legacy annotation, which sets hints on all endpoints or on none.
    fn auto(self) -> Decision {
        let ready = self.ready.count();
        let is_hinted = ready > 0 && self.ready.hinted == ready;
        let mut reasons = self.hindrances(Preference::Zone);
        let is_applied = is_hinted && reasons.is_empty();
        reasons.push(Reason::LegacyAnnotationWins);
        reasons.extend(self.left_out());
        if !is_hinted {
            let has_zoneless = self.ready.in_zone(None) > 0;
            let shares = cpu_shares(self.nodes);
            let is_too_few = shares.as_ref().is_some_and(|shares| shares.len() > ready);
            let counted = || self.nodes.values().filter(|node| auto::counts(node));
            let zones = counted().map(|node| &node.zone).collect::<BTreeSet<_>>();
            let has_unlabelled = self.has_unlabelled() || zones.contains(&None);
            let named = zones.iter().filter(|zone| zone.is_some()).count();
            let is_single = [self.topology.zones(), named].contains(&1);
            let notes = [
                (Reason::EndpointWithoutZone, has_zoneless),
                (Reason::NodeWithoutZoneLabel, has_unlabelled),
                (Reason::SingleZone, is_single),
                (Reason::TooFewInZone, is_too_few),
                (Reason::OverloadExceeded, shares.is_some() && !is_too_few && !has_zoneless),
            ];
            reasons.extend(those_that_hold(&notes));
        }
        let state = if is_applied { State::Applied } else { State::Ineffective };
        Decision { state, reasons }
    }

    /// Why pods, or some of their addresses, are missing from the slices.
    fn left_out(self) -> impl Iterator<Item = Reason> {
        let notes = [
            (Reason::NodeMissing, self.has_nodeless),
            (Reason::AddressNotAllowed, self.has_not_allowed),
        ];
        notes.into_iter().filter_map(|(reason, holds)| holds.then_some(reason))
    }

    /// What makes readers ignore all hints, whatever the endpoints' zones.
    fn hindrances(self, preference: Preference) -> Vec<Reason> {
        let notes = [
            (Reason::Headless, self.service.cluster_ip == ClusterIp::Headless),
            (Reason::TrafficPolicyLocal, self.service.internal_local),
            (Reason::ForeignSliceWithoutHints, self.has_unhinted_foreign(preference)),
        ];
        those_that_hold(&notes).collect()
    }

    /// Whether proxies also find ready endpoints of other managers, for a port of this Service,
    /// that lack the hints (docs/semantics.md 6.1, 6.2).
    fn has_unhinted_foreign(self, preference: Preference) -> bool {
        let is_of_service = |slice: &&&Slice| {
            let mut names = slice.ports.iter().filter_map(|port| port.name.as_ref());
            slice.is_read_by_proxies()
                && names.any(|name| self.service.ports.iter().any(|port| port.name == *name))
        };
        let foreign = self.foreign.iter().filter(is_of_service).copied();
        share::ready(foreign).iter().any(|endpoint| {
            endpoint.hints.as_ref().is_none_or(|hints| {
                hints.zones.is_empty() || (preference == Preference::Node && hints.nodes.is_empty())
            })
        })
    }

    /// Whether a node that sends, or that has a ready endpoint, lacks its zone label.
    fn has_unlabelled(self) -> bool {
        self.topology.has_zoneless_sender() || self.ready.unlabelled > 0
    }
}

impl Decision {
    /// The most important reason.
    pub fn reason(&self) -> Reason {
        self.reasons.first().copied().unwrap_or(Reason::Applied)
    }

    /// The same for a Service whose slices another client repeatedly overwrites.
    #[must_use]
    pub fn overwritten(mut self) -> Self {
        if self.state != State::None {
            self.state = State::Ineffective;
            self.reasons.insert(0, Reason::OverwrittenByOtherController);
        }
        self
    }

    /// The same for a Service whose slices differ from the plan, because the API server rejects one
    /// as invalid.
    #[must_use]
    pub fn refused(mut self) -> Self {
        if self.state == State::Applied {
            self.state = State::Ineffective;
        }
        self.reasons.insert(0, Reason::WriteRefused);
        self
    }

    /// The reason for what becomes of one zone.
    pub fn reason_in(&self, zone: &ZoneShare) -> Reason {
        let general = self.reason();
        match zone.rung {
            _ if self.state == State::None => Reason::NoPreference,
            _ if self.state == State::Ineffective => general,
            Rung::Strict => Reason::Applied,
            Rung::Lent => Reason::Lent,
            Rung::Cluster if zone.endpoints == 0 => Reason::ZoneEmpty,
            Rung::Cluster => general,
        }
    }
}

/// The reasons whose condition holds.
fn those_that_hold(notes: &[(Reason, bool)]) -> impl Iterator<Item = Reason> {
    notes.iter().filter(|(_, holds)| *holds).map(|(reason, _)| *reason)
}

/// The word for it, the same everywhere.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The word for it, the same everywhere.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
