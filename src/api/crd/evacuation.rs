//! Evacuation: what a `ZoneEvacuation` requests (docs/planner.md 8.7).

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    label::{LabelSelector, Zone},
    rule::{Rule, rules},
    spec::ServiceFilter,
    status::ZoneEvacuationStatus,
};
use crate::api::policy::limits;

/// RFC 3339, as written in upper case; the format `date-time` of the API server allows more. The
/// second part finds days that the month does not have.
const TIME: Rule = Rule::new(
    "self.matches('^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}\
     T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?\
     (Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$') && timestamp(self) > timestamp('1969-01-01T00:00:00Z')",
    "is not an RFC 3339 time from 1970 to 2999; write it like 2026-01-02T03:04:05Z",
);

/// What a `ZoneEvacuation` requests.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "closehaul.io",
    version = "v1alpha1",
    kind = "ZoneEvacuation",
    plural = "zoneevacuations",
    shortname = "zevac",
    category = "closehaul",
    status = "ZoneEvacuationStatus",
    derive = "PartialEq",
    doc = "A ZoneEvacuation keeps the traffic of Services out of zones for a limited time. It wins over every policy."
)]
#[serde(rename_all = "camelCase")]
pub struct ZoneEvacuationSpec {
    /// The zones to evacuate: values of the label topology.kubernetes.io/zone.
    #[schemars(length(min = 1, max = limits::EVACUATED_ZONES))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub zones: Vec<Zone>,
    /// When the evacuation ends: an RFC 3339 time such as 2026-01-02T03:04:05Z.
    #[schemars(length(max = limits::TIME))]
    #[schemars(extend("x-kubernetes-validations" = rules(&[TIME])))]
    pub until: String,
    /// The Services to move. If omitted, all Services of the selected namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceFilter>,
    /// The namespaces of the Services, by their labels. If omitted, all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Why, for those who find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::REASON))]
    pub reason: Option<String>,
}
