//! Hints by `spec.trafficDistribution`: every ready endpoint serves its own zone and, if the
//! Service prefers so, its own node (docs/semantics.md 5.2; KEP-4444, KEP-3015).

use super::{Choice, Choices};
use crate::{
    model::slice::Endpoint,
    plan::{intent::Preference, pack::Packing},
};

/// Chooses hints for the ready endpoints, none for the others, as proxies do not look at them.
pub fn choose(preference: Preference, packing: &Packing<'_>) -> Choices {
    let choice = |endpoint: &Endpoint| {
        if endpoint.is_ready() { Choice::Own(preference) } else { Choice::Any }
    };
    Choices::of(packing.slices().flatten().map(choice).collect())
}
