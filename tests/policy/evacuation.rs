//! Evacuation of zones.

use closehaul::plan::policy::{
    outcome::{Cause, ChosenNode, PLACEHOLDER, Rung},
    request::{Request, Standing},
};

use crate::service::{Service, guarded, named, unguarded, zone};

fn evacuating(request: Request, zones: &[usize]) -> Request {
    Request { evacuated: zones.iter().map(|number| zone(*number)).collect(), ..request }
}

/// Under a guard the rest is planned as if the evacuated endpoints did not exist.
#[test]
fn under_a_guard_the_rest_is_planned() {
    let mut service = Service::equal(guarded(20), &[4, 4, 4]);
    service.plan();
    service.request = evacuating(service.request, &[1]);
    let outcome = service.look();
    let names = named(&outcome);
    for (at, names) in names.iter().enumerate() {
        assert_eq!(*names == [PLACEHOLDER], (4..8).contains(&at), "{names:?}");
    }
    assert_eq!(outcome.zones[1].cause, Cause::Evacuated);
    assert_ne!(outcome.zones[1].rung, Rung::Strict);
    assert_eq!(outcome.tally.len(), 8);
    assert!(outcome.load.overload <= 0.2 + 1e-9, "{:?}", outcome.load);
    // Everything in the evacuated zone names nothing, also what starts there.
    assert_eq!(*outcome.naming.newcomers.zones[1].zones, [PLACEHOLDER.into()]);
    service.plan();
    service.add(Some(1));
    service.pods[12].is_ready = false;
    assert_eq!(named(&service.look())[12], [PLACEHOLDER]);
    service.pods[12].is_ready = true;
    let after = service.plan();
    assert!(after.is_kept, "a pod that starts in an evacuated zone changes nothing");
    assert_eq!(named(&after)[12], [PLACEHOLDER]);
    // What was written is no memory afterwards.
    service.request = evacuating(service.request, &[]);
    service.request.standing = Standing::Void;
    let after = service.look();
    assert!(after.zones.iter().all(|zone| zone.rung == Rung::Strict), "{:?}", after.zones);
}

/// Without a guard: own zone, and every zone that has no endpoint left on all of the rest.
#[test]
fn without_a_guard_every_zone_is_named() {
    let mut service = Service::equal(evacuating(unguarded(), &[1]), &[2, 2, 2, 0]);
    service.add(None);
    let outcome = service.look();
    let names = named(&outcome);
    assert_eq!(names[0], ["z000", "z001", "z003"]);
    assert_eq!(names[2], [PLACEHOLDER]);
    assert_eq!(names[4], ["z001", "z002", "z003"]);
    assert_eq!(names[6], ["z000", "z001", "z002", "z003"], "without hints it would turn all off");
    assert_eq!(outcome.zones[1].cause, Cause::Evacuated);
}

#[test]
fn a_service_without_preference_has_hints_for_the_time_being() {
    for request in [unguarded(), guarded(30)] {
        let request = Request { keys: Vec::new(), ..request };
        let outcome = Service::equal(evacuating(request, &[0]), &[2, 2, 2]).look();
        let names = named(&outcome);
        assert_eq!(names[0], [PLACEHOLDER]);
        assert!(names[2..].iter().all(|names| *names == ["z000", "z001", "z002"]), "{names:?}");
    }
}

#[test]
fn evacuated_endpoints_name_the_placeholder_as_node() {
    let mut request = evacuating(unguarded(), &[0]);
    request.node = true;
    let outcome = Service::equal(request, &[1, 1]).look();
    let nodes: Vec<_> = outcome.naming.hints.iter().map(|hints| hints.node).collect();
    assert_eq!(nodes, [ChosenNode::Placeholder, ChosenNode::Own]);
    assert_eq!(outcome.naming.newcomers.zones[0].node, ChosenNode::Placeholder);
    assert_eq!(outcome.naming.newcomers.zones[1].node, ChosenNode::Own);
}

/// Readers use all endpoints for a zone that no endpoint names.
#[test]
fn where_nothing_else_is_ready_no_zone_is_named() {
    for request in [unguarded(), guarded(30)] {
        let mut service = Service::equal(evacuating(request, &[0, 1]), &[2, 2, 1]);
        service.pods[4].is_ready = false;
        let outcome = service.look();
        assert!(named(&outcome).iter().all(|names| *names == [PLACEHOLDER]));
        assert_eq!(outcome.causes, [Cause::NothingReady]);
        assert_eq!(outcome.zones[0].cause, Cause::Evacuated);
        // The first that is ready outside serves all.
        service.plan();
        service.pods[4].is_ready = true;
        let outcome = service.look();
        assert_eq!(named(&outcome)[4], ["z000", "z001", "z002"]);
    }
}

#[test]
fn an_evacuation_that_needs_too_many_names_is_refused() {
    // Without the second zone, eight others have no endpoint, and each endpoint names its own too.
    let pods = [2, 2, 0, 0, 0, 0, 0, 0, 0];
    let mut service = Service::equal(evacuating(unguarded(), &[1]), &pods);
    let refused = service.look();
    assert_eq!(refused.causes, [Cause::TooManyZones]);
    assert!(!named(&refused).iter().flatten().any(|name| *name == PLACEHOLDER));
    service.request = unguarded();
    assert_eq!(named(&refused), named(&service.look()));
    // With one zone less it is done.
    let outcome = Service::equal(evacuating(unguarded(), &[1]), &pods[..8]).look();
    assert!(outcome.causes.is_empty());
    assert_eq!(named(&outcome)[2], [PLACEHOLDER]);
    assert_eq!(named(&outcome)[0].len(), 8);
    // Under a guard not every endpoint needs to name every zone.
    let outcome = Service::equal(evacuating(guarded(30), &[1]), &pods).look();
    assert!(outcome.causes.is_empty() && outcome.zones.iter().all(|zone| zone.reached < 3));
    assert_eq!(named(&outcome)[2], [PLACEHOLDER]);
}

#[test]
fn an_evacuation_during_a_rollout() {
    let mut request = evacuating(unguarded(), &[2]);
    request.rollout = Some(vec![zone(0), zone(2)]);
    let outcome = Service::equal(request, &[2, 2, 2]).look();
    let names = named(&outcome);
    assert_eq!([&names[0], &names[2]], [&vec!["z000", "z001", "z002"], &vec!["z001", "z002"]]);
    assert_eq!(names[4], [PLACEHOLDER]);
}

/// The plan in force is no reason to leave a zone unnamed: its clients would reach what is evacuated.
#[test]
fn no_hints_in_force_are_no_plan_while_zones_are_evacuated() {
    let mut service = Service::equal(guarded(30), &[3, 3, 3]);
    service.plan();
    for pod in &mut service.pods {
        pod.hints = Some(closehaul::plan::policy::outcome::Chosen::default());
    }
    service.stand(0);
    service.request = evacuating(service.request, &[2]);
    let outcome = service.look();
    assert!(named(&outcome).iter().all(|names| !names.is_empty()));
    assert!(outcome.zones[2].reached > 0 && !outcome.is_kept);
}
