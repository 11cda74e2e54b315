//! Controller: the one owner of the index and the queue. Events go in, writes come out; it
//! neither waits nor does I/O.

mod assist;
mod doubts;
mod draft;
mod events;
mod offers;
mod others;
mod outcomes;
mod policies;
mod rewinds;
mod settings;
mod statuses;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use foldhash::{HashMap, HashSet};
use tokio::time::Instant;
use tracing::{debug, warn};

use self::{
    assist::{Assist, Stance},
    doubts::Doubts,
    draft::Draft,
    events::Leaving,
    others::Others,
    policies::Policies,
    rewinds::Rewinds,
    statuses::Statuses,
};
pub use self::{
    events::Event,
    rewinds::Wanted,
    settings::{Mode, Settings},
};
use super::{
    other_writer::Finding,
    overwrites::Hinted,
    progress::{Progress, Stand},
    queue::{Class, Queue},
    reporter::Reporter,
};
use crate::{
    clock::{Now, cpu_time},
    cluster::{Index, Need, ObjectKey, Watched},
    model::{address::AddressType, name::ServiceKey},
    observe::{Health, Metrics, events::ObjectEvent},
    plan::{
        Circumstances, changes::Changes, hints::auto::ZoneCounts, patch::Known, slice_name,
        trigger::Sighting,
    },
    report::{Report, assessment, grounds::Grounds, hindrance::hindrances},
};

/// How many Services are considered in one call. Events must not wait while thousands of Services
/// are planned that need no write, as at the start.
const SYNCS: usize = 32;
/// How long one iteration of the loop may continue with the next event or Service. A single plan
/// may take longer.
pub(super) const TURN: Duration = Duration::from_millis(20);
/// Of how many Services the numbers are found in one second. They are for metrics alone, and each
/// takes another plan.
const MEASURED: usize = 20;
/// A plan that takes longer is slow: its Service waits [`SLOW_REST`] times as long before it is
/// planned again, so that it takes a tenth of the loop's time at most.
const SLOW: Duration = Duration::from_millis(100);
/// See [`SLOW`].
const SLOW_REST: u32 = 10;

/// Writes to be sent for one Service.
#[derive(Debug)]
pub struct Job {
    /// The Service.
    pub service: ServiceKey,
    /// The changes, by address type.
    pub families: Vec<Changes>,
}

/// What a replica does with its plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes and reports.
    Leader,
    /// It plans nothing: another replica leads, or what is needed is not known yet.
    Standby,
    /// It reports and never writes.
    Adviser,
}

/// The index, the queue, and what is remembered about each Service.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    reporter: Reporter,
    index: Index,
    queue: Queue<ServiceKey>,
    progress: HashMap<ServiceKey, Box<Progress>>,
    lists: Lists,
    /// Lists that lack most objects.
    doubts: Doubts,
    /// Deleted objects that are still in the index.
    leaving: HashMap<(Watched, ObjectKey), Leaving>,
    /// Whether the history went back.
    rewinds: Rewinds,
    /// Services whose writes have ended and are not all seen yet, or were given up unseen.
    unseen: BTreeSet<ServiceKey>,
    others: Others,
    assist: Assist,
    policies: Policies,
    statuses: Statuses,
    /// Whether this replica has begun to plan.
    has_planned: bool,
}

/// What lists and watches have shown.
#[derive(Debug, Default)]
struct Lists {
    /// The kinds of which a list was complete, or that the API server does not have.
    complete: HashSet<Watched>,
    /// Whether all required ones are among them.
    are_required_known: bool,
    /// Whether all optional ones are.
    are_optional_known: bool,
    /// The highest version among the slices that the watch has shown; 0 during a list.
    slices_seen: u64,
    /// The list of slices under way.
    slices: Option<SlicesList>,
}

/// A list of slices. It shows them in any order, so no write counts as seen before it has
/// ended.
#[derive(Clone, Copy, Debug)]
struct SlicesList {
    /// No later than it was requested.
    asked: Instant,
    /// The highest version that it has shown.
    seen: u64,
}

/// What follows from planning a Service. None of it has happened yet: see [`Controller::act`].
struct Synced {
    report: Report,
    finding: Finding,
    /// For the next trigger time.
    sighting: Sighting,
    /// Whether the plan covers only what has changed.
    is_patch: bool,
    /// What must be known to patch the Service the next time.
    known: Option<Vec<Known>>,
    /// The result of the legacy annotation, by address type. Empty if it is not in effect.
    counts: BTreeMap<AddressType, Option<ZoneCounts>>,
    /// What must be written, by address type.
    families: Vec<Changes>,
    /// The class in which the writes wait for their turn, because they change only hints.
    deferred: Option<Class>,
    /// The class in which the Service was planned.
    class: Class,
    /// What is particular about it in assist mode.
    stance: Stance,
    /// What becomes of the plan of its hints that was in force.
    stand: Stand,
    /// Whether policies or evacuations have to do with it.
    is_ruled: bool,
}

