//! What is in force, and when it is left.

use std::time::Duration;

use closehaul::{
    model::policy::Guard,
    plan::policy::{
        outcome::{Cause, Rung, ZoneOutcome},
        request::Standing,
    },
    random::Random,
};

use crate::{
    draw::{Case, seeds},
    service::{Service, guarded, named},
};

#[test]
fn a_plan_stays_up_to_the_limit_for_release_and_only_what_is_new_is_hinted() {
    let mut service = Service::equal(guarded(30), &[4, 4, 4]);
    service.plan();
    let before = service.names();
    // 4, 4 and 3 are 22 % above even, and 5, 4 and 4 no more than 8 %.
    service.remove(2);
    service.add(Some(0));
    let outcome = service.plan();
    assert!(outcome.is_kept && !outcome.is_held);
    assert_eq!(service.changed_since(&before), 0);
    assert_eq!(service.names().last().unwrap().1, ["z000"]);
    // 5, 4 and 3 are 33 % above even: more than for a new plan, and less than is left.
    assert!((outcome.load.overload - 1.0 / 3.0).abs() < 1e-9, "{:?}", outcome.load);
    // 5, 4 and 2 are 83 % above even.
    service.remove(2);
    let outcome = service.plan();
    assert!(!outcome.is_kept);
    assert!(outcome.load.overload <= 0.3 + 1e-9);
}

#[test]
fn a_narrower_plan_waits_until_the_wide_one_has_stood() {
    let mut service = Service::equal(guarded(30), &[4, 4, 4]);
    service.plan();
    service.remove(2);
    service.remove(2);
    let wide = service.plan();
    assert_ne!(wide.zones[2].rung, Rung::Strict);
    service.add(Some(2));
    service.add(Some(2));
    service.stand(119);
    let waiting = service.look();
    assert!(waiting.is_kept && waiting.is_held, "{:?}", waiting.zones);
    service.stand(120);
    let narrow = service.look();
    assert!(!narrow.is_kept && !narrow.is_held);
    assert!(narrow.zones.iter().all(|zone| zone.rung == Rung::Strict));
    // Without a clock the narrow plan is shown, and that a controller would wait.
    service.request.standing = Standing::For(None);
    let shown = service.look();
    assert_eq!((named(&shown), shown.is_held), (named(&narrow), true));
}

#[test]
fn less_than_five_points_are_no_reason_for_a_new_plan() {
    // Two of ten zones borrow. Their traffic is a hundredth of all.
    let mut service = Service::new(guarded(20), &[0.48, 0.48, 0.04], &[12, 12, 0]);
    service.plan();
    let before = service.names();
    service.add(Some(2));
    service.stand(1_000);
    let outcome = service.plan();
    assert!(outcome.is_kept && !outcome.is_held, "{:?}", outcome.zones);
    assert_eq!(service.changed_since(&before), 0);
    // As a new Service it would be planned otherwise.
    service.request.standing = Standing::New;
    assert!(service.look().load.in_zone > outcome.load.in_zone + 1e-6);
}

#[test]
fn no_hints_are_the_cluster_wide_plan() {
    let mut service = Service::equal(guarded(30), &[3, 3, 3]);
    service.stand(0);
    let outcome = service.plan();
    assert!(outcome.is_kept && outcome.is_held);
    assert!(named(&outcome).iter().all(Vec::is_empty));
    assert!((outcome.load.overload).abs() < 1e-9 && outcome.load.in_zone < 0.34);
    assert!(outcome.zones.iter().all(|zone| zone.cause == Cause::Held), "{:?}", outcome.zones);
    service.stand(120);
    assert!((service.look().load.in_zone - 1.0).abs() < 1e-9);
    // Where no plan is known, or what is in force is void, there is no wait.
    for standing in [Standing::New, Standing::Void] {
        service.request.standing = standing;
        assert!((service.look().load.in_zone - 1.0).abs() < 1e-9);
    }
}

