//! Verdict: what becomes of a Service's preference on some of its ports, in one address type. The
//! ports have the same endpoints (docs/planner.md 7).

use std::collections::BTreeSet;

use super::{
    crowd::{Crowd, Flock, Found, first_port},
    explained::Explained,
    reason::{Reason, State},
    share::{self, Rung},
};
use crate::{
    consumers::kube_proxy::{Client, Hinted as _, Levels, is_hidden},
    model::{address::AddressType, name::Name, node::Nodes, service::Service},
    plan::{
        hints::auto::cpu_shares,
        intent::{Intent, Mechanism, Preference},
        ready::{Alike, NodeHint, Ready},
        topology::Topology,
    },
};

/// What becomes of a Service's preference on some of its ports, in one address type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The address type.
    pub family: AddressType,
    /// The ports, as positions in [`Service::ports`].
    pub ports: Vec<usize>,
    /// What becomes of it.
    pub state: State,
    /// Why: at least one, the most important first.
    pub reasons: Vec<Reason>,
    /// The zones whose clients go beyond it, by name, each with the reason.
    pub beyond: Vec<(Name, Reason)>,
}

/// A Service with its slices, as they will stand.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The Service.
    pub service: &'a Service,
    /// What is requested for it.
    pub intent: &'a Intent,
    /// What proxies find of it, by address type.
    pub families: &'a [Found<'a>],
    /// Whether it selects any pod.
    pub has_pods: bool,
    /// Whether pods were left out because their node is not known.
    pub has_nodeless: bool,
    /// Whether addresses of pods were left out because slices must not contain them.
    pub has_not_allowed: bool,
    /// All nodes.
    pub nodes: &'a Nodes,
    /// Which zones there are, and where clients run.
    pub topology: &'a Topology,
}

