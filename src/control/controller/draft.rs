//! Draft: the plan of a Service, or only of what has changed where that is enough.

use super::assist::Manner;
use crate::{
    admission::mark,
    cluster::{Index, Part},
    model::name::ServiceKey,
    plan::{
        Circumstances, Plan, Settings,
        intent::Intent,
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
        manner: Manner,
    ) -> Option<Self> {
        if let Manner::InPlace { is_closed } = manner {
            return Self::in_place(index, key, settings, circumstances, is_closed);
        }
        let patch = part
            .zip(seen)
            .and_then(|(part, seen)| Self::patch(index, key, part, seen, settings, circumstances));
        patch.or_else(|| Self::whole(index, key, seen, settings, circumstances))
    }

    /// Plans the hints and annotations of slices that another controller writes.
    fn in_place(
        index: &'a Index,
        key: &ServiceKey,
        settings: Settings,
        circumstances: Circumstances,
        is_closed: bool,
    ) -> Option<Self> {
        let service = index.service(key)?;
        let own = is_closed.then(|| Intent::of(service));
        let mut plan =
            index.plan_in_place(key, own.as_ref(), settings, circumstances, mark::is_marked)?;
        mark::mark(&mut plan, service, index.topology());
        Some(Self { plan, sighting: Sighting::Some(Vec::new()), is_patch: false })
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
