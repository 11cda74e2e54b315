//! Hints by `spec.trafficDistribution`: every ready endpoint serves its own zone and, if the
//! Service prefers so, its own node (docs/semantics.md 5.2; KEP-4444, KEP-3015).

use std::sync::Arc;

use foldhash::HashMap;

use crate::{
    model::{
        name::Name,
        slice::{Endpoint, Hints},
    },
    plan::{intent::Preference, pack::Packing},
};

/// Sets the hints of the ready endpoints of every slice that is written; unchanged slices are
/// written if a ready endpoint of theirs is wrong. Endpoints that are not ready keep what they
/// have, as proxies do not look at it.
///
/// Without `node_hints` none for a node is written. A slice that lacks them is right then, and so is
/// one that has the right ones, from a time when they were kept: to take them away would cost a
/// write and bring traffic no nearer.
pub fn assign(preference: Preference, packing: &mut Packing<'_>, node_hints: bool) {
    super::rewrite(packing, |slice| {
        let mut ready = slice.endpoints.iter().filter(|endpoint| endpoint.is_ready());
        ready.any(|endpoint| !is_right(preference, endpoint, node_hints))
    });
    let written = if node_hints { preference } else { Preference::Zone };
    let mut shared = HashMap::default();
    for draft in super::written(packing) {
        for endpoint in draft.endpoints.iter_mut().filter(|endpoint| endpoint.is_ready()) {
            endpoint.hints = hints(written, endpoint, &mut shared);
        }
    }
}

/// Whether a ready endpoint of a slice that is not written otherwise may stay. An empty
/// `hints: {}` says nothing wrong.
fn is_right(preference: Preference, endpoint: &Endpoint, node_hints: bool) -> bool {
    let (zones, nodes): (&[Name], &[Name]) =
        endpoint.hints.as_ref().map_or((&[], &[]), |hints| (&hints.zones, &hints.nodes));
    let node = endpoint.node.as_ref().filter(|_| preference == Preference::Node);
    let may_lack = !node_hints && nodes.is_empty();
    is_only(zones, endpoint.zone.as_ref()) && (may_lack || is_only(nodes, node))
}

/// Whether `names` is just `name`, or empty where there is none.
fn is_only(names: &[Name], name: Option<&Name>) -> bool {
    names.iter().eq(name)
}

/// The hints of one ready endpoint; `shared` holds those already made in this plan.
fn hints(
    preference: Preference,
    endpoint: &Endpoint,
    shared: &mut HashMap<(Option<Name>, Option<Name>), Arc<Hints>>,
) -> Option<Arc<Hints>> {
    let zone = endpoint.zone.clone();
    let node = endpoint.node.clone().filter(|_| preference == Preference::Node);
    if zone.is_none() && node.is_none() {
        return None;
    }
    let made = shared.entry((zone, node)).or_insert_with_key(|(zone, node)| {
        Arc::new(Hints {
            zones: zone.iter().cloned().collect(),
            nodes: node.iter().cloned().collect(),
        })
    });
    Some(made.clone())
}
