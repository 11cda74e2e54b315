//! Sees each write of a slice when the API server reports it: a watch of its own, next to the
//! one of the controller that is measured, on the clock of the one that makes the changes.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use http::Request;
use kube::{Client, api::WatchEvent};
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::{Error, shape::Shape};
use crate::progress::Progress;

/// The watch, which begins with all existing slices.
const PATH: &str = "/apis/discovery.k8s.io/v1/endpointslices?watch=true&allowWatchBookmarks=true\
                    &timeoutSeconds=7200";
/// An annotation of the bookmark after the existing slices (KEP-3157).
const END_OF_LIST: &str = "k8s.io/initial-events-end";
/// How often the events seen so far are checked.
const POLL: Duration = Duration::from_millis(5);
/// How long the list of existing slices may take.
const LIST: Duration = Duration::from_secs(60);

/// How many writes are reported, the last ones.
const TOLD: usize = 3;

/// The parts of a slice that are read.
#[derive(Debug, Clone, Deserialize)]
struct Slice {
    metadata: Metadata,
    /// The API server writes `null` where there are none.
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    resource_version: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(default)]
    conditions: Conditions,
    target_ref: Option<Target>,
    zone: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Default)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
}

/// An endpoint as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) pod: String,
    pub(super) ready: bool,
    pub(super) zone: Option<String>,
}

#[derive(Debug, Default)]
struct Seen {
    listed: bool,
    version: String,
    writes: u64,
    last: Option<Instant>,
    /// The slices that were written last, with their endpoints before.
    wrote: VecDeque<(String, Vec<Shown>)>,
    slices: BTreeMap<String, Vec<Shown>>,
    /// Pods whose readiness is awaited.
    awaited: HashMap<String, bool>,
    /// When an awaited readiness was seen.
    seen: Vec<(String, Instant)>,
    failed: Option<kube::Error>,
}

impl Seen {
    fn lock(shared: &Mutex<Self>) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&mut self, event: WatchEvent<Slice>, now: Instant) {
        let (slice, deleted) = match event {
            WatchEvent::Added(slice) | WatchEvent::Modified(slice) => (slice, false),
            WatchEvent::Deleted(slice) => (slice, true),
            WatchEvent::Bookmark(bookmark) => {
                self.version = bookmark.metadata.resource_version;
                self.listed |= bookmark.metadata.annotations.contains_key(END_OF_LIST);
                return;
            }
            WatchEvent::Error(status) => {
                self.failed = Some(kube::Error::Api(status));
                return;
            }
        };
        let Metadata { namespace, name, resource_version } = slice.metadata;
        self.version = resource_version;
        let name = format!("{namespace}/{name}");
        // Ignores the slices of the canary and of the API server itself.
        if !Shape::owns(&namespace) {
            return;
        }
        let shown = |endpoint: Endpoint| Shown {
            pod: endpoint.target_ref.map(|target| target.name).unwrap_or_default(),
            // Absent means ready (discovery/v1).
            ready: endpoint.conditions.ready.unwrap_or(true),
            zone: endpoint.zone,
        };
        let endpoints = slice.endpoints.unwrap_or_default().into_iter().map(shown);
        let endpoints = endpoints.collect::<Vec<_>>();
        if self.listed {
            self.writes += 1;
            self.last = Some(now);
            for Shown { pod, ready, .. } in endpoints.iter().filter(|_| !deleted) {
                if self.awaited.get(pod) == Some(ready) {
                    self.awaited.remove(pod);
                    self.seen.push((pod.clone(), now));
                }
            }
        }
        let before = if deleted {
            self.slices.remove(&name)
        } else {
            self.slices.insert(name.clone(), endpoints)
        };
        if self.listed {
            self.wrote.push_back((name, before.unwrap_or_default()));
            if self.wrote.len() > TOLD {
                self.wrote.pop_front();
            }
        }
    }
}

/// The change of a slice, in words.
fn difference(slice: &str, before: &[Shown], now: &[Shown]) -> String {
    let known = |endpoint: &&Shown| before.contains(endpoint);
    let same = now.iter().filter(known).count();
    format!("{slice}: {} endpoints became {}, {same} of them the same", before.len(), now.len())
}

