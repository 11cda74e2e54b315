//! The rules of new plans, one by one.

use closehaul::{
    model::policy::{Guard, Key},
    plan::policy::{
        counts::Load,
        outcome::{Cause, ChosenNode, Outcome, PLACEHOLDER, Rung},
    },
};

use crate::service::{Service, guarded, named, unguarded, zone};

#[track_caller]
fn assert_zones(outcome: &Outcome, expected: &[(Rung, Cause)]) {
    let found: Vec<_> = outcome.zones.iter().map(|zone| (zone.rung, zone.cause)).collect();
    assert_eq!(found, expected, "{:?}", outcome.tally);
}

#[track_caller]
fn assert_share(load: Load, overload: f64, in_zone: f64) {
    assert!((load.overload - overload).abs() < 1e-6, "{load:?}");
    assert!((load.in_zone - in_zone).abs() < 1e-6, "{load:?}");
}

const STRICT: (Rung, Cause) = (Rung::Strict, Cause::Applied);

#[test]
fn rungs_and_causes() {
    let outcome = Service::equal(guarded(20), &[3, 2, 1]).look();
    assert_zones(&outcome, &[STRICT, STRICT, (Rung::Lent, Cause::Lent)]);
    assert_share(outcome.load, 0.0, 5.0 / 6.0);
    let reached: Vec<_> = outcome.zones.iter().map(|zone| (zone.own, zone.reached)).collect();
    assert_eq!(reached, [(3, 2), (2, 2), (1, 2)]);
    let outcome = Service::equal(guarded(20), &[2, 1, 1]).look();
    let widened = outcome.zones.iter().filter(|zone| zone.cause == Cause::Widened).count();
    assert!(widened > 0, "{:?}", outcome.zones);
    let outcome = Service::equal(guarded(30), &[4, 4, 3]).look();
    assert_zones(&outcome, &[STRICT; 3]);
}

#[test]
fn a_plan_that_is_cluster_wide_has_no_hints() {
    // Nothing is even here but all zones on both.
    for request in [guarded(0), guarded(1)] {
        let outcome = Service::new(request, &[0.9, 0.06, 0.04], &[1, 1, 0]).look();
        assert!(outcome.zones.iter().all(|zone| zone.rung == Rung::Cluster), "{:?}", outcome.zones);
        assert!(named(&outcome).iter().all(Vec::is_empty), "{:?}", outcome.naming.hints);
        assert!(outcome.naming.newcomers.zones.iter().all(|names| names.zones.is_empty()));
        assert_eq!(outcome.zones[0].cause, Cause::OverloadExceeded);
        assert_eq!(outcome.zones[2].cause, Cause::ZoneEmpty);
    }
}

#[test]
fn a_zone_that_sends_nothing_is_named_by_its_own_endpoints_or_by_all() {
    let outcome = Service::new(guarded(50), &[0.5, 0.5, 0.0, 0.0], &[2, 2, 2, 0]).look();
    let names = named(&outcome);
    assert!(names.iter().all(|names| names.contains(&"z003")), "{names:?}");
    for (at, names) in names.iter().enumerate() {
        assert_eq!(names.contains(&"z002"), at >= 4, "{names:?}");
    }
    assert_eq!(outcome.zones[2].rung, Rung::Strict);
    assert_eq!((outcome.zones[3].rung, outcome.zones[3].cause), (Rung::Cluster, Cause::ZoneEmpty));
}

#[test]
fn a_zone_that_does_not_fit_on_all_endpoints_is_left_out_of_all() {
    // Ten zones without endpoints, of which all but one send hardly anything.
    let mut demand = vec![0.3, 0.3, 0.3];
    demand.extend([0.001; 9]);
    demand.push(0.01);
    let mut pods = vec![5, 5, 5];
    pods.extend([0; 10]);
    let mut request = guarded(30);
    request.rollout = Some((0..3).map(zone).collect());
    let outcome = Service::new(request, &demand, &pods).look();
    let names = named(&outcome);
    assert!(names.iter().all(|names| names.len() == 8), "{names:?}");
    assert!(names.iter().all(|names| names.contains(&"z012")), "{names:?}");
    for zone in &outcome.zones[..3] {
        assert_eq!((zone.rung, zone.cause), STRICT);
    }
    for zone in &outcome.zones[3..] {
        assert_eq!((zone.rung, zone.reached), (Rung::Cluster, 15));
    }
}

