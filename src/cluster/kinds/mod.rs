//! Kinds: what is listed and watched. Each kind has a file here that defines what its events change
//! and which Services this affects. What all kinds have in common is in this file. When a list
//! begins, all objects of its kind are in doubt. What the list has not named when it ends is gone
//! ([`crate::model::store`]).
//!
//! To add a kind, write its [`Tracked`] in a file here, register it below, and give it a place in
//! the [`Index`].

mod node;
mod pod;
mod policy;
mod service;
mod slice;

use std::{fmt, time::Duration};

use super::{Index, island::Island};
use crate::{
    api::{Kind, Object, guard::Malformed},
    model::{
        name::{Name, ServiceKey},
        namespace::Namespace,
        node::Node,
        pod::Pod,
        policy::{ClusterLocalityPolicy, LocalityPolicy, RequestKey, ZoneEvacuation},
        service::Service,
        slice::Slice,
        store::{Store, Versioned},
    },
};

pub use self::service::ServiceChange;

/// Registers the kinds that are listed and watched, in this order.
macro_rules! register {
    ($($kind:ty),+) => {
        impl Watched {
            /// All registered kinds.
            pub const ALL: &[Self] = &[$(Self::of::<$kind>()),+];
        }

        /// Calls `visitor` for each registered kind.
        pub fn visit_kinds(visitor: &mut impl Visitor) {
            $(visitor.visit::<$kind>();)+
        }
    };
}

register!(
    Service,
    Pod,
    Node,
    Slice,
    LocalityPolicy,
    ClusterLocalityPolicy,
    ZoneEvacuation,
    Namespace
);

/// Whether a kind must be known before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing may be written before all objects of the kind are known.
    Required,
    /// The API server may not have the kind, or may not permit reading it. Until it is known, hints
    /// stay as they are (docs/planner.md 8.8).
    Optional,
    /// It is watched only from when something known refers to it.
    OnDemand,
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its namespace; empty for a kind without namespaces.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
}

impl ObjectKey {
    /// The key of this object.
    pub fn of<T>(object: &Object<T>) -> Self {
        Self { namespace: object.namespace.clone(), name: object.name.clone() }
    }
}

/// A kind that is listed and watched.
pub trait Tracked: Kind + Versioned {
    /// What the index stores of an object.
    type Record: Versioned + 'static;
    /// Where it stores it.
    const STORES: Stores<Self::Record>;
    /// Whether it must be known before anything is written.
    const NEED: Need = Need::Required;
    /// From this many known objects on, a list that lacks most of them is in doubt
    /// (docs/semantics.md 1.1).
    const MANY: usize = 100;
    /// How long a deleted object remains known because it may be created again.
    const GRACE: Duration = Duration::ZERO;

    /// The policy or evacuation that has this key, if the kind is one of these.
    fn request(_key: &ObjectKey) -> Option<RequestKey> {
        None
    }

    /// Stores an object. Returns the Services that this affects.
    fn apply(index: &mut Index, object: Object<Self>) -> Affected;

    /// Stores what can be read of an object that did not parse. Returns the Services that this
    /// affects.
    fn apply_remains(_index: &mut Index, _key: &ObjectKey, _malformed: &Malformed) -> Affected {
        Affected::None
    }

    /// Removes an object that was deleted in this version, unless a newer state of it is known.
    /// `None` means that it is gone whatever is known. Returns the Services that this affects.
    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected;
}

/// Where the objects of a kind are stored.
pub enum Stores<R: 'static> {
    /// In each namespace.
    Namespaced {
        /// To read.
        of: fn(&Island) -> &Store<R>,
        /// To write.
        of_mut: fn(&mut Island) -> &mut Store<R>,
    },
    /// Once for the cluster.
    Cluster {
        /// To read.
        of: fn(&Index) -> &Store<R>,
        /// To write.
        of_mut: fn(&mut Index) -> &mut Store<R>,
    },
}

/// Which Services a change affects, and what about them may be out of date. A change affects each
/// Service whose plan or decision reads what has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Affected {
    /// None.
    None,
    /// This Service itself has changed, in a part that its endpoints depend on.
    Service(ServiceKey),
    /// The hints of these Services are decided differently.
    Hints(Vec<ServiceKey>),
    /// An evacuation of zones begins, changes or ends for these Services.
    Evacuation(Vec<ServiceKey>),
    /// This Service itself has changed, in a part that its slices do not depend on. The built-in
    /// controller syncs it then too (docs/semantics.md 4.6).
    Unread(ServiceKey),
    /// This Service is gone.
    ServiceGone(ServiceKey),
    /// Pods of these Services have changed.
    Pods(Vec<ServiceKey>),
    /// A node has changed.
    Node(NodeChange),
    /// A slice has changed.
    Slice(SliceChange),
}

