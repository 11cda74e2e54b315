//! Series of single Services: only if they are switched on, and for a limited number of Services.

use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::register::register;
use crate::{
    assess::reason::{Reason, State},
    model::name::ServiceKey,
};

/// The series of single Services.
#[derive(Debug)]
pub struct Services {
    /// How many Services may have series. 0 means none.
    pub limit: usize,
    /// Services that have none because there would be too many.
    pub left_out: IntGauge,
    ready: IntGaugeVec,
    ready_without_zone: IntGaugeVec,
    info: IntGaugeVec,
    in_zone: GaugeVec,
    overload: GaugeVec,
}

impl Services {
    pub(super) fn register(registry: &Registry, limit: usize) -> prometheus::Result<Self> {
        let options = |name: &str, help: &str| Opts::new(format!("closehaul_service_{name}"), help);
        let gauges = |name: &str, help: &str, more: &[&str]| {
            let labels = [&["namespace", "service"], more].concat();
            register(registry, IntGaugeVec::new(options(name, help), &labels))
        };
        let ratio = |name: &str, help: &str| {
            register(registry, GaugeVec::new(options(name, help), &["namespace", "service"]))
        };
        let left_out =
            options("series_left_out", "Services without series of their own, being too many.");
        let left_out = IntGauge::with_opts(left_out)?;
        if limit > 0 {
            registry.register(Box::new(left_out.clone()))?;
        }
        Ok(Self {
            limit,
            left_out,
            ready: gauges("ready_endpoints", "Ready endpoints of one Service.", &[])?,
            ready_without_zone: gauges(
                "ready_endpoints_without_zone",
                "Ready endpoints of one Service that have no zone.",
                &[],
            )?,
            info: gauges(
                "info",
                "Always 1; says what becomes of one Service's preference for locality, and why.",
                &["state", "reason"],
            )?,
            in_zone: ratio(
                "planned_in_zone_ratio",
                "Share of one Service's traffic that is planned to stay in its zone, from 0 to 1.",
            )?,
            overload: ratio(
                "overload_ratio",
                "How far the most loaded endpoint of one Service is above the even share: 0.3 is 30 %.",
            )?,
        })
    }

    /// Shows a Service as it is now. `before` is what its labels were if it has been shown.
    pub fn show(
        &self,
        key: &ServiceKey,
        before: Option<(State, Reason)>,
        decision: (State, Reason),
        ready: i64,
        without_zone: i64,
    ) {
        let name = [&*key.namespace, &*key.name];
        self.ready.with_label_values(&name).set(ready);
        self.ready_without_zone.with_label_values(&name).set(without_zone);
        if before != Some(decision) {
            self.forget(key, before);
            self.info.with_label_values(&info_labels(key, decision)).set(1);
        }
    }

    /// Shows what becomes of a Service's traffic. What is `None` has no series.
    pub fn measure(&self, key: &ServiceKey, in_zone: Option<f64>, overload: Option<f64>) {
        let name = [&*key.namespace, &*key.name];
        for (gauge, value) in [(&self.in_zone, in_zone), (&self.overload, overload)] {
            match value {
                Some(value) => gauge.with_label_values(&name).set(value),
                // It may never have had one.
                None => drop(gauge.remove_label_values(&name)),
            }
        }
    }

    /// Removes the series of a Service.
    pub fn hide(&self, key: &ServiceKey, before: (State, Reason)) {
        let name = [&*key.namespace, &*key.name];
        // They exist because they have been shown.
        let _ = self.ready.remove_label_values(&name);
        let _ = self.ready_without_zone.remove_label_values(&name);
        self.forget(key, Some(before));
    }

    fn forget(&self, key: &ServiceKey, decision: Option<(State, Reason)>) {
        if let Some(decision) = decision {
            let _ = self.info.remove_label_values(&info_labels(key, decision));
        }
    }
}

fn info_labels(key: &ServiceKey, (state, reason): (State, Reason)) -> [String; 4] {
    [key.namespace.to_string(), key.name.to_string(), state.to_string(), reason.to_string()]
}
