//! The work queue: which Service to look at next.
//!
//! Pure: time is an argument, and there are no tasks and no locks. One task owns it. The rules are
//! client-go's (docs/semantics.md 1.2, 1.3) with five differences: there are two classes, a key
//! waits once, whatever its delays, failing keys are never dropped, keys whose work was not
//! answered have a lane of their own, so that they do not take all workers, and namespaces and
//! Services take turns ([`line`]).

use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;

pub use self::line::Keyed;
use self::line::{Line, Place};
use crate::pace::Pace;

mod line;
#[cfg(test)]
mod tests;

/// The wait after the first failure of a key. It doubles with each further one.
pub const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest wait after a failure. A key is retried indefinitely.
pub const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How soon after a failure an event may bring the next attempt forward.
///
/// An event may cure the failure, so it need not wait for a long back-off. A busy key that keeps
/// failing is tried at most once in this time.
pub const EVENT_RETRY: Duration = Duration::from_secs(1);

/// What a key is waiting for; the more urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The endpoints may be wrong: traffic may be going to a dead pod.
    Endpoints,
    /// Endpoints of an evacuated zone have hints that bring traffic there, or the other way round, and
    /// another controller writes the slices. Taken at a bounded rate, because each write costs that
    /// controller one. Where slices are written here, such hints are as urgent as endpoints.
    Evacuation,
    /// Only zones and hints may be out of date: traffic arrives, perhaps from farther away than
    /// necessary. Taken at a bounded rate, so that a zone change does not rewrite every slice at
    /// once.
    Hints,
}

/// A keyed work queue: each key waits at most once and is worked on by at most one worker.
#[derive(Debug)]
pub struct Queue<K: Keyed> {
    entries: HashMap<K, Entry>,
    /// The waiting keys of each class.
    endpoints: Line<K>,
    evacuations: Line<K>,
    hints: Line<K>,
    /// The waiting keys of both classes whose last work was not answered.
    unanswered: Line<K>,
    /// How many of them may be in work at a time, and how many are.
    unanswered_workers: usize,
    unanswered_in_work: usize,
    arrivals: u64,
    in_work: usize,
    /// Keys that are expensive to handle, and the earliest time at which each may be taken again. A
    /// key stays here when its object is gone: an object that is repeatedly created is no cheaper.
    held_off: HashMap<K, Instant>,
    /// Paces keys of class [`Class::Evacuation`]. `None` means no limit.
    evacuations_pace: Option<Pace>,
    /// Paces keys of class [`Class::Hints`]. `None` means no limit.
    hints_pace: Option<Pace>,
}

#[derive(Debug)]
struct Entry {
    state: State,
    record: Record,
}

/// What is remembered of a key's failures, and forgotten at its next success.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// How many in a row.
    failures: u32,
    /// Events may not bring the next attempt before this.
    not_before: Option<Instant>,
    /// Whether the last work was not answered.
    is_unanswered: bool,
}

#[derive(Debug)]
enum State {
    Waiting(Class, Place),
    Working {
        /// When it became due.
        due: Instant,
        /// To be handled again after the present work.
        again: Option<(Class, Instant)>,
        /// Forgotten while being worked on: its outcome no longer matters.
        forgotten: bool,
    },
}

impl<K: Keyed> Queue<K> {
    /// An empty queue that returns at most `replan_qps` keys of class [`Class::Hints`] per second,
    /// in bursts of `replan_qps` (at least 1), and twice as many of class [`Class::Evacuation`]. 0
    /// means no limit. Of `workers`, at most a fifth (at
    /// least 1) have keys whose last work was not answered.
    pub fn new(replan_qps: f64, workers: usize) -> Self {
        let pace = |qps: f64| {
            let interval = Duration::try_from_secs_f64(qps.recip()).ok();
            interval.map(|interval| Pace::new(interval, qps))
        };
        Self {
            entries: HashMap::default(),
            endpoints: Line::default(),
            evacuations: Line::default(),
            hints: Line::default(),
            unanswered: Line::default(),
            unanswered_workers: (workers / 5).max(1),
            unanswered_in_work: 0,
            arrivals: 0,
            in_work: 0,
            held_off: HashMap::default(),
            evacuations_pace: pace(2.0 * replan_qps),
            hints_pace: pace(replan_qps),
        }
    }

