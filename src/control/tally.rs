//! Tally: what the controller does, in numbers for [`crate::observe`]. Sums over all Services are
//! updated by difference: each Service's part is remembered, and only its changes are added.

mod locality;
mod part;

use std::time::Duration;

use foldhash::{HashMap, HashSet};
use tokio::time::Instant;

use self::{locality::Locality, part::Part};
use super::write::{Outcome, WriteError};
use crate::{
    assess::reason::State,
    cluster::{Index, Need, Watched},
    control::{
        history::Sign,
        queue::{Class, Queue},
    },
    model::{address::AddressType, name::ServiceKey},
    observe::{Metrics, Resolution, Synced, Trigger, WriteResult},
    report::{Label, Report, Slices, numbers::Numbers},
};

/// The numbers of the controller's work.
#[derive(Debug)]
pub struct Tally {
    metrics: Metrics,
    parts: HashMap<ServiceKey, Part>,
    /// Services that have individual series.
    named: HashSet<ServiceKey>,
    locality: Locality,
    /// Services whose writes are under way.
    work: HashMap<ServiceKey, Work>,
    /// Services that have yet to respond to an event, and since when.
    moved: HashMap<ServiceKey, Moved>,
    /// Services whose last writes failed.
    failing: HashSet<ServiceKey>,
    is_leading: bool,
    started: Instant,
}

/// The work on one Service.
#[derive(Debug)]
struct Work {
    since: Instant,
    label: Label,
    /// How many slices of each address type are written.
    writes: Vec<(AddressType, usize)>,
    moved: Moved,
}

/// Since when a Service has been waiting to respond to the first event of each trigger.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    pod: Option<Instant>,
    node: Option<Instant>,
    /// Of any event that may change its endpoints, or since its first failure.
    any: Option<Instant>,
}

impl Moved {
    /// The earlier of each.
    fn merge(&mut self, other: Self) {
        let earlier = |one: Option<Instant>, other| one.into_iter().chain(other).min();
        self.pod = earlier(self.pod, other.pod);
        self.node = earlier(self.node, other.node);
        self.any = earlier(self.any, other.any);
    }
}

// === what happens ===

impl Tally {
    /// Nothing yet.
    pub fn new(metrics: Metrics) -> Self {
        for sign in Sign::ALL {
            metrics.own.may_rewind(sign.as_str());
        }
        Self {
            metrics,
            parts: HashMap::default(),
            named: HashSet::default(),
            locality: Locality::default(),
            work: HashMap::default(),
            moved: HashMap::default(),
            failing: HashSet::default(),
            is_leading: false,
            started: Instant::now(),
        }
    }

    /// Whether this replica writes. How long events have been waiting is reported only from then
    /// on: another replica handles those of a standby.
    /// Returns whether that is new.
    pub fn lead(&mut self, is_leading: bool) -> bool {
        let is_new = self.is_leading != is_leading;
        if is_new {
            self.is_leading = is_leading;
            self.moved = HashMap::default();
            self.failing = HashSet::default();
            self.metrics.own.leader.set(is_leading.into());
        }
        is_new
    }

    /// A list or watch failed.
    pub fn watch_failed(&self, kind: Watched, cause: &'static str) {
        self.metrics.own.watch_restarted(kind, cause);
    }

    /// Records when something of a kind was last received; `None`: not since the start.
    /// A kind that can be done without may not be watched at all.
    pub fn received(&self, kind: Watched, received: Option<Instant>, now: Instant) {
        let since = received.or_else(|| (kind.need() == Need::Required).then_some(self.started));
        let age = since.map(|since| now.saturating_duration_since(since));
        self.metrics.own.received(kind, age);
    }

    /// A list was in doubt, and is not any more.
    pub fn resolved(&self, kind: Watched, resolution: Resolution) {
        self.metrics.own.resolved(kind, resolution);
    }

    /// There was a sign that the history went back.
    pub fn rewound(&self, sign: Sign) {
        self.metrics.own.rewound(sign.as_str());
    }

    /// The API server drops hints for nodes.
    pub fn node_hints_dropped(&self) {
        self.metrics.own.node_hints_dropped.set(1);
    }

    /// An object did not parse.
    pub fn malformed(&self, kind: Watched) {
        self.metrics.own.malformed(kind);
    }

    /// Counts signs of another writer that events show.
    pub fn foreign(&self, signs: usize) {
        self.metrics.others.writes.inc_by(signs as u64);
    }

    /// Whether there is another writer, and how many Services it contests.
    pub fn others(&self, is_active: bool, contested: usize) {
        self.metrics.others.active.set(is_active.into());
        self.metrics.others.contested.set(signed(contested));
    }

    /// Whether the admission policy is missing by which another controller's slices keep hints.
    pub fn admission_absent(&self, is_absent: bool) {
        self.metrics.others.admission_absent.set(is_absent.into());
    }

    /// On how many Services closehaul has given up because hints are overwritten, and how many of them
    /// are evacuated.
    pub fn given_up(&self, all: usize, evacuated: usize) {
        self.metrics.others.overwritten(signed(evacuated), signed(all.saturating_sub(evacuated)));
    }

