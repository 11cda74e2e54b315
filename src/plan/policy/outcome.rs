//! Outcome: what endpoints name by the plan of one group, and what explains it.

use std::sync::Arc;

use super::counts::{Load, Tally};
use crate::model::name::Name;

/// The name that no zone and no node bears. An endpoint that names only this one has no traffic by
/// hints, and still serves where all hints are ignored (docs/planner.md 8.7).
pub const PLACEHOLDER: &str = "evacuated.closehaul.io";

/// What the endpoints of one group name by its plan.
#[derive(Clone, Debug)]
pub struct Naming {
    /// What each endpoint names, in the order of the candidates.
    pub hints: Vec<Chosen>,
    /// What an endpoint that appears before the next plan names.
    pub newcomers: Newcomers,
}

/// What the plan of one group amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What becomes of the traffic of each zone, by number.
    pub zones: Vec<ZoneOutcome>,
    /// What concerns no single zone, the most important first.
    pub causes: Vec<Cause>,
    /// Whether the hints in force stay.
    pub is_kept: bool,
    /// Whether a better plan waits until the hints in force have stood long enough. Without a clock,
    /// the better plan is taken, and this says that a controller that starts would wait.
    pub is_held: bool,
    /// The ready endpoints that are not evacuated, by zone and names.
    pub tally: Tally,
    /// What becomes of the traffic by the hints for zones alone.
    pub load: Load,
    /// The same with hints for nodes, if there are any.
    pub node_load: Option<Load>,
}

/// What an endpoint names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The zones: none, or up to 8 of the cluster, or only [`PLACEHOLDER`].
    pub zones: Arc<[Name]>,
    /// The node.
    pub node: ChosenNode,
}

/// The node that an endpoint names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChosenNode {
    /// None.
    #[default]
    Nothing,
    /// Its own, if it has one.
    Own,
    /// Only [`PLACEHOLDER`].
    Placeholder,
}

/// What an endpoint names that appears before the next plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newcomers {
    /// In each zone, by number.
    pub zones: Vec<Chosen>,
    /// In none of them.
    pub elsewhere: Chosen,
}

/// What becomes of the traffic that one zone sends.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneOutcome {
    /// The zone.
    pub name: Name,
    /// Its part of all traffic, 0 to 1.
    pub demand: f64,
    /// Its own ready endpoints.
    pub own: usize,
    /// The endpoints that its clients reach, wherever they are.
    pub reached: usize,
    /// The part of its own traffic that stays, 0 to 1.
    pub in_zone: f64,
    /// How far its clients have to go.
    pub rung: Rung,
    /// Why.
    pub cause: Cause,
}

/// How far a zone's clients have to go: the steps from near to far (docs/planner.md 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// Only to endpoints of their own zone.
    Strict,
    /// To some of other zones too, which serve this zone alone.
    Lent,
    /// To this many of other zones too, which also serve others.
    Widened(usize),
    /// To those of their region, or of the zones with the same value of a label.
    Region,
    /// To all.
    Cluster,
}

/// Why a plan is as it is. The words are those of the reasons (docs/planner.md 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The zone is kept local.
    Applied,
    /// Endpoints of other zones serve this one alone, so that none is overloaded.
    Lent,
    /// Endpoints of other zones serve this one too, so that none is overloaded.
    Widened,
    /// The zone has fewer endpoints than the guard requires.
    TooFewInZone,
    /// The zone has no endpoint of its own.
    ZoneEmpty,
    /// A limit on overload does not allow what is preferred.
    OverloadExceeded,
    /// A narrower plan waits until the one in force has stood long enough.
    Held,
    /// The zone is not rolled out yet.
    RolloutPending,
    /// An endpoint would need more names than it may have.
    TooManyZones,
    /// The zone is evacuated.
    Evacuated,
    /// An endpoint has no zone, so readers ignore the zones of all endpoints.
    EndpointWithoutZone,
    /// No locality is requested.
    NoPreference,
    /// No endpoint is ready that is not evacuated.
    NothingReady,
}