    /// An event requires `key` to be handled when `due` comes.
    ///
    /// A key that waits already keeps the earlier time and the more urgent class, so a batch window
    /// counts from its first event. A key in work runs again afterwards. After a failure the
    /// key keeps its count of failures and comes at the event's time, but no sooner than
    /// [`EVENT_RETRY`] (or what the server asked for) after the failure.
    ///
    /// Returns whether this is additional work: it was not pending already.
    pub fn add(&mut self, key: K, class: Class, due: Instant) -> bool {
        match self.entries.get_mut(&key) {
            None => {
                self.wait(key, class, due, Record::default());
                true
            }
            Some(Entry { state: State::Working { again, forgotten, .. }, .. }) => {
                let is_more = again.is_none();
                *again = Some(merge(*again, class, due));
                *forgotten = false;
                is_more
            }
            Some(Entry { state: State::Waiting(..), record }) => {
                let due = record.not_before.map_or(due, |floor| floor.max(due));
                let due = self.allowed(&key, due);
                self.bring_forward(&key, class, due);
                false
            }
        }
    }

    /// The next due key, which is in work from now on until [`Self::done`], [`Self::retry`],
    /// [`Self::retry_after`] or [`Self::defer`].
    ///
    /// Keys of class [`Class::Endpoints`] come first, those of [`Class::Hints`] after all others, and
    /// those whose last work was not answered last. Within a class, they take turns ([`line`]).
    pub fn take(&mut self, now: Instant) -> Option<(K, Class)> {
        let (((due, _), key), class) = if self.endpoints.is_due(now) {
            (self.endpoints.pop(now)?, Class::Endpoints)
        } else if let Some(class) = self.paced(now) {
            self.spend(class, 1, now);
            (self.line((class, false)).pop(now)?, class)
        } else if self.unanswered.is_due(now) && self.has_room_for_unanswered() {
            self.unanswered_in_work += 1;
            let first = self.unanswered.pop(now)?;
            let class = match self.entries.get(&first.1)?.state {
                State::Waiting(class, _) => class,
                State::Working { .. } => Class::Endpoints,
            };
            (first, class)
        } else {
            return None;
        };
        self.entries.get_mut(&key)?.state = State::Working { due, again: None, forgotten: false };
        self.in_work += 1;
        Some((key, class))
    }

    /// The class of which a key is due that may go now, other than [`Class::Endpoints`]. While
    /// evacuations wait for their turn, nothing else is written for hints.
    fn paced(&self, now: Instant) -> Option<Class> {
        let may_go = |pace: Option<&Pace>| ready_at(pace).is_none_or(|ready| ready <= now);
        if self.evacuations.is_due(now) {
            may_go(self.evacuations_pace.as_ref()).then_some(Class::Evacuation)
        } else {
            (self.hints.is_due(now) && may_go(self.hints_pace.as_ref())).then_some(Class::Hints)
        }
    }

    /// Writes of this class are sent, so those after them wait longer.
    pub fn spend(&mut self, class: Class, writes: usize, now: Instant) {
        let pace = match class {
            Class::Endpoints => return,
            Class::Evacuation => &mut self.evacuations_pace,
            Class::Hints => &mut self.hints_pace,
        };
        if let Some(pace) = pace {
            (0..writes).for_each(|_| pace.spend(now));
        }
    }

    /// The work on `key` succeeded: its failures are forgotten.
    pub fn done(&mut self, key: &K, now: Instant) {
        if let Some(ended) = self.end(key)
            && let Some((class, due)) = ended.again
        {
            self.wait(ended.key, class, due.max(now), Record::default());
        }
    }

    /// The work on `key` failed: it waits [`FIRST_RETRY`] after its first failure in a row and
    /// twice as long after each further one, up to [`LONGEST_RETRY`].
    pub fn retry(&mut self, key: &K, now: Instant, class: Class) {
        self.back_off(key, now, class, false);
    }

    /// The same if the work on `key` was not answered in time, or its answer was lost.
    pub fn retry_unanswered(&mut self, key: &K, now: Instant, class: Class) {
        self.back_off(key, now, class, true);
    }

    fn back_off(&mut self, key: &K, now: Instant, class: Class, is_unanswered: bool) {
        let failures = self.failures(key);
        let wait = FIRST_RETRY.saturating_mul(1_u32 << failures.min(16)).min(LONGEST_RETRY);
        self.fail(key, now, class, (wait, wait.min(EVENT_RETRY)), is_unanswered);
    }

    /// The server asked to come back after `wait` (429 with `Retry-After`). Counts as a failure; no
    /// event brings the next try forward. No longer than [`LONGEST_RETRY`], so that one odd answer
    /// does not delay a key indefinitely.
    pub fn retry_after(&mut self, key: &K, now: Instant, class: Class, wait: Duration) {
        let wait = wait.min(LONGEST_RETRY);
        self.fail(key, now, class, (wait, wait), false);
    }

