//! Request: what policies and evacuations request of the hints of one Service, resolved from all of
//! them (docs/planner.md 8). A Service without a request has the hints that its own fields stand
//! for.

use std::time::Duration;

use crate::model::{
    name::Name,
    policy::{DemandSource, Guard, Key},
};

/// What decides the hints of a Service where its own fields alone do not.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Whether endpoints name their own node.
    pub node: bool,
    /// What clients and endpoints should share, from fine to coarse: the zone, and what comes after
    /// it. Empty if no locality is requested, as for a Service that is only evacuated.
    pub keys: Vec<Key>,
    /// The limit on overload; `None` for none.
    pub guard: Option<Guard>,
    /// The only zones that are kept local so far; `None` for all.
    pub rollout: Option<Vec<Name>>,
    /// Zones that are evacuated, sorted, without duplicates.
    pub evacuated: Vec<Name>,
    /// What each zone is assumed to send.
    pub demand: DemandSource,
    /// Whether the hints in force are a plan that was made for this request.
    pub standing: Standing,
}

/// Whether the hints in force were planned for the request at hand (docs/planner.md 8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No plan is known to be in force. A plan is made at once.
    New,
    /// The hints in force have stood for this long as far as this process knows. `None` stands for
    /// long enough, where there is no clock.
    For(Option<Duration>),
    /// The hints in force were written under an evacuation that has ended. They are not memory.
    Void,
}