#[test]
fn void_hints_are_no_memory() {
    let mut service = Service::equal(guarded(20), &[3, 2, 1]);
    service.plan();
    let planned = service.names();
    // Somebody else lends another endpoint.
    let lent = planned.iter().position(|(_, names)| *names == ["z002"]).unwrap();
    let other = (lent + 1) % 3;
    let hints = service.pods[lent].hints.clone();
    service.pods[lent].hints = service.pods[other].hints.clone();
    service.pods[other].hints = hints;
    let moved = service.names();
    for (standing, expected) in [(Standing::New, moved), (Standing::Void, planned)] {
        let mut service = service.clone();
        service.request.standing = standing;
        service.plan();
        assert_eq!(service.names(), expected, "{standing:?}");
    }
}

#[test]
fn the_minimum_must_hold_for_a_plan_in_force() {
    let mut request = guarded(100);
    request.guard = Some(Guard { min_per_zone: 2, ..Guard::with_max(100) });
    let mut service = Service::equal(request, &[3, 3, 2]);
    assert!(service.plan().zones.iter().all(|zone| zone.rung == Rung::Strict));
    service.remove(2);
    assert_eq!(service.plan().zones[2].rung, Rung::Cluster);
    // Once more two, it waits.
    service.add(Some(2));
    let outcome = service.plan();
    assert!(outcome.is_held && outcome.zones[2].rung == Rung::Cluster, "{:?}", outcome.zones);
    assert_eq!(service.names().last().unwrap().1, ["z002"], "as all others name it");
}

#[test]
fn a_flip_down_and_up_changes_no_name_of_a_plan_that_is_kept() {
    let mut kept = 0;
    for seed in 0..seeds() {
        let mut random = Random::seeded(seed);
        let case = Case::random(&mut random, [4, 40], [2, 5], &[10, 20, 30]);
        let mut service = Service::new(guarded_by(&case), &case.demand, &case.endpoints);
        service.plan();
        let before = service.names();
        let at = random.within(0..=service.pods.len() as u32 - 1) as usize;
        service.pods[at].is_ready = false;
        let down = service.plan();
        service.pods[at].is_ready = true;
        let up = service.plan();
        if down.is_kept {
            kept += 1;
            assert!(up.is_kept, "{seed}");
            assert_eq!(service.names(), before, "{seed}: {case:?}");
        }
    }
    assert!(kept > seeds() / 4, "{kept}");
}

/// A new plan is under the cap, a plan that is kept under the limit for release, whatever happens.
#[test]
fn no_plan_is_above_its_limit_and_none_becomes_narrower_before_its_time() {
    for seed in 0..seeds() / 5 {
        let mut random = Random::seeded(seed);
        let case = Case::random(&mut random, [2, 30], [2, 5], &[10, 20, 30]);
        let mut service = Service::new(guarded_by(&case), &case.demand, &case.endpoints);
        let zones = case.endpoints.len();
        for step in 0..12 {
            let outcome = service.plan();
            let limit = if outcome.is_kept { case.cap + 0.1 } else { case.cap };
            assert!(outcome.load.overload <= limit + 1e-9, "{seed}/{step}: {:?}", outcome.load);
            assert!(outcome.naming.hints.iter().all(|hints| hints.zones.len() <= 8));
            let zone = random.within(0..=zones as u32 - 1) as usize;
            if random.within(0..=1) == 0 && service.pods.len() > 1 {
                let at = random.within(0..=service.pods.len() as u32 - 1) as usize;
                service.pods.remove(at);
            } else {
                service.add(Some(zone));
            }
            service.stand(u64::from(random.within(0..=240)));
        }
    }
}

#[test]
fn the_order_of_endpoints_does_not_matter() {
    for seed in 0..seeds() / 2 {
        let mut random = Random::seeded(seed);
        let case = Case::random(&mut random, [1, 60], [1, 5], &[5, 10, 20, 30]);
        let service = Service::new(guarded_by(&case), &case.demand, &case.endpoints);
        let mut shuffled = service.clone();
        for at in (1..shuffled.pods.len()).rev() {
            let other = random.within(0..=at as u32) as usize;
            shuffled.pods.swap(at, other);
        }
        let (mut one, mut other) = (service, shuffled);
        one.plan();
        other.plan();
        let sorted = |service: &Service| {
            let mut names = service.names();
            names.sort();
            names
        };
        assert_eq!(sorted(&one), sorted(&other), "{seed}: {case:?}");
    }
}

