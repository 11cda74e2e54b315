//! Policy: what `LocalityPolicy`, `ClusterLocalityPolicy` and `ZoneEvacuation` request. What a guard
//! means is in docs/planner.md 8.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;

use super::{
    name::{Name, Uid},
    selector::Selector,
    service::Service,
    store::Versioned,
};

/// How far `releaseOverloadPercent` is above `maxOverloadPercent` if it is not given.
pub const RELEASE_ABOVE_MAX: u16 = 10;
/// `guard.hold` if it is not given.
pub const HOLD: Duration = Duration::from_secs(120);

/// The metadata of a policy or an evacuation that decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyMeta {
    /// Its name.
    pub name: Name,
    /// UID; absent only for objects in files.
    pub uid: Option<Uid>,
    /// `metadata.resourceVersion` as a number; 0 if unknown.
    pub version: u64,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `metadata.generation`: which state of the spec it is; 0 if unknown.
    pub generation: i64,
}

impl PolicyMeta {
    /// The same without the version, which changes with the status as well.
    #[must_use]
    pub fn unversioned(&self) -> Self {
        Self { version: 0, ..self.clone() }
    }
}

/// A policy, as seen from a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyRef {
    /// A `LocalityPolicy` in the Service's namespace.
    Namespaced(Name),
    /// A `ClusterLocalityPolicy`.
    Cluster(Name),
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaced(name) => write!(f, "LocalityPolicy/{name}"),
            Self::Cluster(name) => write!(f, "ClusterLocalityPolicy/{name}"),
        }
    }
}

impl PolicyRef {
    /// Its kind, namespace and name, for a Service in this namespace.
    pub fn in_full(&self, namespace: &str) -> String {
        match self {
            Self::Namespaced(name) => format!("LocalityPolicy {namespace}/{name}"),
            Self::Cluster(name) => format!("ClusterLocalityPolicy {name}"),
        }
    }
}

/// A policy or an evacuation among all of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKey {
    /// A `LocalityPolicy`.
    Policy {
        /// Its namespace.
        namespace: Name,
        /// Its name.
        name: Name,
    },
    /// A `ClusterLocalityPolicy`.
    ClusterPolicy(Name),
    /// A `ZoneEvacuation`.
    Evacuation(Name),
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy { namespace, name } => write!(f, "LocalityPolicy {namespace}/{name}"),
            Self::ClusterPolicy(name) => write!(f, "ClusterLocalityPolicy {name}"),
            Self::Evacuation(name) => write!(f, "ZoneEvacuation {name}"),
        }
    }
}

impl PolicyRef {
    /// The policy among all, where it is meant from a namespace.
    pub fn key(&self, namespace: &Name) -> RequestKey {
        match self {
            Self::Namespaced(name) => {
                RequestKey::Policy { namespace: namespace.clone(), name: name.clone() }
            }
            Self::Cluster(name) => RequestKey::ClusterPolicy(name.clone()),
        }
    }
}

/// What is read of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// All of it.
    Known(T),
    /// It has a field or a value that this version does not know, as a newer API may have. What it
    /// requests is unknown, which is not the same as nothing.
    Unknown,
    /// It has a value that is not allowed.
    Invalid,
}

/// A `LocalityPolicy`: for Services of its own namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalityPolicy {
    /// Name, age and generation.
    pub meta: PolicyMeta,
    /// Its namespace.
    pub namespace: Name,
    /// `services`: which Services. All, if that could not be read.
    pub services: ServiceFilter,
    /// What it requests.
    pub spec: Reading<PolicySpec>,
    /// The generation for which its status says that it is programmed.
    pub programmed: Option<i64>,
}

/// A `ClusterLocalityPolicy`: a default for Services of all namespaces that it selects.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterLocalityPolicy {
    /// Name, age and generation.
    pub meta: PolicyMeta,
    /// `namespaceSelector`, by the labels of the namespace; `None` for all namespaces, also if it
    /// could not be read.
    pub namespaces: Option<Selector>,
    /// `services`: which Services. All, if that could not be read.
    pub services: ServiceFilter,
    /// What it requests.
    pub spec: Reading<PolicySpec>,
    /// The generation for which its status says that it is programmed.
    pub programmed: Option<i64>,
}

/// A `ZoneEvacuation`: keeps hinted traffic out of zones for a limited time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneEvacuation {
    /// Name and age.
    pub meta: PolicyMeta,
    /// `services`: which Services of the selected namespaces. All, if that could not be read.
    pub services: ServiceFilter,
    /// `namespaceSelector`; `None` for all namespaces, also if it could not be read.
    pub namespaces: Option<Selector>,
    /// What it requests.
    pub spec: Reading<Evacuation>,
}

/// Whether it takes the labels of namespaces to say which of them this selects.
fn by_labels(namespaces: Option<&Selector>) -> bool {
    namespaces.is_some_and(|it| *it != Selector::default())
}

