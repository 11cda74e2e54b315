//! Explained: what a plan under a policy or an evacuation says about one port of a Service: why its
//! zones are not strict, and what concerns the Service as a whole (docs/planner.md 7, 8.2).

use super::{
    reason::{Reason, State},
    share::{Rung, Sender},
};
use crate::plan::{
    hints::planned::{Planned, PlannedGroup},
    policy::outcome::{self, Cause, ZoneOutcome},
    topology::Clients,
};

/// What a plan says about one port.
#[derive(Debug)]
pub struct Explained<'p> {
    /// The plans for endpoints that have the port.
    groups: Vec<&'p PlannedGroup>,
    /// Whether no plan keeps within the limit, so that no endpoint has hints.
    is_exceeded: bool,
}

impl<'p> Explained<'p> {
    /// What the plans say about the port of this name.
    pub fn of(planned: &'p Planned, port: &str) -> Self {
        let groups = planned.groups.iter().filter(|group| group.has_port(port)).collect();
        Self { groups, is_exceeded: !planned.exceeded.is_empty() }
    }

    /// Why the clients of a zone go beyond it; `None` if the plan does not make them.
    pub fn zone(&self, name: &str) -> Option<Reason> {
        if self.is_exceeded {
            return Some(Reason::OverloadExceeded);
        }
        let worst = self.zones(name).max_by_key(|zone| (zone.rung, zone.cause))?;
        Some(worst.cause).filter(|cause| *cause != Cause::Applied).map(|cause| self.reason(cause))
    }

    /// What concerns no single zone, with the reasons of the zones that send, each once, the most
    /// important first.
    pub fn reasons(&self) -> Vec<Reason> {
        let exceeded = self.is_exceeded.then_some(Reason::OverloadExceeded);
        let outcomes = || self.groups.iter().map(|group| &group.outcome);
        let causes = outcomes().flat_map(|outcome| &outcome.causes).copied().map(Reason::of);
        let held = outcomes().any(|outcome| outcome.is_held).then_some(Reason::Held);
        let zones = self.sending().map(|zone| self.reason(zone.cause));
        let mut reasons: Vec<Reason> = exceeded.into_iter().chain(causes).chain(held).collect();
        if !self.is_exceeded {
            reasons.extend(zones);
        }
        reasons.retain(|reason| *reason != Reason::Applied);
        reasons.sort_unstable_by_key(|reason| rank(*reason));
        reasons.dedup();
        reasons
    }

    /// The reason for what becomes of a zone. Where other zones are local, a limit that sends a zone to
    /// all endpoints has only widened it.
    fn reason(&self, cause: Cause) -> Reason {
        match cause {
            Cause::OverloadExceeded if !self.is_vain() => Reason::Widened,
            cause => Reason::of(cause),
        }
    }

    /// Whether no zone that sends keeps more of its traffic than it would without hints.
    fn is_vain(&self) -> bool {
        self.sending().all(|zone| {
            zone.rung == outcome::Rung::Cluster
                && matches!(
                    zone.cause,
                    Cause::OverloadExceeded | Cause::TooManyZones | Cause::EndpointWithoutZone
                )
        })
    }

    /// The state, if readers follow the hints. If the limit leaves no zone a part of its traffic that
    /// it would not have anyway, locality is requested in vain.
    pub fn state(&self) -> State {
        if self.is_exceeded || self.is_vain() {
            State::Ineffective
        } else if self.reasons().is_empty() {
            State::Applied
        } else {
            State::Partial
        }
    }

    /// What each zone sends, by the first of the plans. All have the same zones.
    pub fn senders<'c>(&self, clients: &'c Clients) -> Vec<Sender<'c>>
    where
        'p: 'c,
    {
        let zones = self.groups.first().map_or(&[][..], |group| &group.outcome.zones);
        let sending = zones.iter().filter(|zone| zone.demand > 0.0);
        let sender = |zone: &'p ZoneOutcome| Sender {
            zone: &zone.name,
            demand: zone.demand,
            nodes: clients.get(&zone.name),
        };
        sending.map(sender).collect()
    }

    /// The rung of a zone, which says more if the plan reaches for a larger area.
    pub fn rung(&self, zone: &str, found: Rung) -> Rung {
        let is_region = || self.zones(zone).any(|zone| zone.rung == outcome::Rung::Region);
        let is_between = matches!(found, Rung::Lent | Rung::Widened);
        if is_between && is_region() { Rung::Region } else { found }
    }

    /// The zones that send, in each of the plans.
    fn sending(&self) -> impl Iterator<Item = &'p ZoneOutcome> {
        let zones = self.groups.iter().flat_map(|group| &group.outcome.zones);
        zones.filter(|zone| zone.demand > 0.0)
    }

    fn zones(&self, name: &str) -> impl Iterator<Item = &'p ZoneOutcome> {
        let zones = self.groups.iter().flat_map(|group| &group.outcome.zones);
        zones.filter(move |zone| &*zone.name == name)
    }
}

/// The order of reasons: what keeps all readers from following, then what concerns some zones.
fn rank(reason: Reason) -> usize {
    const ORDER: [Reason; 11] = [
        Reason::EndpointWithoutZone,
        Reason::OverloadExceeded,
        Reason::TooManyZones,
        Reason::Evacuated,
        Reason::RolloutPending,
        Reason::Held,
        Reason::TooFewInZone,
        Reason::ZoneEmpty,
        Reason::Widened,
        Reason::Lent,
        Reason::NoPreference,
    ];
    ORDER.iter().position(|it| *it == reason).unwrap_or(ORDER.len())
}

impl Reason {
    /// The reason for what a plan brings about.
    fn of(cause: Cause) -> Self {
        match cause {
            Cause::Applied => Self::Applied,
            Cause::Lent => Self::Lent,
            Cause::Widened => Self::Widened,
            Cause::TooFewInZone => Self::TooFewInZone,
            Cause::ZoneEmpty => Self::ZoneEmpty,
            Cause::OverloadExceeded => Self::OverloadExceeded,
            Cause::Held => Self::Held,
            Cause::RolloutPending => Self::RolloutPending,
            Cause::TooManyZones => Self::TooManyZones,
            // If nothing is ready, the state is empty, unless all that is ready is evacuated.
            Cause::Evacuated | Cause::NothingReady => Self::Evacuated,
            Cause::EndpointWithoutZone => Self::EndpointWithoutZone,
            Cause::NoPreference => Self::NoPreference,
        }
    }
}
