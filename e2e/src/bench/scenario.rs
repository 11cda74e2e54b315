//! Scenario: what is measured.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::shape::Shape;

/// The scenarios (the numbers are those of the method, docs/performance.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub enum Scenario {
    /// Start on an empty cluster
    #[value(name = "S0")]
    S0,
    /// Cold start: no slices yet
    #[value(name = "S1")]
    S1,
    /// Restart on a correct state: nothing is written
    #[value(name = "S2")]
    S2,
    /// Rolling update of one Service
    #[value(name = "S3")]
    S3,
    /// Readiness changes: Services spread over namespaces, and many in one
    #[value(name = "S4")]
    S4,
    /// One readiness change at a time in one big Service
    #[value(name = "S5")]
    S5,
    /// A node gets another zone
    #[value(name = "S6")]
    S6,
    /// Changes of pods that no slice shows: nothing is written
    #[value(name = "S7")]
    S7,
    /// Churn for a long time; only if named
    #[value(name = "S8")]
    S8,
}

impl Scenario {
    /// Those that run unless others are named.
    pub const USUAL: [Self; 8] =
        [Self::S0, Self::S1, Self::S2, Self::S3, Self::S4, Self::S5, Self::S6, Self::S7];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::S0 => "start on an empty cluster",
            Self::S1 => "cold start",
            Self::S2 => "restart on a right state",
            Self::S3 => "rolling update",
            Self::S4 => "readiness churn",
            Self::S5 => "flips in one big Service",
            Self::S6 => "a node's zone changes",
            Self::S7 => "noise: pod changes that no slice shows",
            Self::S8 => "soak",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

/// What happens in a session, in this order. Each session begins with a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Changes of pods that no slice shows.
    Noise,
    /// Readiness changes, this many a second; without a number as fast as one client can.
    Churn(Option<u32>),
    /// Readiness changes one after the other. Each is awaited.
    Flips,
    /// Pods are replaced.
    Roll,
    /// A node's zone changes.
    Zone,
    /// Churn for minutes.
    Soak,
}

impl Step {
    pub(super) fn scenario(self) -> Scenario {
        match self {
            Self::Noise => Scenario::S7,
            Self::Churn(_) => Scenario::S4,
            Self::Flips => Scenario::S5,
            Self::Roll => Scenario::S3,
            Self::Zone => Scenario::S6,
            Self::Soak => Scenario::S8,
        }
    }

    /// Which variant of its scenario it is.
    pub(super) fn variant(self) -> String {
        match self {
            Self::Churn(Some(rate)) => format!("{rate} changes a second"),
            Self::Churn(None) => "as fast as one client can".to_owned(),
            _ => String::new(),
        }
    }

    /// Whether a contender that only follows pods takes part. Its work is the same on each state,
    /// so the state with Services spread over namespaces stands for all.
    pub(super) fn follows(self, shape: Shape) -> bool {
        matches!(self, Self::Churn(_)) && shape == Shape::spread(shape.pods())
    }
}