/// A watch of the slices of a shape's Services.
#[derive(Debug)]
pub(super) struct Witness {
    shared: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Witness {
    /// Starts to watch with a client that nothing else uses.
    pub(super) async fn start(client: Client) -> Result<Self, Error> {
        let shared = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(follow(client, Arc::clone(&shared)));
        let witness = Self { shared, task };
        witness.until("the list of slices", LIST, |seen| seen.listed).await?;
        Ok(witness)
    }

    /// How many writes of slices there were so far: creates, updates and deletes.
    pub(super) fn writes(&self) -> u64 {
        self.seen().writes
    }

    /// What the last writes did. Worked out when it is requested: the measuring client must be
    /// quick.
    pub(super) fn wrote(&self) -> String {
        let seen = self.seen();
        let told = seen.wrote.iter().map(|(slice, before)| {
            let now = seen.slices.get(slice).map_or(&[][..], Vec::as_slice);
            difference(slice, before, now)
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// When the last write was.
    pub(super) fn last_write(&self) -> Option<Instant> {
        self.seen().last
    }

    /// How many slices there are.
    pub(super) fn slices(&self) -> usize {
        self.seen().slices.len()
    }

    /// All endpoints as they are now.
    pub(super) fn endpoints(&self) -> Vec<Shown> {
        self.seen().slices.values().flatten().cloned().collect()
    }

    /// Awaits a write that shows the pod as ready or unready.
    pub(super) fn await_pod(&self, pod: &str, ready: bool) {
        self.seen().awaited.insert(pod.to_owned(), ready);
    }

    /// Waits until each awaited pod was seen. Returns when each was seen, in order of time.
    pub(super) async fn all_seen(&self, limit: Duration) -> Result<Vec<(String, Instant)>, Error> {
        let what = "each change in a slice";
        self.until(what, limit, |seen| seen.awaited.is_empty()).await?;
        Ok(std::mem::take(&mut self.seen().seen))
    }

    /// Waits until `done` holds for the endpoints.
    pub(super) async fn endpoints_are(
        &self,
        what: &str,
        limit: Duration,
        done: impl Fn(&BTreeMap<String, Vec<Shown>>) -> bool,
    ) -> Result<(), Error> {
        self.until(what, limit, |seen| done(&seen.slices)).await
    }

    async fn until(
        &self,
        what: &str,
        limit: Duration,
        done: impl Fn(&Seen) -> bool,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let mut progress = Progress::after(Duration::from_secs(10), format!("waiting: {what}"));
        let mut last = None;
        loop {
            {
                let mut seen = self.seen();
                if let Some(source) = seen.failed.take() {
                    return Err(Error::Watch(source));
                }
                // The cost of a check must not depend on the time waited.
                let version = (seen.version.clone(), seen.awaited.len());
                if last.as_ref() != Some(&version) {
                    if done(&seen) {
                        break;
                    }
                    last = Some(version);
                }
                if started.elapsed() > limit {
                    let left = seen.awaited.len();
                    let what = format!("{what} ({left} are awaited, {} slices)", seen.slices.len());
                    return Err(Error::Late { what, limit });
                }
            }
            progress.tick();
            tokio::time::sleep(POLL).await;
        }
        progress.done();
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        Seen::lock(&self.shared)
    }
}

/// Watches until the end of the run. A watch that the server ends is resumed.
async fn follow(client: Client, shared: Arc<Mutex<Seen>>) {
    loop {
        let (listed, version) = {
            let seen = Seen::lock(&shared);
            (seen.listed, seen.version.clone())
        };
        let start = if listed {
            format!("{PATH}&resourceVersion={version}")
        } else {
            format!("{PATH}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
        };
        if let Err(error) = watch(&client, &start, &shared).await {
            Seen::lock(&shared).failed = Some(error);
            return;
        }
    }
}

async fn watch(client: &Client, path: &str, shared: &Mutex<Seen>) -> Result<(), kube::Error> {
    let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    let mut events = pin!(client.request_events::<Slice>(request).await?);
    while let Some(event) = events.next().await {
        let now = Instant::now();
        Seen::lock(shared).take(event?, now);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, namespace: &str, ready: Option<bool>) -> WatchEvent<Slice> {
        let event = json!({"type": kind, "object": {
            "metadata": {"namespace": namespace, "name": "a", "resourceVersion": "7"},
            "endpoints": [{"conditions": {"ready": ready}, "targetRef": {"name": "pod"}}],
        }});
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_change_is_seen_once_and_only_as_it_is_awaited() {
        let mut seen = Seen { listed: true, ..Seen::default() };
        seen.awaited.insert("pod".to_owned(), false);
        let now = Instant::now();
        seen.take(event("MODIFIED", "team-1", Some(true)), now);
        assert!(seen.seen.is_empty());
        seen.take(event("MODIFIED", "team-1", Some(false)), now);
        seen.take(event("MODIFIED", "team-1", Some(false)), now);
        assert_eq!((seen.seen.len(), seen.writes, seen.awaited.len()), (1, 3, 0));
        assert!(!seen.slices["team-1/a"][0].ready);
        seen.take(event("DELETED", "team-1", None), now);
        assert_eq!((seen.slices.len(), seen.writes), (0, 4));
    }

    #[test]
    fn neither_what_is_of_others_nor_what_was_there_counts() {
        let mut seen = Seen::default();
        let now = Instant::now();
        seen.take(event("ADDED", "team-1", None), now);
        assert_eq!((seen.slices.len(), seen.writes), (1, 0));
        assert!(seen.slices["team-1/a"][0].ready, "nothing said means ready");
        seen.listed = true;
        seen.take(event("MODIFIED", "canary", None), now);
        assert_eq!((seen.slices.len(), seen.writes), (1, 0));
    }

    #[test]
    fn a_slice_without_endpoints() {
        let slice = json!({"metadata": {"namespace": "a", "name": "b", "resourceVersion": "1"},
            "endpoints": null});
        assert!(serde_json::from_value::<Slice>(slice).unwrap().endpoints.is_none());
    }
}
