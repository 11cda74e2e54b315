//! Validating: the policy that holds closehaul itself to hints and its own annotation, while another
//! controller writes the slices (docs/assist.md). It concerns no other client: its match condition
//! cannot fail, and everything else is evaluated for closehaul's service account alone.
//!
//! Everything that is not listed here must stay as it is, so a field that a newer API server adds is
//! held too. Maps without the allowed keys are compared, which costs the API server less than nested
//! loops: its limit leaves room for 1,000 endpoints.

use serde_json::{Value, json};

use super::{
    annotation::ANNOTATION,
    names::{LIMIT_BINDING, LIMIT_POLICY},
    policy::{Kind, binding, filled, policy, rules},
};

const ONLY_US: &str = "request.userInfo.username == '$user'";

const IS_UPDATE: &str = "request.operation == 'UPDATE'";

/// Everything except metadata and endpoints: address type and ports.
const SPEC: &str = "\
request.operation != 'UPDATE'
|| object.transformMap(key, value, !(key in ['metadata', 'endpoints']), value)
  == oldObject.transformMap(key, value, !(key in ['metadata', 'endpoints']), value)";

/// The metadata, except annotations and what the API server itself counts.
const METADATA: &str = "\
request.operation != 'UPDATE'
|| object.metadata.transformMap(key, value,
    !(key in ['annotations', 'generation', 'managedFields', 'resourceVersion']), value)
  == oldObject.metadata.transformMap(key, value,
    !(key in ['annotations', 'generation', 'managedFields', 'resourceVersion']), value)";

const ANNOTATIONS: &str = "\
request.operation != 'UPDATE'
|| (has(object.metadata.annotations) ? object.metadata.annotations : {})
    .transformMap(key, value, key != '$annotation', value)
  == (has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {})
    .transformMap(key, value, key != '$annotation', value)";

const ENDPOINTS: &str = "\
request.operation != 'UPDATE'
|| (object.endpoints != null ? object.endpoints : [])
    .map(e, e.transformMap(key, value, key != 'hints', value))
  == (oldObject.endpoints != null ? oldObject.endpoints : [])
    .map(e, e.transformMap(key, value, key != 'hints', value))";

/// The policy that holds `user`, closehaul's service account, to hints and the annotation.
pub fn validating(user: &str) -> Value {
    let filled = |text: &str| filled(text, &[("$user", user), ("$annotation", ANNOTATION)]);
    let validation = |text: &str, message: &str| json!({"expression": filled(text), "message": filled(message), "reason": "Forbidden"});
    policy(
        Kind::Validating,
        LIMIT_POLICY,
        &json!({
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules(&["CREATE", "UPDATE", "DELETE"])},
            "matchConditions": [{"name": "only-closehaul", "expression": filled(ONLY_US)}],
            "validations": [
                validation(IS_UPDATE, "closehaul in mode assist neither creates nor deletes slices"),
                validation(SPEC, "closehaul in mode assist changes no address type and no ports"),
                validation(METADATA, "closehaul in mode assist changes no labels, owners or finalizers"),
                validation(ANNOTATIONS, "closehaul in mode assist changes no annotation but $annotation"),
                validation(ENDPOINTS, "closehaul in mode assist changes nothing but hints of endpoints"),
            ],
        }),
    )
}

/// The binding of the policy to all namespaces.
pub fn validating_binding() -> Value {
    binding(
        Kind::Validating,
        LIMIT_BINDING,
        &json!({
            "policyName": LIMIT_POLICY,
            "validationActions": ["Deny"],
        }),
    )
}