impl Controller {
    /// A controller that knows nothing yet.
    pub fn new(settings: Settings, metrics: Metrics, health: Health) -> Self {
        let mut index = Index::default();
        index.set_policies_known(!settings.policies);
        if settings.mode == Mode::Advise {
            index.rehearse();
        }
        if settings.policies {
            Watched::all_that_are(Need::Optional).for_each(|kind| health.follows(kind));
        }
        Self {
            settings,
            reporter: Reporter::new(metrics, health, settings.mode == Mode::Advise),
            index,
            queue: Queue::new(settings.replan_qps, settings.concurrency),
            progress: HashMap::default(),
            lists: Lists::default(),
            doubts: Doubts::default(),
            leaving: HashMap::default(),
            rewinds: Rewinds::new(settings.renew_deadline),
            unseen: BTreeSet::new(),
            others: Others::default(),
            assist: Assist::default(),
            policies: Policies::default(),
            statuses: Statuses::default(),
            has_planned: false,
        }
    }

    /// What it reports to those who ask whether it is well.
    pub fn health(&self) -> Health {
        self.reporter.health.clone()
    }

    /// What this replica does with its plans.
    pub fn role(&self, leads: bool) -> Role {
        if !self.is_complete() || !self.knows_admission() {
            Role::Standby
        } else if leads {
            Role::Leader
        } else if self.settings.mode == Mode::Advise {
            Role::Adviser
        } else {
            Role::Standby
        }
    }

    /// How many Services are written at the same time.
    pub fn concurrency(&self) -> usize {
        self.settings.concurrency
    }

    /// Whether policies and evacuations are followed.
    pub fn follows_policies(&self) -> bool {
        self.settings.policies
    }

    /// Which required kinds have not been listed yet. Nothing may be written before all are.
    pub fn missing(&self) -> Vec<Watched> {
        self.unlisted(Need::Required).collect()
    }

    /// Whether all required kinds have been listed.
    pub fn is_complete(&self) -> bool {
        self.lists.are_required_known
    }

    fn unlisted(&self, need: Need) -> impl Iterator<Item = Watched> {
        Watched::all_that_are(need).filter(|kind| !self.lists.complete.contains(kind))
    }

    /// The writes to send next, if one of the next due Services needs some. A standby plans
    /// nothing, nor does any replica before all required kinds are listed.
    ///
    /// Looks at a few Services in one call; [`Self::next_due`] says whether more are due.
    pub fn next_job(&mut self, role: Role, now: Now) -> Option<Job> {
        if role == Role::Standby || !self.is_complete() || !self.is_time(now.monotonic) {
            return None;
        }
        self.end_evacuations(now);
        self.has_planned = true;
        if role == Role::Leader {
            self.others.leads_since.get_or_insert(now.monotonic);
        }
        let (turn, mut cpu) = (Instant::now(), None);
        for _ in 0..SYNCS {
            let (key, class) = self.queue.take(now.monotonic)?;
            // A system call, and most turns plan nothing.
            let cpu = *cpu.get_or_insert_with(cpu_time);
            self.reporter.tally.taken(self.queue.waited(&key, now.monotonic));
            let began = Instant::now();
            self.reporter.health.pulse().begin(&key, began);
            let job = if let Some(synced) = self.sync(&key, class, now) {
                let job = self.act(synced, role, began, now);
                if role == Role::Adviser {
                    self.offer(&key);
                }
                job
            } else {
                self.not_served(&key, began, now.monotonic);
                None
            };
            self.reporter.health.pulse().end();
            let ended = Instant::now();
            self.note_duration(&key, ended.saturating_duration_since(began), cpu, ended);
            if job.is_some() || ended.saturating_duration_since(turn) >= TURN {
                return job;
            }
        }
        None
    }

