//! Nodes: what becomes of the traffic if endpoints also name their node (docs/planner.md 8.4).

use foldhash::HashMap;

use super::{
    counts::{Load, Names, Origin, TOLERANCE, float},
    keep::percent,
    outcome::ChosenNode,
    request::Standing,
    stage::Stage,
};
use crate::model::name::Name;

/// Whether endpoints name their nodes.
#[derive(Clone, Copy, Debug)]
pub struct NodeHints {
    is_on: bool,
    /// What becomes of the traffic then, if readers follow.
    pub load: Option<Load>,
    /// Whether they would be on without the guard.
    pub is_dropped: bool,
    /// Whether they wait until the plan has stood long enough.
    pub is_held: bool,
}

impl NodeHints {
    /// Beside these names of the rest, in its order, which are kept or new.
    pub fn of(stage: &Stage<'_>, names: &[Names], is_kept: bool) -> Self {
        let off = Self { is_on: false, load: None, is_dropped: false, is_held: false };
        if !stage.request.node {
            return off;
        }
        let load = load(stage, names).filter(|_| !stage.rest.is_empty());
        let on = Self { is_on: true, load, ..off };
        let (Some(guard), Some(load)) = (stage.request.guard, on.load) else { return on };
        let names_node = |at: &usize| stage.group.candidates[*at].node_in_force == ChosenNode::Own;
        let were_on = stage.rest.iter().any(names_node);
        let is_within = |cap: u16| load.overload <= percent(cap) + TOLERANCE;
        if !is_kept {
            return if is_within(guard.max_overload) {
                on
            } else {
                Self { is_dropped: true, ..off }
            };
        }
        let waits = match stage.request.standing {
            Standing::For(Some(stood)) => stood < guard.hold,
            Standing::For(None) | Standing::New | Standing::Void => false,
        };
        match (were_on, is_within(guard.release_overload), is_within(guard.max_overload)) {
            (false, _, true) if waits => Self { is_held: true, ..off },
            (true, true, _) | (false, _, true) => on,
            _ => Self { is_dropped: true, ..off },
        }
    }

    /// Whether endpoints name their nodes, whatever it leads to.
    pub fn always(is_on: bool) -> Self {
        Self { is_on, load: None, is_dropped: false, is_held: false }
    }

    /// The node that an endpoint names which is evacuated.
    pub fn of_evacuated(&self) -> ChosenNode {
        if self.is_on { ChosenNode::Placeholder } else { ChosenNode::Nothing }
    }

    /// The node that a candidate names which is not evacuated.
    pub fn of_endpoint(&self, stage: &Stage<'_>, at: usize) -> ChosenNode {
        self.of_zone(stage, stage.members[at].origin)
    }

    /// The node that an endpoint of a zone names which is not evacuated.
    pub fn of_zone(&self, stage: &Stage<'_>, zone: Origin) -> ChosenNode {
        match (self.is_on, stage.is_pending(zone)) {
            (false, _) => ChosenNode::Nothing,
            (true, true) => ChosenNode::Placeholder,
            (true, false) => ChosenNode::Own,
        }
    }
}

/// What becomes of the traffic if the rest has these names, in its order, and every endpoint names its
/// node, except in zones that are not rolled out yet. `None` if an endpoint has no node, so that
/// readers ignore nodes.
fn load(stage: &Stage<'_>, names: &[Names]) -> Option<Load> {
    let names_node = |at: usize| !stage.is_pending(stage.members[at].origin);
    // How many endpoints name each node that sends, and the zone of the node.
    let mut on_node: HashMap<&Name, (usize, usize)> = HashMap::default();
    for at in &stage.rest {
        let node = stage.group.candidates[*at].node?;
        let zone =
            stage.members[*at].origin.filter(|zone| stage.zones.senders(*zone).contains(node));
        if let Some(zone) = zone
            && names_node(*at)
        {
            on_node.entry(node).or_insert((0, zone)).0 += 1;
        }
    }
    let mut reached = vec![0; stage.demand().len()];
    for (_, zone) in on_node.values() {
        reached[*zone] += 1;
    }
    let each = |zone: usize| stage.demand()[zone] / float(stage.zones.senders(zone).len());
    let mut left: Vec<f64> = stage.demand().to_vec();
    let mut in_zone = 0.0;
    for (zone, nodes) in reached.into_iter().enumerate().filter(|(_, nodes)| *nodes > 0) {
        left[zone] -= each(zone) * float(nodes);
        in_zone += each(zone) * float(nodes);
    }
    let elsewhere = (1.0 - stage.demand().iter().sum::<f64>()).max(0.0);
    let carried = stage.tally(names).carried(&left, elsewhere);
    let mut busiest = 0.0_f64;
    for (at, names) in stage.rest.iter().zip(names) {
        let node = stage.group.candidates[*at].node.filter(|_| names_node(*at));
        let by_node = node.and_then(|node| on_node.get(node));
        let by_node = by_node.map_or(0.0, |(count, zone)| each(*zone) / float(*count));
        busiest = busiest.max(by_node + carried.by(*names));
    }
    let overload = busiest * float(stage.rest.len()) - 1.0;
    let overload = if overload.abs() < TOLERANCE { 0.0 } else { overload };
    Some(Load { overload, in_zone: in_zone + carried.in_zone })
}
