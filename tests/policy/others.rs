//! The other address type, policies that are not known, and what would help.

use closehaul::{
    model::policy::Guard,
    plan::policy::{
        group::Group,
        help::Asked,
        outcome::{Chosen, ChosenNode, Naming, PLACEHOLDER, Rung},
        unknown::unknown,
    },
    random::Random,
};

use crate::{
    draw::{Case, seeds},
    service::{Look, Service, guarded, named, zone},
};

#[test]
fn both_address_types_have_the_same_hints_for_the_same_pods() {
    for seed in 0..seeds() / 2 {
        let mut random = Random::seeded(seed);
        let case = Case::random(&mut random, [1, 40], [2, 5], &[5, 10, 20, 30]);
        let max = (case.cap * 100.0).round() as u16;
        let mut one = Service::new(guarded(max), &case.demand, &case.endpoints);
        one.plan();
        // Some pods have been known for longer in the other type, with another history.
        let mut other = one.clone();
        for pod in &mut other.pods {
            if random.within(0..=2) == 0 {
                let name = zone(random.within(0..=case.endpoints.len() as u32 - 1) as usize);
                pod.hints = Some(Chosen { zones: [name].into(), node: ChosenNode::Nothing });
            }
        }
        let gone = random.within(0..=one.pods.len() as u32 - 1) as usize;
        for service in [&mut one, &mut other] {
            service.pods[gone].is_ready = false;
        }
        let first = one.look();
        let second = other.look_beside(Some(&first));
        for (at, pod) in one.pods.iter().enumerate().filter(|(_, pod)| pod.is_ready) {
            assert_eq!(first.naming.hints[at], second.naming.hints[at], "{seed}: {}", pod.key);
        }
        assert_eq!(first.tally, second.tally);
    }
}

#[test]
fn no_hints_in_one_address_type_are_none_in_the_other() {
    let wide = Service::new(guarded(1), &[0.9, 0.06, 0.04], &[1, 1, 0]);
    let first = wide.look();
    assert!(named(&first).iter().all(Vec::is_empty));
    let second = wide.look_beside(Some(&first));
    assert_eq!((named(&second), &second.zones), (named(&first), &first.zones));
}

/// A type that some pods lack prefers the names of the other where it has the choice.
#[test]
fn of_equal_plans_the_one_of_the_other_address_type_is_preferred() {
    let mut first = Service::equal(guarded(20), &[3, 2, 1]);
    let plan = first.plan();
    let lent = named(&plan).iter().position(|names| *names == ["z002"]).unwrap();
    let swapped: Vec<Chosen> = (0..6)
        .map(|at| match at {
            0..3 => {
                plan.naming.hints[if at == (lent + 1) % 3 { lent } else { (lent + 1) % 3 }].clone()
            }
            _ => plan.naming.hints[at].clone(),
        })
        .collect();
    let mut other = plan.clone();
    other.naming.hints = swapped;
    // New pods with the same names could lend any: they lend the one that the other type lends.
    let fresh = Service::equal(guarded(20), &[3, 2, 1]);
    let group = |is_twin| Group {
        service: &fresh.key,
        candidates: fresh
            .pods
            .iter()
            .zip(&other.naming.hints)
            .map(|(pod, hints)| Service::candidate(pod, Some(&hints.zones)))
            .collect(),
        is_twin,
    };
    for is_twin in [false, true] {
        let found = Look::of(&fresh.request, &fresh.zones, &group(is_twin));
        assert_eq!(named(&found), named(&other), "{is_twin}");
    }
}

/// If it began anew for one of the types, the wait of `hold` would never end.
#[test]
fn no_hints_stay_in_both_address_types() {
    let mut service = Service::equal(guarded(20), &[3]);
    service.plan();
    let first = service.look();
    let second = service.look_beside(Some(&first));
    assert!(named(&second).iter().all(Vec::is_empty), "{:?}", second.naming.hints);
    assert!(first.is_kept && second.is_kept);
}

fn look_unknown(service: &Service, prefers_zone: bool) -> Option<Naming> {
    let candidates = service.pods.iter().map(|pod| Service::candidate(pod, None)).collect();
    let group = Group { service: &service.key, candidates, is_twin: false };
    unknown(&service.zones, &group, prefers_zone)
}

#[test]
fn while_policies_are_not_known_names_stay_and_newcomers_follow_them() {
    let mut request = guarded(40);
    request.rollout = Some(vec![zone(0), zone(1)]);
    request.evacuated = vec![zone(1)];
    request.node = true;
    let mut service = Service::equal(request, &[4, 2, 4]);
    let planned = service.plan();
    (0..3).for_each(|number| service.add(Some(number)));
    service.add(None);
    let found = look_unknown(&service, true).expect("the hints are not those of upstream");
    assert_eq!(found.hints[..10], planned.naming.hints[..]);
    let names =
        |at: usize| -> Vec<&str> { found.hints[at].zones.iter().map(AsRef::as_ref).collect() };
    assert_eq!(names(11), [PLACEHOLDER], "as all others there");
    assert!(!names(12).contains(&"z000") && names(12).contains(&"z002"), "{:?}", names(12));
    assert!(names(10).contains(&"z002"), "{:?}", names(10));
    assert!(!names(13).is_empty());
    assert_eq!(found.newcomers.zones.len(), 3);
    assert_eq!(found.hints[10], found.newcomers.zones[0]);
}

