//! View: the slices of one control plane as its watch shows them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
};
use kube_runtime::{
    WatchStreamExt,
    watcher::{self, Event, watcher},
};
use serde_json::Value;
use tokio::task::JoinHandle;

/// The slices of all namespaces, maintained by a task that ends when this is dropped.
#[derive(Debug)]
pub struct View {
    shown: Arc<Mutex<Shown>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shown {
    namespaces: HashMap<String, Slices>,
    /// The objects that an unfinished list has returned so far.
    listed: Vec<Value>,
}

#[derive(Debug)]
struct Slices {
    by_name: BTreeMap<String, Arc<Value>>,
    changed: Instant,
}

impl View {
    /// Starts to watch.
    pub fn new(client: Client) -> Self {
        let shown = Arc::<Mutex<Shown>>::default();
        let task = tokio::spawn(follow(client, Arc::clone(&shown)));
        Self { shown, task }
    }

    /// The slices of a namespace, and for how long none of them has changed.
    pub fn slices(&self, namespace: &str) -> (Vec<Arc<Value>>, Duration) {
        match lock(&self.shown).namespaces.get(namespace) {
            Some(slices) => (slices.by_name.values().cloned().collect(), slices.changed.elapsed()),
            None => (Vec::new(), Duration::MAX),
        }
    }

    /// When a slice of the namespace last changed.
    pub fn changed(&self, namespace: &str) -> Option<Instant> {
        Some(lock(&self.shown).namespaces.get(namespace)?.changed)
    }

    /// Forgets a namespace.
    pub fn forget(&self, namespace: &str) {
        lock(&self.shown).namespaces.remove(namespace);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(client: Client, shown: Arc<Mutex<Shown>>) {
    // Reads slices as the API returns them, so no field is lost in a typed object.
    let resource = ApiResource::erase::<EndpointSlice>(&());
    let api = Api::<DynamicObject>::all_with(client, &resource);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        // The watcher retries.
        if let Ok(event) = event {
            lock(&shown).take_in(event);
        }
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    fn take_in(&mut self, event: Event<DynamicObject>) {
        let value = |object| serde_json::to_value::<DynamicObject>(object).unwrap_or_default();
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => self.listed.push(value(object)),
            Event::InitDone => {
                self.namespaces.clear();
                for slice in std::mem::take(&mut self.listed) {
                    self.put(slice);
                }
            }
            Event::Apply(object) => self.put(value(object)),
            Event::Delete(object) => {
                let (namespace, name) = place(&value(object));
                if let Some(slices) = self.namespaces.get_mut(&namespace) {
                    slices.by_name.remove(&name);
                    slices.changed = Instant::now();
                }
            }
        }
    }

    fn put(&mut self, slice: Value) {
        let (namespace, name) = place(&slice);
        let empty = || Slices { by_name: BTreeMap::new(), changed: Instant::now() };
        let slices = self.namespaces.entry(namespace).or_insert_with(empty);
        slices.by_name.insert(name, Arc::new(slice));
        slices.changed = Instant::now();
    }
}

fn place(slice: &Value) -> (String, String) {
    let text = |field: &str| slice["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}