    /// An event concerns a Service, which waits in this class for it. `trigger` is what has
    /// changed; `None` if that is the Service itself or one of its slices.
    pub fn affected(
        &mut self,
        key: &ServiceKey,
        trigger: Option<Trigger>,
        class: Class,
        now: Instant,
    ) {
        if !self.is_leading {
            return;
        }
        // Rewrites of hints wait for their turn by intention.
        let any = (class == Class::Endpoints).then_some(now);
        let moved = match trigger {
            Some(Trigger::Pod) => Moved { pod: Some(now), node: None, any },
            Some(Trigger::Node) => Moved { pod: None, node: Some(now), any },
            None => Moved { pod: None, node: None, any },
        };
        self.moved.entry(key.clone()).or_default().merge(moved);
    }

    /// Of a Service, only hints are to be rewritten, which waits for its turn.
    pub fn deferred(&mut self, key: &ServiceKey) {
        if let Some(moved) = self.moved.get_mut(key).filter(|_| !self.failing.contains(key)) {
            moved.any = None;
        }
    }

    /// A Service was put into the queue that was not waiting there.
    pub fn queued(&self) {
        self.metrics.built_in.adds.inc();
    }

    /// A Service was taken out of the queue that had been due for this long.
    pub fn taken(&self, waited: Duration) {
        self.metrics.built_in.waited(waited);
    }

    /// A Service has been planned that will be written, or needs nothing.
    pub fn planned(&mut self, report: &Report) {
        for Slices { census, .. } in report.families.iter().filter_map(|family| family.slices) {
            self.metrics.built_in.planned(census.added, census.removed);
        }
        let part = Part::of(report);
        if part.state == State::None {
            self.unmeasured(&report.service);
        } else {
            self.locality.changed(&report.service);
        }
        self.put(&report.service, part);
    }

    /// A Service needs nothing, or may not be written. The work on it began at `since`.
    pub fn idle(&mut self, report: &Report, since: Instant) {
        self.moved.remove(&report.service);
        self.failing.remove(&report.service);
        for _ in report.families.iter().filter(|family| family.slices.is_some()) {
            self.written(report.label, 0);
        }
        self.synced(Synced::Success, since);
    }

    /// The writes for a Service begin. The work on it began at `since`.
    pub fn began(&mut self, report: &Report, since: Instant) {
        let mut writes = Vec::new();
        for family in report.families.iter().filter(|family| family.slices.is_some()) {
            match family.writes {
                0 => self.written(report.label, 0),
                count => writes.push((family.address_type, count)),
            }
        }
        let moved = self.moved.remove(&report.service).unwrap_or_default();
        let work = Work { since, label: report.label, writes, moved };
        self.work.insert(report.service.clone(), work);
    }

    /// The writes for a Service have ended.
    pub fn ended(&mut self, outcome: &Outcome) {
        let Some(Work { since, label, writes, moved }) = self.work.remove(&outcome.service) else {
            return;
        };
        let complete = writes.iter().filter(|(family, _)| outcome.complete.contains(family));
        complete.for_each(|(_, count)| self.written(label, *count));
        if let Some(reason) = reason(&outcome.failures) {
            self.metrics.built_in.retries.inc();
            self.metrics.own.retried(reason);
            if self.is_leading && self.parts.contains_key(&outcome.service) {
                let moved = Moved { any: moved.any.or(Some(since)), ..moved };
                self.moved.entry(outcome.service.clone()).or_default().merge(moved);
                self.failing.insert(outcome.service.clone());
            }
            self.synced(Synced::Error, since);
            return;
        }
        self.failing.remove(&outcome.service);
        let answered = [(Trigger::Pod, moved.pod), (Trigger::Node, moved.node)];
        for (trigger, since) in answered {
            if let Some(since) = since {
                self.metrics.own.propagated(trigger, since.elapsed());
            }
        }
        self.synced(Synced::Success, since);
    }

    /// The watch has not shown local writes in time.
    pub fn unseen(&self) {
        self.metrics.built_in.count(Synced::Stale);
    }

    /// A Service is not served any more.
    pub fn left(&mut self, key: &ServiceKey) {
        self.moved.remove(key);
        self.failing.remove(key);
        if let Some(work) = self.work.get_mut(key) {
            work.moved.any = None;
        }
        if let Some(part) = self.parts.remove(key) {
            self.add(Some(&part), None);
            self.unmeasured(key);
            if self.named.remove(key) {
                self.metrics.services.hide(key, (part.state, part.reason));
            }
            self.count_unnamed();
        }
    }

    /// Nothing needs to be done for a Service that is not served. The work on it began at `since`.
    pub fn skipped(&self, since: Instant) {
        self.synced(Synced::Success, since);
    }

    fn synced(&self, synced: Synced, since: Instant) {
        self.metrics.built_in.count(synced);
        self.metrics.built_in.worked(since.elapsed());
    }

    fn written(&self, label: Label, slices: usize) {
        self.metrics.built_in.slices_changed(slices, label.auto, label.distribution);
    }