#[test]
fn hints_of_upstream_are_planned_as_without_policies() {
    let mut service = Service::equal(guarded(30), &[2, 2]);
    assert!(look_unknown(&service, true).is_none(), "all are new");
    service.plan();
    assert!(look_unknown(&service, true).is_none(), "each names its own zone");
    assert!(look_unknown(&service, false).is_some(), "the Service does not request it");
    service.pods[0].is_ready = false;
    service.pods[0].hints = Some(Chosen::default());
    assert!(look_unknown(&service, true).is_none(), "one that is not ready has none");
    service.pods.iter_mut().for_each(|pod| pod.hints = Some(Chosen::default()));
    service.pods[0].is_ready = true;
    assert!(look_unknown(&service, false).is_none());
    // No hints where the Service requests them are the plan of a policy.
    service.add(Some(0));
    let found = look_unknown(&service, true).unwrap();
    assert!(found.hints.iter().all(|hints| hints.zones.is_empty()));
}

/// With what is said the zone is kept local, and with one less it is not.
#[test]
fn what_would_help() {
    let (mut asked, mut helped, mut raised) = (0, 0, 0);
    for seed in 0..seeds().max(200) {
        let mut random = Random::seeded(seed);
        let case = Case::random(&mut random, [2, 30], [2, 4], &[10, 20, 30]);
        let mut request = guarded((case.cap * 100.0).round() as u16);
        if random.within(0..=3) == 0 {
            let max = request.guard.unwrap().max_overload;
            request.guard = Some(Guard { min_per_zone: 3, ..Guard::with_max(max) });
        }
        let service = Service::new(request, &case.demand, &case.endpoints);
        let outcome = service.look();
        for (number, found) in outcome.zones.iter().enumerate() {
            if found.rung == Rung::Strict {
                continue;
            }
            asked += 1;
            let asked_of = Asked {
                request: &service.request,
                zones: &service.zones,
                tally: &outcome.tally,
                zone: number,
            };
            if let Some(limit) = asked_of.enough_overload(1000) {
                raised += 1;
                let mut service = service.clone();
                service.request.guard.as_mut().unwrap().max_overload = limit;
                let rung = service.look().zones[number].rung;
                assert_eq!(rung, Rung::Strict, "{seed}: {case:?} {number} under {limit}");
            }
            let Some(missing) = asked_of.missing() else { continue };
            helped += 1;
            for (more, is_strict) in [(missing, true), (missing - 1, false)] {
                let mut service = service.clone();
                (0..more).for_each(|_| service.add(Some(number)));
                let rung = service.look().zones[number].rung;
                assert_eq!(rung == Rung::Strict, is_strict, "{seed}: {case:?} {number} + {more}");
            }
        }
    }
    println!("{helped} of {asked} zones would be helped by endpoints, {raised} by another limit");
    assert!(raised * 4 > asked * 3, "{raised} of {asked}");
    assert!(asked > 200 && helped * 20 > asked * 17, "{helped} of {asked}");
}

#[test]
fn no_number_of_endpoints_helps_where_it_is_not_about_numbers() {
    let mut service = Service::equal(guarded(20), &[3, 3, 1]);
    let helps = |service: &Service| {
        let tally = &service.look().tally;
        let asked = Asked { request: &service.request, zones: &service.zones, tally, zone: 2 };
        (asked.missing(), asked.enough_overload(1000), asked.low_minimum())
    };
    // Alone, a third of the traffic on one of seven endpoints is 133.3 % above the even share.
    assert_eq!(helps(&service), (Some(2), Some(134), None));
    service.request.rollout = Some(vec![zone(0)]);
    assert_eq!(helps(&service), (None, None, None));
    service.request.rollout = None;
    service.request.evacuated = vec![zone(2)];
    assert_eq!(helps(&service), (None, None, None));
}

#[test]
fn a_lower_minimum_helps_where_it_stands_against_a_zone() {
    let mut service = Service::equal(guarded(200), &[3, 3, 1]);
    let guard = service.request.guard.as_mut().unwrap();
    guard.min_per_zone = 2;
    let helps = |service: &Service| {
        let tally = &service.look().tally;
        let asked = Asked { request: &service.request, zones: &service.zones, tally, zone: 2 };
        (asked.missing(), asked.low_minimum())
    };
    assert_eq!(helps(&service), (Some(1), Some(1)));
    // Under a narrow limit, the minimum is not all that stands against it.
    service.request.guard.as_mut().unwrap().max_overload = 20;
    assert_eq!(helps(&service), (Some(2), None));
}
