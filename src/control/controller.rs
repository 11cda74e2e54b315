//! Controller: the one owner of the index and the queue. Events go in, writes come out; it
//! neither waits nor speaks with anybody.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{
    expectations::Sight,
    progress::{Ended, Progress, Verdict},
    queue::{Class, Queue},
    watch::Change,
    write::{Outcome, WriteError},
};
use crate::{
    api::Object,
    cluster::{Gone, Index, NodeChange, ServiceChange, SliceChange, Watched},
    plan::{
        changes::Changes,
        name::{Name, ServiceKey},
        node::Node,
        pod::Pod,
        service::Service,
        slice::Slice,
        trigger,
    },
};

/// The least time between a slice that somebody else changed and its repair, so that two
/// writers who disagree do not exchange blows without end (endpointslice-semantics 1.4).
const SLICE_DELAY: Duration = Duration::from_secs(1);
/// How long a deleted node may stay away before its pods leave the slices.
const NODE_DELAY: Duration = Duration::from_secs(10);
/// How long to wait for the watch to show an own write before planning again all the same.
const ECHO_LIMIT: Duration = Duration::from_secs(30);

/// How the controller works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `--max-endpoints-per-slice`.
    pub max_endpoints: usize,
    /// `--endpointslice-updates-batch-period`.
    pub batch_period: Duration,
    /// `--replan-qps`; 0 means no limit.
    pub replan_qps: f64,
}

/// A change of one of the four kinds.
#[derive(Debug)]
pub enum Event {
    /// Of Services.
    Service(Change<Object<Service>>),
    /// Of pods.
    Pod(Change<Object<Pod>>),
    /// Of nodes.
    Node(Change<Object<Node>>),
    /// Of slices.
    Slice(Change<Object<Slice>>),
}

/// Writes to be sent for one Service.
#[derive(Debug)]
pub struct Job {
    /// The Service.
    pub service: ServiceKey,
    /// The changes, by address type.
    pub families: Vec<Changes>,
}

/// The index, the queue, and what is remembered of each Service.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    index: Index,
    queue: Queue<ServiceKey>,
    progress: HashMap<ServiceKey, Progress>,
    listed: HashSet<Watched>,
    /// The highest version among the slices that the watch has shown.
    slices_seen: u64,
    /// Services whose writes have ended and are not all seen yet.
    unseen: HashSet<ServiceKey>,
}

// === events ===

