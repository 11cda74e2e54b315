//! closehaul's metrics: what the built-in controller does not report. Every label has few values.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::{built_in::Operation, register::register};
use crate::{
    assess::reason::{Reason, State},
    cluster::{Need, Watched},
};

/// From an event to the slice that follows from it, in seconds: a batch window, a busy server and a
/// long back-off must all be visible.
const PROPAGATION: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// One request, in seconds.
const REQUEST: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// One iteration of the loop, in seconds: the goal is below a tenth, the limit is one.
const HOLD: [f64; 9] = [0.000_1, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The metrics that begin with `closehaul_`.
#[derive(Debug)]
pub struct Own {
    /// 1 while this replica may write.
    pub leader: IntGauge,
    watch_restarts: IntCounterVec,
    watch_last_event: GaugeVec,
    history_rewinds: IntCounterVec,
    doubted_lists: IntCounterVec,
    decode_errors: IntCounterVec,
    index_objects: IntGaugeVec,
    queue_services: IntGaugeVec,
    /// How long the most overdue Service has been due, in seconds.
    pub queue_oldest: Gauge,
    /// Services whose last writes failed.
    pub services_failing: IntGauge,
    /// How long ago the earliest event was that has not led to a successful write yet, in seconds.
    pub oldest_unanswered: Gauge,
    /// In the order of [`Trigger::ALL`].
    propagation: [Histogram; Trigger::ALL.len()],
    writes: IntCounterVec,
    /// In the order of [`Operation::ALL`].
    write_duration: [Histogram; Operation::ALL.len()],
    retries: IntCounterVec,
    services: IntGaugeVec,
    decisions: IntGaugeVec,
    planned_in_zone: GaugeVec,
    worst_overload: GaugeVec,
    /// Ready endpoints in slices.
    pub ready: IntGauge,
    /// Those of them that have no zone.
    pub ready_without_zone: IntGauge,
    /// Those of them that have hints.
    pub ready_hinted: IntGauge,
    /// Evacuations in force.
    pub evacuations_active: IntGauge,
    policies_unknown: IntGaugeVec,
    /// 1 since an answer has shown that the API server drops hints for nodes.
    pub node_hints_dropped: IntGauge,
    /// How long each iteration of the controller's loop kept everything else on its thread waiting,
    /// in seconds.
    pub loop_hold: Histogram,
}

/// What led to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A pod was added, changed or deleted.
    Pod,
    /// A node was added, moved to another zone, or was given up.
    Node,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// A slice whose endpoints, ports or labels change.
    Endpoints,
    /// A slice of which only zones and hints change.
    Hints,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// It is done.
    Done,
    /// Another client had written in the meantime.
    Conflict,
    /// The API server asked to wait.
    Busy,
    /// Not sent because another replica may lead.
    NotLeading,
    /// No answer in time.
    TimedOut,
    /// The API server refused.
    Refused,
    /// The request or its answer was lost.
    Lost,
}

/// What became of a list that lacked most of what was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The second list lacked most of the objects, too.
    Confirmed,
    /// It did not.
    Refuted,
    /// There was no second list in time.
    Unanswered,
}

impl Resolution {
    const ALL: [Self; 3] = [Self::Confirmed, Self::Refuted, Self::Unanswered];

    fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
            Self::Unanswered => "unanswered",
        }
    }
}

impl Trigger {
    const ALL: [Self; 2] = [Self::Pod, Self::Node];

    fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
        }
    }
}

impl WriteKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Hints => "hints",
        }
    }
}

impl WriteResult {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::NotLeading => "not_leading",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("closehaul_{name}"), help)
}

fn watch_last_event(registry: &Registry) -> prometheus::Result<GaugeVec> {
    let help = "Seconds since the last byte of a watch, or since its normal end.";
    register(registry, GaugeVec::new(options("watch_last_event_seconds", help), &["kind"]))
}

fn doubted_lists(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Lists that lacked most of the known objects, by what became of them.";
    let options = options("doubted_lists_total", help);
    register(registry, IntCounterVec::new(options, &["kind", "resolution"]))
}

fn propagation(registry: &Registry) -> prometheus::Result<HistogramVec> {
    let help = "From the arrival of a pod's or node's event to the last slice written for it.";
    let common_opts = options("propagation_seconds", help);
    let options = HistogramOpts { common_opts, buckets: PROPAGATION.to_vec() };
    register(registry, HistogramVec::new(options, &["trigger"]))
}

fn write_duration(registry: &Registry) -> prometheus::Result<HistogramVec> {
    let common_opts = options("write_duration_seconds", "From sending a write to its answer.");
    let options = HistogramOpts { common_opts, buckets: REQUEST.to_vec() };
    register(registry, HistogramVec::new(options, &["operation"]))
}

