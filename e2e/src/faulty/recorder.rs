//! Recorder: every change of every Service, pod, node and slice on a real API server, from watches
//! of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use fake_api::{
    collections::{NODES, PODS, SERVICES, SLICES},
    recorder::{Caller, Change},
};
use futures::{AsyncBufReadExt, TryStreamExt, io::BufReader};
use http::Request;
use kube::Client;
use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};

use super::Written;

/// A running recorder. Dropping it ends its watches.
#[derive(Debug)]
pub struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
    _watches: JoinSet<()>,
}

#[derive(Debug)]
struct Event {
    at: Instant,
    version: u64,
    collection: &'static str,
    is_deletion: bool,
    object: Value,
}

/// How the collections are reached.
const PATHS: [(&str, &str); 4] = [
    (SERVICES, "/api/v1/services"),
    (PODS, "/api/v1/pods"),
    (NODES, "/api/v1/nodes"),
    (SLICES, "/apis/discovery.k8s.io/v1/endpointslices"),
];

impl Recorder {
    /// Records what happens from now on, and what exists now as if it had just been created.
    pub async fn start(client: &Client) -> kube::Result<Self> {
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let mut watches = JoinSet::new();
        for (collection, path) in PATHS {
            let request = Request::get(format!("{path}?watch=true&resourceVersion=0"));
            let request = request.body(Vec::new()).map_err(kube::Error::HttpError)?;
            let lines = client.request_stream(request).await?;
            let events = Arc::clone(&events);
            watches.spawn(async move {
                let mut lines = BufReader::new(lines).lines();
                while let Ok(Some(line)) = lines.try_next().await {
                    let event = Event::read(collection, &line);
                    events.lock().unwrap_or_else(PoisonError::into_inner).extend(event);
                }
            });
        }
        Ok(Self { events, _watches: watches })
    }

    /// How many changes it has recorded so far.
    pub fn count(&self) -> usize {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The record so far, in the order of versions. What came through the proxy is the work of
    /// replica 1.
    pub fn record(&self, written: &Written) -> Vec<Change> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.sort_by_key(|event| event.version);
        let mut known = BTreeMap::<(&str, String, String), Value>::new();
        let mut at = None;
        let change = |event: &Event| {
            // A watch may show a change later than another one shows the next.
            at = at.max(Some(event.at));
            let text = |field: &str| {
                event.object["metadata"][field].as_str().unwrap_or_default().to_owned()
            };
            let (namespace, name) = (text("namespace"), text("name"));
            let key = (event.collection, namespace.clone(), name.clone());
            let after = (!event.is_deletion).then(|| event.object.clone());
            let before = match &after {
                Some(after) => known.insert(key, after.clone()),
                None => known.remove(&key),
            };
            let path = format!("/namespaces/{namespace}/endpointslices/{name}");
            let is_deleted = || written.deleted.iter().any(|deleted| deleted.ends_with(&path));
            let is_ours = written.versions.contains(&event.version)
                || event.collection == SLICES && event.is_deletion && is_deleted();
            Change {
                at: at.unwrap_or(event.at),
                by: if is_ours { Caller::Replica(1) } else { Caller::World },
                collection: event.collection.to_owned(),
                namespace,
                name,
                before,
                after,
            }
        };
        events.iter().map(change).collect()
    }
}

impl Event {
    /// `None` for a bookmark, and for what is no event.
    fn read(collection: &'static str, line: &str) -> Option<Self> {
        let mut event: Value = serde_json::from_str(line).ok()?;
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let object = event["object"].take();
        let version = object["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
        let is_deletion = kind == "DELETED";
        let is_change = is_deletion || kind == "ADDED" || kind == "MODIFIED";
        is_change.then(|| Self { at: Instant::now(), version, collection, is_deletion, object })
    }
}