impl Standing<'_> {
    /// The verdicts on all ports, by address type.
    pub(super) fn verdicts(self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for found in self.families {
            // Without a preference, it does not matter what readers find.
            if self.intent.prefers_locality() || found.planned.is_some() {
                let crowds = found.crowds(self.service);
                verdicts.extend(crowds.into_iter().map(|crowd| self.verdict(found, crowd)));
            } else {
                let reasons = self.left_out().chain([Reason::NoPreference]).collect();
                verdicts.push(self.without_crowd(found.family, State::None, reasons));
            }
        }
        verdicts
    }

    /// The same verdict on all ports, whatever readers find.
    pub(super) fn without_crowd(
        self,
        family: AddressType,
        state: State,
        reasons: Vec<Reason>,
    ) -> Verdict {
        let ports = (0..self.service.ports.len()).collect();
        Verdict { family, ports, state, reasons, beyond: Vec::new() }
    }

    fn verdict(self, found: &Found<'_>, crowd: Crowd<'_>) -> Verdict {
        let mut reasons = self.hindrances();
        let is_hidden = !reasons.is_empty();
        let mut sight = Sight::of(self, &crowd.flocks);
        let port = first_port(self.service, &crowd.ports).map_or("", |port| &port.name);
        let explained = found.planned.map(|planned| Explained::of(planned, port));
        let state = match (&explained, self.intent.requested()) {
            (Some(explained), _) => self.planned(explained, &mut sight, &mut reasons),
            (None, Mechanism::TrafficDistribution(preference)) => {
                self.preferred(preference, found, &sight, &mut reasons)
            }
            _ => self.auto(found.own, &sight, &mut reasons),
        };
        let state = if crowd.flocks.is_empty() {
            let why = self.why_empty(found, crowd.has_endpoints);
            // Pods that are left out explain why nothing is ready.
            let at = usize::from(is_hidden && !reasons.is_empty());
            let is_explained =
                why == Reason::NothingReady && found.own.endpoints() == 0 && self.has_left_out();
            let at = if is_explained { at + self.left_out().count() } else { at };
            reasons.insert(at.min(reasons.len()), why);
            State::Empty
        } else {
            state
        };
        if reasons.is_empty() {
            reasons.push(Reason::Applied);
        }
        let state = if is_hidden { State::Ineffective } else { state };
        Verdict { family: found.family, ports: crowd.ports, state, reasons, beyond: sight.beyond }
    }

    /// The state under a policy or an evacuation, whose plan says why zones are not strict.
    fn planned(
        self,
        explained: &Explained<'_>,
        sight: &mut Sight,
        reasons: &mut Vec<Reason>,
    ) -> State {
        if sight.is_empty {
            reasons.extend(self.left_out());
            return State::Empty;
        }
        for (zone, reason) in &mut sight.beyond {
            if let Some(why) = explained.zone(zone) {
                *reason = why;
            }
        }
        // Without hints of ours, those of others do not matter.
        let is_foreign = sight.has_foreign_without_zones && !sight.beyond.is_empty();
        if is_foreign {
            reasons.push(Reason::ForeignSliceWithoutHints);
        }
        reasons.extend(self.left_out());
        reasons.extend(explained.reasons());
        let is_local = self.service.external_local && !self.service.internal_local;
        reasons.extend(is_local.then_some(Reason::TrafficPolicyLocal));
        if is_foreign { State::Ineffective } else { explained.state() }
    }

    /// The state under `spec.trafficDistribution`.
    fn preferred(
        self,
        preference: Preference,
        found: &Found<'_>,
        sight: &Sight,
        reasons: &mut Vec<Reason>,
    ) -> State {
        if sight.is_empty {
            reasons.extend(self.left_out());
            return State::Empty;
        }
        let before = reasons.len();
        let wants_nodes = preference == Preference::Node && sight.has_own_nodes;
        if sight.has_foreign_without_zones || (wants_nodes && sight.has_foreign_without_nodes) {
            reasons.push(Reason::ForeignSliceWithoutHints);
        }
        // If every endpoint has a node, readers find their own node with or without zones.
        let blocks = sight.has_zoneless && !sight.has_node_level;
        if blocks {
            reasons.push(Reason::EndpointWithoutZone);
        }
        let is_blocked = reasons.len() > before;
        reasons.extend(self.left_out());
        let is_single = !wants_nodes && self.topology.zones() == 1;
        let notes = [
            (Reason::EndpointWithoutZone, sight.has_zoneless && !blocks),
            (Reason::SingleZone, is_single),
            (Reason::Lent, sight.has_beyond(Reason::Lent)),
            (Reason::ZoneEmpty, sight.has_beyond(Reason::ZoneEmpty)),
            (Reason::NodeWithoutZoneLabel, self.has_unlabelled(found.own)),
            (
                Reason::TrafficPolicyLocal,
                self.service.external_local && !self.service.internal_local,
            ),
        ];
        reasons.extend(those_that_hold(&notes));
        if is_blocked {
            State::Ineffective
        } else if sight.beyond.is_empty() {
            State::Applied
        } else {
            State::Partial
        }
    }

    /// The state under the legacy annotation, which sets hints on all endpoints or on none.
    fn auto(self, own: &Ready, sight: &Sight, reasons: &mut Vec<Reason>) -> State {
        let ready = own.count();
        let is_hinted = ready > 0 && own.count_if(Alike::is_hinted) == ready;
        let is_foreign = sight.has_foreign_without_zones;
        if is_foreign {
            reasons.push(Reason::ForeignSliceWithoutHints);
        }
        reasons.push(Reason::LegacyAnnotationWins);
        reasons.extend(self.left_out());
        if is_hinted {
            let notes = [
                (Reason::Lent, sight.has_beyond(Reason::Lent)),
                (Reason::ZoneEmpty, sight.has_beyond(Reason::ZoneEmpty)),
            ];
            reasons.extend(those_that_hold(&notes));
            return match sight.beyond.is_empty() {
                _ if is_foreign => State::Ineffective,
                true => State::Applied,
                false => State::Partial,
            };
        }
        let has_zoneless = own.count_if(|alike| alike.zone.is_none()) > 0;
        let shares = cpu_shares(self.nodes);
        let is_too_few = shares.as_ref().is_some_and(|shares| shares.len() > ready);
        let counted = || self.nodes.values().filter(|node| node.is_sending());
        let zones = counted().map(|node| &node.zone).collect::<BTreeSet<_>>();
        let has_unlabelled = self.has_unlabelled(own) || zones.contains(&None);
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
        State::Ineffective
    }

    /// Why no reader finds a ready endpoint. `has_endpoints`: there is one that is not ready.
    fn why_empty(self, found: &Found<'_>, has_endpoints: bool) -> Reason {
        if !self.has_pods {
            Reason::NoMatchingPods
        } else if has_endpoints {
            Reason::NothingReady
        } else if found.own.endpoints() > 0 {
            Reason::NoSuchPort
        } else if found.own.without_address > 0 {
            Reason::NoAddressInFamily
        } else {
            Reason::NothingReady
        }
    }

    /// Why pods, or some of their addresses, are missing from the slices.
    fn left_out(self) -> impl Iterator<Item = Reason> {
        let notes = [
            (Reason::NodeMissing, self.has_nodeless),
            (Reason::AddressNotAllowed, self.has_not_allowed),
        ];
        notes.into_iter().filter_map(|(reason, holds)| holds.then_some(reason))
    }

    fn has_left_out(self) -> bool {
        self.has_nodeless || self.has_not_allowed
    }

    /// What makes readers ignore all hints, whatever they are.
    fn hindrances(self) -> Vec<Reason> {
        let notes = [
            (Reason::HiddenFromProxy, is_hidden(self.service)),
            (Reason::Headless, self.service.is_headless()),
            (Reason::TrafficPolicyLocal, self.service.internal_local),
        ];
        those_that_hold(&notes).collect()
    }

    /// Whether a node that sends, or that has a ready endpoint, lacks its zone label.
    fn has_unlabelled(self, own: &Ready) -> bool {
        self.topology.has_zoneless_sender() || own.unlabelled > 0
    }
}

