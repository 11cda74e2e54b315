//! Reason: the words for what becomes of a Service's preference for locality, and why. They are the
//! same everywhere (docs/planner.md 7), and docs/plan.md explains each of them.

use std::fmt;

/// What becomes of a Service's preference for locality, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Locality is requested, but some reader does not follow the hints.
    Ineffective,
    /// Locality is requested, and no endpoint is ready.
    Empty,
    /// Hints are in force, but the clients of some zone go beyond it.
    Partial,
    /// A policy is only rehearsed: what it would decide is reported, and not written.
    Shadow,
    /// Hints are in force, and the clients of all zones stay there.
    Applied,
    /// Locality is not requested.
    None,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ineffective, Self::Empty, Self::Partial, Self::Shadow, Self::Applied, Self::None];
}

/// Defines the closed list of reasons.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why, from a closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+
                }
            }
        }
    };
}

reasons! {
    /// Every zone is kept local.
    Applied,
    /// No locality is requested.
    NoPreference,
    /// The Service's annotation or its policy says that nothing is requested.
    OptedOut,
    /// A policy in mode `Shadow` is only reported.
    Shadow,
    /// All nodes are in one zone.
    SingleZone,
    /// A zone has fewer ready endpoints than the guard requires, or there are fewer than zones.
    TooFewInZone,
    /// A zone that sends has no ready endpoint of its own.
    ZoneEmpty,
    /// Endpoints would be overloaded beyond the limit of the guard or of the legacy annotation.
    OverloadExceeded,
    /// Endpoints of other zones serve a zone instead of their own.
    Lent,
    /// Endpoints of other zones serve a zone besides their own.
    Widened,
    /// A zone is evacuated.
    Evacuated,
    /// A zone is not kept local yet.
    RolloutPending,
    /// A better plan waits until the hints in force have stood long enough.
    Held,
    /// An endpoint would need more names than it may have.
    TooManyZones,
    /// A ready endpoint has no zone, so readers ignore the zones of all endpoints.
    EndpointWithoutZone,
    /// A pod's node is not known.
    NodeMissing,
    /// A pod has an address that slices must not contain.
    AddressNotAllowed,
    /// A node has no zone label.
    NodeWithoutZoneLabel,
    /// A slice of another manager has ready endpoints without the requested hints.
    ForeignSliceWithoutHints,
    /// Another client repeatedly overwrites the slices.
    OverwrittenByOtherController,
    /// The Service's traffic policy is `Local`, which ignores hints.
    TrafficPolicyLocal,
    /// The Service has no cluster IP, so no proxy sees it.
    Headless,
    /// The Service is left to another proxy by a label, so kube-proxy does not see it.
    HiddenFromProxy,
    /// A proxy other than kube-proxy does not read the hints.
    ProxyIgnoresHints,
    /// The Service is an alias.
    ExternalName,
    /// The Service selects no pods; its slices belong to another controller.
    NoSelector,
    /// Only the annotation `service.kubernetes.io/topology-mode: Auto` counts.
    LegacyAnnotationWins,
    /// The selector matches no pod.
    NoMatchingPods,
    /// No pod declares the port that a target port names.
    NoSuchPort,
    /// No pod has an address of this family.
    NoAddressInFamily,
    /// No endpoint is ready.
    NothingReady,
    /// Two policies of the same rank are for the Service, and one of them decides.
    Conflicted,
    /// What the policy requests, or whether it is for the Service, is not known.
    PolicyUnknown,
    /// The annotation names a policy that does not exist.
    PolicyNotFound,
    /// The policy that would decide is invalid.
    PolicyInvalid,
    /// The API server rejects a slice as invalid, so it differs from the plan.
    WriteRefused,
    /// Another controller writes the slices, and no admission policy would keep other hints in them.
    OutsideAdmission,
}

/// The word for it, the same everywhere.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The word for it, the same everywhere.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
