//! What one run of one contender has cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{contender::Contender, scenario::Scenario, shape::Shape};

/// A measured quantity, in the order of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The size of the contender's binary, in MB.
    Binary,
    /// CPU of the contender, in seconds.
    Cpu,
    /// The same per 1,000 changes.
    CpuPerThousand,
    /// CPU of kube-apiserver, in seconds.
    ApiserverCpu,
    /// Garbage collections of kube-apiserver after the one at the start of the scenario.
    Collections,
    /// CPU of etcd, in seconds.
    EtcdCpu,
    /// The peak of resident memory during the scenario, in MB.
    Peak,
    /// Resident memory at rest after it, in MB.
    Resident,
    /// What the contender received on its connections, in MB.
    Received,
    /// Creates, updates and deletes of slices.
    Writes,
    /// From the start of the process until it follows a pod, in seconds.
    Ready,
    /// Until the last slice was written, in seconds.
    Settled,
    /// Changes per second by the client.
    Rate,
    /// The latency in ms that 50 of 100 changes do not exceed.
    P50,
    /// The latency that 99 of 100 changes do not exceed.
    P99,
    /// The highest latency.
    Max,
    /// Endpoints that became correct without another event, in percent.
    Corrected,
    /// Growth of resident memory, in MB an hour.
    Slope,
}

impl Measure {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary, MB",
            Self::Cpu => "CPU, s",
            Self::CpuPerThousand => "CPU per 1,000 changes, s",
            Self::ApiserverCpu => "CPU of kube-apiserver, s",
            Self::Collections => "garbage collections of kube-apiserver",
            Self::EtcdCpu => "CPU of etcd, s",
            Self::Peak => "peak memory, MB",
            Self::Resident => "memory at rest, MB",
            Self::Received => "received, MB",
            Self::Writes => "slice writes",
            Self::Ready => "ready after, s",
            Self::Settled => "settled after, s",
            Self::Rate => "changes a second",
            Self::P50 => "latency p50, ms",
            Self::P99 => "latency p99, ms",
            Self::Max => "latency max, ms",
            Self::Corrected => "endpoints corrected by itself, %",
            Self::Slope => "growth, MB an hour",
        }
    }

    /// Whether the ratio of two contenders is meaningful.
    pub fn has_ratio(self) -> bool {
        !matches!(self, Self::Collections | Self::Rate | Self::Corrected | Self::Slope)
    }
}

/// What was measured, by name.
pub type Measures = BTreeMap<Measure, f64>;

/// One scenario as one contender ran it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The scenario.
    pub scenario: Scenario,
    /// The scenario's variant in words, such as `50 changes a second`. It is empty if there is only
    /// one.
    pub variant: String,
    /// The state.
    pub shape: Shape,
    /// The contender.
    pub contender: Contender,
    /// The pair, from 0. Ratios are of the same pair.
    pub pair: u32,
    /// What it cost.
    pub measures: Measures,
    /// From each acknowledged change to the slice that shows it, in ms, in order of time. It is
    /// below 0 for a change that was seen before its client had the answer.
    pub latencies: Vec<f64>,
    /// Resident memory in MB at seconds since the start of the scenario.
    pub memory: Vec<(f64, f64)>,
}

/// A run that failed, or did not do the work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// The scenario, contender and pair in words.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Everything that was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Raw {
    /// The machine: CPUs, memory, kernel.
    pub machine: String,
    /// The command line.
    pub command: String,
    /// The rows.
    pub rows: Vec<Row>,
    /// The failed runs, which have no rows.
    pub failures: Vec<Failure>,
}

#[allow(clippy::cast_precision_loss, reason = "rounded for people")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
