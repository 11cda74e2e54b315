//! Statuses: when the status of a policy or an evacuation is put together again. A change of a state
//! waits for others that come with it, and numbers alone change once a minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use foldhash::HashMap;
use tokio::time::Instant;

use super::{Controller, TURN};
use crate::{
    clock::Now,
    cluster::Index,
    control::{
        progress::Programmed,
        status_writer::{Status, StatusWrite},
    },
    model::{
        name::{Name, ServiceKey, Uid},
        policy::{LocalityPolicy, PolicyMeta, RequestKey},
    },
    plan::{
        Circumstances,
        intent::{Intent, Note, is_deaf},
    },
    report::{
        assessment,
        numbers::Numbers,
        status::{Known, Sources, of_evacuation, of_policy},
    },
};

/// From a change of a state or a reason to the status.
const CHANGES: Duration = Duration::from_secs(5);
/// From one status to the next if only numbers change.
const NUMBERS: Duration = Duration::from_secs(60);

/// The statuses that are to be put together again.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    due: BTreeMap<RequestKey, Instant>,
    /// When each was last put together, and what it said. Empty without leadership.
    last: HashMap<RequestKey, (Instant, Status)>,
    /// The evacuations that were in force when statuses were last asked for. Empty without leadership.
    in_force: BTreeMap<Name, Option<Uid>>,
}

impl Statuses {
    /// A state, or what a policy requests, has changed.
    fn changed(&mut self, key: RequestKey, now: Instant) {
        self.bring_forward(key, now + CHANGES);
    }

    /// Numbers may have changed.
    fn moved(&mut self, key: RequestKey, now: Instant) {
        let due = self.last.get(&key).map_or(now + CHANGES, |(last, _)| *last + NUMBERS);
        self.bring_forward(key, due);
    }

    fn bring_forward(&mut self, key: RequestKey, due: Instant) {
        self.due.entry(key).and_modify(|at| *at = due.min(*at)).or_insert(due);
    }

    /// A Service was planned or written. Perhaps that changes more than numbers.
    pub(super) fn of_service(
        &mut self,
        index: &Index,
        key: &ServiceKey,
        is_change: bool,
        now: Instant,
    ) {
        for request in requests_of(index, key) {
            if is_change {
                self.changed(request, now);
            } else {
                self.moved(request, now);
            }
        }
    }

    /// Another replica may have written them since.
    pub(super) fn forget(&mut self) {
        self.due.clear();
        self.last.clear();
        self.in_force.clear();
    }
}

/// The requests that are in force for a Service, or are rehearsed.
fn requests_of(index: &Index, key: &ServiceKey) -> Vec<RequestKey> {
    let Some(intent) = index.intent(key) else { return Vec::new() };
    let policies = [intent.policy(), intent.shown_policy()].into_iter().flatten();
    let mut keys: Vec<_> = policies.map(|policy| policy.key(&key.namespace)).collect();
    // What hints cannot move is in the statuses of evacuations, too.
    let is_deaf = || index.service(key).is_some_and(is_deaf);
    if intent.is_evacuated() || intent.notes().contains(&Note::Conflicted) || is_deaf() {
        keys.extend(requests_beside(index, &key.namespace));
    }
    keys
}

/// All requests of a namespace (empty for none) and of the cluster.
fn requests_beside(index: &Index, namespace: &Name) -> BTreeSet<RequestKey> {
    requests(index, index.policies_in(namespace))
}

/// These policies, and all requests of the cluster.
fn requests<'a>(
    index: &Index,
    policies: impl Iterator<Item = &'a LocalityPolicy>,
) -> BTreeSet<RequestKey> {
    let rules = index.rules();
    let own = policies.map(|policy| RequestKey::Policy {
        namespace: policy.namespace.clone(),
        name: policy.meta.name.clone(),
    });
    let cluster = rules.policies.values();
    let cluster = cluster.map(|policy| RequestKey::ClusterPolicy(policy.meta.name.clone()));
    let evacuations = rules.evacuations.values();
    let evacuations = evacuations.map(|it| RequestKey::Evacuation(it.meta.name.clone()));
    own.chain(cluster).chain(evacuations).collect()
}

