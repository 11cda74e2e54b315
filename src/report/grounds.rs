//! Grounds: all that an assessment is based on, as one number. As long as the number is the same, so
//! is the assessment. When a pod of a Service changes, mostly only the number of ready endpoints of
//! some kind does, and clients still reach the same kinds.

use std::hash::{BuildHasher as _, Hash, Hasher};

use foldhash::quality::FixedState;

use crate::{
    cluster::Index,
    model::service::Service,
    plan::{
        Family, Plan,
        hints::planned::{Planned, PlannedGroup},
        intent::{Mechanism, Ruling},
        policy::outcome::{Outcome, ZoneOutcome},
        ready::{Alike, NodeHint, Ready},
    },
};

/// What an assessment is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grounds(u64);

impl Grounds {
    /// What the assessment of this plan is based on. `None` if it depends on numbers of endpoints or
    /// of CPUs, or on the slices of other managers.
    pub fn of(index: &Index, service: &Service, plan: &Plan<'_>) -> Option<Self> {
        if plan.intent.mechanism == Mechanism::Auto || !index.foreign_ready(&service.key).is_empty()
        {
            return None;
        }
        let mut hasher = FixedState::default().build_hasher();
        (&service.uid, service.version, plan.intent.mechanism).hash(&mut hasher);
        if let Some(ruling) = &plan.intent.ruling {
            let Ruling { policy, keys, source, request: _, shadow, notes } = &**ruling;
            let shadow = shadow.as_ref().map(|shadow| &shadow.policy);
            (policy, keys, source, shadow, notes).hash(&mut hasher);
        }
        index.topology_changes().hash(&mut hasher);
        (plan.has_pods, plan.nodeless.is_empty(), plan.not_allowed.is_empty()).hash(&mut hasher);
        for family in &plan.families {
            hash_family(family, &mut hasher)?;
        }
        Some(Self(hasher.finish()))
    }
}

fn hash_family(family: &Family<'_>, hasher: &mut impl Hasher) -> Option<()> {
    let Ready { slices: _, sets, unlabelled, has_twins, without_address } = &family.ready;
    if *has_twins {
        return None;
    }
    family.planned.is_some().hash(hasher);
    if let Some(planned) = &family.planned {
        hash_planned(planned, hasher);
    }
    (family.address_type, family.census.is_some(), sets.len()).hash(hasher);
    (*unlabelled > 0, *without_address > 0).hash(hasher);
    for set in sets {
        (&set.ports, set.endpoints > 0, set.ready.len()).hash(hasher);
        for (alike, _) in &set.ready {
            hash_alike(alike, hasher)?;
        }
    }
    Some(())
}

/// What plans say about zones, of which an assessment does not read the numbers.
fn hash_planned(Planned { groups, exceeded }: &Planned, hasher: &mut impl Hasher) {
    (exceeded, groups.len()).hash(hasher);
    for PlannedGroup { ports, outcome } in groups {
        let Outcome { zones, causes, is_held, is_kept: _, tally: _, load: _, node_load: _ } =
            &**outcome;
        (ports, causes, is_held, zones.len()).hash(hasher);
        for ZoneOutcome { name, demand, own: _, reached: _, in_zone: _, rung, cause } in zones {
            (name, *demand > 0.0, rung, cause).hash(hasher);
        }
    }
}

fn hash_alike(Alike { zone, zones, nodes }: &Alike, hasher: &mut impl Hasher) -> Option<()> {
    (zone, zones).hash(hasher);
    match nodes {
        NodeHint::None => false.hash(hasher),
        NodeHint::Own => true.hash(hasher),
        // Whether clients run on these nodes changes more often than which zones send.
        NodeHint::These(_) => return None,
    }
    Some(())
}
