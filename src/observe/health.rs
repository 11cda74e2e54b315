//! Health: whether a replica is alive and ready, check by check. Ready means that it knows enough
//! to write. A replica on standby is ready too.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    cluster::{Need, Watched},
    pulse::Pulse,
};

/// How long the main loop may be busy with one thing. It runs once a second. A machine without
/// spare CPU may delay it, but not for that long. Under a lease, the election ends the process
/// earlier.
const LOOP_LIMIT: Duration = Duration::from_secs(60);
/// How long a replica may keep running after its leadership has ended: it exits at once if it can.
const LEASE_LIMIT: Duration = Duration::from_secs(5);
/// How many characters of a reason are shown: a proxy before the API server may answer with a whole
/// page.
const LETTERS: usize = 300;

/// How long a refusal is shown: twice the longest pause before the next attempt.
const REFUSAL: Duration = Duration::from_secs(120);

/// What must be done if there is another writer.
const OTHER_WRITER: &str = "another controller writes the same EndpointSlices: append \
    -endpointslice-controller to --controllers of kube-controller-manager, or remove a second \
    installation of closehaul";

/// What follows if policies are not known.
const HINTS_STAY: &str = "until then, hints that a policy may have written stay as they are";

/// What is known about the health. Clones are cheap, and all share it.
#[derive(Clone, Debug)]
pub struct Health(Arc<State>);

struct State {
    /// Of each required kind, in the order of [`Watched::ALL`].
    lists: Mutex<Vec<(Watched, List)>>,
    /// Of each kind that is followed although this replica can do without.
    optional: Mutex<Vec<(Watched, List)>>,
    pulse: Pulse,
    is_stopping: AtomicBool,
    has_other_writer: AtomicBool,
    /// Why hints would not be kept in another controller's slices, if they would not.
    outside_admission: Mutex<Option<String>>,
    /// The last of each duty.
    refusals: Mutex<BTreeMap<Duty, Refusal>>,
    overdue: Option<Overdue>,
}

/// Returns how long ago the leadership of this replica expired; `None` if it did not.
type Overdue = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// What a replica does besides reading, each with its own permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// It acquires the lease, or renews it.
    Lease,
    /// It writes slices.
    Writes,
    /// It sends Events.
    Events,
    /// It writes the status of policies.
    Status,
}

impl Duty {
    fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Writes => "writes",
            Self::Events => "events",
            Self::Status => "status",
        }
    }
}

/// When the API server refused something, and how.
#[derive(Clone, Debug)]
struct Refusal {
    at: Instant,
    why: String,
}

/// Whether a kind has been listed.
#[derive(Clone, Debug)]
enum List {
    Done,
    Missing(Option<String>),
}

impl List {
    /// What is missing, if anything is.
    fn missing(self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Missing(None) => Some("not listed yet".to_owned()),
            Self::Missing(Some(why)) => Some(format!("not listed yet: {why}")),
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// What is wrong, if anything is.
    pub wrong: Option<String>,
    /// What is worth knowing, if nothing is wrong.
    pub note: Option<String>,
}

impl Check {
    fn new(name: &'static str, wrong: Option<String>) -> Self {
        Self { name, wrong, note: None }
    }
}

impl Default for Health {
    /// Alive from now on, nothing listed, without a lease.
    fn default() -> Self {
        Self::new(None)
    }
}

impl Health {
    /// Nothing is listed yet, and the main loop counts as having just run. `overdue` returns how
    /// long ago the leadership of this replica expired: if the replica is still running then,
    /// something has kept it from stopping.
    pub fn new(overdue: Option<Overdue>) -> Self {
        let required = Watched::all_that_are(Need::Required);
        let lists = required.map(|kind| (kind, List::Missing(None))).collect();
        Self(Arc::new(State {
            lists: Mutex::new(lists),
            optional: Mutex::default(),
            pulse: Pulse::new(),
            is_stopping: AtomicBool::new(false),
            has_other_writer: AtomicBool::new(false),
            outside_admission: Mutex::default(),
            refusals: Mutex::default(),
            overdue,
        }))
    }