    /// Returns `key` unchanged, to be taken later in `class`. This is not a failure. The key keeps
    /// its due time, and so does not come after all that wait in that class.
    pub fn defer(&mut self, key: &K, class: Class) {
        if let Some(ended) = self.end(key)
            && !ended.forgotten
        {
            let (class, due) = merge(ended.again, class, ended.due);
            self.wait(ended.key, class, due, ended.record);
        }
    }

    /// Handling `key` took long. Whatever adds it again, it is not taken before `floor`, so that
    /// others come first.
    pub fn hold_off(&mut self, key: &K, floor: Instant, now: Instant) {
        self.held_off.retain(|_, floor| *floor > now);
        self.held_off.insert(key.clone(), floor);
        self.move_waiting(key, |class, due| (class, due.max(floor)));
    }

    /// Time was spent on `key`, by the main loop or, divided by their number, by a worker. Others
    /// that wait come first.
    pub fn charge(&mut self, key: &K, time: Duration) {
        self.endpoints.charge(key, time);
        self.evacuations.charge(key, time);
        self.hints.charge(key, time);
    }

    /// Whether a key of class [`Class::Endpoints`] is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.endpoints.is_due(now)
    }

    /// The object behind `key` is gone. A waiting key is dropped. If the key is in work, the
    /// outcome of the work no longer matters. An [`Self::add`] after this counts from zero.
    pub fn forget(&mut self, key: &K) {
        match self.entries.get_mut(key) {
            Some(Entry { state: State::Waiting(class, place), record }) => {
                let (of, place) = ((*class, record.is_unanswered), *place);
                self.line(of).remove(&place, key);
                self.entries.remove(key);
            }
            Some(Entry { state: State::Working { again, forgotten, .. }, record }) => {
                (*again, *forgotten) = (None, true);
                // Where it is in work does not change.
                *record = Record { is_unanswered: record.is_unanswered, ..Record::default() };
            }
            None => {}
        }
    }

    /// Whether `key` has been taken and not been returned.
    pub fn is_in_work(&self, key: &K) -> bool {
        matches!(self.entries.get(key), Some(Entry { state: State::Working { .. }, .. }))
    }

    /// How long `key`, which is in work, had been due when it was taken at `now`.
    pub fn waited(&self, key: &K, now: Instant) -> Duration {
        match self.entries.get(key) {
            Some(Entry { state: State::Working { due, .. }, .. }) => {
                now.saturating_duration_since(*due)
            }
            _ => Duration::ZERO,
        }
    }

    /// How many failures in a row `key` has had.
    pub fn failures(&self, key: &K) -> u32 {
        self.entries.get(key).map_or(0, |entry| entry.record.failures)
    }

    /// When [`Self::take`] will next return a key, if nothing is added: possibly in the past.
    pub fn next_due(&self) -> Option<Instant> {
        let endpoints = self.endpoints.next_due();
        let after = |pace: Option<&Pace>, due: Instant| {
            ready_at(pace).map_or(due, |ready: Instant| ready.max(due))
        };
        let evacuation = self.evacuations.next_due();
        let hints = self.hints.next_due().map(|due| after(self.hints_pace.as_ref(), due));
        let hints = hints.filter(|at| evacuation.is_none_or(|due| *at < due));
        let evacuation = evacuation.map(|due| after(self.evacuations_pace.as_ref(), due));
        let unanswered = self.unanswered.next_due();
        let unanswered = unanswered.filter(|_| self.has_room_for_unanswered());
        endpoints.into_iter().chain(evacuation).chain(hints).chain(unanswered).min()
    }

    fn has_room_for_unanswered(&self) -> bool {
        self.unanswered_in_work < self.unanswered_workers
    }

    /// How many keys wait, whether due or not.
    pub fn len(&self) -> usize {
        self.endpoints.len() + self.evacuations.len() + self.hints.len() + self.unanswered.len()
    }

    /// How many keys of a class wait, whether due or not.
    pub fn waiting(&self, class: Class) -> usize {
        let is_waiting = |key: &&K| {
            let state = self.entries.get(*key).map(|entry| &entry.state);
            matches!(state, Some(State::Waiting(other, _)) if *other == class)
        };
        let answered = match class {
            Class::Endpoints => self.endpoints.len(),
            Class::Evacuation => self.evacuations.len(),
            Class::Hints => self.hints.len(),
        };
        answered + self.unanswered.keys().filter(is_waiting).count()
    }

    /// How many keys wait and are due. Counts them one by one.
    pub fn overdue(&self, now: Instant) -> usize {
        self.lines().map(|line| line.overdue(now)).iter().sum()
    }

    /// Whether no key waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys are in work.
    pub fn in_work(&self) -> usize {
        self.in_work
    }

    /// How long the most overdue waiting key has been due. A batch window or a back-off that has
    /// not ended is no delay and counts as zero.
    pub fn oldest_age(&self, now: Instant) -> Duration {
        let oldest = self.lines().map(Line::oldest_due);
        let oldest = oldest.into_iter().flatten().min();
        oldest.map_or(Duration::ZERO, |due| now.saturating_duration_since(due))
    }

    /// After `wait`, or at an event's time after `floor`.
    fn fail(
        &mut self,
        key: &K,
        now: Instant,
        class: Class,
        (wait, floor): (Duration, Duration),
        is_unanswered: bool,
    ) {
        let Some(ended) = self.end(key) else { return };
        let (class, due) = match ended.again {
            None if ended.forgotten => return,
            None => (class, now + wait),
            Some((other, due)) => (class.min(other), due.max(now + floor).min(now + wait)),
        };
        let failures = ended.record.failures.saturating_add(1);
        let record = Record { failures, not_before: Some(now + floor), is_unanswered };
        self.wait(ended.key, class, due, record);
    }

    /// Takes `key` out of work and out of the queue.
    fn end(&mut self, key: &K) -> Option<Ended<K>> {
        if !self.is_in_work(key) {
            return None;
        }
        let (key, Entry { state, record }) = self.entries.remove_entry(key)?;
        let State::Working { due, again, forgotten } = state else { return None };
        self.in_work -= 1;
        self.unanswered_in_work -= usize::from(record.is_unanswered);
        Some(Ended { key, due, again, forgotten, record })
    }

    fn wait(&mut self, key: K, class: Class, due: Instant, record: Record) {
        self.arrivals += 1;
        let due = self.allowed(&key, due);
        let place = (due, self.arrivals);
        self.line((class, record.is_unanswered)).insert(place, key.clone());
        self.entries.insert(key, Entry { state: State::Waiting(class, place), record });
    }

    /// When `key`, which is due at `due`, may be taken.
    fn allowed(&self, key: &K, due: Instant) -> Instant {
        self.held_off.get(key).map_or(due, |floor| due.max(*floor))
    }

    fn bring_forward(&mut self, key: &K, class: Class, due: Instant) {
        self.move_waiting(key, |from, old| (from.min(class), old.min(due)));
    }

    /// Moves a key to another class and time, if it waits. Its arrival stays the same.
    fn move_waiting(&mut self, key: &K, to: impl FnOnce(Class, Instant) -> (Class, Instant)) {
        let Some(Entry { state: State::Waiting(was, place), record }) = self.entries.get_mut(key)
        else {
            return;
        };
        let (from, old, is_unanswered) = (*was, *place, record.is_unanswered);
        let (class, due) = to(from, old.0);
        let new = (due, old.1);
        (*was, *place) = (class, new);
        if (from, old) != (class, new)
            && let Some(key) = self.line((from, is_unanswered)).remove(&old, key)
        {
            self.line((class, is_unanswered)).insert(new, key);
        }
    }

    /// Where keys of a class wait whose last work was answered or not.
    fn line(&mut self, of: (Class, bool)) -> &mut Line<K> {
        match of {
            (_, true) => &mut self.unanswered,
            (Class::Endpoints, false) => &mut self.endpoints,
            (Class::Evacuation, false) => &mut self.evacuations,
            (Class::Hints, false) => &mut self.hints,
        }
    }

    fn lines(&self) -> [&Line<K>; 4] {
        [&self.endpoints, &self.evacuations, &self.hints, &self.unanswered]
    }
}

/// When the next one may go; `None` if it may at any time.
fn ready_at(pace: Option<&Pace>) -> Option<Instant> {
    pace?.ready_at()
}

/// What is left of a key whose work has ended.
struct Ended<K> {
    key: K,
    due: Instant,
    again: Option<(Class, Instant)>,
    forgotten: bool,
    record: Record,
}

/// The more urgent class and the earlier time of two entries.
fn merge(again: Option<(Class, Instant)>, class: Class, due: Instant) -> (Class, Instant) {
    again.map_or((class, due), |(other, earlier)| (other.min(class), earlier.min(due)))
}