/// The share of the traffic that stays in its zone, and the highest overload. They have no labels, but
/// a series only while there is a value.
fn ratios(registry: &Registry) -> prometheus::Result<[GaugeVec; 2]> {
    let ratio =
        |name: &str, help: &str| register(registry, GaugeVec::new(options(name, help), &[]));
    Ok([
        ratio(
            "planned_in_zone_ratio",
            "Share of the traffic that is planned to stay in its zone, from 0 to 1: the mean of all \
             Services that prefer locality.",
        )?,
        ratio(
            "worst_overload_ratio",
            "How far the most loaded endpoint of any Service that prefers locality is above its even \
             share: 0.3 is 30 %.",
        )?,
    ])
}

fn loop_hold(registry: &Registry) -> prometheus::Result<Histogram> {
    let help = "One iteration of the main loop: take in events, plan Services, hand over writes.";
    let common_opts = options("loop_hold_seconds", help);
    let options = HistogramOpts { common_opts, buckets: HOLD.to_vec() };
    register(registry, Histogram::with_opts(options))
}

impl Own {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge =
            |name: &str, help: &str| register(registry, IntGauge::with_opts(options(name, help)));
        let seconds =
            |name: &str, help: &str| register(registry, Gauge::with_opts(options(name, help)));
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(options(name, help), labels))
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(options(name, help), labels))
        };
        // One of these is observed at each change, so they are not looked for by their labels then.
        let (propagation, write_duration) = (propagation(registry)?, write_duration(registry)?);
        let [planned_in_zone, worst_overload] = ratios(registry)?;
        let build = gauges("build_info", "Always 1; says which version runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let own = Self {
            leader: gauge("leader", "1 while this replica may write, else 0.")?,
            watch_restarts: counters(
                "watch_restarts_total",
                "Lists and watches that failed and were started again.",
                &["kind", "reason"],
            )?,
            watch_last_event: watch_last_event(registry)?,
            history_rewinds: counters(
                "history_rewinds_total",
                "Signs that the API server's history went back, by what showed it.",
                &["sign"],
            )?,
            doubted_lists: doubted_lists(registry)?,
            decode_errors: counters(
                "decode_errors_total",
                "Objects that were skipped because they did not parse.",
                &["kind"],
            )?,
            index_objects: gauges("index_objects", "Objects in memory.", &["kind"])?,
            queue_services: gauges(
                "queue_services",
                "Services in the queue, due or not, by what they wait for.",
                &["class"],
            )?,
            queue_oldest: seconds(
                "queue_oldest_seconds",
                "How long the most overdue Service has been due; 0 without leadership.",
            )?,
            services_failing: gauge(
                "services_failing",
                "Services whose last writes failed and are retried; 0 without leadership.",
            )?,
            oldest_unanswered: seconds(
                "oldest_unanswered_change_seconds",
                "Age of the earliest event without a successful write; 0 without leadership.",
            )?,
            propagation: Trigger::ALL
                .map(|trigger| propagation.with_label_values(&[trigger.as_str()])),
            writes: counters(
                "writes_total",
                "Writes by what they change, how, and what came of them.",
                &["kind", "operation", "result"],
            )?,
            write_duration: Operation::ALL
                .map(|operation| write_duration.with_label_values(&[operation.as_str()])),
            retries: counters(
                "retries_total",
                "Services put back into the queue because something failed, by what did.",
                &["reason"],
            )?,
            services: gauges(
                "services",
                "Services by what becomes of their preference for locality, and the most important reason.",
                &["state", "reason"],
            )?,
            decisions: gauges(
                "decisions",
                "Services by each reason of their decision: a Service counts once for each reason.",
                &["reason"],
            )?,
            planned_in_zone,
            worst_overload,
            ready: gauge("ready_endpoints", "Ready endpoints in slices.")?,
            ready_without_zone: gauge(
                "ready_endpoints_without_zone",
                "Ready endpoints that have no zone: they turn the hints of their Service off.",
            )?,
            ready_hinted: gauge("ready_endpoints_hinted", "Ready endpoints that bear hints.")?,
            evacuations_active: gauge("evacuations_active", "Evacuations in force.")?,
            policies_unknown: gauges(
                "policies_unknown",
                "1 while the objects of a kind of policies are unknown, so that hints stay, else 0.",
                &["kind"],
            )?,
            node_hints_dropped: gauge(
                "node_hints_dropped",
                "1 since the API server has been seen to drop hints for nodes, else 0.",
            )?,
            loop_hold: loop_hold(registry)?,
        };
        own.begin();
        Ok(own)
    }

    /// Shows the series whose labels are known, so that their first increase is visible.
    fn begin(&self) {
        for kind in Watched::ALL {
            self.decode_errors.with_label_values(&[kind.plural()]);
            if kind.need() == Need::Required {
                self.watch_last_event.with_label_values(&[kind.plural()]);
            } else {
                self.unknown(*kind, false);
            }
            for resolution in Resolution::ALL {
                self.doubted_lists.with_label_values(&[kind.plural(), resolution.as_str()]);
            }
            self.index_objects.with_label_values(&[kind.plural()]);
        }
        for kind in [WriteKind::Endpoints, WriteKind::Hints] {
            for result in [WriteResult::Done, WriteResult::Conflict] {
                let labels = [kind.as_str(), Operation::Update.as_str(), result.as_str()];
                self.writes.with_label_values(&labels);
            }
        }
    }

    /// Counts a list or watch that failed; `reason` is one of a short list.
    pub fn watch_restarted(&self, kind: Watched, reason: &'static str) {
        self.watch_restarts.with_label_values(&[kind.plural(), reason]).inc();
    }

    /// The watch of a kind received something, or ended normally, this long ago. `None` if the kind is
    /// not watched.
    pub fn received(&self, kind: Watched, age: Option<Duration>) {
        if let Some(age) = age {
            self.watch_last_event.with_label_values(&[kind.plural()]).set(age.as_secs_f64());
        } else {
            // Mostly there is none.
            let _ = self.watch_last_event.remove_label_values(&[kind.plural()]);
        }
    }

    /// This sign may show that the history went back: its series is exposed from now on.
    pub fn may_rewind(&self, sign: &'static str) {
        self.history_rewinds.with_label_values(&[sign]);
    }

    /// Counts a history that went back; `sign` is one of a short list.
    pub fn rewound(&self, sign: &'static str) {
        self.history_rewinds.with_label_values(&[sign]).inc();
    }

    /// Counts a list that was in doubt.
    pub fn resolved(&self, kind: Watched, resolution: Resolution) {
        self.doubted_lists.with_label_values(&[kind.plural(), resolution.as_str()]).inc();
    }

    /// Counts an object that did not parse.
    pub fn malformed(&self, kind: Watched) {
        self.decode_errors.with_label_values(&[kind.plural()]).inc();
    }

    /// Records how many objects are in memory.
    pub fn indexed(&self, kind: Watched, objects: i64) {
        self.index_objects.with_label_values(&[kind.plural()]).set(objects);
    }

    /// Records whether the objects of a kind that policies depend on are unknown.
    pub fn unknown(&self, kind: Watched, is_unknown: bool) {
        self.policies_unknown.with_label_values(&[kind.plural()]).set(is_unknown.into());
    }

    /// Records how many Services of this class wait in the queue.
    pub fn queued(&self, class: &'static str, services: i64) {
        self.queue_services.with_label_values(&[class]).set(services);
    }

    /// Records the time from an event to the last slice written for it.
    pub fn propagated(&self, trigger: Trigger, after: Duration) {
        self.propagation[trigger as usize].observe(after.as_secs_f64());
    }

    /// Counts a write that has ended; `took` if it was sent.
    pub fn wrote(
        &self,
        kind: WriteKind,
        operation: Operation,
        result: WriteResult,
        took: Option<Duration>,
    ) {
        let labels = [kind.as_str(), operation.as_str(), result.as_str()];
        self.writes.with_label_values(&labels).inc();
        if let Some(took) = took {
            self.write_duration[operation as usize].observe(took.as_secs_f64());
        }
    }

    /// Counts a Service that is retried.
    pub fn retried(&self, reason: WriteResult) {
        self.retries.with_label_values(&[reason.as_str()]).inc();
    }

    /// Records the mean share of the traffic that stays in its zone and the highest overload. What no
    /// Service has is not exposed.
    pub fn locality(&self, in_zone: Option<f64>, overload: Option<f64>) {
        for (gauge, value) in [(&self.planned_in_zone, in_zone), (&self.worst_overload, overload)] {
            match value {
                Some(value) => gauge.with_label_values::<&str>(&[]).set(value),
                // Mostly there is none.
                None => drop(gauge.remove_label_values::<&str>(&[])),
            }
        }
    }

    /// Adds `more` Services (fewer if negative) in this state for this reason.
    pub fn decided(&self, state: State, reason: Reason, more: i64) {
        let labels = [state.to_string(), reason.to_string()];
        self.services.with_label_values(&labels).add(more);
    }

    /// Adds `more` Services (fewer if negative) with this reason, whether or not it comes first.
    pub fn decided_by(&self, reason: Reason, more: i64) {
        self.decisions.with_label_values(&[reason.to_string()]).add(more);
    }
}
