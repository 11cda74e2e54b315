//! Store: the objects of one kind by name, as lists and watches show them.
//!
//! Mark and sweep: a list that begins marks all objects stale. Each object that it names is fresh
//! again, and what is still stale when it ends is gone. The one rule for outdated versions is here
//! too: different API servers may answer in turn, so a state older than the known one is skipped.

use std::collections::hash_map::Entry;

use foldhash::HashMap;
use slab::Slab;

use super::name::Name;

/// The number of an object in its store. Another object may have it when this one is gone.
pub type Id = usize;

/// What has a version.
pub trait Versioned {
    /// `metadata.resourceVersion` as a number; 0 if unknown.
    fn version(&self) -> u64;
}

impl<T: Versioned> Versioned for Box<T> {
    fn version(&self) -> u64 {
        (**self).version()
    }
}

/// Objects of one kind, and of one namespace if the kind is namespaced.
#[derive(Clone, Debug)]
pub struct Store<T> {
    held: Slab<Held<T>>,
    ids: HashMap<Name, Id>,
}

#[derive(Clone, Debug)]
struct Held<T> {
    object: T,
    mark: Mark,
}

/// What a list has shown of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// No list is under way, or it has named the object.
    Fresh,
    /// The list under way has not named it yet.
    Stale,
    /// The last list named it in a state that could not be read.
    Unread,
}

/// Whether a state of an object is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A newer state is known.
    Outdated,
    /// No object of this name is known.
    New,
    /// It replaces the object of this number.
    Known(Id),
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { held: Slab::new(), ids: HashMap::default() }
    }
}

impl<T> FromIterator<(Name, T)> for Store<T> {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(objects: I) -> Self {
        let mut store = Self::default();
        for (name, object) in objects {
            store.insert(name, object);
        }
        store
    }
}

impl<T> Store<T> {
    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// All objects, in any order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.held.iter().map(|(_, held)| &held.object)
    }

    /// All objects, in any order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.held.iter_mut().map(|(_, held)| &mut held.object)
    }

    /// The number of an object.
    pub fn id(&self, name: &str) -> Option<Id> {
        self.ids.get(name).copied()
    }

    /// An object.
    pub fn get(&self, name: &str) -> Option<&T> {
        Some(self.at(self.id(name)?))
    }

    /// An object.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        Some(&mut self.held[*self.ids.get(name)?].object)
    }

    /// The object of a number, which must be there.
    pub fn at(&self, id: Id) -> &T {
        &self.held[id].object
    }

    /// The object of a number, which must be there.
    pub fn at_mut(&mut self, id: Id) -> &mut T {
        &mut self.held[id].object
    }

    /// Stores an object in place of the one of this name, if there is one.
    pub fn insert(&mut self, name: Name, object: T) -> Id {
        match self.ids.entry(name) {
            Entry::Occupied(known) => {
                self.held[*known.get()].object = object;
                *known.get()
            }
            Entry::Vacant(place) => {
                *place.insert(self.held.insert(Held { object, mark: Mark::Fresh }))
            }
        }
    }

    /// A list begins: what it does not name is gone when it ends.
    pub fn begin_list(&mut self) {
        self.held.iter_mut().for_each(|(_, held)| held.mark = Mark::Stale);
    }

    /// A list named this object in a state that could not be read. The known state remains, and the
    /// next one is stored whatever its version, as that of the list would have been.
    pub fn confirm(&mut self, name: &str) {
        if let Some(id) = self.id(name)
            && self.held[id].mark == Mark::Stale
        {
            self.held[id].mark = Mark::Unread;
        }
    }

    /// What the list that ends has not named, in any order.
    pub fn stale(&self) -> impl Iterator<Item = &Name> {
        self.ids.iter().filter(|(_, id)| self.held[**id].mark == Mark::Stale).map(|(name, _)| name)
    }
}

impl<T: Versioned> Store<T> {
    /// The version in which an object is known; `None` if there is none, or if its last state
    /// could not be read.
    pub fn version_of(&self, name: &str) -> Option<u64> {
        let held = &self.held[self.id(name)?];
        (held.mark != Mark::Unread).then(|| held.object.version())
    }

    /// Whether to store a state of this version. A state older than the known one is skipped,
    /// unless a list names it. Lists are consistent reads, so an older version in one means that
    /// the API server's data was restored from a backup, and only the list is true.
    pub fn admit(&mut self, name: &str, version: u64) -> Admission {
        let Some(id) = self.id(name) else { return Admission::New };
        let Held { object, mark } = &mut self.held[id];
        let was = std::mem::replace(mark, Mark::Fresh);
        if was == Mark::Fresh && version < object.version() {
            return Admission::Outdated;
        }
        Admission::Known(id)
    }

    /// Removes an object that was deleted in this version, unless a newer state is known. Without a
    /// version, it is removed whatever is known.
    pub fn remove(&mut self, name: &str, version: Option<u64>) -> Option<(Id, T)> {
        let known = self.version_of(name).unwrap_or_default();
        if version.is_some_and(|version| version < known) {
            return None;
        }
        let id = self.ids.remove(name)?;
        Some((id, self.held.remove(id).object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Thing(u64);

    impl Versioned for Thing {
        fn version(&self) -> u64 {
            self.0
        }
    }

    fn store() -> Store<Thing> {
        let mut store = Store::default();
        store.insert("a".into(), Thing(5));
        store.insert("b".into(), Thing(6));
        store
    }

    fn stale(store: &Store<Thing>) -> Vec<&str> {
        let mut names: Vec<&str> = store.stale().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn an_older_state_is_skipped_unless_a_list_names_it() {
        let mut store = store();
        assert_eq!(store.admit("a", 4), Admission::Outdated);
        assert_eq!(store.admit("a", 5), Admission::Known(0));
        assert_eq!(store.admit("c", 1), Admission::New);
        store.begin_list();
        assert_eq!(store.admit("a", 4), Admission::Known(0), "by a list");
        assert_eq!(store.admit("a", 4), Admission::Outdated, "by the watch behind it");
    }

    #[test]
    fn what_a_list_does_not_name_is_stale() {
        let mut store = store();
        assert!(stale(&store).is_empty());
        store.begin_list();
        store.admit("b", 6);
        store.insert("c".into(), Thing(7));
        assert_eq!(stale(&store), ["a"]);
        store.begin_list();
        assert_eq!(stale(&store), ["a", "b", "c"], "the list began once more");
    }

    #[test]
    fn what_a_list_names_unreadably_stays_and_takes_any_version() {
        let mut store = store();
        store.confirm("a");
        assert_eq!(store.version_of("a"), Some(5), "no list");
        store.begin_list();
        store.confirm("a");
        assert_eq!((stale(&store), store.version_of("a")), (vec!["b"], None));
        assert_eq!(store.admit("a", 1), Admission::Known(0));
        *store.at_mut(0) = Thing(1);
        assert_eq!((store.version_of("a"), store.admit("a", 0)), (Some(1), Admission::Outdated));
    }

    #[test]
    fn a_deletion_that_is_older_than_the_known_state_is_skipped() {
        let mut store = store();
        assert_eq!(store.remove("a", Some(4)), None);
        assert_eq!(store.remove("a", Some(5)), Some((0, Thing(5))));
        assert_eq!(store.remove("b", None), Some((1, Thing(6))));
        assert_eq!((store.remove("b", None), store.is_empty()), (None, true));
    }
}
