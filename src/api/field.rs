//! Field: the error for a value that cannot be understood, and decoding that accepts `null`.

use serde::{Deserialize, Deserializer};

use crate::{model::name::Name, plain::shortened};

/// A field whose value cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct FieldError {
    /// Where it is, such as `status.podIPs[0].ip`.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl FieldError {
    /// What is wrong, and where.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: shortened(problem.into()) }
    }
}

/// Decodes a field that may be `null` where the API means "none".
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A port's protocol: TCP if absent, as the API server fills in.
pub(super) fn protocol(text: &str) -> Name {
    if text.is_empty() { "TCP".into() } else { text.into() }
}