    /// Defers the next plan of a Service whose plan took long, so that it does not delay the
    /// others. `cpu` is the thread's CPU time before the plan: a plan does not count as long
    /// because the machine was busy.
    fn note_duration(&mut self, key: &ServiceKey, took: Duration, cpu: Duration, now: Instant) {
        self.queue.charge(key, took);
        // While others wait, a shorter plan counts, too.
        let slow = if self.queue.is_due(now) { TURN } else { SLOW };
        let took = if took > slow { took.min(cpu_time().saturating_sub(cpu)) } else { took };
        if took > slow {
            self.queue.hold_off(key, now + took.saturating_mul(SLOW_REST), now);
        }
        let is_slow = took > SLOW;
        let Some(progress) = self.progress.get_mut(key) else { return };
        if is_slow && !progress.is_slow {
            warn!(
                service = %key, ?took,
                "planning the Service takes long, so from now on it gets at most a tenth of the main \
                 loop's time: check how many ports and pods it has"
            );
        }
        progress.is_slow = is_slow;
    }

    /// Plans one Service and assesses the plan; `None` if it is not served.
    fn sync(&mut self, key: &ServiceKey, class: Class, now: Now) -> Option<Synced> {
        let stance = self.stance(key, now.monotonic);
        let part = self.index.part(key);
        let service = self.index.service(key).filter(|service| service.is_served())?;
        let progress = self.progress.entry(key.clone()).or_default();
        let (seen, settings) = (progress.seen.as_ref(), self.settings.plan);
        let circumstances = Circumstances {
            stood: Some(progress.stood(now.monotonic)),
            is_contested: self.others.writer.is_contested(key),
        };
        let Draft { plan, sighting, is_patch } = Draft::of(
            &self.index,
            key,
            part.as_ref(),
            seen,
            settings,
            circumstances,
            stance.manner,
        )?;
        if !plan.nodeless.is_empty() {
            debug!(service = %key, pods = ?plan.nodeless, "left out pods whose node is not known");
        }
        if !plan.not_allowed.is_empty() {
            debug!(service = %key, addresses = ?plan.not_allowed, "left out addresses not allowed");
        }
        let is_idle = plan.is_empty();
        let finding =
            self.others.writer.planned(key, !is_idle, progress.is_affected, now.monotonic);
        progress.is_refused &= !is_idle;

        let grounds = Grounds::of(&self.index, service, &plan);
        let assess = || assessment(&self.index, service, &plan.intent, Some(&plan));
        let decision = progress.decision(grounds, || assess().decision);
        let mut report = Report::of(service, &plan, decision);
        if progress.is_refused {
            report.outlook = report.outlook.refused();
        }
        if self.others.writer.is_contested(key) {
            report.outlook = report.outlook.overwritten();
        }
        if let Some(reason) = stance.reason() {
            report.outlook = report.outlook.hindered(reason);
        }
        if self.reporter.reports_hindrances(key, &report.outlook) {
            report.hindrances = hindrances(&self.index, service, Some(&plan), &assess().verdicts);
            report.hindrances.extend(stance.outside.clone());
        }

        let is_urgent = progress.is_urgent || plan.intent.is_evacuated();
        let may_wait = !is_idle && plan.is_locality_only() && class == Class::Endpoints;
        let deferred = if may_wait { stance.waits_in(&plan, is_urgent) } else { None };
        let stand = Stand::of(&plan);
        let is_ruled = self.index.intent(key).is_some_and(|intent| intent.ruling.is_some());
        let known = if deferred.is_some() { None } else { self.index.known(service, &plan) };
        let counts = plan.families.iter().filter(|_| service.auto);
        let counts = counts.map(|family| (family.address_type, family.counts.clone())).collect();
        let families = plan.families.into_iter().map(|family| family.changes);
        let mut families: Vec<Changes> = families.filter(|changes| !changes.is_empty()).collect();
        for changes in families.iter_mut().filter(|changes| !changes.creates.is_empty()) {
            let slices = self.index.slices_of(key);
            let known = slices.iter().filter_map(|slice| slice.meta.name.as_ref());
            slice_name::choose(&mut changes.creates, known.chain(&progress.taken));
        }
        Some(Synced {
            report,
            finding,
            sighting,
            is_patch,
            known,
            counts,
            families,
            deferred,
            class,
            stance,
            stand,
            is_ruled,
        })
    }