    /// Publishes the current numbers. Must be called about once a second.
    pub fn publish(&self, queue: &Queue<ServiceKey>, index: &Index, now: Instant) {
        let Metrics { built_in, own, .. } = &self.metrics;
        built_in.overdue(signed(queue.overdue(now)));
        built_in.working(self.work.values().map(|work| work.since.elapsed()));
        own.queued("endpoints", signed(queue.waiting(Class::Endpoints)));
        let hints = queue.waiting(Class::Evacuation) + queue.waiting(Class::Hints);
        own.queued("hints", signed(hints));
        // On standby, nothing is taken out of the queue.
        let oldest = if self.is_leading { queue.oldest_age(now) } else { Duration::ZERO };
        own.queue_oldest.set(oldest.as_secs_f64());
        own.services_failing.set(signed(self.failing.len()));
        own.oldest_unanswered.set(self.oldest_unanswered(now).as_secs_f64());
        own.locality(self.locality.in_zone(), self.locality.overload());
        for kind in Watched::ALL {
            own.indexed(*kind, signed(kind.count(index)));
        }
    }
}

impl Tally {
    /// Publishes how many evacuations are in force, and of which kinds the objects are unknown.
    pub fn policies(&self, active: usize, unknown: impl Iterator<Item = (Watched, bool)>) {
        self.metrics.own.evacuations_active.set(signed(active));
        for (kind, is_unknown) in unknown {
            self.metrics.own.unknown(kind, is_unknown);
        }
    }
}

impl Tally {
    /// The next Service whose share of traffic is to be measured.
    pub fn next_to_measure(&mut self) -> Option<ServiceKey> {
        self.locality.next()
    }

    /// What becomes of a Service's traffic under its last plan.
    pub fn measured(&mut self, key: ServiceKey, numbers: Numbers) {
        if self.named.contains(&key) {
            self.metrics.services.measure(&key, numbers.in_zone, numbers.overload);
        }
        self.locality.found(key, numbers);
    }

    /// A Service does not prefer locality, or is gone.
    fn unmeasured(&mut self, key: &ServiceKey) {
        self.locality.forget(key);
        if self.named.contains(key) {
            self.metrics.services.measure(key, None, None);
        }
    }

    /// How long ago the earliest event was to which a Service has not responded with a successful
    /// write, whether it is due, in work or backs off.
    fn oldest_unanswered(&self, now: Instant) -> Duration {
        let waiting = self.moved.values().chain(self.work.values().map(|work| &work.moved));
        let oldest = waiting.filter_map(|moved| moved.any).min().filter(|_| self.is_leading);
        oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

// === sums ===

impl Tally {
    /// Replaces the part that a Service had.
    fn put(&mut self, key: &ServiceKey, part: Part) {
        let old = self.parts.get(key);
        if old == Some(&part) && (self.named.contains(key) || self.is_full()) {
            return;
        }
        let is_named = self.named.contains(key);
        let before = old.filter(|_| is_named).map(|old| (old.state, old.reason));
        self.add(old, Some(&part));
        if is_named || !self.is_full() {
            if !is_named {
                self.named.insert(key.clone());
            }
            let Part { state, reason, ready, ready_without_zone, .. } = part;
            let services = &self.metrics.services;
            services.show(key, before, (state, reason), ready, ready_without_zone);
        }
        self.parts.insert(key.clone(), part);
        self.count_unnamed();
    }

    /// Adds the difference between two parts: a reader in between sees no gap.
    fn add(&self, old: Option<&Part>, new: Option<&Part>) {
        let Metrics { built_in, own, .. } = &self.metrics;
        let more = |of: fn(&Part) -> i64| new.map_or(0, of) - old.map_or(0, of);
        built_in.endpoints_desired.add(more(|part| part.endpoints));
        built_in.slices.add(more(|part| part.slices));
        built_in.slices_desired.add(more(|part| part.slices_desired));
        own.ready.add(more(|part| part.ready));
        own.ready_without_zone.add(more(|part| part.ready_without_zone));
        own.ready_hinted.add(more(|part| part.ready_hinted));
        // Mostly, only the numbers change, and finding a series by its labels takes time.
        if old.zip(new).is_some_and(|(old, new)| old.has_same_labels(new)) {
            return;
        }
        for (part, sign) in new.map(|new| (new, 1)).into_iter().chain(old.map(|old| (old, -1))) {
            own.decided(part.state, part.reason, sign);
            part.reasons.iter().for_each(|reason| own.decided_by(reason, sign));
            if let Some(preference) = part.preference {
                built_in.prefer(preference.as_str(), sign);
            }
        }
    }

    /// Whether no more Services may have individual series.
    fn is_full(&self) -> bool {
        self.named.len() >= self.metrics.services.limit
    }

    fn count_unnamed(&self) {
        if self.metrics.services.limit > 0 {
            self.metrics.services.left_out.set(signed(self.parts.len() - self.named.len()));
        }
    }
}

/// Why a Service is retried; a busy server outweighs the rest.
fn reason(failures: &[WriteError]) -> Option<WriteResult> {
    let busy = failures.iter().find(|failure| matches!(failure, WriteError::Busy { .. }));
    busy.or_else(|| failures.first()).map(WriteError::result)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
