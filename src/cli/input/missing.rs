//! Missing: kinds of which nothing was read. Such a kind is unknown and not empty: `kubectl get all`
//! prints no Nodes, and its pods must not be dropped from slices for that.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::Kind as _,
    cli::objects::Objects,
    model::{labels::Labels, name::Name, node::Node, pod::Pod, slice::Slice},
};

/// Fills in what must be assumed, and says so. `kinds` are those that were read.
pub fn assume(objects: &mut Objects, kinds: &BTreeSet<String>) -> Vec<String> {
    let mut notes = Vec::new();
    if objects.services.iter().all(|service| service.selector.is_none()) {
        return notes;
    }
    if !kinds.contains(Pod::KIND) {
        objects.are_pods_unknown = true;
        notes.push(
            "no Pod in the input: it is unknown what slices need, so all stay as they are"
                .to_owned(),
        );
    }
    if !kinds.contains(Node::KIND) {
        objects.nodes = named(objects);
        notes.push(
            "no Node in the input: zones are unknown, except where slices name them; assumed are the nodes of pods and slices"
                .to_owned(),
        );
    }
    if !kinds.contains(Slice::KIND) {
        notes.push("no EndpointSlice in the input: planned as if there were none".to_owned());
    }
    notes
}

/// The nodes that pods and slices name, with the zones that slices give them.
fn named(objects: &Objects) -> Vec<Node> {
    let mut zones: BTreeMap<&Name, Option<&Name>> = BTreeMap::new();
    for node in objects.pods.iter().filter_map(|(_, pod)| pod.node.as_ref()) {
        zones.entry(node).or_default();
    }
    for endpoint in objects.slices.iter().flat_map(|slice| &*slice.endpoints) {
        if let Some(node) = &endpoint.node {
            let zone = zones.entry(node).or_default();
            *zone = zone.or(endpoint.zone.as_ref());
        }
    }
    let node = |(name, zone): (&Name, Option<&Name>)| Node {
        name: name.clone(),
        version: 0,
        zone: zone.cloned(),
        labels: Labels::default(),
        ready: true,
        control_plane: false,
        cpu: 0,
    };
    zones.into_iter().map(node).collect()
}
