//! Status: what the controller reports in the status of policies and evacuations.
//!
//! Only the controller writes it. What it writes must fit the definitions of an older or newer
//! version, too: words of closed lists, such as a state or a reason, are plain strings here, and
//! nothing but a condition's fields is required.
//!
//! Lists are written even if they are empty, so that a merge patch clears what was there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The most entries of `items`.
pub const MAX_ITEMS: usize = 50;
/// The most reasons of an entry of `items`.
pub const MAX_REASONS: usize = 16;
/// The most characters of a condition's message.
pub const MAX_MESSAGE: usize = 32_768;

/// What became of a `LocalityPolicy` or a `ClusterLocalityPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalityPolicyStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted: the policy is valid, and its selectors are within the limits. Programmed: every
    /// selected Service is written, or needs no write. Effective: no selected Service is Ineffective.
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map"))]
    #[schemars(extend("x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many Services the policy selects, by state.
    pub services: ServiceCounts,
    /// The selected Services, the worst first. At most 50 are listed.
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub items: Vec<ServiceStatus>,
}

/// How many Services a policy selects, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceCounts {
    /// Services that the policy selects and decides for, or would decide for.
    pub selected: u32,
    /// Services with hints in force for all zones.
    pub applied: u32,
    /// Services with hints in force that some zone goes beyond.
    pub partial: u32,
    /// Services for which the policy is only reported.
    pub shadow: u32,
    /// Services whose hints some reader does not follow.
    pub ineffective: u32,
    /// Services without a ready endpoint.
    pub empty: u32,
    /// Services that an older policy of the same rank decides for.
    pub conflicted: u32,
}

/// A Service that a policy selects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// The Service's namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The Service's name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The state: Applied, Partial, Shadow, Ineffective, Empty or None.
    #[schemars(length(max = 63))]
    pub state: String,
    /// The reasons for the state, the most important first.
    #[schemars(length(max = 16), inner(length(max = 63)))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub reasons: Vec<String>,
    /// The share of the traffic that stays in its zone, in percent. Absent if nothing is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub in_zone_share: Option<u32>,
    /// How far the most loaded endpoint is above the even share, in percent. Absent if nothing is
    /// ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<u32>,
}

/// What became of a `ZoneEvacuation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneEvacuationStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Active: `until` is ahead. Complete: no hint sends traffic to an evacuated endpoint. If it is
    /// False, the message names the Services that hints cannot move.
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map"))]
    #[schemars(extend("x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many Services have endpoints in the evacuated zones.
    pub services: u32,
    /// How many endpoints are evacuated.
    pub endpoints: u32,
}

/// A condition, as all APIs have them (`metav1.Condition`, KEP-1623).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The type of the condition, such as Accepted.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub type_: String,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// The generation of the spec that the condition is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When the status of the condition last changed.
    #[schemars(schema_with = "time")]
    pub last_transition_time: Time,
    /// Why, as one word in CamelCase.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    )]
    pub reason: String,
    /// Why, in words. May be empty.
    #[schemars(length(max = 32_768))]
    pub message: String,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known whether it holds.
    Unknown,
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the API server stores it, and `kubectl` and the printer columns read it.
    #[test]
    fn statuses_in_json() {
        let condition = Condition {
            type_: "Accepted".to_owned(),
            status: ConditionStatus::True,
            observed_generation: Some(3),
            last_transition_time: Time("2026-01-02T03:04:05Z".parse().unwrap()),
            reason: "Accepted".to_owned(),
            message: String::new(),
        };
        let conditions = json!([{"type": "Accepted", "status": "True", "observedGeneration": 3,
            "lastTransitionTime": "2026-01-02T03:04:05Z", "reason": "Accepted", "message": ""}]);
        let item = ServiceStatus {
            namespace: "shop".to_owned(),
            name: "cart".to_owned(),
            state: "Partial".to_owned(),
            reasons: vec!["Widened".to_owned()],
            in_zone_share: Some(73),
            overload: None,
        };
        let status = LocalityPolicyStatus {
            observed_generation: Some(3),
            conditions: vec![condition.clone()],
            services: ServiceCounts { selected: 1, partial: 1, ..ServiceCounts::default() },
            items: vec![item],
        };
        let written = json!({
            "observedGeneration": 3,
            "conditions": conditions,
            "services": {"selected": 1, "applied": 0, "partial": 1, "shadow": 0, "ineffective": 0,
                         "empty": 0, "conflicted": 0},
            "items": [{"namespace": "shop", "name": "cart", "state": "Partial",
                       "reasons": ["Widened"], "inZoneShare": 73}]});
        assert_eq!(serde_json::to_value(&status).unwrap(), written);
        assert_eq!(serde_json::from_value::<LocalityPolicyStatus>(written).unwrap(), status);

        let status =
            ZoneEvacuationStatus { conditions: vec![condition], services: 2, ..Default::default() };
        let written = json!({"conditions": conditions, "services": 2, "endpoints": 0});
        assert_eq!(serde_json::to_value(&status).unwrap(), written);
        // An older controller has written less.
        let older = json!({"conditions": conditions, "services": 2});
        assert_eq!(serde_json::from_value::<ZoneEvacuationStatus>(older).unwrap(), status);
    }

    /// The attributes of the schema are literals.
    #[test]
    fn the_limits_are_those_of_the_schema() {
        let schema = schemars::schema_for!(LocalityPolicyStatus).to_value();
        assert_eq!(schema["properties"]["items"]["maxItems"], MAX_ITEMS);
        let of = |name: &str, field: &str| &schema["$defs"][name]["properties"][field];
        assert_eq!(of("ServiceStatus", "reasons")["maxItems"], MAX_REASONS);
        assert_eq!(of("Condition", "message")["maxLength"], MAX_MESSAGE);
    }
}