/// What the clients of all zones see of some ready endpoints.
#[derive(Debug, Default)]
struct Sight {
    is_empty: bool,
    /// Whether readers look for their node.
    has_node_level: bool,
    /// Whether the endpoints of managed slices are hinted for nodes.
    has_own_nodes: bool,
    /// Whether an endpoint of a managed slice has no zone.
    has_zoneless: bool,
    has_foreign_without_zones: bool,
    has_foreign_without_nodes: bool,
    /// The zones whose clients go beyond it, each with the reason.
    beyond: Vec<(Name, Reason)>,
}

impl Sight {
    fn of(standing: Standing<'_>, flocks: &[Flock<'_>]) -> Self {
        if flocks.is_empty() {
            return Self { is_empty: true, ..Self::default() };
        }
        let levels = Levels::of(flocks);
        let has = |holds: fn(&Flock<'_>) -> bool| flocks.iter().any(holds);
        let mut sight = Self {
            is_empty: false,
            has_node_level: levels.has_nodes(),
            has_own_nodes: has(|it| !it.is_foreign && it.alike.nodes != NodeHint::None),
            has_zoneless: has(|it| !it.is_foreign && it.alike.zone.is_none()),
            has_foreign_without_zones: has(|it| it.is_foreign && it.zones().is_empty()),
            has_foreign_without_nodes: has(|it| it.is_foreign && it.nodes().is_empty()),
            beyond: Vec::new(),
        };
        let total = flocks.iter().map(|flock| flock.count).sum();
        for (zone, nodes) in standing.topology.clients() {
            // A client without an endpoint on its node, and those that foreign slices name.
            let named = flocks.iter().filter_map(|flock| match &flock.alike.nodes {
                NodeHint::These(names) => Some(names),
                _ => None,
            });
            let named = named.flatten().filter(|name| nodes.contains(*name));
            let clients = named.map(|name| &**name).chain([""]);
            let rungs = clients.map(|node| {
                let (_, reached) = levels.reach(Client { node, zone: Some(zone) });
                share::rung(reached.iter().map(|at| &flocks[*at]), zone, total)
            });
            let has_own = flocks.iter().any(|flock| flock.is_in(zone));
            let worst = rungs.max().unwrap_or(Rung::Strict);
            let reason = match worst {
                Rung::Strict => continue,
                _ if !has_own => Reason::ZoneEmpty,
                Rung::Lent => Reason::Lent,
                Rung::Widened | Rung::Region => Reason::Widened,
                Rung::Cluster if sight.has_zoneless => Reason::EndpointWithoutZone,
                Rung::Cluster if sight.has_foreign_without_zones => {
                    Reason::ForeignSliceWithoutHints
                }
                Rung::Cluster => Reason::LegacyAnnotationWins,
            };
            sight.beyond.push((zone.clone(), reason));
        }
        sight
    }

    fn has_beyond(&self, reason: Reason) -> bool {
        self.beyond.iter().any(|(_, other)| *other == reason)
    }
}

/// The reasons whose condition holds.
fn those_that_hold(notes: &[(Reason, bool)]) -> impl Iterator<Item = Reason> {
    notes.iter().filter(|(_, holds)| *holds).map(|(reason, _)| *reason)
}
