//! Part: what one Service adds to the sums over all Services.

use super::signed;
use crate::{
    assess::{
        decision::Decision,
        reason::{Reason, State},
    },
    model::service::TrafficDistribution,
    report::Report,
};

/// What one Service adds to the sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) endpoints: i64,
    pub(super) slices: i64,
    pub(super) slices_desired: i64,
    pub(super) ready: i64,
    pub(super) ready_without_zone: i64,
    pub(super) ready_hinted: i64,
    /// The trafficDistribution in effect.
    pub(super) preference: Option<TrafficDistribution>,
    pub(super) state: State,
    pub(super) reason: Reason,
    pub(super) reasons: Reasons,
}

/// A set of reasons, one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reasons(u64);

impl Reasons {
    fn of(decision: &Decision) -> Self {
        Self(decision.reasons.iter().fold(0, |bits, reason| bits | Self::bit(*reason)))
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.iter().copied().filter(move |reason| self.0 & Self::bit(*reason) != 0)
    }

    fn bit(reason: Reason) -> u64 {
        1 << (reason as u32)
    }
}

impl Part {
    /// Whether both count in the same series.
    pub(super) fn has_same_labels(&self, other: &Self) -> bool {
        self.state == other.state
            && self.reason == other.reason
            && self.reasons == other.reasons
            && self.preference == other.preference
    }

    pub(super) fn of(report: &Report) -> Self {
        let decision = &report.outlook.decision;
        let mut part = Self {
            endpoints: 0,
            slices: 0,
            slices_desired: 0,
            ready: 0,
            ready_without_zone: 0,
            ready_hinted: 0,
            preference: report.label.distribution,
            state: decision.state,
            reason: decision.reason(),
            reasons: Reasons::of(decision),
        };
        for slices in report.families.iter().filter_map(|family| family.slices) {
            part.endpoints += signed(slices.census.endpoints);
            part.slices_desired += signed(slices.census.slices);
            part.slices += signed(slices.count);
            part.ready += signed(slices.ready);
            part.ready_without_zone += signed(slices.ready_without_zone);
            part.ready_hinted += signed(slices.ready_hinted);
        }
        part
    }
}
