//! Progress: what the controller remembers of one Service between two syncs.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{expectations::Expectations, write::WriteError};
use crate::plan::{
    address::AddressType,
    hints::auto::{CpuShares, ZoneCounts, is_overloaded},
    trigger::Seen,
};

/// What is remembered of one Service.
#[derive(Debug, Default)]
pub struct Progress {
    /// For the trigger time.
    pub seen: Option<Seen>,
    /// The same before the writes that are under way.
    pub before: Option<Seen>,
    /// What the legacy annotation led to, by address type; empty where it is not in force.
    pub counts: BTreeMap<AddressType, Option<ZoneCounts>>,
    /// Own writes that are not seen yet.
    pub expectations: Expectations,
    /// Writes that have ended and wait to be seen.
    pub ended: Option<Ended>,
}

/// Writes that have ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When.
    pub at: Instant,
    /// Whether and how to go on.
    pub verdict: Verdict,
}

/// What follows from the outcome of writes; of two outcomes, the greater holds for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All is written.
    Done,
    /// Try again, with back-off.
    Retry,
    /// Try again when the API server asked for it.
    RetryAfter(Duration),
}

impl Verdict {
    /// What follows from these failures. A busy server is spared, whatever else has failed.
    pub fn on(failures: &[WriteError]) -> Self {
        let wait = failures.iter().filter_map(|failure| match failure {
            WriteError::Busy { wait, .. } => Some(*wait),
            _ => None,
        });
        match wait.max() {
            Some(wait) => Self::RetryAfter(wait),
            None if failures.is_empty() => Self::Done,
            None => Self::Retry,
        }
    }
}

impl Progress {
    /// Whether the legacy annotation is in force and a change of nodes may change its result.
    pub fn is_unbalanced(&self, shares: Option<&CpuShares>) -> bool {
        self.counts
            .values()
            .any(|counts| counts.as_ref().is_none_or(|counts| is_overloaded(counts, shares)))
    }
}
