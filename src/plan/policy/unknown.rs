//! Unknown: what endpoints name while policies are not known (docs/planner.md 8.8). Names in force stay,
//! and what newcomers name is read off from them.

use std::collections::BTreeMap;

use super::{
    choose::newcomers,
    counts::Tally,
    group::{Candidate, Group},
    newcomers::Newcomer,
    nodes::NodeHints,
    outcome::{Chosen, ChosenNode, Naming, Newcomers, PLACEHOLDER},
    pen::Pen,
    request::{Request, Standing},
    searches::Searches,
    stage::Stage,
    zones::Zones,
};
use crate::model::{
    name::Name,
    policy::{DemandSource, Guard, Key},
};

/// The hints of a group while policies are not known. `None` if those in force are what the Service's own fields
/// stand for, so that it is planned as without policies. `prefers_zone` says whether these fields
/// request hints for zones.
pub fn unknown(zones: &Zones, group: &Group<'_>, prefers_zone: bool) -> Option<Naming> {
    if group.candidates.iter().all(|candidate| is_of_service(candidate, prefers_zone)) {
        return None;
    }
    let names_node = |it: &Candidate<'_>| it.node_in_force != ChosenNode::Nothing;
    let request = Request {
        node: group.candidates.iter().any(names_node),
        keys: vec![Key::Zone],
        guard: Some(Guard::with_max(u16::MAX)),
        rollout: None,
        evacuated: evacuated(group),
        demand: DemandSource::Equal,
        standing: Standing::For(None),
    };
    let searches = Searches::default();
    let stage = Stage::of(&request, zones, &searches, group);
    let is_new = |candidate: &Candidate<'_>| candidate.in_force.is_none();
    let mut tally = Tally::default();
    for at in &stage.rest {
        let member = stage.members[*at];
        if !is_new(&group.candidates[*at]) {
            tally.add(member.origin, member.in_force.unwrap_or_default(), 1);
        }
    }
    let mut pen = Pen::new(zones);
    let nodes = NodeHints::always(request.node);
    // One endpoint without names turns all zones off, so another one is no worse.
    let is_off = tally.iter().any(|(_, names, _)| names.is_empty());
    let newcomer = Newcomer::of(&stage, &tally);
    let newcomers =
        if is_off { Newcomers::default() } else { newcomers(&stage, &mut pen, &newcomer, &nodes) };
    let hints = group.candidates.iter().enumerate().map(|(at, candidate)| {
        if let Some(names) = candidate.in_force {
            return Chosen { zones: names.into(), node: candidate.node_in_force };
        }
        let Some(number) = stage.members[at].origin else { return newcomers.elsewhere.clone() };
        newcomers.zones.get(number).cloned().unwrap_or_default()
    });
    Some(Naming { hints: hints.collect(), newcomers })
}

/// Whether an endpoint has the hints that the Service's own fields stand for.
fn is_of_service(candidate: &Candidate<'_>, prefers_zone: bool) -> bool {
    let Some(names) = candidate.in_force else { return true };
    let zone = candidate.zone.filter(|_| prefers_zone);
    let is_own_node = candidate.node_in_force != ChosenNode::Placeholder;
    // One that has never been ready has none.
    let may_lack = !candidate.is_ready && names.is_empty();
    is_own_node && (may_lack || names.iter().eq(zone))
}

/// The zones whose endpoints all have the placeholder, sorted.
fn evacuated(group: &Group<'_>) -> Vec<Name> {
    let mut zones: BTreeMap<&Name, bool> = BTreeMap::new();
    for candidate in &group.candidates {
        if let (Some(zone), Some(names)) = (candidate.zone, candidate.in_force) {
            let has = names.iter().any(|name| **name == *PLACEHOLDER);
            *zones.entry(zone).or_insert(true) &= has;
        }
    }
    zones.into_iter().filter(|(_, are_all)| *are_all).map(|(zone, _)| zone.clone()).collect()
}
