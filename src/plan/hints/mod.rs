//! Hints: which nodes and zones an endpoint is meant for (docs/semantics.md 5.1). They are first
//! chosen, by one file for each mechanism, and then applied, which is the same for all.
//!
//! Until they are applied, the endpoints of a packing have the hints in force: those that the slices
//! of today have for the same pod.

mod apply;
pub mod auto;
pub mod planned;
pub mod traffic_distribution;

use std::sync::Arc;

pub use self::apply::apply;
use self::auto::{CpuShares, ZoneCounts};
use super::{
    intent::{Intent, Mechanism, Preference},
    pack::Packing,
    policy::outcome::Newcomers,
};
use crate::model::{
    name::Name,
    slice::{Endpoint, Hints},
};

/// The hints that one endpoint should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Any: nothing is chosen for it, and a difference is no reason to write its slice. Where an
    /// endpoint stays in a slice as it is, its hints stay too; one that is new or changed has none.
    Any,
    /// None at all. Empty hints (`hints: {}`) are a difference.
    Nothing,
    /// Its own zone, and its own node with [`Preference::Node`], as far as it has them.
    Own(Preference),
    /// This zone.
    Zone(Name),
    /// Exactly these, as a plan under a policy has them.
    Planned(Arc<Hints>),
}

/// The hints for all endpoints of a packing.
#[derive(Debug)]
pub struct Choices {
    /// One for each endpoint, in the order of [`Packing::slices`].
    pub endpoints: Vec<Choice>,
    /// How many endpoints are hinted to each zone, where the legacy annotation is in force and can be
    /// followed.
    pub counts: Option<ZoneCounts>,
    /// What endpoints name that appear before the next plan, for each group of the plan.
    pub newcomers: Vec<Newcomers>,
}

/// Chooses the hints of all endpoints of `packing`, which have the hints in force.
pub fn choose(intent: &Intent, packing: &Packing<'_>, shares: Option<&CpuShares>) -> Choices {
    match intent.mechanism {
        Mechanism::Auto => auto::choose(packing, shares),
        Mechanism::TrafficDistribution(preference) => {
            traffic_distribution::choose(preference, packing)
        }
        Mechanism::Off => Choices::none(packing),
    }
}

impl Choice {
    /// The zones and the nodes to which it hints `endpoint`.
    fn names<'e>(&'e self, endpoint: &'e Endpoint) -> (&'e [Name], &'e [Name]) {
        match self {
            Self::Any | Self::Nothing => (&[], &[]),
            Self::Own(preference) => {
                let node = endpoint.node.as_slice();
                let nodes = if *preference == Preference::Node { node } else { &[] };
                (endpoint.zone.as_slice(), nodes)
            }
            Self::Zone(zone) => (std::slice::from_ref(zone), &[]),
            Self::Planned(hints) => (&hints.zones, &hints.nodes),
        }
    }
}

impl Choices {
    /// Choices that do not count endpoints by zone, and say nothing of newcomers.
    fn of(endpoints: Vec<Choice>) -> Self {
        Self { endpoints, counts: None, newcomers: Vec::new() }
    }

    /// No endpoint has hints, ready or not.
    fn none(packing: &Packing<'_>) -> Self {
        let endpoints = packing.slices().flatten().map(|_| Choice::Nothing).collect();
        Self::of(endpoints)
    }
}
