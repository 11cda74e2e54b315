//! Label: selectors and names in the schema. The API server does not check label selectors of custom
//! resources by itself, so the rules of `metav1.LabelSelector` are repeated here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{Rule, rules};
use crate::api::policy::limits;

/// A key of a label, as a part of a rule (`IsQualifiedName` of apimachinery).
macro_rules! is_key {
    ($key:literal) => {
        concat!(
            $key,
            ".indexOf('/') <= 253 && ",
            $key,
            ".matches('",
            r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?",
            r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
            "')"
        )
    };
}
/// A value of a label that is not empty, as a part of a rule (`IsValidLabelValue` of apimachinery).
macro_rules! is_value {
    ($value:literal) => {
        concat!($value, ".matches('^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')")
    };
}

pub(super) const KEY: Rule =
    Rule::new(is_key!("self"), "is not the key of a label; write it like app or example.com/app");
const KEYS: Rule = Rule::new(
    concat!("self.all(key, ", is_key!("key"), ")"),
    "has a key that is not the key of a label; write it like app or example.com/app",
);
const VALUE: Rule = Rule::new(
    concat!("self == '' || ", is_value!("self")),
    "is not the value of a label: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends; correct it",
);
const ZONE: Rule = Rule::new(
    is_value!("self"),
    "cannot be a zone; write the value of the label topology.kubernetes.io/zone",
);
/// The keys of a map by zone.
pub(super) const ZONES: Rule = Rule::new(
    concat!("self.all(zone, ", is_value!("zone"), ")"),
    "has a key that cannot be a zone; write the value of the label topology.kubernetes.io/zone",
);
/// A DNS label (RFC 1123), which Services may have as a name in every supported version.
const SERVICE_NAME: Rule = Rule::new(
    "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    "cannot be the name of a Service; correct it",
);
const COMPARES: Rule = Rule::new(
    "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
    "In and NotIn compare with at least one value",
)
.missing(".values");
const COMPARES_NOT: Rule = Rule::new(
    "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
    "is given with an operator that compares with none; leave it out",
)
.at(".values");

/// The name of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("x-kubernetes-validations" = rules(&[ZONE])))]
pub struct Zone(#[schemars(length(max = limits::LABEL))] pub String);

/// The name of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("x-kubernetes-validations" = rules(&[SERVICE_NAME])))]
pub struct ServiceName(#[schemars(length(max = limits::LABEL))] pub String);

/// The value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("x-kubernetes-validations" = rules(&[VALUE])))]
pub struct LabelValue(#[schemars(length(max = limits::LABEL))] pub String);

/// The key of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("x-kubernetes-validations" = rules(&[KEY])))]
pub struct LabelKey(#[schemars(length(max = limits::KEY))] pub String);

/// A label selector. An empty one selects everything.
// As in `metav1.LabelSelector`, a server-side apply replaces it as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Labels that must be there, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = limits::MATCH_LABELS))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[KEYS])))]
    pub match_labels: BTreeMap<String, LabelValue>,
    /// Requirements, all of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::MATCH_EXPRESSIONS))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement for the value of one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[COMPARES, COMPARES_NOT])))]
pub struct Requirement {
    /// The key of the label.
    pub key: LabelKey,
    /// `In` and `NotIn` compare the value of the label with `values`. `Exists` and `DoesNotExist` do
    /// not look at the value.
    pub operator: Operator,
    /// The values for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::VALUES), extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<LabelValue>,
}

/// What must hold for a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Operator {
    /// It is there with one of the values.
    In,
    /// It is absent, or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}
