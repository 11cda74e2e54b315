//! Events: what a change of a Service, pod, node or slice does to the index and the queue
//! (docs/semantics.md 1.4).

use std::{fmt, time::Duration};

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Controller, SlicesList};
use crate::{
    clock::Now,
    cluster::{Affected, Index, Need, NodeChange, ObjectKey, SliceChange, Tracked, Watched},
    control::{
        expectations::{Foreign, Shown, Sight},
        queue::Class,
        watch::{Cause, Change},
    },
    model::{name::ServiceKey, slice::Slice},
    observe::Trigger,
    plan::intent::Intent,
};

/// A change of one of the kinds.
#[derive(Debug)]
pub struct Event(Box<dyn Happening>);

impl<T: Tracked> From<Change<T>> for Event {
    fn from(change: Change<T>) -> Self {
        Self(Box::new(change))
    }
}

/// What happens to a controller.
trait Happening: fmt::Debug + Send {
    fn happen(self: Box<Self>, controller: &mut Controller, now: Instant);
}

impl<T: Tracked> Happening for Change<T> {
    fn happen(self: Box<Self>, controller: &mut Controller, now: Instant) {
        controller.follow(*self, now);
    }
}

/// A deleted object that is still in the index because it may be created again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    due: Instant,
    remove: fn(&mut Index, &ObjectKey, Option<u64>) -> Affected,
}

impl Controller {
    /// Handles an event.
    pub fn take_in(&mut self, event: Event, now: Now) {
        event.0.happen(self, now.monotonic);
    }

    fn follow<T: Tracked>(&mut self, change: Change<T>, now: Instant) {
        let kind = Watched::of::<T>();
        let is_slice = kind == Watched::of::<Slice>();
        match change {
            Change::Restarted { asked } => {
                self.rewinds.begin_list(kind, asked);
                if is_slice {
                    // The versions may be lower from now on, after a restore from a backup.
                    self.lists.slices_seen = 0;
                    self.lists.slices = Some(SlicesList { asked, seen: 0 });
                }
                self.doubts.begin_list(kind, self.index.count::<T>());
                self.index.begin_list::<T>();
            }
            Change::Applied(object) => {
                if let Some(flaw) = object.flaw() {
                    let (namespace, name, error) = (&object.namespace, &object.name, flaw);
                    warn!(%kind, %namespace, %name, %error, "left out a field of an object");
                }
                self.compare(&object, now);
                self.saw_version(kind, object.value.version(), now);
                if T::GRACE > Duration::ZERO {
                    self.leaving.remove(&(kind, ObjectKey::of(&object)));
                }
                let is_optional = T::NEED == Need::Optional;
                let request = is_optional.then(|| T::request(&ObjectKey::of(&object))).flatten();
                let namespace = request.is_some().then(|| object.namespace.clone());
                let generation = |index: &Index| {
                    index.request_meta(request.as_ref()?).map(|meta| meta.generation)
                };
                let before = generation(&self.index);
                let affected = T::apply(&mut self.index, object);
                self.affected(affected, now);
                // A status, which this replica writes itself, concerns no other.
                if let Some(namespace) = namespace.filter(|_| before != generation(&self.index)) {
                    self.policies.need_namespaces(&self.index);
                    self.statuses_changed(&namespace, now);
                }
            }
            Change::Deleted(object) => {
                let version = object.value.version();
                self.saw_version(kind, version, now);
                let key = ObjectKey::of(&object);
                self.gone::<T>(key, Some(version).filter(|version| *version != 0), now);
            }
            Change::Listed => {
                let is_doubted = self.sweep::<T>(now);
                // Which writes a doubted list shows is not known. For writes, it continues until
                // the second one begins.
                if is_slice && !is_doubted {
                    self.slices_listed(now);
                }
                self.rewinds.end_list(kind);
                self.know(kind, now);
            }
            Change::Absent => self.absent::<T>(now),
            Change::Malformed { object, deleted } => {
                let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
                let (namespace, name) =
                    (text(&object.metadata.namespace), text(&object.metadata.name));
                let key = ObjectKey { namespace, name };
                self.reporter.tally.malformed(kind);
                let ObjectKey { namespace, name } = &key;
                warn!(%kind, %namespace, %name, error = object.error, "skipped a malformed object");
                if deleted {
                    self.gone::<T>(key, None, now);
                } else {
                    self.index.confirm::<T>(&key);
                    let affected = T::apply_remains(&mut self.index, &key, &object);
                    self.affected(affected, now);
                }
            }
            Change::Rewound(rewind) => self.rewound(rewind, now),
            Change::Failed { error, cause, will_retry_in } => {
                if cause.is_no_answer() && T::NEED == Need::Required {
                    self.rewinds.contact.failed(now, cause == Cause::Connection);
                }
                self.reporter.tally.watch_failed(kind, cause.as_str());
                self.reporter
                    .health
                    .not_listed(kind, if cause.is_answer() { &error } else { cause.words() });
                warn!(%kind, error, ?will_retry_in, "watching failed");
            }
        }
    }