impl ClusterLocalityPolicy {
    /// Whether it selects by the labels of namespaces.
    pub fn reads_namespaces(&self) -> bool {
        self.counts_clients_elsewhere() || by_labels(self.namespaces.as_ref())
    }

    /// Whether its demand is the number of pods in other namespaces than the Service's.
    pub fn counts_clients_elsewhere(&self) -> bool {
        matches!(
            &self.spec,
            Reading::Known(PolicySpec {
                demand: DemandSource::Clients { namespaces: Some(_), .. },
                ..
            })
        )
    }
}

impl ZoneEvacuation {
    /// Whether it selects by the labels of namespaces.
    pub fn reads_namespaces(&self) -> bool {
        by_labels(self.namespaces.as_ref())
    }

    /// Whether it moves traffic at this time.
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        matches!(self.spec, Reading::Known(_)) && !self.is_over(at)
    }

    /// Whether it has ended at this time. One whose end is not known has not.
    pub fn is_over(&self, at: Timestamp) -> bool {
        match &self.spec {
            Reading::Known(evacuation) => evacuation.until <= at,
            Reading::Unknown | Reading::Invalid => false,
        }
    }
}

/// What a `ZoneEvacuation` requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evacuation {
    /// The zones, 1 to 7.
    pub zones: Vec<Name>,
    /// When it ends.
    pub until: Timestamp,
    /// Why, in the words of its creator.
    pub reason: Option<Name>,
}

/// What a policy requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicySpec {
    /// `mode`.
    pub mode: Mode,
    /// `prefer`; `None` for what the Service itself requests, empty for nothing.
    pub prefer: Option<Vec<Key>>,
    /// `guard`; `None` for none.
    pub guard: Option<Guard>,
    /// `demand`.
    pub demand: DemandSource,
    /// `rollout.zones`: the only zones that are kept local so far; `None` for all.
    pub rollout: Option<Vec<Name>>,
}

/// Which Services a policy or an evacuation is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServiceFilter {
    /// Every one.
    #[default]
    All,
    /// Those with these names.
    Names(Vec<Name>),
    /// Those whose labels match.
    Selector(Selector),
}

impl ServiceFilter {
    /// Whether it is for a Service.
    pub fn selects(&self, service: &Service) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.contains(&service.key.name),
            Self::Selector(selector) => selector.selects(&service.labels),
        }
    }
}

/// Whether a policy is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It decides the hints.
    #[default]
    Enforce,
    /// What it would decide is only reported.
    Shadow,
}

/// An entry of `prefer`: what clients and endpoints should share, from fine to coarse.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The node.
    Node,
    /// The zone.
    Zone,
    /// The region.
    Region,
    /// The value of this node label, which is coarser than a zone.
    Label(Name),
}

impl Key {
    /// As it is written in `prefer`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Node => "Node",
            Self::Zone => "Zone",
            Self::Region => "Region",
            Self::Label(key) => key,
        }
    }
}

/// A limit on how unevenly traffic may be distributed (docs/planner.md 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// `maxOverloadPercent`: how far a new plan may load an endpoint above the even share.
    pub max_overload: u16,
    /// `releaseOverloadPercent`: above this, a plan in force is given up. At least `max_overload`.
    pub release_overload: u16,
    /// `minEndpointsPerZone`: with fewer, a zone is not kept local; 0 for no minimum.
    pub min_per_zone: u32,
    /// `hold`: how long a wide plan stands before a narrower one.
    pub hold: Duration,
}

impl Guard {
    /// A guard with the defaults for everything but the maximum.
    pub fn with_max(max_overload: u16) -> Self {
        let release_overload = max_overload.saturating_add(RELEASE_ABOVE_MAX);
        Self { max_overload, release_overload, min_per_zone: 0, hold: HOLD }
    }
}

/// What each zone is assumed to send (docs/planner.md 5).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum DemandSource {
    /// The same.
    #[default]
    Equal,
    /// In proportion to its nodes.
    Nodes,
    /// In proportion to the allocatable CPU of its nodes.
    Cpu,
    /// In proportion to the ready pods that match.
    Clients {
        /// `clientSelector`.
        pods: Selector,
        /// `clientNamespaceSelector`; `None` for the Service's namespace.
        namespaces: Option<Selector>,
    },
    /// In these proportions.
    Shares(BTreeMap<Name, f64>),
}

impl Versioned for LocalityPolicy {
    fn version(&self) -> u64 {
        self.meta.version
    }
}

impl Versioned for ClusterLocalityPolicy {
    fn version(&self) -> u64 {
        self.meta.version
    }
}

impl Versioned for ZoneEvacuation {
    fn version(&self) -> u64 {
        self.meta.version
    }
}
