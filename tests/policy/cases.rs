//! The worked cases.

use closehaul::plan::policy::distribute;

use crate::{
    draw::Case,
    service::{Service, guarded},
};

/// Three zones; overload and in-zone share in percent, rounded.
#[test]
fn worked_cases() {
    for (endpoints, cap, overload, in_zone) in [
        ([2, 1, 1], 0.2, Some(11.1), 61.1),
        ([2, 2, 1], 0.2, Some(16.7), 73.3),
        ([3, 2, 1], 0.2, Some(0.0), 83.3),
        ([3, 3, 1], 0.2, Some(16.7), 83.3),
        ([4, 4, 3], 0.3, Some(22.2), 100.0),
        ([4, 4, 3], 0.2, Some(13.5), 69.8),
        ([6, 4, 2], 0.2, None, 83.3),
        ([8, 3, 1], 0.3, None, 66.7),
        ([14, 10, 6], 0.2, None, 88.9),
    ] {
        assert_case(&Case::equal(&endpoints, cap), overload, in_zone);
    }
    let uneven = Case { demand: vec![0.6, 0.2, 0.2], ..Case::equal(&[3, 3, 3], 0.3) };
    assert_case(&uneven, None, 76.0);
}

#[track_caller]
fn assert_case(case: &Case, overload: Option<f64>, in_zone: f64) {
    let tally = distribute(&case.problem());
    let load = tally.load(&case.demand);
    let max = (case.cap * 100.0).round() as u16;
    let chosen = Service::new(guarded(max), &case.demand, &case.endpoints).look();
    assert_eq!(chosen.tally, tally);
    assert!((load.in_zone * 100.0 - in_zone).abs() < 0.06, "{case:?}: {load:?} {tally:?}");
    assert!(load.overload <= case.cap + 1e-9, "{case:?}: {load:?}");
    if let Some(overload) = overload {
        assert!((load.overload * 100.0 - overload).abs() < 0.06, "{case:?}: {load:?} {tally:?}");
    }
}