/// What an event of a node changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// Services with pods on the node, sorted, if its zone changed, or it was added or removed.
    pub services: Vec<ServiceKey>,
    /// Whether it existed before and still does: zones and hints change, and no endpoint.
    pub is_move: bool,
    /// Whether the zones' shares of CPU may have changed.
    pub shares: bool,
    /// The Services with a preference for locality, sorted, if their decisions may have changed:
    /// the zones, or the senders of traffic, have changed.
    pub preferring: Vec<ServiceKey>,
}

/// What an event of a slice changed.
#[derive(Debug, PartialEq, Eq)]
pub struct SliceChange {
    /// The Services whose managed slices it affects: the one that the slice names, and the one that
    /// it named.
    pub services: Vec<ServiceKey>,
    /// The Services of which it is or was a slice of another manager. That changes how their plans
    /// are assessed, and nothing else.
    pub assessed: Vec<ServiceKey>,
    /// Whether it is what a controller does: a new slice, or other endpoints or ports than before.
    pub is_rewritten: bool,
    /// Its name.
    pub name: Name,
    /// Its version. `None` if it is gone, or about to be removed: a slice with a
    /// `deletionTimestamp` no longer counts, whatever keeps it.
    pub version: Option<u64>,
}

/// A registered kind.
#[derive(Clone, Copy)]
pub struct Watched {
    plural: &'static str,
    need: Need,
    count: fn(&Index) -> usize,
}

impl Watched {
    /// The kind of this type.
    pub const fn of<T: Tracked>() -> Self {
        Self { plural: T::PLURAL, need: T::NEED, count: Index::count::<T> }
    }

    /// The plural in the API server's paths.
    pub fn plural(self) -> &'static str {
        self.plural
    }

    /// Whether it must be known before anything is written.
    pub fn need(self) -> Need {
        self.need
    }

    /// All kinds that are needed like this.
    pub fn all_that_are(need: Need) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |kind| kind.need == need)
    }

    /// How many objects of it are known.
    pub fn count(self, index: &Index) -> usize {
        (self.count)(index)
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.plural == other.plural
    }
}

impl Eq for Watched {}

impl std::hash::Hash for Watched {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.plural.hash(state);
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A function of each registered kind ([`visit_kinds`]).
pub trait Visitor {
    /// Runs for this kind.
    fn visit<T: Tracked>(&mut self);
}

impl Index {
    /// How many objects of a kind are known. Looks at each namespace.
    pub fn count<T: Tracked>(&self) -> usize {
        self.stores::<T>().map(|(_, store)| store.len()).sum()
    }

    /// The version in which an object is known; `None` if it is not.
    pub fn version_of<T: Tracked>(&self, key: &ObjectKey) -> Option<u64> {
        let store = match T::STORES {
            Stores::Namespaced { of, .. } => of(self.islands.get(&key.namespace)?),
            Stores::Cluster { of, .. } => of(self),
        };
        store.version_of(&key.name)
    }

    /// A list begins. What it does not name is gone when it ends.
    pub fn begin_list<T: Tracked>(&mut self) {
        match T::STORES {
            Stores::Namespaced { of_mut, .. } => {
                self.islands.values_mut().for_each(|island| of_mut(island).begin_list());
            }
            Stores::Cluster { of_mut, .. } => of_mut(self).begin_list(),
        }
    }

    /// An object was named, but could not be read. What is known of it stays.
    pub fn confirm<T: Tracked>(&mut self, key: &ObjectKey) {
        match T::STORES {
            Stores::Namespaced { of_mut, .. } => {
                self.visit(&key.namespace, |island| of_mut(island).confirm(&key.name));
            }
            Stores::Cluster { of_mut, .. } => of_mut(self).confirm(&key.name),
        }
    }

    /// What is known and the current list, or the last one, has not named, sorted. If the list is
    /// complete, it is still to be removed.
    pub fn not_named<T: Tracked>(&self) -> Vec<ObjectKey> {
        let mut gone = Vec::new();
        for (namespace, store) in self.stores::<T>() {
            let key = |name: &Name| ObjectKey { namespace: namespace.clone(), name: name.clone() };
            gone.extend(store.stale().map(key));
        }
        gone.sort_unstable();
        gone
    }

    /// The stores of a kind by namespace, which is empty for a kind without namespaces.
    fn stores<T: Tracked>(&self) -> impl Iterator<Item = (Name, &Store<T::Record>)> {
        let (namespaced, cluster) = match T::STORES {
            Stores::Namespaced { of, .. } => (Some(of), None),
            Stores::Cluster { of, .. } => (None, Some((Name::from(""), of(self)))),
        };
        let of_each = namespaced.into_iter().flat_map(|of| {
            self.islands.iter().map(move |(namespace, island)| (namespace.clone(), of(island)))
        });
        of_each.chain(cluster)
    }
}
