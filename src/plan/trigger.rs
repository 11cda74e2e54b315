//! Trigger time: when the change happened that a write responds to (docs/semantics.md 4.6).

use foldhash::HashMap;

use jiff::Timestamp;

use crate::model::{name::Name, pod::Pod, service::Service};

/// What was known of a Service and its pods at its last sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    created: Option<Timestamp>,
    pods: HashMap<Name, Timestamp>,
}

/// How a sync changes what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// All of it, from scratch; `None` if nothing was seen.
    All(Option<Seen>),
    /// Some of the pods, each with the time since which it has been ready or unready.
    Some(Vec<(Name, Option<Timestamp>)>),
}

impl Seen {
    /// The time of the earliest change, and what has changed. `None` if a pod was seen that is not
    /// among these.
    fn if_same_pods(&self, pods: &[&Pod]) -> Option<(Option<Timestamp>, Sighting)> {
        let (mut known, mut earliest, mut changed) = (0, None, Vec::new());
        for pod in pods {
            let (before, now) = (self.pods.get(&pod.name).copied(), pod.ready_since);
            known += usize::from(before.is_some());
            if before != now {
                changed.push((pod.name.clone(), now));
            }
            if before < now {
                earliest = earliest.map_or(now, |other: Timestamp| now.map(|now| now.min(other)));
            }
        }
        (known == self.pods.len()).then_some((earliest, Sighting::Some(changed)))
    }
}

impl Sighting {
    /// Replaces what was seen. Returns the sighting that undoes this when it is put back.
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

/// The time of the earliest change since `seen`, and what has been seen now. If nothing was seen,
/// the time is the Service's creation. The time is `None` if no pod became ready or unready and the
/// Service is not new.
pub fn trigger_time(
    seen: Option<&Seen>,
    service: &Service,
    pods: &[&Pod],
) -> (Option<Timestamp>, Sighting) {
    if let Some(seen) = seen.filter(|seen| seen.created == service.created)
        && let Some(same) = seen.if_same_pods(pods)
    {
        return same;
    }
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

/// The same if only these pods have changed since `seen`.
pub fn trigger_time_of(seen: &Seen, pods: &[&Pod]) -> (Option<Timestamp>, Sighting) {
    let now = pods.iter().map(|pod| (pod.name.clone(), pod.ready_since)).collect();
    (changes(seen, pods).min(), Sighting::Some(now))
}

/// The times at which pods have become ready or unready since `seen`.
fn changes<'a>(seen: &'a Seen, pods: &'a [&Pod]) -> impl Iterator<Item = Timestamp> + 'a {
    let of_pod = |pod: &&Pod| {
        pod.ready_since.filter(|_| seen.pods.get(&pod.name).copied() < pod.ready_since)
    };
    pods.iter().filter_map(of_pod)
}