#[test]
fn zones_beyond_those_that_can_be_named_use_all() {
    let mut pods = vec![0; 300];
    (0..3).for_each(|zone| pods[zone * 100] = 40);
    let mut demand = vec![0.01; 300];
    (0..3).for_each(|zone| demand[zone * 100] = 5.0);
    let outcome = Service::new(guarded(30), &demand, &pods).look();
    assert!(outcome.load.overload <= 0.3 + 1e-9, "{:?}", outcome.load);
    assert!(outcome.load.in_zone > 0.8, "{:?}", outcome.load);
    assert!(named(&outcome).iter().all(|names| (1..=8).contains(&names.len())));
    assert_eq!(outcome.zones.len(), 300);
    assert_eq!(outcome.zones[299].cause, Cause::TooManyZones);
    let sent: f64 = outcome.zones.iter().map(|zone| zone.demand).sum();
    assert!((sent - 1.0).abs() < 1e-9);
    // Without a guard, an endpoint whose zone cannot be named does not turn the others off.
    let mut request = unguarded();
    request.rollout = Some(vec![zone(0), zone(299)]);
    let mut pods = vec![0; 300];
    (pods[0], pods[299]) = (1, 1);
    let outcome = Service::equal(request, &pods).look();
    assert!(named(&outcome).iter().all(|names| (1..=8).contains(&names.len())), "{outcome:?}");
    assert_eq!(outcome.zones[0].rung, Rung::Strict);
    // With the same demand in each, there is no room for any.
    let outcome = Service::equal(guarded(30), &[1; 300]).look();
    assert!(outcome.load.overload <= 0.3 + 1e-9, "{:?}", outcome.load);
    assert!(named(&outcome).iter().all(|names| names.len() <= 8));
}

#[test]
fn an_endpoint_without_zone_gets_a_name_under_a_guard_alone() {
    let mut service = Service::equal(guarded(30), &[4, 4]);
    service.add(None);
    assert!(named(&service.look()).iter().all(|names| !names.is_empty()));
    service.request = unguarded();
    service.request.rollout = Some(vec![zone(0)]);
    let outcome = service.look();
    assert!(named(&outcome)[8].is_empty());
    assert_eq!(outcome.causes, [Cause::EndpointWithoutZone]);
    assert_zones(
        &outcome,
        &[(Rung::Cluster, Cause::EndpointWithoutZone), (Rung::Cluster, Cause::RolloutPending)],
    );
}

#[test]
fn endpoints_that_are_not_ready_keep_their_names_or_get_those_that_all_have() {
    let mut service = Service::equal(guarded(20), &[3, 2, 1]);
    let outcome = service.plan();
    // Half as much again may be left after an endpoint is gone.
    service.request.guard = Some(Guard { release_overload: 80, ..Guard::with_max(20) });
    let lent = named(&outcome)[..3].iter().position(|names| *names == ["z002"]).unwrap();
    service.pods[lent].is_ready = false;
    service.add(Some(1));
    service.pods[6].is_ready = false;
    service.add(None);
    service.pods[7].is_ready = false;
    let outcome = service.look();
    let names = named(&outcome);
    assert_eq!(names[lent], ["z002"]);
    assert_eq!(names[6], ["z001"]);
    assert_eq!(names[7], ["z000", "z001", "z002"]);
    service.request.rollout = Some(vec![zone(0), zone(1)]);
    assert_eq!(named(&service.look())[6], ["z001", "z002"]);
}

#[test]
fn a_zone_with_too_few_endpoints_is_not_local() {
    let mut request = guarded(50);
    request.guard = Some(Guard { min_per_zone: 2, ..Guard::with_max(50) });
    let outcome = Service::equal(request.clone(), &[4, 4, 1, 0]).look();
    let too_few = (Rung::Cluster, Cause::TooFewInZone);
    assert_zones(&outcome, &[STRICT, STRICT, too_few, too_few]);
    let names = named(&outcome);
    assert!(names.iter().all(|names| names.contains(&"z002") && names.contains(&"z003")));
    assert_eq!(names[8], ["z002", "z003"]);
    let newcomers: Vec<_> =
        outcome.naming.newcomers.zones.iter().map(|it| it.zones.len()).collect();
    assert_eq!(newcomers, [3, 3, 2, 2], "their own zone, if it is local, and those that all name");
    // With the region, the third zone is served by the first as well.
    request.keys = vec![Key::Zone, Key::Region];
    request.guard = Some(Guard { min_per_zone: 2, ..Guard::with_max(100) });
    let outcome = Service::equal(request.clone(), &[4, 4, 1, 1]).look();
    let region = (Rung::Region, Cause::TooFewInZone);
    assert_zones(&outcome, &[STRICT, STRICT, region, region]);
    assert_eq!(named(&outcome)[0], ["z000", "z002"]);
    assert_eq!(named(&outcome)[8], ["z002"]);
    // A label is asked in the order of the keys.
    request.keys = vec![Key::Zone, Key::Label("rack".into()), Key::Region];
    request.guard = Some(Guard { min_per_zone: 2, ..Guard::with_max(300) });
    let outcome = Service::equal(request.clone(), &[4, 4, 1, 1]).look();
    assert_eq!(named(&outcome)[8], ["z002", "z003"]);
    assert_eq!(named(&outcome)[0], ["z000"]);
    // Without room in the region, all serve it.
    request.keys = vec![Key::Zone, Key::Region];
    request.guard = Some(Guard { min_per_zone: 2, ..Guard::with_max(50) });
    let outcome = Service::new(request, &[0.2, 0.2, 0.6], &[4, 12, 1]).look();
    assert_eq!((outcome.zones[2].rung, outcome.zones[2].reached), (Rung::Cluster, 17));
    assert!(outcome.load.overload <= 0.5 + 1e-9);
}

