//! Spec: what a policy requests. What the fields mean is in docs/policies.md, and what follows from
//! them in docs/planner.md 8, 9.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    demand::Demand,
    label::{KEY, LabelSelector, ServiceName, Zone},
    rule::{Rule, rules},
    status::LocalityPolicyStatus,
};
use crate::api::policy::limits;

const ONE_FILTER: Rule = Rule::new(
    "!(has(self.names) && has(self.selector))",
    "has names and a selector; give one of them",
);
const SOME_FILTER: Rule = Rule::new(
    "has(self.names) || has(self.selector)",
    "is empty; give names or a selector, or leave `services` out for every Service",
);
/// What has a word of its own must be written by it.
const WORD: Rule = Rule::new(
    "self in ['Node', 'Zone', 'Region'] || !(self.lowerAscii() in ['node', 'zone', 'region'] \
     || self in ['kubernetes.io/hostname', 'topology.kubernetes.io/zone', \
     'topology.kubernetes.io/region'])",
    "is another word for the node, the zone or the region; write `Node`, `Zone` or `Region`",
);
/// Words of newer versions begin like the known ones, and keys of labels hardly ever do.
const KNOWN: Rule = Rule::new(
    "self.lowerAscii() in ['node', 'zone', 'region'] || self.contains('/') \
     || !self.matches('^[A-Z]')",
    "is an unknown value; expected Node, Zone, Region, or the key of a node label coarser than a \
     zone",
);
const ONCE: Rule = Rule::new(
    "self.all(key, self.exists_one(other, other == key))",
    "has a value twice; leave one out",
);
/// A label and the region may be in either order: which one is coarser is not known.
const FINEST_FIRST: Rule = Rule::new(
    "self.indexOf('Node') < 1 && (self.indexOf('Zone') < 1 \
     || (self.indexOf('Zone') == 1 && self[0] == 'Node'))",
    "has a value that is finer than what is before it; write the finest first",
);
const RELEASE: Rule = Rule::new(
    "!has(self.releaseOverloadPercent) \
     || self.releaseOverloadPercent >= self.maxOverloadPercent",
    "is less than maxOverloadPercent; give at least that",
)
.at(".releaseOverloadPercent");
/// A duration as Go writes it (`metav1.Duration`) that is not negative, as a part of a rule.
macro_rules! is_duration {
    () => {
        "self.matches('^[+]?(0|(([0-9]+[.]?[0-9]*|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$')"
    };
}
const DURATION: Rule =
    Rule::new(is_duration!(), "is not a duration; write it like 30s, 2m or 1m30s");
const AT_MOST_AN_HOUR: Rule = Rule::new(
    concat!("!", is_duration!(), " || duration(self) <= duration('1h')"),
    "is more than an hour; give at most 1h",
);

/// What a `LocalityPolicy` requests.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "closehaul.io",
    version = "v1alpha1",
    kind = "LocalityPolicy",
    plural = "localitypolicies",
    namespaced,
    shortname = "locpol",
    category = "closehaul",
    status = "LocalityPolicyStatus",
    derive = "PartialEq",
    doc = "A LocalityPolicy says how near the traffic of Services of its namespace stays. It wins over a ClusterLocalityPolicy.",
    validation = Rule::new("!has(self.spec.demand) || !has(self.spec.demand.clientNamespaceSelector)")
        .message("is for a ClusterLocalityPolicy only; leave it out: the clients are in the policy's namespace")
        .field_path(".spec.demand.clientNamespaceSelector")
)]
#[serde(rename_all = "camelCase")]
pub struct LocalityPolicySpec {
    /// The Services that the policy is for. If omitted, all Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceFilter>,
    /// Enforce writes what the policy decides. Shadow only reports it.
    #[serde(default)]
    pub mode: Mode,
    /// What clients and endpoints should share, the finest first: Node, Zone, Region, or the key of a
    /// node label that is coarser than a zone. Node implies Zone. If omitted, what the Service itself
    /// requests (`spec.trafficDistribution`). An empty list requests nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::PREFER), extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[ONCE, FINEST_FIRST])))]
    pub prefer: Option<Vec<Preferred>>,
    /// A limit on how unevenly traffic may be distributed. If omitted, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// What each zone is assumed to send. If omitted, all zones send the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// The zones that are kept local so far. If omitted, all zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// What a `ClusterLocalityPolicy` requests.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "closehaul.io",
    version = "v1alpha1",
    kind = "ClusterLocalityPolicy",
    plural = "clusterlocalitypolicies",
    shortname = "clocpol",
    category = "closehaul",
    status = "LocalityPolicyStatus",
    derive = "PartialEq",
    doc = "A ClusterLocalityPolicy says how near the traffic of Services stays that no LocalityPolicy is for."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterLocalityPolicySpec {
    /// The namespaces whose Services the policy is for, by their labels. If omitted, all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// The rest is the same in both kinds.
    #[serde(flatten)]
    pub policy: LocalityPolicySpec,
}

/// Which Services a policy or an evacuation is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[ONE_FILTER, SOME_FILTER])))]
pub struct ServiceFilter {
    /// The names of the Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = limits::NAMES), extend("x-kubernetes-list-type" = "set"))]
    pub names: Option<Vec<ServiceName>>,
    /// The labels of the Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// An entry of `prefer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("x-kubernetes-validations" = rules(&[WORD, KNOWN, KEY])))]
pub struct Preferred(#[schemars(length(max = limits::KEY))] pub String);

/// Whether a policy is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Mode {
    /// What it decides is written.
    #[default]
    Enforce,
    /// What it would decide is only reported.
    Shadow,
}

/// A limit on how unevenly traffic may be distributed (docs/planner.md 8.1, 8.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[RELEASE])))]
pub struct Guard {
    /// No endpoint may get more than this above the even share, in percent.
    #[schemars(range(max = limits::MAX_OVERLOAD))]
    pub max_overload_percent: u16,
    /// What is in force is given up only above this, in percent. If omitted, 10 more than
    /// `maxOverloadPercent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = u16::MAX))]
    pub release_overload_percent: Option<u16>,
    /// A zone with fewer ready endpoints of its own is not kept local. 0 is no minimum.
    #[serde(default)]
    #[schemars(range(max = u32::MAX))]
    pub min_endpoints_per_zone: u32,
    /// How long a plan stands before a narrower one replaces it: 0 to 1h.
    #[serde(default = "hold")]
    #[schemars(length(max = limits::DURATION))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[DURATION, AT_MOST_AN_HOUR])))]
    pub hold: String,
}

fn hold() -> String {
    "2m".to_owned()
}

/// How far a policy is rolled out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// The only zones that are kept local so far.
    #[schemars(length(min = 1, max = limits::ROLLOUT_ZONES))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub zones: Vec<Zone>,
}
