//! Controller: the one owner of the index and the queue. Events go in, writes come out; it
//! neither waits nor speaks with anybody.

mod events;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{debug, info, warn};

pub use self::events::Event;
use super::{
    progress::{Ended, Progress, Verdict},
    queue::{Class, Queue},
    write::{Outcome, WriteError},
};
use crate::{
    causes::causes,
    cluster::{Index, Watched},
    plan::{
        changes::Changes,
        name::{Name, ServiceKey},
        trigger,
    },
};

/// How long to wait for the watch to show an own write before planning again all the same.
const ECHO_LIMIT: Duration = Duration::from_secs(30);
/// How many Services are looked at in one go: events and the lease are not to wait while thousands
/// are planned that need nothing, as at the start.
const SYNCS: usize = 32;
/// Of the failures of one Service in a row, every so manieth is told: the first, and then about
/// one in ten minutes. When the API server is away, thousands of Services fail.
const TELL_EVERY: u32 = 10;

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
    /// Deleted nodes, still in the index, and when they are given up.
    leaving: HashMap<Name, Instant>,
    /// The highest version among the slices that the watch has shown; 0 during a list.
    slices_seen: u64,
    /// The list of slices under way.
    slices_list: Option<SlicesList>,
    /// Services whose writes have ended and are not all seen yet, or were given up unseen.
    unseen: HashSet<ServiceKey>,
}

/// A list of slices. It shows them in any order, so no write can be taken for seen before it has
/// ended.
#[derive(Clone, Copy, Debug)]
struct SlicesList {
    began: Instant,
    /// The highest version that it has shown.
    seen: u64,
}

impl Controller {
    /// A controller that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            index: Index::default(),
            queue: Queue::new(settings.replan_qps),
            progress: HashMap::new(),
            listed: HashSet::new(),
            leaving: HashMap::new(),
            slices_seen: 0,
            slices_list: None,
            unseen: HashSet::new(),
        }
    }

    /// Which kinds have not been listed yet. Nothing may be written before all are.
    pub fn missing(&self) -> Vec<Watched> {
        Watched::ALL.into_iter().filter(|kind| !self.listed.contains(kind)).collect()
    }

    /// Whether all kinds have been listed.
    pub fn is_complete(&self) -> bool {
        self.listed.len() == Watched::ALL.len()
    }

    /// The writes to send next, if one of the next Services that are due needs some. Only for a
    /// leader, and only when all kinds are listed.
    ///
    /// Looks at a few Services in one call; [`Self::next_due`] says whether more are due.
    pub fn next_job(&mut self, now: Instant) -> Option<Job> {
        if !self.is_complete() {
            return None;
        }
        for _ in 0..SYNCS {
            let (key, class) = self.queue.take(now)?;
            if let Some(job) = self.sync(&key, class, now) {
                return Some(job);
            }
        }
        None
    }

    /// Plans one Service; returns what is to be written.
    fn sync(&mut self, key: &ServiceKey, class: Class, now: Instant) -> Option<Job> {
        let Some(service) = self.index.service(key).filter(|service| service.is_served()) else {
            // What was seen stays for when it is served again: only a Service that is not known is
            // new (endpointslice-semantics 4.6).
            if let Some(progress) = self.progress.get_mut(key) {
                progress.counts.clear();
            }
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
        let before = progress.seen.replace(seen);
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
        progress.before = before;
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
        let repair_due = self.repair_due(now);
        let Some(progress) = self.progress.get_mut(&key) else {
            // It was deleted in the meantime.
            self.queue.done(&key, now);
            return;
        };
        let before = progress.before.take();
        if !failures.is_empty() {
            // What is written in the next try answers to the same changes.
            progress.seen = before;
        }
        if progress.expectations.end(written, self.slices_seen) {
            self.queue.add(key.clone(), Class::Endpoints, repair_due);
        }
        progress.ended = Some(Ended { at: now, verdict: Verdict::on(&failures) });
        let before = self.queue.failures(&key);
        for failure in failures {
            tell(&key, &failure, before);
        }
        self.unseen.insert(key.clone());
        self.settle(&key, now);
    }

    /// Gives a Service free whose writes have ended and have all been seen.
    fn settle(&mut self, key: &ServiceKey, now: Instant) {
        let Some(progress) = self.progress.get_mut(key) else { return };
        let Some(ended) = progress.ended else { return };
        progress.expectations.reach(self.slices_seen);
        if progress.expectations.are_met() {
            self.unseen.remove(key);
        } else if now.saturating_duration_since(ended.at) >= ECHO_LIMIT {
            warn!(service = %key, "the watch has not shown an own write in time, going on without it");
            progress.expectations.drop_all();
        } else {
            return;
        }
        progress.ended = None;
        match ended.verdict {
            Verdict::Done => self.queue.done(key, now),
            Verdict::Retry => self.queue.retry(key, now, Class::Endpoints),
            Verdict::RetryAfter(wait) => self.queue.retry_after(key, now, Class::Endpoints, wait),
        }
    }

    /// A list of slices is complete: it shows what came of all writes that had ended before. One
    /// that it does not show has been undone by somebody else, and no event will ever tell.
    fn slices_listed(&mut self, now: Instant) {
        let Some(list) = self.slices_list.take() else { return };
        self.slices_seen = list.seen;
        let due = self.repair_due(now);
        for key in std::mem::take(&mut self.unseen) {
            let Some(progress) = self.progress.get_mut(&key) else { continue };
            if progress.ended.is_some_and(|ended| ended.at > list.began) {
                self.unseen.insert(key);
                continue;
            }
            progress.expectations.drop_all();
            self.queue.add(key.clone(), Class::Endpoints, due);
            self.settle(&key, now);
        }
    }

    /// Looks after what time alone changes, writes that are not seen yet and deleted nodes: to be
    /// called about once a second.
    pub fn tick(&mut self, now: Instant) {
        self.give_up_nodes(now);
        for key in self.unseen.iter().cloned().collect::<Vec<_>>() {
            self.settle(&key, now);
        }
    }

    /// When [`Self::next_job`] is worth a call, if nothing happens before.
    pub fn next_due(&self) -> Option<Instant> {
        self.queue.next_due()
    }
}

/// Logs a failed write of a Service that has failed `before` times in a row.
fn tell(key: &ServiceKey, failure: &WriteError, before: u32) {
    let cause = causes(failure);
    if !before.is_multiple_of(TELL_EVERY) {
        debug!(service = %key, cause, before, "a write failed again");
        return;
    }
    match failure {
        WriteError::Conflict { .. } | WriteError::NotLeading { .. } => {
            info!(service = %key, cause, before, "a write was not made, trying again");
        }
        _ => warn!(service = %key, cause, before, "a write failed, trying again"),
    }
}