    /// An object was deleted in this version. `None` means that a list shows that it is gone.
    pub(super) fn gone<T: Tracked>(&mut self, key: ObjectKey, version: Option<u64>, now: Instant) {
        if T::GRACE == Duration::ZERO {
            let affected = T::remove(&mut self.index, &key, version);
            self.affected(affected, now);
            if T::request(&key).is_some() {
                self.statuses_changed(&key.namespace, now);
            }
        } else if let Some(known) = self.index.version_of::<T>(&key)
            && version.is_none_or(|version| known <= version)
        {
            let leaving = Leaving { due: now + T::GRACE, remove: T::remove };
            self.leaving.entry((Watched::of::<T>(), key)).or_insert(leaving);
        }
    }

    /// Removes what was deleted and has not been created again.
    pub(super) fn remove_overdue(&mut self, now: Instant) {
        let overdue = self.leaving.extract_if(|_, leaving| leaving.due <= now);
        let mut overdue: Vec<_> =
            overdue.map(|((_, key), leaving)| (key, leaving.remove)).collect();
        overdue.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (key, remove) in overdue {
            let affected = remove(&mut self.index, &key, None);
            self.affected(affected, now);
        }
    }

    /// Queues the Services that a change affects.
    fn affected(&mut self, affected: Affected, now: Instant) {
        match affected {
            Affected::None => {}
            Affected::Service(key) => {
                self.reporter.tally.affected(&key, None, Class::Endpoints, now);
                self.mark_affected(&key);
                self.enqueue(key, Class::Endpoints, now);
            }
            Affected::Unread(key) => self.enqueue(key, Class::Endpoints, now),
            Affected::Hints(services) => self.hints_changed(services, now),
            Affected::Evacuation(services) => self.evacuation_changed(services, now),
            Affected::ServiceGone(key) => self.service_gone(&key, now),
            Affected::Pods(services) => self.pods_changed(services, now),
            Affected::Node(change) => self.node_changed(change, now),
            Affected::Slice(change) => self.slice_changed(change, now),
        }
    }

    /// A kind is known: all its objects, or that the API server does not have it.
    pub(super) fn know(&mut self, kind: Watched, now: Instant) {
        self.reporter.health.listed(kind);
        let was_complete = self.is_complete();
        self.lists.complete.insert(kind);
        let are_known = |need| self.unlisted(need).next().is_none();
        let (required, optional) = (are_known(Need::Required), are_known(Need::Optional));
        self.lists.are_required_known = required;
        self.lists.are_optional_known = optional;
        if self.is_complete() && !was_complete {
            let services = self.index.services().count();
            info!(services, nodes = self.index.nodes().len(), "all is listed");
            self.policies.wait(now);
        }
        if kind.need() == Need::Optional {
            self.know_policies(now);
        }
    }

    fn service_gone(&mut self, key: &ServiceKey, now: Instant) {
        self.statuses_changed(&key.namespace, now);
        // Its slices are left to the garbage collector (docs/semantics.md 1.3).
        self.queue.forget(key);
        self.unseen.remove(key);
        self.leave(key);
        let progress = self.progress.remove(key);
        if progress.is_some_and(|progress| progress.ended.is_some()) {
            // Nothing waits for its writes, and a Service with the same name may be created again.
            self.queue.done(key, now);
        }
    }

