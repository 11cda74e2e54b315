//! The work queue: which Service to look at next.
//!
//! Pure: time is an argument, and there are no tasks and no locks. One task owns it. The rules are
//! client-go's (docs/semantics.md 1.2, 1.3) with three differences: there are two classes, a key
//! waits once, whatever its delays, and failing keys are never dropped.

use std::{collections::BTreeMap, hash::Hash, time::Duration};

use foldhash::HashMap;
use tokio::time::Instant;

use crate::pace::Pace;

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
    /// Only zones and hints may be out of date: traffic arrives, perhaps from farther away than
    /// necessary. Taken at a bounded rate, so that a zone change does not rewrite every slice at
    /// once.
    Hints,
}

/// A keyed work queue: each key waits at most once and is worked on by at most one worker.
#[derive(Debug)]
pub struct Queue<K> {
    entries: HashMap<K, Entry>,
    /// The waiting keys of each class, in order of becoming due and then of arrival.
    endpoints: BTreeMap<Place, K>,
    hints: BTreeMap<Place, K>,
    arrivals: u64,
    in_work: usize,
    /// Keys that are expensive to handle, and the earliest time at which each may be taken again. A
    /// key stays here when its object is gone: an object that is repeatedly created is no cheaper.
    held_off: HashMap<K, Instant>,
    /// Paces keys of class [`Class::Hints`]. `None` means no limit.
    hints_pace: Option<Pace>,
}

/// The position of a waiting key in its class.
type Place = (Instant, u64);

#[derive(Debug)]
struct Entry {
    state: State,
    failures: u32,
    /// Events may not bring the next attempt before this. Set by a failure, cleared by success.
    not_before: Option<Instant>,
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

impl<K: Clone + Eq + Hash> Queue<K> {
    /// An empty queue that returns at most `replan_qps` keys of class [`Class::Hints`] per second,
    /// in bursts of `replan_qps` (at least 1). 0 means no limit.
    pub fn new(replan_qps: f64) -> Self {
        let interval = Duration::try_from_secs_f64(replan_qps.recip()).ok();
        Self {
            entries: HashMap::default(),
            endpoints: BTreeMap::new(),
            hints: BTreeMap::new(),
            arrivals: 0,
            in_work: 0,
            held_off: HashMap::default(),
            hints_pace: interval.map(|interval| Pace::new(interval, replan_qps)),
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
                self.wait(key, class, due, 0, None);
                true
            }
            Some(Entry { state: State::Working { again, forgotten, .. }, .. }) => {
                let is_more = again.is_none();
                *again = Some(merge(*again, class, due));
                *forgotten = false;
                is_more
            }
            Some(Entry { state: State::Waiting(..), not_before, .. }) => {
                let due = not_before.map_or(due, |floor| floor.max(due));
                let due = self.allowed(&key, due);
                self.bring_forward(&key, class, due);
                false
            }
        }
    }

    /// The next due key, which is in work from now on until [`Self::done`], [`Self::retry`],
    /// [`Self::retry_after`] or [`Self::defer`].
    ///
    /// Keys of class [`Class::Endpoints`] come first. Within a class, it is the one that became due
    /// first.
    pub fn take(&mut self, now: Instant) -> Option<(K, Class)> {
        let (((due, _), key), class) = if is_due(&self.endpoints, now) {
            (self.endpoints.pop_first()?, Class::Endpoints)
        } else if is_due(&self.hints, now) && self.hints_ready_at().is_none_or(|ready| ready <= now)
        {
            if let Some(pace) = &mut self.hints_pace {
                pace.spend(now);
            }
            (self.hints.pop_first()?, Class::Hints)
        } else {
            return None;
        };
        self.entries.get_mut(&key)?.state = State::Working { due, again: None, forgotten: false };
        self.in_work += 1;
        Some((key, class))
    }

    /// The work on `key` succeeded: its failures are forgotten.
    pub fn done(&mut self, key: &K, now: Instant) {
        if let Some(ended) = self.end(key)
            && let Some((class, due)) = ended.again
        {
            self.wait(ended.key, class, due.max(now), 0, None);
        }
    }

    /// The work on `key` failed: it waits [`FIRST_RETRY`] after its first failure in a row and
    /// twice as long after each further one, up to [`LONGEST_RETRY`].
    pub fn retry(&mut self, key: &K, now: Instant, class: Class) {
        let failures = self.entries.get(key).map_or(0, |entry| entry.failures);
        let wait = FIRST_RETRY.saturating_mul(1_u32 << failures.min(16)).min(LONGEST_RETRY);
        self.fail(key, now, class, wait, wait.min(EVENT_RETRY));
    }

    /// The server asked to come back after `wait` (429 with `Retry-After`). Counts as a failure; no
    /// event brings the next try forward. No longer than [`LONGEST_RETRY`], so that one odd answer
    /// does not delay a key indefinitely.
    pub fn retry_after(&mut self, key: &K, now: Instant, class: Class, wait: Duration) {
        let wait = wait.min(LONGEST_RETRY);
        self.fail(key, now, class, wait, wait);
    }

    /// Returns `key` unchanged, to be taken later in `class`. This is not a failure. The key keeps
    /// its due time, and so does not come after all that wait in that class.
    pub fn defer(&mut self, key: &K, class: Class) {
        if let Some(ended) = self.end(key)
            && !ended.forgotten
        {
            let (class, due) = merge(ended.again, class, ended.due);
            self.wait(ended.key, class, due, ended.failures, ended.not_before);
        }
    }

