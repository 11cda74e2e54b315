//! The built-in controller's metrics, with its names and meanings, so that dashboards still work
//! (docs/semantics.md 7). `docs/metrics.md` lists where ours differ.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, exponential_buckets,
};

use super::register::register;
use crate::model::service::TrafficDistribution;

/// The prefix of the names that are not the work queue's.
const PREFIX: &str = "endpoint_slice_controller";
/// The label `name` of the work queue's metrics.
const QUEUE: &str = "endpoint_slice";

/// The metrics of the slices and of the queue of Services.
#[derive(Debug)]
pub struct BuiltIn {
    endpoints_added: Histogram,
    endpoints_removed: Histogram,
    /// Endpoints that all Services need.
    pub endpoints_desired: IntGauge,
    /// Slices of all Services.
    pub slices: IntGauge,
    /// Slices that all Services would have if each slice was full.
    pub slices_desired: IntGauge,
    /// In the order of [`Operation::ALL`].
    changes: [IntCounter; Operation::ALL.len()],
    slices_changed: SlicesChanged,
    /// In the order of [`Synced::ALL`].
    syncs: [IntCounter; Synced::ALL.len()],
    services_by_preference: IntGaugeVec,
    depth: IntGauge,
    /// Services put into the queue.
    pub adds: IntCounter,
    /// Services put back because something failed.
    pub retries: IntCounter,
    queue_duration: Histogram,
    work_duration: Histogram,
    unfinished: Gauge,
    longest: Gauge,
}

/// The series of one metric. One of them is observed at each sync, and to look for it by its labels
/// would take longer than to count.
#[derive(Debug)]
struct SlicesChanged {
    /// Under the legacy annotation.
    auto: Histogram,
    /// Where nothing is preferred.
    without: Histogram,
    close: Histogram,
    same_zone: Histogram,
    same_node: Histogram,
}

impl SlicesChanged {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(
            format!("{PREFIX}_endpointslices_changed_per_sync"),
            "Slices changed by the work on one address type of a Service.",
        );
        let labels = ["topology", "traffic_distribution"];
        let metric = register(registry, HistogramVec::new(options, &labels))?;
        let series = |topology, preference: &str| metric.with_label_values(&[topology, preference]);
        let preferred = |value: TrafficDistribution| series("Disabled", value.as_str());
        Ok(Self {
            auto: series("Auto", ""),
            without: series("Disabled", ""),
            close: preferred(TrafficDistribution::PreferClose),
            same_zone: preferred(TrafficDistribution::PreferSameZone),
            same_node: preferred(TrafficDistribution::PreferSameNode),
        })
    }

    fn of(&self, auto: bool, preference: Option<TrafficDistribution>) -> &Histogram {
        match preference {
            _ if auto => &self.auto,
            None => &self.without,
            Some(TrafficDistribution::PreferClose) => &self.close,
            Some(TrafficDistribution::PreferSameZone) => &self.same_zone,
            Some(TrafficDistribution::PreferSameNode) => &self.same_node,
        }
    }
}

/// What a write does to a slice, or to another object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is replaced or patched.
    Update,
    /// It is deleted.
    Delete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Create, Self::Update, Self::Delete];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// How the work on one Service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// Its slices are as planned.
    Success,
    /// The watch has not shown a local write in time.
    Stale,
    /// A write failed.
    Error,
}

impl Synced {
    const ALL: [Self; 3] = [Self::Success, Self::Stale, Self::Error];

    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Stale => "stale",
            Self::Error => "error",
        }
    }
}

