//! Pairs: a map of strings that are checked, such as labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::model::labels::Labels;

/// A map of strings.
pub(super) type Pairs = BTreeMap<String, String>;

/// Reads a map of strings from JSON, where `null` means none.
pub(super) fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
    let pairs = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    let pairs = pairs.into_iter().flatten();
    Ok(pairs.map(|(key, value)| (key, value.unwrap_or_default())).collect())
}

/// The pairs as they are kept.
pub(super) fn labels(pairs: &Pairs) -> Labels {
    pairs.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}
