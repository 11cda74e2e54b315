//! Line: the waiting keys of one class, and who is next among those that are due.
//!
//! Keys that are due take turns by the time that has been spent on them: first the namespace with
//! the least, then in it the Service with the least, one that comes back before those that never
//! left, then in order of becoming due and of arrival (start-time fair queueing). So a namespace whose pods change all the time delays others no longer
//! than its own work under way. Time is counted only while others wait: as soon as no key is due, it
//! is forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    hash::Hash,
    time::Duration,
};

use foldhash::HashMap;
use tokio::time::Instant;

use crate::model::name::{Name, ServiceKey};

/// For how many groups there is room when no key is due.
const ROOM: usize = 64;

/// The position of a waiting key: when it becomes due, and its arrival.
pub(super) type Place = (Instant, u64);

/// A key that shares its time with others.
pub trait Keyed: Clone + Eq + Hash {
    /// What keys take turns by before they do so among themselves.
    type Group: Clone + Ord + Hash + Debug;

    /// Its group.
    fn group(&self) -> Self::Group;
}

impl Keyed for ServiceKey {
    type Group = Name;

    fn group(&self) -> Name {
        self.namespace.clone()
    }
}

/// The waiting keys of one class.
#[derive(Debug)]
pub(super) struct Line<K: Keyed> {
    /// Not due when last looked at.
    waiting: BTreeMap<Place, K>,
    groups: HashMap<K::Group, Group<K>>,
    /// The groups with due keys, by the time spent on them.
    order: BTreeSet<Turn<K>>,
    /// How many keys are in the groups.
    due: usize,
    /// The time spent on the group whose turn was last. One that comes back is put here.
    clock: Duration,
}

/// The turn of a group: the time spent on it, and its first key.
type Turn<K> = (Duration, Place, <K as Keyed>::Group);

/// The time spent on a key, and whether that is its own and not what others have had meanwhile.
type Spent = (Duration, bool);

/// The due keys of one group.
#[derive(Debug)]
struct Group<K> {
    /// By the time spent on each.
    keys: BTreeMap<(Spent, Place), K>,
    /// Where each is in `keys`.
    spent_at: HashMap<Place, Spent>,
    spent: Duration,
    spent_on: HashMap<K, Duration>,
    clock: Duration,
}

impl<K> Default for Group<K> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            spent_at: HashMap::default(),
            spent: Duration::ZERO,
            spent_on: HashMap::default(),
            clock: Duration::ZERO,
        }
    }
}

impl<K: Keyed> Default for Line<K> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            groups: HashMap::default(),
            order: BTreeSet::new(),
            due: 0,
            clock: Duration::ZERO,
        }
    }
}

impl<K: Keyed> Line<K> {
    /// A key waits.
    pub(super) fn insert(&mut self, place: Place, key: K) {
        self.waiting.insert(place, key);
    }

    /// The key at `place` waits no longer.
    pub(super) fn remove(&mut self, place: &Place, key: &K) -> Option<K> {
        if let Some(key) = self.waiting.remove(place) {
            return Some(key);
        }
        let name = key.group();
        self.change(&name, |group| {
            let spent = group.spent_at.remove(place)?;
            group.keys.remove(&(spent, *place))
        })
    }

    /// The next due key.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Place, K)> {
        if self.is_only_one_due(now) {
            self.forget_times();
            return self.waiting.pop_first();
        }
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            let (place, key) = first.remove_entry();
            let clock = self.clock;
            self.change(&key.group(), |group| {
                group.spent = group.spent.max(clock);
                let own = group.spent_on.get(&key).filter(|own| **own >= group.clock);
                let spent = (own.copied().unwrap_or(group.clock), own.is_some());
                group.spent_at.insert(place, spent);
                group.keys.insert((spent, place), key);
            });
        }
        let (spent, _, name) = self.order.first()?.clone();
        self.clock = self.clock.max(spent);
        let first = self.change(&name, |group| {
            let ((spent, place), key) = group.keys.pop_first()?;
            group.spent_at.remove(&place);
            group.clock = group.clock.max(spent.0);
            Some((place, key))
        });
        if self.due == 0 {
            self.forget_times();
        }
        first
    }

    /// Whether one key is due and no other, so that there are no turns.
    fn is_only_one_due(&self, now: Instant) -> bool {
        let mut waiting = self.waiting.keys();
        self.due == 0
            && waiting.next().is_some_and(|(due, _)| *due <= now)
            && waiting.next().is_none_or(|(due, _)| *due > now)
    }

    /// No key is due, so no time counts.
    fn forget_times(&mut self) {
        if self.groups.capacity() > ROOM {
            // To look for a few entries in it would cost more.
            self.groups = HashMap::default();
        }
        self.groups.clear();
        self.clock = Duration::ZERO;
    }

    /// Time was spent on a key.
    pub(super) fn charge(&mut self, key: &K, time: Duration) {
        if self.due == 0 {
            return;
        }
        let clock = self.clock;
        self.change(&key.group(), |group| {
            group.spent = group.spent.max(clock) + time;
            let floor = group.clock;
            if group.spent_on.len() > 2 * group.keys.len() + 64 {
                group.spent_on.retain(|_, spent| *spent >= floor);
            }
            let spent = group.spent_on.entry(key.clone()).or_default();
            *spent = (*spent).max(floor) + time;
        });
        if self.groups.len() > 2 * self.order.len() + 64 {
            self.groups.retain(|_, group| !group.keys.is_empty() || group.spent > clock);
        }
    }

    /// Changes a group, and puts it where it belongs in the order.
    fn change<T>(&mut self, name: &K::Group, act: impl FnOnce(&mut Group<K>) -> T) -> T {
        let group = self.groups.entry(name.clone()).or_default();
        let (turn, before) = (group.turn(), group.keys.len());
        let result = act(group);
        let (now, after) = (group.turn(), group.keys.len());
        if turn != now {
            if let Some((spent, place)) = turn {
                self.order.remove(&(spent, place, name.clone()));
            }
            self.order.extend(now.map(|(spent, place)| (spent, place, name.clone())));
        }
        self.due = self.due + after - before;
        result
    }

    /// Whether a key is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due > 0 || self.waiting.keys().next().is_some_and(|(due, _)| *due <= now)
    }

    /// When the next key is or became due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = self.order.first().map(|(_, (due, _), _)| *due);
        first.into_iter().chain(self.waiting.keys().next().map(|(due, _)| *due)).min()
    }

    /// When the key became due that has been so for longest, or else the next one. Looks at all due
    /// keys.
    pub(super) fn oldest_due(&self) -> Option<Instant> {
        let due = self.groups.values().flat_map(|group| group.spent_at.keys());
        due.chain(self.waiting.keys().next()).map(|(due, _)| *due).min()
    }

    /// How many keys wait, due or not.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.due
    }

    /// How many keys are due. Counts them one by one.
    pub(super) fn overdue(&self, now: Instant) -> usize {
        self.due + self.waiting.range(..=(now, u64::MAX)).count()
    }

    /// All keys that wait, due or not.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        let due = self.groups.values().flat_map(|group| group.keys.values());
        self.waiting.values().chain(due)
    }
}

impl<K> Group<K> {
    fn turn(&self) -> Option<(Duration, Place)> {
        let ((_, place), _) = self.keys.first_key_value()?;
        Some((self.spent, *place))
    }
}
