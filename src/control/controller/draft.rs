//! Draft: the plan of a Service, or only of what has changed where that is enough.

use crate::{
    cluster::{Index, Part},
    model::name::ServiceKey,
    plan::{
        Circumstances, Plan, Settings,
        trigger::{Seen, Sighting, trigger_time, trigger_time_of},
    },
};

/// A plan, and what has been seen for it.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// What must be done.
    pub(super) plan: Plan<'a>,
    /// For the next trigger time.
    pub(super) sighting: Sighting,
    /// Whether it covers only what has changed.
    pub(super) is_patch: bool,
}

impl<'a> Draft<'a> {
    /// Plans a Service of which `part` has changed (`None`: anything) since `seen`. Returns
    /// `None` if it is not known or not served.
    pub(super) fn of(
        index: &'a Index,
        key: &ServiceKey,
        part: Option<&Part>,
        seen: Option<&Seen>,
        settings: Settings,
        circumstances: Circumstances,
    ) -> Option<Self> {
        let patch = part
            .zip(seen)
            .and_then(|(part, seen)| Self::patch(index, key, part, seen, settings, circumstances));
        patch.or_else(|| Self::whole(index, key, seen, settings, circumstances))
    }

    fn patch(
        index: &'a Index,
        key: &ServiceKey,
        part: &Part,
        seen: &Seen,
        settings: Settings,
        circumstances: Circumstances,
    ) -> Option<Self> {
        let (time, sighting) = trigger_time_of(seen, &index.changed_pods(key, part));
        let plan = index.patch(key, part, time, settings, circumstances)?;
        Some(Self { plan, sighting, is_patch: true })
    }

    fn whole(
        index: &'a Index,
        key: &ServiceKey,
        seen: Option<&Seen>,
        settings: Settings,
        circumstances: Circumstances,
    ) -> Option<Self> {
        let pods = index.pods_of(key);
        let (time, sighting) = trigger_time(seen, index.service(key)?, &pods);
        let plan = index.plan_with(key, &pods, time, settings, circumstances)?;
        Some(Self { plan, sighting, is_patch: false })
    }
}
