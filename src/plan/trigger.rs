//! Trigger time: when the change happened that a write answers to (docs/semantics.md 4.6).

use foldhash::HashMap;

use jiff::Timestamp;

use crate::model::{name::Name, pod::Pod, service::Service};

/// What was known of a Service and its pods at its last sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    created: Option<Timestamp>,
    pods: HashMap<Name, Timestamp>,
}

/// What a sync makes of what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// All of it from scratch; `None`: nothing was seen.
    All(Option<Seen>),
    /// Some of the pods, each with the time since when it has been ready or unready.
    Some(Vec<(Name, Option<Timestamp>)>),
}

impl Sighting {
    /// Puts it in place of what was seen; returns what, put back, undoes that.
    #[must_use]
    pub fn put(self, seen: &mut Option<Seen>) -> Self {
        match (self, seen) {
            (Self::All(all), seen) => Self::All(std::mem::replace(seen, all)),
            (Self::Some(_), None) => Self::Some(Vec::new()),
            (Self::Some(pods), Some(seen)) => {
                let put = |(name, time): (Name, Option<Timestamp>)| {
                    let before = match time {
                        Some(time) => seen.pods.insert(name.clone(), time),
                        None => seen.pods.remove(&name),
                    };
                    (name, before)
                };
                Self::Some(pods.into_iter().map(put).collect())
            }
        }
    }
}

/// The time of the earliest change since `seen` (nothing seen: the Service's creation), and
/// what has been seen now. `None` if no pod became ready or unready and the Service is not new.
pub fn trigger_time(
    seen: Option<&Seen>,
    service: &Service,
    pods: &[&Pod],
) -> (Option<Timestamp>, Sighting) {
    let ready_since = |pod: &&Pod| pod.ready_since.map(|time| (pod.name.clone(), time));
    let now =
        Seen { created: service.created, pods: pods.iter().filter_map(ready_since).collect() };
    let earliest = match seen {
        None => service.created,
        Some(seen) => {
            let recreated = service.created.filter(|_| seen.created < service.created);
            changes(seen, pods).chain(recreated).min()
        }
    };
    (earliest, Sighting::All(Some(now)))
}

/// The same where, since `seen`, nothing has changed but these pods.
pub fn trigger_time_of(seen: &Seen, pods: &[&Pod]) -> (Option<Timestamp>, Sighting) {
    let now = pods.iter().map(|pod| (pod.name.clone(), pod.ready_since)).collect();
    (changes(seen, pods).min(), Sighting::Some(now))
}

/// When pods became ready or unready that have done so since.
fn changes<'a>(seen: &'a Seen, pods: &'a [&Pod]) -> impl Iterator<Item = Timestamp> + 'a {
    let of_pod = |pod: &&Pod| {
        pod.ready_since.filter(|_| seen.pods.get(&pod.name).copied() < pod.ready_since)
    };
    pods.iter().filter_map(of_pod)
}
