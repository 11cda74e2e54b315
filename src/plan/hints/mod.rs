//! Hints: which nodes and zones an endpoint is meant for (docs/semantics.md 5.1). They are first
//! chosen, by one file for each mechanism, and then applied, which is the same for all.
//!
//! Until they are applied, the endpoints of a packing have the hints in force: those that the slices
//! of today have for the same pod.

mod apply;
pub mod auto;
pub mod traffic_distribution;

pub use self::apply::apply;
use self::auto::{CpuShares, ZoneCounts};
use super::{
    intent::{Intent, Mechanism, Preference},
    pack::Packing,
};
use crate::model::{name::Name, slice::Endpoint};

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
}

/// The hints for all endpoints of a packing.
#[derive(Debug)]
pub struct Choices {
    /// One for each endpoint, in the order of [`Packing::slices`].
    pub endpoints: Vec<Choice>,
    /// How many endpoints are hinted to each zone, where the legacy annotation is in force and can be
    /// followed.
    pub counts: Option<ZoneCounts>,
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
    /// The zone and the node to which it hints `endpoint`.
    fn names<'e>(&'e self, endpoint: &'e Endpoint) -> (Option<&'e Name>, Option<&'e Name>) {
        match self {
            Self::Any | Self::Nothing => (None, None),
            Self::Own(preference) => {
                let node = endpoint.node.as_ref().filter(|_| *preference == Preference::Node);
                (endpoint.zone.as_ref(), node)
            }
            Self::Zone(zone) => (Some(zone), None),
        }
    }
}

impl Choices {
    /// No endpoint has hints, ready or not.
    fn none(packing: &Packing<'_>) -> Self {
        let endpoints = packing.slices().flatten().map(|_| Choice::Nothing).collect();
        Self { endpoints, counts: None }
    }
}
