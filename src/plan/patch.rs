//! Patch: plans only those slices of a Service in which the conditions of an endpoint have changed.
//! So one pod of twenty thousand costs as much as one of a hundred.
//!
//! When a plan has nothing to write, every planned endpoint is in exactly one slice with its ports,
//! and every slice is right by itself. If pods then only become ready or unready or begin to
//! terminate, all endpoints keep their identity and their place. A full plan would find exactly
//! the same endpoints in each slice. So each slice can be planned by itself, by the rules of a full
//! plan, and the other slices can be skipped. This does not hold under the legacy annotation, whose
//! hints depend on all endpoints together. Under a guard it holds as long as the plan of the hints
//! stays, which the numbers of ready endpoints say.

use std::sync::Arc;

use super::{
    Family, Plan, Scope, World, census::Census, changes::Changes, endpoint, family,
    hints::planned::Planned, intent::Mechanism, ready::Ready,
};
use crate::model::{address::AddressType, pod::Pod, service::Service, slice::Slice};

/// What is known of one address type since the last plan.
#[derive(Clone, Debug)]
pub struct Known {
    /// The address type.
    pub address_type: AddressType,
    /// Its numbers.
    pub census: Census,
    /// The ready endpoints of all slices.
    pub ready: Ready,
    /// Whether policies decide its hints.
    pub is_planned: bool,
}

/// A slice to be planned, with the pods that have an endpoint in it.
#[derive(Clone, Debug)]
pub struct ChangedSlice<'a> {
    /// The slice.
    pub slice: &'a Slice,
    /// The pods.
    pub pods: Vec<&'a Pod>,
}

/// What must be known of a Service to patch it after `plan`, once the writes of the plan are done.
/// Returns `None` if the Service cannot be patched.
pub fn known(service: &Service, plan: &Plan<'_>) -> Option<Vec<Known>> {
    let is_right = |family: &Family<'_>| {
        family.changes.creates.is_empty() && family.changes.deletes.is_empty()
    };
    // A terminating Service may lack endpoints, because no slice is created for them.
    if service.terminating
        || plan.intent.mechanism == Mechanism::Auto
        || !plan.nodeless.is_empty()
        || !plan.not_allowed.is_empty()
        || !plan.families.iter().all(is_right)
        // Which of two endpoints counts depends on both.
        || (plan.intent.prefers_locality()
            && plan.families.iter().any(|family| family.ready.has_twins))
    {
        return None;
    }
    let families = plan.families.iter();
    families
        .map(|Family { address_type, census, ready, planned, .. }| {
            let census = Census { added: 0, removed: 0, ..(*census)? };
            let (ready, is_planned) = (ready.clone(), planned.is_some());
            Some(Known { address_type: *address_type, census, ready, is_planned })
        })
        .collect()
}

/// Plans the slices that are `changed`, out of a world whose pods and slices are not looked at;
/// `None` if something shows that more has changed than the conditions of endpoints.
pub fn patch<'a>(
    world: World<'_, 'a>,
    known: &[Known],
    mut changed: Vec<ChangedSlice<'a>>,
) -> Option<Plan<'a>> {
    // The order in which a plan of the whole has them.
    changed.sort_unstable_by(
        |ChangedSlice { slice: one, .. }, ChangedSlice { slice: other, .. }| {
            let fuller = other.endpoints.len().cmp(&one.endpoints.len());
            one.ports.cmp(&other.ports).then(fuller).then(one.meta.name.cmp(&other.meta.name))
        },
    );
    let mut families: Vec<Family<'a>> = known.iter().cloned().map(unchanged).collect();
    for ChangedSlice { slice, pods } in &changed {
        let world = World { pods, slices: &[*slice], ..world };
        let desired = endpoint::desired(world.service, pods, world.nodes, slice.address_type);
        let part = family(world, Scope::Part, slice.address_type, vec![*slice], &desired);
        let Changes { creates, updates, replaced, deletes, is_locality_only, is_in_place: _ } =
            part.changes;
        let is_in_place = creates.is_empty() && deletes.is_empty();
        if !is_in_place || part.census.is_none_or(|census| census.added + census.removed > 0) {
            return None;
        }
        let all = families.iter_mut().find(|all| all.address_type == slice.address_type)?;
        all.changes.updates.extend(updates);
        all.changes.replaced.extend(replaced);
        all.changes.is_locality_only &= is_locality_only;
        all.unchanged.extend(part.unchanged);
        all.ready.replace(&Ready::of([*slice], world.nodes), &part.ready);
    }
    if world.policy.is_some() {
        plan_by_numbers(world, known, &mut families)?;
    } else if known.iter().any(|known| known.is_planned) {
        return None;
    }
    Some(Plan { families, has_pods: true, ..Plan::new(&world) })
}

/// Finds that the plans of hints stay, by the numbers of ready endpoints; `None` if these do not say so.
fn plan_by_numbers(
    world: World<'_, '_>,
    known: &[Known],
    families: &mut [Family<'_>],
) -> Option<()> {
    let terms = world.terms()?;
    let is_single = families.len() == 1;
    for (family, known) in families.iter_mut().zip(known) {
        let planned = known.is_planned.then(|| Planned::by_numbers(terms, &family.ready))??;
        // The plan of another address type is taken over if it is for the same pods, and does not wait.
        if !is_single && (family.ready.without_address > 0 || planned.is_held()) {
            return None;
        }
        family.planned = Some(Arc::new(planned));
    }
    Some(())
}

fn unchanged<'a>(known: Known) -> Family<'a> {
    let Known { address_type, census, ready, is_planned: _ } = known;
    let changes = Changes { is_locality_only: true, ..Changes::default() };
    Family {
        address_type,
        changes,
        unchanged: Vec::new(),
        counts: None,
        planned: None,
        newcomers: Vec::new(),
        census: Some(census),
        ready,
    }
}
