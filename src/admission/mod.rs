//! Admission: what closehaul asks of the API server in assist mode, where another controller writes
//! the slices (docs/assist.md). Pure text; nothing here talks to an API server.
//!
//! - `annotation`: what a slice's annotation says, by which the policy acts
//! - `mark`: which slices have it, and what it says under a plan
//! - `mutating`: the policy that keeps hints in force
//! - `validating`: the policy that holds closehaul to hints
//! - `policy`: what both have in common
//! - `names`: what the chart installs

pub mod annotation;
pub mod mark;
pub mod mutating;
pub mod names;
pub mod policy;
pub mod validating;

use serde_json::Value;

/// All objects, for closehaul with this user name: each policy before its binding.
pub fn objects(user: &str) -> [Value; 4] {
    [
        mutating::mutating(user),
        mutating::mutating_binding(),
        validating::validating(user),
        validating::validating_binding(),
    ]
}