impl BuiltIn {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = |name: &str, help: &str| Opts::new(format!("{PREFIX}_{name}"), help);
        let queue = |name: &str, help: &str| Opts::new(format!("workqueue_{name}"), help);
        let sizes = exponential_buckets(2.0, 2.0, 15)?;
        let durations = exponential_buckets(1e-8, 10.0, 10)?;
        let histogram = |options: Opts, buckets: &[f64]| {
            let options = HistogramOpts { common_opts: options, buckets: buckets.to_vec() };
            register(registry, Histogram::with_opts(options))
        };
        let gauge = |options: Opts| register(registry, IntGauge::with_opts(options));
        let counters = |options: Opts, labels: &[&str]| {
            register(registry, IntCounterVec::new(options, labels))
        };
        let of_queue = |options: Opts| {
            let metric = register(registry, GaugeVec::new(options, &["name"]))?;
            prometheus::Result::Ok(metric.with_label_values(&[QUEUE]))
        };
        let counted = |options: Opts| {
            let metric = counters(options, &["name"])?;
            prometheus::Result::Ok(metric.with_label_values(&[QUEUE]))
        };
        let timed = |options: Opts| {
            let options = HistogramOpts { common_opts: options, buckets: durations.clone() };
            let metric = register(registry, HistogramVec::new(options, &["name"]))?;
            prometheus::Result::Ok(metric.with_label_values(&[QUEUE]))
        };
        let changes = counters(options("changes", "Slices written."), &["operation"])?;
        let syncs = options("syncs", "Ends of the work on a Service.");
        let syncs = counters(syncs, &["result"])?;
        let depth = queue("depth", "Services that are due and wait.");
        let depth = register(registry, IntGaugeVec::new(depth, &["name"]))?;
        let metrics = Self {
            endpoints_added: histogram(
                options(
                    "endpoints_added_per_sync",
                    "Endpoints added by the work on one address type of a Service.",
                ),
                &sizes,
            )?,
            endpoints_removed: histogram(
                options(
                    "endpoints_removed_per_sync",
                    "Endpoints removed by the work on one address type of a Service.",
                ),
                &sizes,
            )?,
            endpoints_desired: gauge(options(
                "endpoints_desired",
                "Endpoints that all Services need.",
            ))?,
            slices: gauge(options("num_endpoint_slices", "Slices of all Services."))?,
            slices_desired: gauge(options(
                "desired_endpoint_slices",
                "Slices that all Services would have if each was filled up.",
            ))?,
            changes: Operation::ALL
                .map(|operation| changes.with_label_values(&[operation.as_str()])),
            slices_changed: SlicesChanged::register(registry)?,
            syncs: Synced::ALL.map(|synced| syncs.with_label_values(&[synced.as_str()])),
            services_by_preference: register(
                registry,
                IntGaugeVec::new(
                    options(
                        "services_count_by_traffic_distribution",
                        "Services whose trafficDistribution is in force.",
                    ),
                    &["traffic_distribution"],
                ),
            )?,
            depth: depth.with_label_values(&[QUEUE]),
            adds: counted(queue("adds_total", "Services put into the queue."))?,
            retries: counted(queue(
                "retries_total",
                "Services put back into the queue because something failed.",
            ))?,
            queue_duration: timed(queue(
                "queue_duration_seconds",
                "How long a Service was due before it was taken up.",
            ))?,
            work_duration: timed(queue(
                "work_duration_seconds",
                "How long the work on a Service took, from planning to the last answer.",
            ))?,
            unfinished: of_queue(queue(
                "unfinished_work_seconds",
                "How long the Services in work have been so, added up.",
            ))?,
            longest: of_queue(queue(
                "longest_running_processor_seconds",
                "How long the Service has been in work that has been so for longest.",
            ))?,
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Shows all series whose labels are known, so that their first increase is visible.
    fn begin(&self) {
        for preference in TrafficDistribution::NAMES {
            self.services_by_preference.with_label_values(&[preference]);
        }
    }

    /// Records how many endpoints of one address type a plan adds and removes.
    pub fn planned(&self, added: usize, removed: usize) {
        self.endpoints_added.observe(float(added));
        self.endpoints_removed.observe(float(removed));
    }

    /// Counts a slice that was written.
    pub fn changed(&self, operation: Operation) {
        self.changes[operation as usize].inc();
    }

    /// Records how many slices of one address type were written; `auto`: under the legacy
    /// annotation; `preference`: the trafficDistribution in force, if any.
    pub fn slices_changed(
        &self,
        slices: usize,
        auto: bool,
        preference: Option<TrafficDistribution>,
    ) {
        self.slices_changed.of(auto, preference).observe(float(slices));
    }

    /// Counts the work on a Service that has ended.
    pub fn count(&self, synced: Synced) {
        self.syncs[synced as usize].inc();
    }

    /// Adds `more` Services (fewer if negative) with this trafficDistribution in force.
    pub fn prefer(&self, preference: &str, more: i64) {
        self.services_by_preference.with_label_values(&[preference]).add(more);
    }

    /// Records how long a Service had been due when it was taken up.
    pub fn waited(&self, time: Duration) {
        self.queue_duration.observe(time.as_secs_f64());
    }

    /// Records how long the work on a Service took.
    pub fn worked(&self, time: Duration) {
        self.work_duration.observe(time.as_secs_f64());
    }

    /// Records how many Services are due and wait.
    pub fn overdue(&self, services: i64) {
        self.depth.set(services);
    }

    /// Records for how long each Service in work has been so.
    pub fn working(&self, times: impl IntoIterator<Item = Duration>) {
        let (mut sum, mut longest) = (Duration::ZERO, Duration::ZERO);
        for time in times {
            sum += time;
            longest = longest.max(time);
        }
        self.unfinished.set(sum.as_secs_f64());
        self.longest.set(longest.as_secs_f64());
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of endpoints and slices are below 2^52")]
fn float(number: usize) -> f64 {
    number as f64
}
