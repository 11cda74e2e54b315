//! Events: what a change of a Service, pod, node or slice does to the index and the queue
//! (docs/semantics.md 1.4).

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Controller, SlicesList};
use crate::{
    api::Object,
    cluster::{Gone, NodeChange, ServiceChange, SliceChange, Watched},
    control::{
        expectations::{Foreign, Shown, Sight},
        queue::Class,
        watch::{Cause, Change},
    },
    model::{
        name::{Name, ServiceKey},
        node::Node,
        pod::Pod,
        service::Service,
        slice::Slice,
    },
    observe::Trigger,
};

/// How long a deleted node may stay away before its pods leave the slices.
const NODE_DELAY: Duration = Duration::from_secs(10);

/// A change of one of the four kinds.
#[derive(Debug)]
pub enum Event {
    /// Of Services.
    Service(Change<Service>),
    /// Of pods.
    Pod(Change<Pod>),
    /// Of nodes.
    Node(Change<Node>),
    /// Of slices.
    Slice(Change<Slice>),
}

impl Controller {
    /// Takes an event in.
    pub fn take_in(&mut self, event: Event, now: Instant) {
        match event {
            Event::Service(change) => self.follow(Watched::Services, change, now),
            Event::Pod(change) => self.follow(Watched::Pods, change, now),
            Event::Node(change) => self.follow(Watched::Nodes, change, now),
            Event::Slice(change) => self.follow(Watched::Slices, change, now),
        }
    }

    fn follow<T: Followed>(&mut self, kind: Watched, change: Change<T>, now: Instant) {
        match change {
            Change::Restarted { asked } => {
                self.rewinds.begin_list(kind, asked);
                if kind == Watched::Slices {
                    // The versions may be lower from now on, after a restore from a backup.
                    self.slices_seen = 0;
                    self.slices_list = Some(SlicesList { asked, seen: 0 });
                }
                self.index.begin_list(kind);
            }
            Change::Applied(object) => {
                self.compare(kind, &object, now);
                T::applied(self, object, now);
            }
            Change::Deleted(object) => T::deleted(self, &object, now),
            Change::Listed => {
                for gone in self.index.end_list(kind) {
                    self.gone(gone, now);
                }
                if kind == Watched::Slices {
                    self.slices_listed(now);
                }
                self.rewinds.end_list(kind);
                self.health.listed(kind);
                if self.listed.insert(kind) && self.is_complete() {
                    let services = self.index.services().count();
                    info!(services, nodes = self.index.nodes().len(), "all is listed");
                }
            }
            Change::Malformed { object, deleted } => {
                let text = |text: &Option<String>| Name::from(text.as_deref().unwrap_or_default());
                let (namespace, name) =
                    (text(&object.metadata.namespace), text(&object.metadata.name));
                self.tally.malformed(kind);
                warn!(?kind, %namespace, %name, error = object.error, "passed over a malformed object");
                let gone = T::gone(namespace, name);
                if deleted { self.gone(gone, now) } else { self.index.confirm(&gone) }
            }
            Change::Rewound(rewind) => self.rewound(rewind, now),
            Change::Failed { error, cause, will_retry_in } => {
                if cause.is_no_answer() {
                    self.rewinds.contact.failed(now, cause == Cause::Connection);
                }
                self.tally.watch_failed(kind, cause.as_str());
                self.health
                    .not_listed(kind, if cause.is_answer() { &error } else { cause.words() });
                warn!(?kind, error, ?will_retry_in, "watching failed");
            }
        }
    }

    fn gone(&mut self, gone: Gone, now: Instant) {
        match gone {
            Gone::Service(key) => self.service_gone(&key, now),
            Gone::Pod(namespace, name) => self.pod_gone(&namespace, &name, 0, now),
            Gone::Node(name) => self.node_gone(&name, now),
            Gone::Slice(namespace, name) => self.slice_gone(&namespace, &name, 0, now),
        }
    }

    fn service_gone(&mut self, key: &ServiceKey, now: Instant) {
        // Its slices are the garbage collector's (docs/semantics.md 1.3).
        self.index.remove_service(key);
        self.queue.forget(key);
        self.unseen.remove(key);
        self.leave(key);
        let progress = self.progress.remove(key);
        if progress.is_some_and(|progress| progress.ended.is_some()) {
            // Its writes will not be waited for, and a Service of the same name may come again.
            self.queue.done(key, now);
        }
    }

    /// A Service is not served any more: what is counted and told of it ends.
    pub(super) fn leave(&mut self, key: &ServiceKey) {
        self.tally.left(key);
        self.other_writer.forget(key);
        self.left_out.forget(key);
    }

    fn pod_gone(&mut self, namespace: &Name, name: &str, version: u64, now: Instant) {
        let services = self.index.remove_pod(namespace, name, version);
        self.pod_changed(services, now);
    }

    fn pod_changed(&mut self, services: Vec<ServiceKey>, now: Instant) {
        for key in services {
            self.tally.touched(&key, Trigger::Pod, now);
            self.touch(&key);
            let progress = self.progress.get(&key);
            let gathered = progress.map_or(now, |progress| progress.gathered(now));
            let due = gathered.max(now + self.settings.batch_period);
            self.enqueue(key, Class::Endpoints, due);
        }
    }

    /// The node stays known for a while: were it forgotten at once, whatever else leads to a sync
    /// in that time would take its pods out.
    fn node_gone(&mut self, name: &Name, now: Instant) {
        if self.index.nodes().contains_key(name) {
            self.leaving.entry(name.clone()).or_insert(now + NODE_DELAY);
        }
    }