    /// A Service is not served any more: it is no longer counted or reported.
    pub(super) fn leave(&mut self, key: &ServiceKey) {
        self.reporter.left(key);
        self.others.writer.forget(key);
        self.assist.overwrites.forget(key);
    }

    fn pods_changed(&mut self, services: Vec<ServiceKey>, now: Instant) {
        for key in services {
            self.reporter.tally.affected(&key, Some(Trigger::Pod), Class::Endpoints, now);
            self.mark_affected(&key);
            let progress = self.progress.get(&key);
            let gathered = progress.map_or(now, |progress| progress.gathered(now));
            let due = gathered.max(now + self.settings.batch_period);
            self.enqueue(key, Class::Endpoints, due);
        }
    }

    fn node_changed(&mut self, change: NodeChange, now: Instant) {
        // A node that moves may lead to a rewrite of all Services. They come after the changes of
        // pods, as do Services of which only the hints depend on how much CPU each zone has.
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
        for key in change.preferring {
            self.enqueue(key, Class::Hints, now);
        }
    }

    fn services_of_node(&mut self, services: Vec<ServiceKey>, class: Class, now: Instant) {
        for key in services {
            self.reporter.tally.affected(&key, Some(Trigger::Node), class, now);
            self.mark_affected(&key);
            self.enqueue(key, class, now);
        }
    }

    /// The watch or a list has shown an object of this version.
    fn saw_version(&mut self, kind: Watched, version: u64, now: Instant) {
        if kind != Watched::of::<Slice>() || self.rewinds.is_lost(kind) {
            return;
        }
        let listed = self.lists.slices.as_mut().map(|list| &mut list.seen);
        let seen = listed.unwrap_or(&mut self.lists.slices_seen);
        *seen = version.max(*seen);
        if self.lists.slices.is_none() {
            self.rewinds.slices.watched(version, now);
        }
    }

    /// Syncs the Services of a slice that another client has changed.
    fn slice_changed(&mut self, change: SliceChange, now: Instant) {
        let gone = || Sight::Gone(change.name.clone());
        let sight = change.version.map_or_else(gone, Sight::Version);
        for key in change.services {
            let is_sign = change.is_rewritten && self.is_sign(&key, &sight, now);
            let shown = Shown { sight: sight.clone(), is_sign };
            let foreign = match self.progress.get_mut(&key) {
                Some(progress) => progress.see(shown, now),
                // It has not been planned here yet, so what it should be is not known.
                None => Foreign { events: 1, signs: 0 },
            };
            self.saw_others(&key, foreign, now);
            // Slices of a deleted Service are left to the garbage collector.
            if foreign.events > 0 && self.index.service(&key).is_some() {
                let due = self.repair_due(&key, now);
                let wait = due.saturating_duration_since(now);
                debug!(service = %key, slice = %change.name, ?wait, "another client has changed a slice");
                self.reporter.tally.affected(&key, None, Class::Endpoints, now);
                self.enqueue(key.clone(), Class::Endpoints, due);
            }
            self.settle(&key, now);
        }
        for key in change.assessed {
            let intent = self.index.intent(&key);
            if intent.is_some_and(Intent::prefers_locality) {
                // Nothing needs to be written, but its decision may change.
                self.enqueue(key, Class::Hints, now);
            }
        }
    }

    /// Puts a Service into the queue. In assist mode, plans wait for nothing, because most lead to no
    /// patch; the patches wait.
    pub(super) fn enqueue(&mut self, key: ServiceKey, class: Class, due: Instant) {
        let class = if self.is_assisting() { Class::Endpoints } else { class };
        if self.queue.add(key, class, due) {
            self.reporter.tally.queued();
        }
    }

    /// Something that a Service's slices depend on has changed.
    pub(super) fn mark_affected(&mut self, key: &ServiceKey) {
        if let Some(progress) = self.progress.get_mut(key) {
            progress.is_affected = true;
        }
    }
}