#[test]
fn the_region_without_a_guard() {
    let mut request = unguarded();
    request.keys = vec![Key::Zone, Key::Region];
    let outcome = Service::equal(request.clone(), &[2, 1, 0]).look();
    assert_zones(&outcome, &[STRICT, STRICT, (Rung::Region, Cause::ZoneEmpty)]);
    assert_eq!(named(&outcome), [vec!["z000", "z002"], vec!["z000", "z002"], vec!["z001"]]);
    // The region alone: every zone names all of its region.
    request.keys = vec![Key::Region];
    let outcome = Service::equal(request, &[2, 1, 2]).look();
    assert_eq!(named(&outcome)[0], ["z000", "z002"]);
    assert_eq!(named(&outcome)[2], ["z001"]);
    assert_eq!((outcome.zones[0].rung, outcome.zones[0].reached), (Rung::Region, 4));
}

#[test]
fn zones_that_are_not_rolled_out_are_named_by_all() {
    for mut request in [guarded(70), unguarded()] {
        request.rollout = Some(vec![zone(1)]);
        request.node = true;
        let outcome = Service::equal(request, &[3, 3, 3]).look();
        let pending = (Rung::Cluster, Cause::RolloutPending);
        assert_zones(&outcome, &[pending, STRICT, pending]);
        let names = named(&outcome);
        assert_eq!(names[0], ["z000", "z002"]);
        assert_eq!(names[3], ["z000", "z001", "z002"]);
        let node = |at: usize| outcome.naming.hints[at].node;
        assert_eq!([node(0), node(3), node(6)], {
            use ChosenNode::{Own, Placeholder};
            [Placeholder, Own, Placeholder]
        });
        assert_eq!(*outcome.naming.newcomers.zones[0].zones, [zone(0), zone(2)]);
        assert_eq!(*outcome.naming.newcomers.zones[1].zones, [zone(0), zone(1), zone(2)]);
    }
}

/// Nodes under a guard: the cap must hold with node hints, and for the zone hints alone.
#[test]
fn node_hints_are_dropped_where_they_overload() {
    let place = |service: &mut Service, nodes: [usize; 4]| {
        for (pod, (number, node)) in service.pods.iter_mut().zip([0, 0, 1, 1].iter().zip(nodes)) {
            pod.node = Some(format!("{}-n{node}", zone(*number)).into());
        }
    };
    let mut request = guarded(20);
    request.node = true;
    let mut service = Service::equal(request, &[2, 2]);
    place(&mut service, [0, 1, 0, 1]);
    let outcome = service.look();
    assert_share(outcome.node_load.unwrap(), 0.0, 1.0);
    assert!(outcome.naming.hints.iter().all(|hints| hints.node == ChosenNode::Own));
    // On one node of two: the clients of the other go to both, as their zone says.
    place(&mut service, [0, 0, 0, 1]);
    let outcome = service.look();
    assert_share(outcome.node_load.unwrap(), 0.0, 1.0);
    // One endpoint on a node that sends, the other on one that does not.
    service.pods[1].node = Some("elsewhere".into());
    let outcome = service.look();
    assert!(outcome.naming.hints.iter().all(|hints| hints.node == ChosenNode::Nothing));
    assert_eq!((outcome.node_load, &*outcome.causes), (None, &[Cause::OverloadExceeded][..]));
    assert_share(outcome.load, 0.0, 1.0);
    // 50 % above even is enough for it: half of the zone's traffic, and a half of the rest.
    service.request.guard = Some(Guard::with_max(50));
    assert_share(service.look().node_load.unwrap(), 0.5, 1.0);
    // An endpoint without node turns nodes off for readers, as without policies.
    service.pods[1].node = None;
    let outcome = service.look();
    assert_eq!((outcome.node_load, outcome.naming.hints[0].node), (None, ChosenNode::Own));
}

#[test]
fn no_locality_under_a_guard_is_no_hints() {
    let mut request = guarded(30);
    request.keys = Vec::new();
    let outcome = Service::equal(request, &[3, 3]).look();
    assert!(named(&outcome).iter().all(Vec::is_empty));
    assert_zones(&outcome, &[(Rung::Cluster, Cause::NoPreference); 2]);
}

#[test]
fn nothing_ready_keeps_what_there_is() {
    let mut service = Service::equal(guarded(20), &[3, 2, 1]);
    service.plan();
    let before = service.names();
    service.pods.iter_mut().for_each(|pod| pod.is_ready = false);
    let outcome = service.plan();
    assert_eq!(service.names(), before);
    assert_eq!(outcome.causes, [Cause::NothingReady]);
    assert!(!before.iter().any(|(_, names)| names.contains(&PLACEHOLDER.to_owned())));
}