    /// Handling `key` took long. Whatever adds it again, it is not taken before `floor`, so that
    /// others come first.
    pub fn hold_off(&mut self, key: &K, floor: Instant, now: Instant) {
        self.held_off.retain(|_, floor| *floor > now);
        self.held_off.insert(key.clone(), floor);
        self.move_waiting(key, |class, due| (class, due.max(floor)));
    }

    /// The object behind `key` is gone. A waiting key is dropped. If the key is in work, the
    /// outcome of the work no longer matters. An [`Self::add`] after this counts from zero.
    pub fn forget(&mut self, key: &K) {
        match self.entries.get_mut(key) {
            Some(Entry { state: State::Waiting(class, place), .. }) => {
                let (class, place) = (*class, *place);
                self.class(class).remove(&place);
                self.entries.remove(key);
            }
            Some(Entry {
                state: State::Working { again, forgotten, .. },
                failures,
                not_before,
            }) => {
                (*again, *forgotten) = (None, true);
                (*failures, *not_before) = (0, None);
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
        self.entries.get(key).map_or(0, |entry| entry.failures)
    }

    /// When [`Self::take`] will next return a key, if nothing is added: possibly in the past.
    pub fn next_due(&self) -> Option<Instant> {
        let endpoints = self.endpoints.keys().next().map(|(due, _)| *due);
        let hints = self.hints.keys().next().map(|(due, _)| match self.hints_ready_at() {
            Some(ready) => ready.max(*due),
            None => *due,
        });
        endpoints.into_iter().chain(hints).min()
    }

    /// How many keys wait, whether due or not.
    pub fn len(&self) -> usize {
        self.endpoints.len() + self.hints.len()
    }

    /// How many keys of a class wait, whether due or not.
    pub fn waiting(&self, class: Class) -> usize {
        match class {
            Class::Endpoints => self.endpoints.len(),
            Class::Hints => self.hints.len(),
        }
    }

    /// How many keys wait and are due. Counts them one by one.
    pub fn overdue(&self, now: Instant) -> usize {
        let classes = [&self.endpoints, &self.hints];
        classes.map(|class| class.range(..=(now, u64::MAX)).count()).iter().sum()
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
        let first = [&self.endpoints, &self.hints].map(|class| class.keys().next());
        let oldest = first.into_iter().flatten().map(|(due, _)| *due).min();
        oldest.map_or(Duration::ZERO, |due| now.saturating_duration_since(due))
    }

    fn fail(&mut self, key: &K, now: Instant, class: Class, wait: Duration, floor: Duration) {
        let Some(ended) = self.end(key) else { return };
        let (class, due) = match ended.again {
            None if ended.forgotten => return,
            None => (class, now + wait),
            Some((other, due)) => (class.min(other), due.max(now + floor).min(now + wait)),
        };
        let failures = ended.failures.saturating_add(1);
        self.wait(ended.key, class, due, failures, Some(now + floor));
    }

    /// Takes `key` out of work and out of the queue.
    fn end(&mut self, key: &K) -> Option<Ended<K>> {
        if !self.is_in_work(key) {
            return None;
        }
        let (key, entry) = self.entries.remove_entry(key)?;
        let State::Working { due, again, forgotten } = entry.state else { return None };
        self.in_work -= 1;
        let Entry { failures, not_before, .. } = entry;
        Some(Ended { key, due, again, forgotten, failures, not_before })
    }

    fn wait(&mut self, key: K, class: Class, due: Instant, failures: u32, floor: Option<Instant>) {
        self.arrivals += 1;
        let due = self.allowed(&key, due);
        let place = (due, self.arrivals);
        self.class(class).insert(place, key.clone());
        let state = State::Waiting(class, place);
        self.entries.insert(key, Entry { state, failures, not_before: floor });
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
        let Some(Entry { state: State::Waiting(was, place), .. }) = self.entries.get_mut(key)
        else {
            return;
        };
        let (from, old) = (*was, *place);
        let (class, due) = to(from, old.0);
        let new = (due, old.1);
        (*was, *place) = (class, new);
        if (from, old) != (class, new)
            && let Some(key) = self.class(from).remove(&old)
        {
            self.class(class).insert(new, key);
        }
    }

    fn class(&mut self, class: Class) -> &mut BTreeMap<Place, K> {
        match class {
            Class::Endpoints => &mut self.endpoints,
            Class::Hints => &mut self.hints,
        }
    }

    fn hints_ready_at(&self) -> Option<Instant> {
        self.hints_pace.as_ref()?.ready_at()
    }
}

/// What is left of a key whose work has ended.
struct Ended<K> {
    key: K,
    due: Instant,
    again: Option<(Class, Instant)>,
    forgotten: bool,
    failures: u32,
    not_before: Option<Instant>,
}

fn is_due<K>(class: &BTreeMap<Place, K>, now: Instant) -> bool {
    class.keys().next().is_some_and(|(due, _)| *due <= now)
}

/// The more urgent class and the earlier time of two entries.
fn merge(again: Option<(Class, Instant)>, class: Class, due: Instant) -> (Class, Instant) {
    again.map_or((class, due), |(other, earlier)| (other.min(class), earlier.min(due)))
}