    /// The main loop's pulse, which decides the liveness.
    pub fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    /// A kind is followed that this replica can do without.
    pub fn follows(&self, kind: Watched) {
        lock(&self.0.optional).push((kind, List::Missing(None)));
    }

    /// A kind has been listed, or does not exist. It counts as listed while its watch is restored.
    pub fn listed(&self, kind: Watched) {
        for lists in [&self.0.lists, &self.0.optional] {
            if let Some(list) = place(&mut lock(lists), kind) {
                *list = List::Done;
            }
        }
    }

    /// Listing or watching a kind has failed. Every client of the health server can read `why`.
    pub fn not_listed(&self, kind: Watched, why: &str) {
        for lists in [&self.0.lists, &self.0.optional] {
            if let Some(list @ List::Missing(_)) = place(&mut lock(lists), kind) {
                *list = List::Missing(Some(line(why)));
            }
        }
    }

    /// The process has been asked to stop.
    pub fn stopping(&self) {
        self.0.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether another client acts as a controller of the same slices. It does not affect
    /// the readiness: another replica could do no better.
    pub fn other_writer(&self, is_active: bool) {
        self.0.has_other_writer.store(is_active, Ordering::Relaxed);
    }

    /// Why nothing is patched into another controller's slices; `None` if patches are kept there. Another
    /// replica could do no better. Every client of the health server can read `why`.
    pub fn outside_admission(&self, why: Option<&str>) {
        *lock(&self.0.outside_admission) = why.map(line);
    }

    /// The API server has refused something: a permission is missing, or a webhook rejected it. It
    /// does not affect the readiness either, and is shown for two minutes. Every client of the
    /// health server can read `why`.
    pub fn refused(&self, duty: Duty, why: &str) {
        let refusal = Refusal { at: Instant::now(), why: line(why) };
        lock(&self.0.refusals).insert(duty, refusal);
    }

    /// Whether this replica may take over, or continue to write.
    pub fn readiness(&self) -> Vec<Check> {
        let lists = lock(&self.0.lists).clone();
        let required =
            lists.into_iter().map(|(kind, list)| Check::new(kind.plural(), list.missing()));
        let optional = lock(&self.0.optional).clone();
        // Endpoints are written without them, so another replica could do no better.
        let optional = optional.into_iter().map(|(kind, list)| {
            let note = list.missing().map(|missing| format!("{missing}; {HINTS_STAY}"));
            Check { note, ..Check::new(kind.plural(), None) }
        });
        let mut checks: Vec<_> = required.chain(optional).collect();
        let is_stopping = self.0.is_stopping.load(Ordering::Relaxed);
        let wrong = is_stopping.then(|| "it has been asked to stop".to_owned());
        checks.push(Check::new("shutdown", wrong));
        if self.0.has_other_writer.load(Ordering::Relaxed) {
            let note = Some(OTHER_WRITER.to_owned());
            checks.push(Check { note, ..Check::new("other-writer", None) });
        }
        if let Some(why) = lock(&self.0.outside_admission).clone() {
            let note = Some(format!("nothing is patched: {why}"));
            checks.push(Check { note, ..Check::new("admission-policy", None) });
        }
        for (duty, Refusal { at, why }) in &*lock(&self.0.refusals) {
            if at.elapsed() < REFUSAL {
                let note = format!("refused {} s ago: {why}", at.elapsed().as_secs());
                checks.push(Check { note: Some(note), ..Check::new(duty.name(), None) });
            }
        }
        checks
    }

    /// Whether this replica must be ended from outside.
    pub fn liveness(&self, now: Instant) -> Vec<Check> {
        let hang = self.0.pulse.hang(now);
        let mut checks =
            vec![Check::new("loop", (hang.silence > LOOP_LIMIT).then(|| hang.to_string()))];
        if let Some(overdue) = &self.0.overdue {
            let overdue = overdue().filter(|overdue| *overdue > LEASE_LIMIT);
            let wrong = overdue.map(|overdue| {
                format!(
                    "the leadership ended {} s ago, but the process still runs",
                    overdue.as_secs()
                )
            });
            checks.push(Check::new("lease", wrong));
        }
        checks
    }
}

/// One short line of what may be a page.
fn line(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LETTERS).collect()
}

fn place(lists: &mut [(Watched, List)], kind: Watched) -> Option<&mut List> {
    lists.iter_mut().find(|(other, _)| *other == kind).map(|(_, list)| list)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("lists", &self.lists).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{node::Node, pod::Pod, service::Service, slice::Slice};

    const SECOND: Duration = Duration::from_secs(1);

    fn wrong(checks: Vec<Check>) -> Vec<(&'static str, String)> {
        checks.into_iter().filter_map(|check| Some((check.name, check.wrong?))).collect()
    }

    #[tokio::test]
    async fn ready_when_all_kinds_are_listed() {
        let health = Health::default();
        assert_eq!(wrong(health.readiness()).len(), 4);
        health.not_listed(Watched::of::<Pod>(), "pods is forbidden");
        for kind in [Watched::of::<Service>(), Watched::of::<Node>(), Watched::of::<Slice>()] {
            health.listed(kind);
        }
        let missing = "not listed yet: pods is forbidden".to_owned();
        assert_eq!(wrong(health.readiness()), [("pods", missing)]);
        health.not_listed(Watched::of::<Pod>(), &"a page\n".repeat(500));
        let [(_, page)] = &wrong(health.readiness())[..] else { panic!("only pods") };
        assert!(page.len() < 400 && page.contains("a page a page"), "one short line: {page}");
        health.listed(Watched::of::<Pod>());
        health.not_listed(Watched::of::<Pod>(), "gone for a while");
        assert_eq!(wrong(health.readiness()), []);
        health.other_writer(true);
        assert_eq!(wrong(health.readiness()), [], "a detail");
        assert!(health.readiness().iter().any(|check| check.note.as_deref() == Some(OTHER_WRITER)));
        health.stopping();
        assert_eq!(wrong(health.readiness())[0].0, "shutdown");
    }

    #[tokio::test]
    async fn alive_while_the_loop_turns() {
        let health = Health::default();
        let now = Instant::now();
        assert_eq!(wrong(health.liveness(now + 59 * SECOND)), []);
        assert_eq!(wrong(health.liveness(now + 62 * SECOND))[0].0, "loop");
        health.pulse().turned(now + 62 * SECOND);
        assert_eq!(wrong(health.liveness(now + 62 * SECOND)), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_told_for_a_while() {
        let health = Health::default();
        for kind in Watched::ALL {
            health.listed(*kind);
        }
        health.refused(Duty::Writes, "create slice shop/cart-:\n forbidden");
        health.refused(Duty::Lease, "no");
        health.refused(Duty::Lease, "leases is forbidden");
        tokio::time::advance(7 * SECOND).await;
        let notes = |health: &Health| {
            let notes = health.readiness().into_iter();
            notes.filter_map(|check| Some((check.name, check.note?))).collect::<Vec<_>>()
        };
        let writes = "refused 7 s ago: create slice shop/cart-: forbidden".to_owned();
        let lease = "refused 7 s ago: leases is forbidden".to_owned();
        assert_eq!(notes(&health), [("lease", lease), ("writes", writes)]);
        assert_eq!(wrong(health.readiness()), [], "a detail");
        tokio::time::advance(REFUSAL).await;
        assert_eq!(notes(&health), []);
    }

    #[tokio::test]
    async fn not_alive_when_the_leadership_is_long_over() {
        let now = Instant::now();
        for overdue in [None, Some(4 * SECOND)] {
            let health = Health::new(Some(Box::new(move || overdue)));
            assert_eq!(wrong(health.liveness(now)), [], "{overdue:?}");
        }
        let health = Health::new(Some(Box::new(|| Some(6 * SECOND))));
        assert_eq!(wrong(health.liveness(now))[0].0, "lease");
    }
}
