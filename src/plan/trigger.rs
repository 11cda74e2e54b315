//! Trigger time: when the change happened that a write answers to (endpointslice-semantics 4.6).

use std::collections::HashMap;

use jiff::Timestamp;

use super::{name::Name, pod::Pod, service::Service};

/// What was known of a Service and its pods at its last sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    created: Option<Timestamp>,
    pods: HashMap<Name, Timestamp>,
}

/// The time of the earliest change since `seen` (nothing seen: the Service's creation), and
/// what has been seen now. `None` if no pod became ready or unready and the Service is not new.
pub fn trigger_time(
    seen: Option<&Seen>,
    service: &Service,
    pods: &[&Pod],
) -> (Option<Timestamp>, Seen) {
    let ready_since = |pod: &&Pod| pod.ready_since.map(|time| (pod.name.clone(), time));
    let now =
        Seen { created: service.created, pods: pods.iter().filter_map(ready_since).collect() };
    let Some(seen) = seen else { return (service.created, now) };
    let changed = now.pods.iter().filter(|(name, time)| seen.pods.get(*name) < Some(*time));
    let recreated = service.created.filter(|_| seen.created < service.created);
    let earliest = changed.map(|(_, time)| *time).chain(recreated).min();
    (earliest, now)
}