impl Controller {
    /// A controller that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            index: Index::default(),
            queue: Queue::new(settings.replan_qps),
            progress: HashMap::new(),
            listed: HashSet::new(),
            slices_seen: 0,
            unseen: HashSet::new(),
        }
    }

    /// Which kinds have not been listed yet. Nothing may be written before all are.
    pub fn missing(&self) -> Vec<Watched> {
        let kinds = [Watched::Services, Watched::Pods, Watched::Nodes, Watched::Slices];
        kinds.into_iter().filter(|kind| !self.listed.contains(kind)).collect()
    }

    /// Takes an event in.
    pub fn take_in(&mut self, event: Event, now: Instant) {
        match event {
            Event::Service(change) => self.follow(Watched::Services, change, now),
            Event::Pod(change) => self.follow(Watched::Pods, change, now),
            Event::Node(change) => self.follow(Watched::Nodes, change, now),
            Event::Slice(change) => self.follow(Watched::Slices, change, now),
        }
    }

    fn follow<T: Followed>(&mut self, kind: Watched, change: Change<Object<T>>, now: Instant) {
        match change {
            Change::Restarted => self.index.begin_list(kind),
            Change::Applied(object) => T::applied(self, object, now),
            Change::Deleted(object) => T::deleted(self, &object, now),
            Change::Listed => {
                for gone in self.index.end_list(kind) {
                    self.gone(gone, now);
                }
                if self.listed.insert(kind) {
                    info!(?kind, "listed");
                }
            }
            Change::Malformed { object, deleted } => {
                let text = |text: &Option<String>| Name::from(text.as_deref().unwrap_or_default());
                let (namespace, name) =
                    (text(&object.metadata.namespace), text(&object.metadata.name));
                warn!(?kind, %namespace, %name, error = object.error, "passed over a malformed object");
                let gone = T::gone(namespace, name);
                if deleted { self.gone(gone, now) } else { self.index.confirm(&gone) }
            }
            Change::Failed { error, will_retry_in } => {
                warn!(?kind, error, ?will_retry_in, "watching failed");
            }
        }
    }

    fn gone(&mut self, gone: Gone, now: Instant) {
        match gone {
            Gone::Service(key) => self.service_gone(&key),
            Gone::Pod(namespace, name) => self.pod_gone(&namespace, &name, 0, now),
            Gone::Node(name) => self.node_gone(&name, now),
            Gone::Slice(namespace, name) => self.slice_gone(&namespace, &name, 0, now),
        }
    }

    fn service_gone(&mut self, key: &ServiceKey) {
        // Its slices are the garbage collector's (endpointslice-semantics 1.3).
        self.index.remove_service(key);
        self.queue.forget(key);
        self.progress.remove(key);
        self.unseen.remove(key);
    }

    fn pod_gone(&mut self, namespace: &Name, name: &str, version: u64, now: Instant) {
        let services = self.index.remove_pod(namespace, name, version);
        self.enqueue(services, now + self.settings.batch_period);
    }

    fn node_gone(&mut self, name: &str, now: Instant) {
        let change = self.index.remove_node(name);
        self.node_changed(change, now + NODE_DELAY, now);
    }

    fn node_changed(&mut self, change: NodeChange, due: Instant, now: Instant) {
        self.enqueue(change.services, due);
        if change.shares {
            let shares = self.index.shares();
            let unbalanced =
                self.progress.iter().filter(|(_, progress)| progress.is_unbalanced(shares));
            let unbalanced: Vec<ServiceKey> = unbalanced.map(|(key, _)| key.clone()).collect();
            self.enqueue(unbalanced, now);
        }
    }

    fn slice_gone(&mut self, namespace: &Name, name: &str, version: u64, now: Instant) {
        if let Some(change) = self.index.remove_slice(namespace, name, version) {
            self.slice_changed(change, namespace, &Sight::Gone(name.into()), now);
        }
    }

    /// Syncs the Services of a slice that somebody else has changed.
    fn slice_changed(
        &mut self,
        change: SliceChange,
        namespace: &Name,
        sight: &Sight,
        now: Instant,
    ) {
        for name in change.services {
            let key = ServiceKey { namespace: namespace.clone(), name };
            let progress = self.progress.get_mut(&key);
            if progress.is_none_or(|progress| progress.expectations.see(sight.clone())) {
                let due = now + self.settings.batch_period.max(SLICE_DELAY);
                self.queue.add(key.clone(), Class::Endpoints, due);
            }
            self.settle(&key, now);
        }
    }

    fn enqueue(&mut self, services: Vec<ServiceKey>, due: Instant) {
        for key in services {
            self.queue.add(key, Class::Endpoints, due);
        }
    }
}

/// A kind that the controller follows: what its events do.
trait Followed: Sized {
    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant);
    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant);
    fn gone(namespace: Name, name: Name) -> Gone;
}

impl Followed for Service {
    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        let key = object.value.key.clone();
        match controller.index.apply_service(object.value) {
            ServiceChange::Nothing => {}
            ServiceChange::Hints => controller.queue.add(key, Class::Hints, now),
            ServiceChange::Endpoints => controller.queue.add(key, Class::Endpoints, now),
        }
    }

    fn deleted(controller: &mut Controller, object: &Object<Self>, _: Instant) {
        let known = controller.index.service(&object.value.key);
        if known.is_none_or(|known| known.version <= object.value.version) {
            controller.service_gone(&object.value.key);
        }
    }

    fn gone(namespace: Name, name: Name) -> Gone {
        Gone::service(namespace, name)
    }
}

impl Followed for Pod {
    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        let services = controller.index.apply_pod(&object.namespace, object.value);
        controller.enqueue(services, now + controller.settings.batch_period);
    }

    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant) {
        controller.pod_gone(&object.namespace, &object.name, object.value.version, now);
    }

    fn gone(namespace: Name, name: Name) -> Gone {
        Gone::Pod(namespace, name)
    }
}

impl Followed for Node {
    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        let change = controller.index.apply_node(object.value);
        controller.node_changed(change, now, now);
    }

    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant) {
        let known = controller.index.nodes().get(&object.name);
        if known.is_none_or(|known| known.version <= object.value.version) {
            controller.node_gone(&object.name, now);
        }
    }

    fn gone(_: Name, name: Name) -> Gone {
        Gone::Node(name)
    }
}

impl Followed for Slice {
    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        let slice = object.value;
        let version = slice.meta.version;
        controller.slices_seen = controller.slices_seen.max(version);
        // A slice with a deletionTimestamp does not count any more, whatever keeps it.
        let sight =
            if slice.meta.terminating { Sight::Gone(object.name) } else { Sight::Version(version) };
        if let Some(change) = controller.index.apply_slice(slice) {
            controller.slice_changed(change, &object.namespace, &sight, now);
        }
    }

    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant) {
        let version = object.value.meta.version;
        controller.slices_seen = controller.slices_seen.max(version);
        controller.slice_gone(&object.namespace, &object.name, version, now);
    }

    fn gone(namespace: Name, name: Name) -> Gone {
        Gone::Slice(namespace, name)
    }
}

