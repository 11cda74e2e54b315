//! Mark: which slices have the annotation, and what it says under a plan of their hints
//! ([`crate::plan::in_place`]).

use super::annotation::{ANNOTATION, Annotation};
use crate::{
    model::{name::Name, service::Service, slice::Slice},
    plan::{
        Family, Plan,
        hints::planned::{PortNames, port_names},
        intent::{Mechanism, Preference},
        policy::outcome::{Chosen, ChosenNode, Newcomers, Outcome},
        topology::Topology,
    },
};

/// Whether closehaul has decided the hints of a slice.
pub fn is_marked(slice: &Slice) -> bool {
    slice.meta.annotations.get(ANNOTATION).is_some()
}

/// Adds to the writes of a plan in place what the annotations must say. Where the Service's own fields
/// decide again, the annotation goes. While it is not known what is requested, it stays.
pub fn mark(plan: &mut Plan<'_>, service: &Service, topology: &Topology) {
    if plan.intent.is_unknown() {
        return;
    }
    let is_beyond = plan.intent.is_beyond(service);
    let by_mechanism = of_mechanism(plan.intent.mechanism, topology, plan.settings.node_hints);
    for family in &mut plan.families {
        let texts = is_beyond.then(|| Texts::of(family, &by_mechanism));
        let marked = |slice: &Slice| {
            let text = texts.as_ref().map(|texts| texts.text(slice));
            slice.meta.annotations.with(ANNOTATION, text)
        };
        for slice in &mut family.changes.updates {
            slice.meta.annotations = marked(slice);
        }
        let is_right = |slice: &&Slice| marked(slice) == slice.meta.annotations;
        let (right, wrong) = std::mem::take(&mut family.unchanged).into_iter().partition(is_right);
        family.unchanged = right;
        let wrong: Vec<&Slice> = wrong;
        for slice in wrong {
            let mut update = slice.clone();
            update.meta.annotations = marked(slice);
            family.changes.updates.push(update);
            family.changes.replaced.push(slice.clone());
        }
    }
}

/// What the annotations of the slices of one address type say.
struct Texts {
    /// By the sets of ports whose endpoints are planned together.
    groups: Vec<(Vec<PortNames>, String)>,
    otherwise: String,
}

impl Texts {
    /// `by_mechanism` is what they say where no plan does.
    fn of(family: &Family<'_>, by_mechanism: &str) -> Self {
        let Some(planned) = &family.planned else {
            return Self { groups: Vec::new(), otherwise: by_mechanism.to_owned() };
        };
        let groups = planned.groups.iter().zip(&family.newcomers);
        let groups = groups.filter(|_| planned.exceeded.is_empty());
        let groups = groups
            .map(|(group, newcomers)| (group.ports.clone(), of_plan(&group.outcome, newcomers)));
        Self { groups: groups.collect(), otherwise: text(Vec::new(), Chosen::default()) }
    }

    fn text(&self, slice: &Slice) -> &str {
        let ports = port_names(&slice.ports);
        let group = self.groups.iter().find(|(sets, _)| sets.contains(&ports));
        group.map_or(&self.otherwise, |(_, text)| text)
    }
}

/// What newcomers name under a plan.
fn of_plan(outcome: &Outcome, newcomers: &Newcomers) -> String {
    let names = outcome.zones.iter().map(|zone| zone.name.clone());
    let zones = names.zip(newcomers.zones.iter().cloned()).collect();
    text(zones, newcomers.elsewhere.clone())
}

/// What newcomers name by the preference of a policy alone: their own zone, and their own node if that
/// comes first.
fn of_mechanism(mechanism: Mechanism, topology: &Topology, node_hints: bool) -> String {
    let Mechanism::TrafficDistribution(preference) = mechanism else {
        return text(Vec::new(), Chosen::default());
    };
    let names_node = preference == Preference::Node && node_hints;
    let node = if names_node { ChosenNode::Own } else { ChosenNode::Nothing };
    let own = |zone: &Name| (zone.clone(), Chosen { zones: [zone.clone()].into(), node });
    text(topology.names().map(own).collect(), Chosen { zones: [].into(), node })
}

/// The annotation as text. An API server rejects labels, and so zones, that it could not name; from
/// anywhere else, such a zone leads to no hints for newcomers.
fn text(zones: Vec<(Name, Chosen)>, elsewhere: Chosen) -> String {
    Annotation::new(zones, elsewhere).unwrap_or_default().to_string()
}
