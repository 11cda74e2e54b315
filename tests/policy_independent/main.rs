//! Plans against a second reading of docs/planner.md 8.1, which shares no code with the planner: for
//! small Services the best of all assignments of names to single endpoints, for larger ones the
//! load that the names bring.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod asked;
mod brute;
mod cases;

use closehaul::random::Random;

use self::{
    asked::Asked,
    brute::{Case, Optimum, TOLERANCE, Worth},
    cases::{KINDS, demands, origins, small},
};

/// The caps in percent.
const CAPS: [u16; 8] = [0, 5, 10, 15, 20, 30, 50, 100];

/// What has been compared so far, and what has been found.
#[derive(Default)]
struct Findings {
    with_hints: usize,
    without_hints: usize,
    wrong: Vec<String>,
}

impl Findings {
    /// Notes what the planner does in this case, if it may not.
    fn note(&mut self, case: &Case, cap: u16, wanted: Option<Worth>) {
        let asked = Asked::about(case, cap);
        *if asked.has_hints() { &mut self.with_hints } else { &mut self.without_hints } += 1;
        if let Err(what) = judge(case, cap, wanted, &asked) {
            self.wrong.push(format!("{case:?}, cap {cap} %: {what}; named {:?}", asked.names));
        }
    }

    /// Fails if something is wrong, or if a kind of plan has not been seen.
    fn assert_none(self) {
        let Self { with_hints, without_hints, wrong } = self;
        let first = wrong.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n");
        let compared = with_hints + without_hints;
        assert!(wrong.is_empty(), "{} of {compared} are wrong, at first:\n{first}", wrong.len());
        assert!(with_hints > 0 && without_hints > 0, "{with_hints} with, {without_hints} without");
    }
}

/// Whether a plan is as it must be. `wanted` is the worth of the best one, if it is known.
fn judge(case: &Case, cap: u16, wanted: Option<Worth>, asked: &Asked) -> Result<(), String> {
    let names = asked.effective(case)?;
    let worth = case.worth(&names).ok_or("a zone is not named by the endpoints that it must be")?;
    if worth.overload > f64::from(cap) / 100.0 + TOLERANCE {
        return Err(format!("it is above the cap: {worth:?}"));
    }
    let differs = |one: f64, other: f64| (one - other).abs() > TOLERANCE;
    let load = asked.load;
    if differs(load.overload, worth.overload) || differs(load.in_zone, worth.in_zone) {
        return Err(format!("it is said to be {load:?} and is {worth:?}"));
    }
    let Some(wanted) = wanted else { return Ok(()) };
    if !worth.equals(&wanted) {
        return Err(format!("it is {worth:?}, the best is {wanted:?}"));
    }
    Ok(())
}

/// Compares with the best plan for every number of endpoints per zone up to 6 in all, and one kind of
/// demand. Of the pairs of such a case and a cap, one of so many
/// is compared.
fn compare(kind: usize, one_of: usize) {
    let mut findings = Findings::default();
    for (number, counts) in small().iter().enumerate() {
        let case = Case { own: origins(counts), demand: demands(counts)[kind].clone() };
        let mut optimum = None;
        for (at, cap) in CAPS.into_iter().enumerate() {
            if (number + at) % one_of == 0 {
                let optimum = optimum.get_or_insert_with(|| Optimum::of(&case));
                findings.note(&case, cap, Some(optimum.under(cap)));
            }
        }
    }
    findings.assert_none();
}

#[test]
fn plans_of_equal_demand_are_the_best_of_all() {
    compare(0, 4);
}

#[test]
fn plans_of_unequal_demand_are_the_best_of_all() {
    compare(1, 4);
}

#[test]
fn plans_of_random_demand_are_the_best_of_all() {
    compare(2, 8);
    compare(3, 9);
}

#[test]
fn plans_with_zones_that_send_nothing_are_the_best_of_all() {
    compare(4, 8);
    compare(5, 9);
}

#[test]
#[ignore = "half a minute in the dev profile: the tests above compare a part of this"]
fn all_plans_of_small_services_are_the_best_of_all() {
    for kind in 0..KINDS {
        compare(kind, 1);
    }
}

/// Compares the load of larger Services with the cap.
fn compare_larger(has_endpoint_without_zone: bool) {
    let mut findings = Findings::default();
    for seed in 0..400 {
        let mut case = Case::larger(&mut Random::seeded(seed));
        if has_endpoint_without_zone {
            case.own[0] = None;
        }
        findings.note(&case, CAPS[usize::try_from(seed).unwrap() % CAPS.len()], None);
    }
    findings.assert_none();
}

#[test]
fn names_of_larger_services_keep_load_under_the_cap() {
    compare_larger(false);
}

#[test]
fn names_with_an_endpoint_without_zone_keep_load_under_the_cap() {
    compare_larger(true);
}