/// How many other endpoints change their names if there is one more or fewer.
#[test]
fn one_endpoint_more_or_fewer_changes_few_others() {
    for (least, most, limit) in [(2, 6, 1.4), (12, 15, 0.7), (30, 60, 0.2)] {
        let (mut changes, mut events) = (0, 0);
        for seed in 0..seeds() {
            let mut random = Random::seeded(seed);
            let case = Case::random(&mut random, [least, most], [2, 5], &[10, 15, 20, 30]);
            let mut service = Service::new(guarded_by(&case), &case.demand, &case.endpoints);
            service.plan();
            let before = service.names();
            if random.within(0..=1) == 0 {
                let at = random.within(0..=service.pods.len() as u32 - 1) as usize;
                service.pods.remove(at);
            } else {
                service.add(Some(random.within(0..=case.endpoints.len() as u32 - 1) as usize));
            }
            service.plan();
            changes += service.changed_since(&before);
            events += 1;
        }
        let mean = changes as f64 / f64::from(events);
        println!("{least} to {most} endpoints: {mean:.3} of at most {limit}");
        assert!(mean <= limit, "{least} to {most} endpoints: {mean}");
    }
}

#[test]
fn a_roll_of_two_in_each_of_three_zones_changes_no_other() {
    let mut service = Service::equal(guarded(30), &[2, 2, 2]);
    service.plan();
    for zone in [0, 1, 2, 0, 1, 2] {
        let before = service.names();
        service.add(Some(zone));
        service.stand(600);
        service.plan();
        service.remove(zone);
        service.stand(600);
        service.plan();
        assert_eq!(service.changed_since(&before), 0, "with a surge");
    }
}

/// With less time between the pods than `hold`.
#[test]
fn a_roll_that_kills_first_plans_anew_once_for_each_zone_at_most() {
    let mut service = Service::equal(guarded(30), &[2, 2, 2]);
    service.plan();
    let mut plans = [0; 3];
    for zone in [0, 0, 1, 1, 2, 2] {
        for is_down in [true, false] {
            service.turn(zone, is_down);
            plans[zone] += usize::from(!service.plan().is_kept);
        }
    }
    assert_eq!(plans, [1, 1, 1]);
}

/// What is in force is given up for a plan that is 5 points better only after it has stood.
#[test]
fn no_plan_is_narrower_before_its_time() {
    for (order, cap) in [[0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2]]
        .into_iter()
        .flat_map(|order| [10, 20, 30].map(|cap| (order, cap)))
    {
        let mut service = Service::equal(guarded(cap), &[2, 2, 2]);
        service.plan();
        for zone in order {
            for is_down in [true, false] {
                service.turn(zone, is_down);
                // What would be in force if everything were kept.
                let mut kept = service.clone();
                kept.request.guard =
                    Some(Guard { release_overload: 1_000, ..Guard::with_max(cap) });
                let kept = kept.look();
                assert!(kept.is_kept);
                let outcome = service.plan();
                let is_narrower = |(now, before): (&ZoneOutcome, &ZoneOutcome)| {
                    now.rung != Rung::Cluster && now.in_zone > before.in_zone + 1e-9
                };
                let gain = outcome.load.in_zone - kept.load.in_zone;
                let narrower = outcome.zones.iter().zip(&kept.zones).any(is_narrower);
                assert!(gain < 0.05 || !narrower, "{:?} after {:?}", outcome.tally, kept.tally);
                let limit = cap + if outcome.is_kept { 10 } else { 0 };
                assert!(outcome.load.overload <= f64::from(limit) / 100.0 + 1e-9);
            }
        }
    }
}

fn guarded_by(case: &Case) -> closehaul::plan::policy::request::Request {
    guarded((case.cap * 100.0).round() as u16)
}

#[test]
fn a_hold_of_nothing_does_not_wait() {
    let mut service = Service::equal(guarded(30), &[3, 3, 3]);
    service.request.guard = Some(Guard { hold: Duration::ZERO, ..Guard::with_max(30) });
    service.stand(0);
    let outcome = service.look();
    assert!(!outcome.is_kept && !outcome.is_held);
}