// === syncs ===

impl Controller {
    /// The writes to send next, if a Service is due that needs some. Only for a leader, and only
    /// when all kinds are listed.
    pub fn next_job(&mut self, now: Instant) -> Option<Job> {
        if !self.missing().is_empty() {
            return None;
        }
        loop {
            let (key, class) = self.queue.take(now)?;
            if let Some(job) = self.sync(&key, class, now) {
                return Some(job);
            }
        }
    }

    /// Plans one Service; returns what is to be written.
    fn sync(&mut self, key: &ServiceKey, class: Class, now: Instant) -> Option<Job> {
        let Some(service) = self.index.service(key).filter(|service| service.is_served()) else {
            self.progress.remove(key);
            self.queue.done(key, now);
            return None;
        };
        let progress = self.progress.entry(key.clone()).or_default();
        let pods = self.index.pods_of(key);
        let (trigger_time, seen) = trigger::trigger_time(progress.seen.as_ref(), service, &pods);
        let Some(plan) = self.index.plan(key, trigger_time, self.settings.max_endpoints) else {
            self.queue.done(key, now);
            return None;
        };
        if !plan.is_empty() && plan.is_hints_only() && class == Class::Endpoints {
            self.queue.defer(key, now, Class::Hints);
            return None;
        }
        if !plan.nodeless.is_empty() {
            debug!(service = %key, pods = ?plan.nodeless, "left out pods whose node is not known");
        }
        progress.seen = Some(seen);
        progress.counts.clear();
        if service.auto {
            progress.counts = plan
                .families
                .iter()
                .map(|family| (family.address_type, family.counts.clone()))
                .collect();
        }
        if plan.is_empty() {
            self.queue.done(key, now);
            return None;
        }
        progress.expectations.begin();
        let families = plan.families.into_iter().map(|family| family.changes);
        Some(Job {
            service: key.clone(),
            families: families.filter(|changes| !changes.is_empty()).collect(),
        })
    }

    /// Takes note of what came of the writes for a Service.
    pub fn finish(&mut self, outcome: Outcome, now: Instant) {
        let Outcome { service: key, written, failures } = outcome;
        let Some(progress) = self.progress.get_mut(&key) else {
            // It was deleted in the meantime.
            self.queue.done(&key, now);
            return;
        };
        if progress.expectations.end(written, self.slices_seen) {
            self.queue.add(
                key.clone(),
                Class::Endpoints,
                now + self.settings.batch_period.max(SLICE_DELAY),
            );
        }
        let mut verdict = Verdict::Done;
        for failure in failures {
            verdict = match failure {
                WriteError::Busy { wait, .. } => Verdict::RetryAfter(wait),
                _ => Verdict::Retry,
            };
            match failure {
                WriteError::Conflict { .. } | WriteError::NotLeading { .. } => {
                    info!(service = %key, "{failure}");
                }
                _ => {
                    warn!(service = %key, error = &failure as &dyn std::error::Error, "a write failed, trying again");
                }
            }
        }
        progress.ended = Some(Ended { at: now, verdict });
        self.unseen.insert(key.clone());
        self.settle(&key, now);
    }

    /// Gives a Service free whose writes have ended and have all been seen.
    fn settle(&mut self, key: &ServiceKey, now: Instant) {
        let Some(progress) = self.progress.get_mut(key) else { return };
        let Some(ended) = progress.ended else { return };
        progress.expectations.reach(self.slices_seen);
        if now.saturating_duration_since(ended.at) >= ECHO_LIMIT {
            warn!(service = %key, "the watch has not shown an own write in time, going on without it");
            progress.expectations.drop_all();
        }
        if !progress.expectations.are_met() {
            return;
        }
        progress.ended = None;
        self.unseen.remove(key);
        match ended.verdict {
            Verdict::Done => self.queue.done(key, now),
            Verdict::Retry => self.queue.retry(key, now, Class::Endpoints),
            Verdict::RetryAfter(wait) => self.queue.retry_after(key, now, Class::Endpoints, wait),
        }
    }

    /// Looks at writes that are not seen yet: to be called about once a second.
    pub fn settle_all(&mut self, now: Instant) {
        for key in self.unseen.iter().cloned().collect::<Vec<_>>() {
            self.settle(&key, now);
        }
    }

    /// When [`Self::next_job`] is worth a call, if nothing happens before.
    pub fn next_due(&self) -> Option<Instant> {
        self.queue.next_due()
    }
}
