//! Traffic: what slices and policies amount to, in the few facts that are checked. Pure.

use std::collections::BTreeMap;

use super::read::Permission;
use crate::{
    assess::reason::{Reason, State},
    cli::snapshot::Snapshot,
    cluster::Index,
    model::{name::ServiceKey, policy::Reading},
    plan::Settings,
    report::row::Row,
};

/// What slices and policies amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many Services there are.
    pub services: usize,
    /// Services with slices that would be written, each with how many.
    pub pending: BTreeMap<ServiceKey, usize>,
    /// Services that request locality, by state.
    pub states: BTreeMap<State, Vec<(ServiceKey, Reason)>>,
    /// Services without use of a policy, each with the reason.
    pub without_policy: Vec<(ServiceKey, Reason)>,
    /// The permissions that are missing to list policies and evacuations.
    pub unlisted: Vec<Permission>,
    /// How many policies and evacuations there are.
    pub policies: usize,
    /// Those that are invalid, or not known in this version.
    pub unread: Vec<String>,
    /// Policies whose status is not about their latest state: not programmed, or not seen at all.
    pub unprogrammed: Vec<String>,
}

impl Traffic {
    /// What the objects of a cluster amount to.
    pub(super) fn of(snapshot: &Snapshot, settings: Settings) -> Self {
        let rows = snapshot.rows(settings);
        let mut traffic = Self { services: rows.len(), ..Self::default() };
        for row in &rows {
            traffic.add(row);
        }
        traffic.add_policies(snapshot.index());
        traffic
    }

    fn add(&mut self, row: &Row<'_>) {
        let key = &row.service.key;
        let writes = row.writes().iter().sum();
        if writes > 0 {
            self.pending.insert(key.clone(), writes);
        }
        let decision = &row.decision;
        if decision.state != State::None {
            // These are listed first and say nothing about the state.
            let reason = decision.reasons.iter().find(|reason| !is_of_policy(**reason));
            let reason = reason.copied().unwrap_or_else(|| decision.reason());
            self.states.entry(decision.state).or_default().push((key.clone(), reason));
        }
        let lacks = decision.reasons.iter().find(|reason| is_of_policy(**reason));
        self.without_policy.extend(lacks.map(|reason| (key.clone(), *reason)));
    }

    fn add_policies(&mut self, index: &Index) {
        let rules = index.rules();
        let mut add = |name: String, is_read: bool, is_programmed: bool| {
            self.policies += 1;
            if !is_read {
                self.unread.push(name);
            } else if !is_programmed {
                self.unprogrammed.push(name);
            }
        };
        for policy in index.policies() {
            let name = format!("LocalityPolicy {}/{}", policy.namespace, policy.meta.name);
            let is_programmed = policy.programmed == Some(policy.meta.generation);
            add(name, matches!(policy.spec, Reading::Known(_)), is_programmed);
        }
        for policy in rules.policies.values() {
            let name = format!("ClusterLocalityPolicy {}", policy.meta.name);
            let is_programmed = policy.programmed == Some(policy.meta.generation);
            add(name, matches!(policy.spec, Reading::Known(_)), is_programmed);
        }
        for evacuation in rules.evacuations.values() {
            let name = format!("ZoneEvacuation {}", evacuation.meta.name);
            add(name, matches!(evacuation.spec, Reading::Known(_)), true);
        }
    }

    /// The same with only the writes that `later` would make, too: what is pending in both is not
    /// just being written.
    #[must_use]
    pub(super) fn still_pending(mut self, later: &Self) -> Self {
        self.pending.retain(|key, _| later.pending.contains_key(key));
        self
    }
}

/// Whether a reason is about policies alone.
fn is_of_policy(reason: Reason) -> bool {
    matches!(reason, Reason::PolicyUnknown | Reason::PolicyInvalid | Reason::PolicyNotFound)
}
