//! Hints: which nodes and zones an endpoint is meant for. One file for each way to decide it;
//! this one applies the one that is in force (docs/semantics.md 5.1).

pub mod auto;
pub mod traffic_distribution;

use self::auto::{CpuShares, ZoneCounts};
use super::{
    Settings,
    intent::Mechanism,
    pack::{Draft, Packing},
};
use crate::model::slice::Slice;

/// Sets the hints of everything that is written, and turns unchanged slices whose hints are
/// wrong into updates. Returns the counts of the legacy mechanism, if it succeeded.
pub fn assign(
    mechanism: Mechanism,
    packing: &mut Packing<'_>,
    shares: Option<&CpuShares>,
    settings: Settings,
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
            traffic_distribution::assign(preference, packing, settings.node_hints);
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
