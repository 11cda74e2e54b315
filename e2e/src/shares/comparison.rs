//! Counted requests, compared with a prediction.

use super::{Counts, Endpoint, Fit, Measured, Prediction, ZONES, reached};

/// By how many standard deviations the load of the busiest endpoint may be off.
const DEVIATIONS: f64 = 5.0;

/// How counts compare with what `closehaul plan` predicts.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// What was counted.
    pub measured: Measured,
    /// Whether each endpoint got what it must from each zone.
    pub by_endpoint: Fit,
    /// Whether the predicted share of each zone's traffic stayed in it.
    pub by_zone: Fit,
    /// Whether all endpoints could have got the same, as without hints.
    pub without_hints: Fit,
    /// How far the load of the busiest endpoint is from the predicted one.
    distance: f64,
    /// The standard deviation of that load, by chance alone.
    pub chance: f64,
}

impl Comparison {
    /// Compares the counts of a Service with its prediction.
    pub fn new(endpoints: &[Endpoint], predicted: &Prediction, counts: &Counts) -> Self {
        let mut by_endpoint = Fit::default();
        let mut by_zone = Fit::default();
        let mut without_hints = Fit::default();
        for zone in ZONES {
            let reached = reached(endpoints, zone);
            let share = |pod: &str| f64::from(reached.contains(pod)) / reached.len() as f64;
            let each = |share: &dyn Fn(&str) -> f64| -> Vec<_> {
                endpoints.iter().map(|it| (counts.found(zone, &it.pod), share(&it.pod))).collect()
            };
            by_endpoint.add(&each(&share));
            without_hints.add(&each(&|_| 1.0 / endpoints.len() as f64));
            let own = counts.between(endpoints, zone, zone);
            let all: u64 = counts.answers.get(zone).into_iter().flat_map(|it| it.values()).sum();
            let stays = predicted.of(zone).map_or(0.0, |it| it.in_zone_share);
            by_zone.add(&[(own, stays), (all - own, 1.0 - stays)]);
        }
        let measured = counts.measured(endpoints);
        Self {
            measured,
            by_endpoint,
            by_zone,
            without_hints,
            distance: (measured.overload - predicted.overload).abs(),
            chance: (endpoints.len() as f64 / counts.total() as f64).sqrt(),
        }
    }

    /// Whether everything is as predicted, up to chance.
    pub fn agrees(&self) -> bool {
        self.by_endpoint.agrees()
            && self.by_zone.agrees()
            && self.distance <= DEVIATIONS * self.chance
    }
}
