//! The properties of new plans.

use closehaul::{plan::policy::distribute, random::Random};

use crate::{
    brute,
    draw::{Case, seeds},
};

const CAPS: [u32; 4] = [10, 15, 20, 30];

#[test]
fn a_new_plan_is_under_the_cap_and_every_zone_is_named() {
    for seed in 0..seeds() {
        let case =
            Case::random(&mut Random::seeded(seed), [1, 60], [1, 6], &[0, 5, 10, 15, 20, 30]);
        let tally = distribute(&case.problem());
        assert!(tally.load(&case.demand).overload <= case.cap + 1e-9, "{seed}: {case:?}");
        assert!(tally.named(case.demand.len()).iter().all(|named| named.all > 0), "{case:?}");
        assert!(tally.iter().all(|(_, names, _)| (1..=8).contains(&names.len())), "{case:?}");
        let per_zone = |zone: usize| {
            tally.iter().filter(|(origin, ..)| *origin == Some(zone)).map(|(.., count)| count).sum()
        };
        let counts: Vec<usize> = (0..case.endpoints.len()).map(per_zone).collect();
        assert_eq!(counts, case.endpoints);
    }
}

/// Against every possible choice of sets: share, changes and overload.
#[test]
fn a_small_plan_is_the_optimum() {
    for seed in 0..seeds() / 5 {
        let case = Case::random(&mut Random::seeded(seed), [1, 6], [1, 3], &CAPS);
        let zones: Vec<usize> = case
            .endpoints
            .iter()
            .enumerate()
            .flat_map(|(zone, count)| vec![zone; *count])
            .collect();
        let best = brute::best(&zones, &case.demand, case.cap);
        let problem = case.problem();
        let found = problem.score(&distribute(&problem));
        assert!((found.in_zone - best.in_zone).abs() < 1e-9, "{case:?}: {found:?} {best:?}");
        assert_eq!(found.changes, best.changes, "{case:?}: {found:?} {best:?}");
        assert!((found.overload - best.overload).abs() < 1e-9, "{case:?}: {found:?} {best:?}");
    }
}

#[test]
fn with_five_endpoints_in_every_zone_the_share_is_near_the_bound() {
    let mut tried = 0;
    let mut short = Vec::new();
    for seed in 0..seeds() {
        let case = Case::random(&mut Random::seeded(seed), [2, 60], [2, 5], &CAPS);
        if case.endpoints.iter().any(|count| *count < 5) {
            continue;
        }
        tried += 1;
        let problem = case.problem();
        let reached = distribute(&problem).load(&case.demand).in_zone / problem.bound();
        let part = if case.cap < 0.15 { 0.65 } else { 0.98 };
        assert!(reached <= 1.0 + 1e-9, "{case:?}: more than the bound");
        if reached < part - 1e-9 {
            short.push(format!("{seed}: {case:?} reaches {reached:.4}"));
        }
    }
    assert!(tried > seeds() / 20, "{tried}");
    assert!(short.is_empty(), "{} of {tried}:\n{}", short.len(), short.join("\n"));
}
