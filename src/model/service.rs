//! Service: the parts of it that decide its slices.

use jiff::Timestamp;

use super::{
    address::AddressType,
    labels::Labels,
    name::{Name, ServiceKey, Uid},
    store::Versioned,
};

/// A Service, as far as its slices depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub key: ServiceKey,
    /// UID; absent only for objects in files.
    pub uid: Option<Uid>,
    /// `metadata.resourceVersion` as a number; 0 if unknown.
    pub version: u64,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// Whether it has a deletionTimestamp: nothing is created for it any more.
    pub terminating: bool,
    /// Its labels, copied to its slices.
    pub labels: Labels,
    /// Which pods it selects; `None` if no pod (an empty selector is none, docs/semantics.md 2).
    pub selector: Option<Labels>,
    /// Its ports, in order.
    pub ports: Vec<ServicePort>,
    /// `spec.type` is `ExternalName`.
    pub external_name: bool,
    /// `spec.clusterIP`.
    pub cluster_ip: ClusterIp,
    /// `spec.ipFamilies`, in order; empty if not given.
    pub families: Vec<AddressType>,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// `spec.trafficDistribution`; `None` if it is absent or has a value that is not known.
    pub traffic_distribution: Option<TrafficDistribution>,
    /// Whether the legacy annotation asks for hints by CPU share (docs/semantics.md 5.1).
    pub auto: bool,
    /// The annotation [`POLICY`]: which policy is for it. `None` for the one that selects it.
    pub policy: Option<PolicyChoice>,
    /// `spec.internalTrafficPolicy` is `Local`.
    pub internal_local: bool,
    /// `spec.externalTrafficPolicy` is `Local`.
    pub external_local: bool,
}

impl Versioned for Service {
    fn version(&self) -> u64 {
        self.version
    }
}

/// The annotation that names the policy of a Service, or `none`.
pub const POLICY: &str = "closehaul.io/policy";
/// The value of [`POLICY`] that exempts a Service from policies.
const OPT_OUT: &str = "none";
/// What comes before the name of a `ClusterLocalityPolicy` in [`POLICY`].
const CLUSTER_PREFIX: &str = "cluster/";

/// A value of the annotation [`POLICY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChoice {
    /// `none`.
    OptOut,
    /// The name of a `LocalityPolicy` in the namespace of the Service.
    Namespaced(Name),
    /// The name of a `ClusterLocalityPolicy`, after `cluster/`.
    Cluster(Name),
}

impl PolicyChoice {
    /// Reads a value. Any text is the name of a policy, which may not exist.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix(CLUSTER_PREFIX) {
            _ if text == OPT_OUT => Self::OptOut,
            Some(name) => Self::Cluster(name.into()),
            None => Self::Namespaced(text.into()),
        }
    }
}

/// The known values of `spec.trafficDistribution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrafficDistribution {
    /// The older name of `PreferSameZone`.
    PreferClose,
    /// Endpoints in the client's zone, if there are any.
    PreferSameZone,
    /// Endpoints on the client's node, then those in its zone.
    PreferSameNode,
}

impl TrafficDistribution {
    /// All of them.
    const ALL: [Self; 3] = [Self::PreferSameZone, Self::PreferSameNode, Self::PreferClose];
    /// All of them, as they are written in a Service.
    pub const NAMES: [&str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].as_str();
            at += 1;
        }
        names
    };

    /// Reads a value; `None` if it is not known.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }

    /// The value as it is written in a Service.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreferClose => "PreferClose",
            Self::PreferSameZone => "PreferSameZone",
            Self::PreferSameNode => "PreferSameNode",
        }
    }
}

/// `spec.clusterIP` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterIp {
    /// `None`: a headless Service.
    Headless,
    /// Not given yet.
    Empty,
    /// An address of this family.
    Of(AddressType),
}

/// One of a Service's ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty if it has none.
    pub name: Name,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Name,
    /// The port number of the Service.
    pub number: i32,
    /// Where it leads.
    pub target: TargetPort,
    /// `appProtocol`, copied to the slices.
    pub app_protocol: Option<Name>,
}

/// Where a Service port leads on the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// A number.
    Number(i32),
    /// The name of a container's port.
    Named(Name),
}

impl Service {
    /// Whether closehaul writes slices for it: it selects pods and is no alias
    /// (docs/semantics.md 1.6).
    pub fn is_served(&self) -> bool {
        self.selector.is_some() && !self.external_name
    }

    /// Whether it counts as headless for the slices' label: without a cluster IP
    /// (docs/semantics.md 2).
    pub fn is_headless(&self) -> bool {
        !matches!(self.cluster_ip, ClusterIp::Of(_))
    }

    /// The address types for which it has slices (docs/semantics.md 2, dual stack).
    pub fn address_types(&self) -> Vec<AddressType> {
        let mut types = Vec::new();
        for family in &self.families {
            if !types.contains(family) {
                types.push(*family);
            }
        }
        if types.is_empty() {
            match self.cluster_ip {
                ClusterIp::Of(family) => types.push(family),
                ClusterIp::Headless | ClusterIp::Empty => {
                    types.extend([AddressType::IPv4, AddressType::IPv6]);
                }
            }
        }
        types
    }
}