    pub(super) fn give_up_nodes(&mut self, now: Instant) {
        let mut overdue: Vec<Name> =
            self.leaving.extract_if(|_, due| *due <= now).map(|(name, _)| name).collect();
        overdue.sort_unstable();
        for name in overdue {
            let change = self.index.remove_node(&name);
            self.node_changed(change, now);
        }
    }

    fn node_changed(&mut self, change: NodeChange, now: Instant) {
        // A node that moves may have all Services rewritten: behind the changes of pods, as those
        // whose hints alone depend on how much CPU each zone has.
        let class = if change.is_move { Class::Hints } else { Class::Endpoints };
        self.services_of_node(change.services, class, now);
        if change.shares {
            let shares = self.index.shares();
            let unbalanced =
                self.progress.iter().filter(|(_, progress)| progress.is_unbalanced(shares));
            let mut unbalanced: Vec<_> = unbalanced.map(|(key, _)| key.clone()).collect();
            unbalanced.sort_unstable();
            self.services_of_node(unbalanced, Class::Hints, now);
        }
    }

    fn services_of_node(&mut self, services: Vec<ServiceKey>, class: Class, now: Instant) {
        for key in services {
            self.tally.touched(&key, Trigger::Node, now);
            self.touch(&key);
            self.enqueue(key, class, now);
        }
    }

    fn slice_gone(&mut self, namespace: &Name, name: &str, version: u64, now: Instant) {
        if let Some(change) = self.index.remove_slice(namespace, name, version) {
            self.slice_changed(change, namespace, &Sight::Gone(name.into()), now);
        }
    }

    fn saw_slice(&mut self, version: u64, now: Instant) {
        if self.rewinds.is_lost(Watched::Slices) {
            return;
        }
        let listed = self.slices_list.as_mut().map(|list| &mut list.seen);
        let seen = listed.unwrap_or(&mut self.slices_seen);
        *seen = version.max(*seen);
        if self.slices_list.is_none() {
            self.rewinds.slices.watched(version, now);
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
            let is_sign = change.is_rewritten && self.is_sign(&key, sight, now);
            let shown = Shown { sight: sight.clone(), is_sign };
            let foreign = match self.progress.get_mut(&key) {
                Some(progress) => progress.see(shown, now),
                // It has not been planned here yet, so that nobody knows what it should be.
                None => Foreign { events: 1, signs: 0 },
            };
            self.saw_others(&key, foreign, now);
            // Slices of a deleted Service are the garbage collector's.
            if foreign.events > 0 && self.index.service(&key).is_some() {
                let due = self.repair_due(&key, now);
                self.enqueue(key.clone(), Class::Endpoints, due);
            }
            self.settle(&key, now);
        }
    }

    /// Puts a Service into the queue.
    pub(super) fn enqueue(&mut self, key: ServiceKey, class: Class, due: Instant) {
        if self.queue.add(key, class, due) {
            self.tally.queued();
        }
    }

    /// Something that a Service's slices depend on has changed.
    fn touch(&mut self, key: &ServiceKey) {
        if let Some(progress) = self.progress.get_mut(key) {
            progress.is_touched = true;
        }
    }
}

/// A kind that the controller follows: what its events do.
pub(super) trait Followed: Sized {
    /// The version of an object.
    fn version(&self) -> u64;
    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant);
    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant);
    fn gone(namespace: Name, name: Name) -> Gone;
}

impl Followed for Service {
    fn version(&self) -> u64 {
        self.version
    }

    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        let key = object.value.key.clone();
        let change = controller.index.apply_service(object.value);
        if matches!(change, ServiceChange::Hints | ServiceChange::Endpoints) {
            controller.touch(&key);
        }
        match change {
            ServiceChange::Nothing => {}
            ServiceChange::Hints => controller.enqueue(key, Class::Hints, now),
            ServiceChange::Unread | ServiceChange::Endpoints => {
                controller.enqueue(key, Class::Endpoints, now);
            }
        }
    }

    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant) {
        let known = controller.index.service(&object.value.key);
        if known.is_none_or(|known| known.version <= object.value.version) {
            controller.service_gone(&object.value.key, now);
        }
    }

    fn gone(namespace: Name, name: Name) -> Gone {
        Gone::service(namespace, name)
    }
}

impl Followed for Pod {
    fn version(&self) -> u64 {
        self.version
    }

    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        let services = controller.index.apply_pod(&object.namespace, object.value);
        controller.pod_changed(services, now);
    }

    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant) {
        controller.pod_gone(&object.namespace, &object.name, object.value.version, now);
    }

    fn gone(namespace: Name, name: Name) -> Gone {
        Gone::Pod(namespace, name)
    }
}

impl Followed for Node {
    fn version(&self) -> u64 {
        self.version
    }

    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        controller.leaving.remove(&object.name);
        let change = controller.index.apply_node(object.value);
        controller.node_changed(change, now);
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
    fn version(&self) -> u64 {
        self.meta.version
    }

    fn applied(controller: &mut Controller, object: Object<Self>, now: Instant) {
        let slice = object.value;
        let version = slice.meta.version;
        controller.saw_slice(version, now);
        // A slice with a deletionTimestamp does not count any more, whatever keeps it.
        let sight =
            if slice.meta.terminating { Sight::Gone(object.name) } else { Sight::Version(version) };
        if let Some(change) = controller.index.apply_slice(slice) {
            controller.slice_changed(change, &object.namespace, &sight, now);
        }
    }

    fn deleted(controller: &mut Controller, object: &Object<Self>, now: Instant) {
        let version = object.value.meta.version;
        controller.saw_slice(version, now);
        controller.slice_gone(&object.namespace, &object.name, version, now);
    }

    fn gone(namespace: Name, name: Name) -> Gone {
        Gone::Slice(namespace, name)
    }
}