    /// Does what follows from a plan that was begun at `began`, as far as the role permits. Returns
    /// what must be written.
    fn act(&mut self, synced: Synced, role: Role, began: Instant, now: Now) -> Option<Job> {
        let Synced { report, finding, families, stance, .. } = synced;
        let key = report.service.clone();
        let has_changed = self.reporter.planned(&report, finding, now);
        if finding != Finding::default() {
            self.reporter.other_writer(&self.others.writer);
        }
        if stance.has_given_up {
            self.reporter.gave_up(&key, now);
        }
        if let Some(class) = synced.deferred {
            self.index.unsettle(&key);
            self.reporter.tally.deferred(&key);
            self.queue.defer(&key, class);
            return None;
        }
        self.reporter.tally.planned(&report);
        let progress = self.progress.entry(key.clone()).or_default();
        progress.was_affected = std::mem::take(&mut progress.is_affected);
        progress.is_urgent = false;
        let has_become = progress.planned(families.is_empty());
        let again = progress.stand(synced.stand, now.monotonic).into_iter();
        for due in again.chain(stance.closed_until) {
            self.queue.add(key.clone(), stance.class(), due);
        }
        progress.counts = synced.counts;
        let before = synced.sighting.put(&mut progress.seen);
        let may_write = role == Role::Leader && !stance.is_barred();
        let comes_true = families.is_empty() || may_write;
        let known = synced.known.filter(|_| comes_true);
        self.index.settle(&key, known, &families, synced.is_patch);
        if synced.is_ruled || !self.index.rules().evacuations.is_empty() {
            let is_change = has_changed || has_become;
            self.statuses.of_service(&self.index, &key, is_change, now.monotonic);
        }
        if families.is_empty() {
            self.assist.overwrites.stand(&key, now.monotonic);
        }
        if families.is_empty() || !may_write {
            self.reporter.tally.idle(&report, began);
            self.queue.done(&key, now.monotonic);
            return None;
        }
        self.reporter.tally.began(&report, began);
        progress.before = Some(before);
        progress.begin(families.iter().map(Changes::len).sum(), now.monotonic);
        progress.floor = self.rewinds.slices.floor();
        if stance.is_in_place() {
            progress.sent = Hinted::of(&families);
            let more = families.iter().map(Changes::len).sum::<usize>().saturating_sub(1);
            self.queue.spend(synced.class, more, now.monotonic);
        }
        Some(Job { service: key, families })
    }

    /// A Service that is due is not served.
    fn not_served(&mut self, key: &ServiceKey, began: Instant, now: Instant) {
        // Only what was seen is kept, for when it is served again: for the trigger time, only a
        // Service that is not known is new (docs/semantics.md 4.6).
        if let Some(progress) = self.progress.get_mut(key) {
            **progress = Progress { seen: progress.seen.take(), ..Progress::default() };
        }
        self.leave(key);
        self.reporter.tally.skipped(began);
        self.queue.done(key, now);
    }

    /// Records an iteration of the main loop. Must be called in each one.
    pub fn turned(&self, now: Instant) {
        self.reporter.health.pulse().turned(now);
    }

    /// The Events to emit since the last call.
    pub fn events(&mut self) -> Vec<ObjectEvent> {
        self.reporter.events()
    }

    /// Records whether this replica may write now. Nothing is decided by it.
    pub fn lead(&mut self, is_leading: bool, now: Instant) {
        self.rewinds.lead(self.is_complete(), is_leading);
        if self.reporter.tally.lead(is_leading) {
            self.begin_statuses(now);
        }
    }

    /// Handles what time alone changes, such as writes that are not seen yet and deleted nodes, and
    /// publishes metrics. Must be called about once a second.
    pub fn tick(&mut self, at: Now) {
        let now = at.monotonic;
        self.reporter.tally.publish(&self.queue, &self.index, now);
        self.publish_policies(at);
        self.obey_doubted(now);
        self.remove_overdue(now);
        self.forget_others(now);
        self.forget_overwrites(now);
        self.sample_demand(now);
        if self.has_planned {
            self.reporter.sum_up(&self.index);
            self.measure(now);
        }
        self.reporter.left_out_too_long(at);
        for key in self.unseen.iter().cloned().collect::<Vec<_>>() {
            self.settle(&key, now);
        }
    }

    /// Finds the numbers of some of the Services that have been planned, for metrics.
    fn measure(&mut self, now: Instant) {
        for _ in 0..MEASURED {
            let Some(key) = self.reporter.tally.next_to_measure() else { return };
            let numbers = self.numbers(&key, now);
            self.reporter.tally.measured(key, numbers);
            if now.elapsed() >= TURN {
                return;
            }
        }
    }

    /// When to call [`Self::next_job`] again, if nothing happens before.
    pub fn next_due(&self) -> Option<Instant> {
        let due = self.queue.next_due()?;
        Some(self.waits_for_policies().map_or(due, |until| until.max(due)))
    }
}
