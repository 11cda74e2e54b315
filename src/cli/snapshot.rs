//! Snapshot: a cluster at one moment, with a row for each Service.

use jiff::Timestamp;

use crate::{
    cli::objects::Objects,
    cluster::Index,
    model::{service::Service, slice::Slice},
    plan::{
        Circumstances, Family, Plan, Settings,
        changes::Changes,
        ready::{Ready, has_twins},
    },
    report::row::Row,
};

/// A cluster at one moment.
pub(super) struct Snapshot {
    index: Index,
    /// The time for which is planned.
    now: Timestamp,
    /// Without pods nothing can be planned.
    are_pods_unknown: bool,
}

impl Snapshot {
    /// Indexes what was read.
    pub(super) fn of(objects: Objects, now: Timestamp) -> Self {
        let are_pods_unknown = objects.are_pods_unknown;
        let index = objects.index(now);
        Self { index, now, are_pods_unknown }
    }

    /// All that is known.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// The time for which is planned.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether no pod is known, so that no slice would be written.
    pub(super) fn are_pods_unknown(&self) -> bool {
        self.are_pods_unknown
    }

    /// One row for each Service, by namespace and name.
    pub(super) fn rows(&self, settings: Settings) -> Vec<Row<'_>> {
        let mut services: Vec<_> = self.index.services().collect();
        services.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        services.into_iter().filter_map(|service| self.row(service, settings)).collect()
    }

    /// The row of a Service.
    pub(super) fn row<'a>(&'a self, service: &'a Service, settings: Settings) -> Option<Row<'a>> {
        Row::of(&self.index, service, self.plan(service, settings))
    }

    /// The plan of a Service, if it is served.
    pub(super) fn plan(&self, service: &Service, settings: Settings) -> Option<Plan<'_>> {
        // A controller that starts now sees each Service for the first time (docs/semantics.md 4.6).
        // The API server has not been seen to drop anything.
        let circumstances = Circumstances::default();
        let plan = self.index.plan(&service.key, service.created, settings, circumstances);
        plan.map(|plan| if self.are_pods_unknown { self.idle(service, plan) } else { plan })
    }

    /// The same without any write: all slices stay as they are.
    fn idle<'a>(&'a self, service: &Service, plan: Plan<'a>) -> Plan<'a> {
        let slices = self.index.slices_of(&service.key);
        let family = |family: Family<'a>| {
            let of_type = |slice: &&Slice| slice.address_type == family.address_type;
            let unchanged: Vec<_> = slices.iter().copied().filter(of_type).collect();
            let mut ready = Ready::of(unchanged.iter().copied(), self.index.nodes());
            ready.has_twins = has_twins(unchanged.iter().copied());
            let (changes, counts, planned) = (Changes::default(), None, None);
            Family { changes, unchanged, counts, planned, ready, ..family }
        };
        let families = plan.families.into_iter().map(family).collect();
        // Those that it selects are not known.
        Plan { families, has_pods: true, ..plan }
    }
}
