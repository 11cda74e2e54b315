//! Hints: which nodes and zones an endpoint is meant for. One file for each way to decide it;
//! this one says which is in force (docs/semantics.md 5.1).

pub mod auto;
pub mod traffic_distribution;

use self::{
    auto::{CpuShares, ZoneCounts},
    traffic_distribution::Preference,
};
use super::pack::{Draft, Packing};
use crate::model::{service::Service, slice::Slice};

/// How the hints of a Service are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The legacy annotation: by CPU share.
    Auto,
    /// `spec.trafficDistribution`.
    TrafficDistribution(Preference),
    /// No hints.
    Off,
}

impl Mechanism {
    /// What it prefers, if anything; the same word everywhere.
    pub fn prefers(self) -> Option<&'static str> {
        match self {
            Self::Auto => Some("Auto"),
            Self::TrafficDistribution(Preference::Node) => Some("Node"),
            Self::TrafficDistribution(Preference::Zone) => Some("Zone"),
            Self::Off => None,
        }
    }
}

/// The mechanism in force for `service`.
pub fn mechanism(service: &Service) -> Mechanism {
    if service.auto {
        return Mechanism::Auto;
    }
    let written = service.traffic_distribution.as_deref();
    written.and_then(Preference::parse).map_or(Mechanism::Off, Mechanism::TrafficDistribution)
}

/// Sets the hints of everything that is written, and turns unchanged slices whose hints are
/// wrong into updates. Returns the counts of the legacy mechanism, if it succeeded. `node_hints`
/// is that of [`super::World`].
pub fn assign(
    mechanism: Mechanism,
    packing: &mut Packing<'_>,
    shares: Option<&CpuShares>,
    node_hints: bool,
) -> Option<ZoneCounts> {
    match mechanism {
        Mechanism::Auto => {
            let counts = auto::assign(packing, shares);
            if counts.is_none() {
                remove(packing);
            }
            counts
        }
        Mechanism::TrafficDistribution(preference) => {
            traffic_distribution::assign(preference, packing, node_hints);
            None
        }
        Mechanism::Off => {
            remove(packing);
            None
        }
    }
}

/// Takes all hints away, ready or not.
fn remove(packing: &mut Packing<'_>) {
    rewrite(packing, |slice| slice.endpoints.iter().any(|endpoint| endpoint.hints.is_some()));
    for draft in written(packing) {
        draft.endpoints.iter_mut().for_each(|endpoint| endpoint.hints = None);
    }
}

/// Turns the unchanged slices for which `is_wrong` holds into updates.
fn rewrite(packing: &mut Packing<'_>, mut is_wrong: impl FnMut(&Slice) -> bool) {
    let (wrong, right) =
        std::mem::take(&mut packing.unchanged).into_iter().partition(|slice| is_wrong(slice));
    packing.unchanged = right;
    let wrong: Vec<&Slice> = wrong;
    // Labels stay: a wrong reserved label is not repaired by a change of hints alone.
    packing.updates.extend(
        wrong
            .into_iter()
            .map(|slice| Draft::of(slice, slice.meta.labels.clone(), slice.endpoints.to_vec())),
    );
}

/// All slices that are written.
fn written<'p, 'a>(packing: &'p mut Packing<'a>) -> impl Iterator<Item = &'p mut Draft<'a>> {
    packing.creates.iter_mut().chain(&mut packing.updates)
}