impl Controller {
    /// What a policy or an evacuation requests has changed, or a Service has gone, which may concern
    /// others of the namespace (empty for what is of no namespace) and of the cluster.
    pub(super) fn statuses_changed(&mut self, namespace: &Name, now: Instant) {
        for key in requests_beside(&self.index, namespace) {
            self.statuses.changed(key, now);
        }
    }

    /// This replica leads from now on.
    pub(super) fn begin_statuses(&mut self, now: Instant) {
        self.statuses.forget();
        for key in requests(&self.index, self.index.policies()) {
            self.statuses.changed(key, now);
        }
    }

    /// The statuses that must be written now. Only the leader may ask for them, and gets none before
    /// all Services have been planned.
    pub fn statuses(&mut self, now: Now) -> Vec<StatusWrite> {
        let mut writes = Vec::new();
        self.note_deleted(now);
        if self.statuses.due.is_empty() || !self.reporter.is_summed_up() {
            return writes;
        }
        let began = Instant::now();
        let due = self.statuses.due.iter().filter(|(_, due)| **due <= now.monotonic);
        for key in due.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.statuses.due.remove(&key);
            let Some(write) = self.status(&key, now) else {
                self.statuses.last.remove(&key);
                continue;
            };
            let last = (now.monotonic, write.status.clone());
            let before = self.statuses.last.insert(key, last);
            if before.is_none_or(|(_, before)| !before.says_the_same(&write.status)) {
                writes.push(write);
            }
            if began.elapsed() >= TURN {
                break;
            }
        }
        writes
    }

    /// Reports the evacuations that were deleted while they were in force. Their statuses cannot say
    /// it.
    fn note_deleted(&mut self, now: Now) {
        let evacuations = &self.index.rules().evacuations;
        let in_force = evacuations.values().filter(|it| it.is_in_force(now.wall));
        let in_force = in_force.map(|it| (it.meta.name.clone(), it.meta.uid.clone())).collect();
        let before = std::mem::replace(&mut self.statuses.in_force, in_force);
        for (name, uid) in before {
            if evacuations.get(&name).is_none_or(|it| it.meta.uid != uid) {
                self.reporter.evacuation_deleted(&name, uid, now);
            }
        }
    }

    fn status(&self, key: &RequestKey, now: Now) -> Option<StatusWrite> {
        let known = |service: &ServiceKey| self.known(service);
        let numbers = |service: &ServiceKey| self.numbers(service, now.monotonic);
        let sources =
            Sources { index: &self.index, known: &known, numbers: &numbers, now: now.wall };
        let status = match key {
            RequestKey::Evacuation(name) => Status::Evacuation(of_evacuation(&sources, name)?),
            _ => Status::Policy(of_policy(&sources, key)?),
        };
        let PolicyMeta { uid, generation, .. } = self.index.request_meta(key)?;
        let (uid, generation) = (uid.clone(), *generation);
        Some(StatusWrite { key: key.clone(), uid, generation, status })
    }

    fn known(&self, key: &ServiceKey) -> Option<Known> {
        let service = self.index.service(key)?;
        if !service.is_served() {
            // It is never planned.
            let intent: &Intent = self.index.intent(key)?;
            let decision = assessment(&self.index, service, intent, None).decision;
            return Some(Known { decision, is_programmed: true });
        }
        let decision = self.reporter.decision(key)?.clone();
        let progress = self.progress.get(key)?;
        Some(Known { decision, is_programmed: progress.programmed == Programmed::Yes })
    }

    /// What becomes of a Service's traffic. This takes another plan.
    pub(super) fn numbers(&self, key: &ServiceKey, now: Instant) -> Numbers {
        let circumstances = Circumstances {
            stood: self.progress.get(key).map(|progress| progress.stood(now)),
            is_contested: self.others.writer.is_contested(key),
        };
        let plan = self.plan_for_numbers(key, circumstances);
        let service = self.index.service(key);
        service.zip(plan).map_or_else(Numbers::default, |(service, plan)| {
            Numbers::of(&self.index, service, &plan)
        })
    }
}
