//! Texts: a map of strings whose values are not checked, such as annotations.
//!
//! In Protobuf the API server accepts any bytes for them, and Go passes them on. Invalid UTF-8 must
//! not hide the object, so they stay bytes until they are stored.

use std::collections::BTreeMap;

use serde::{Deserializer, Serializer};

use super::pairs::pairs;
use crate::model::{labels::Labels, name::Name};

/// Keys, which are checked, and values.
pub(super) type Texts = BTreeMap<String, Vec<u8>>;

/// Reads them from JSON.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
    let pairs = pairs(deserializer)?.into_iter();
    Ok(pairs.map(|(key, value)| (key, value.into_bytes())).collect())
}

/// Writes them to JSON, as Go does: invalid UTF-8 is replaced.
pub(super) fn serialize<S: Serializer>(texts: &Texts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(texts.iter().map(|(key, text)| (key, String::from_utf8_lossy(text))))
}

/// The texts as they are written.
pub(super) fn written(labels: &Labels) -> Texts {
    let bytes = |text: &Name| text.as_bytes().to_vec();
    labels.iter().map(|(key, text)| (String::from(&**key), bytes(text))).collect()
}

/// The texts as they are kept.
pub(super) fn kept(texts: &Texts) -> Labels {
    let kept = |text| String::from_utf8_lossy(text).as_ref().into();
    texts.iter().map(|(key, text)| (key.as_str().into(), kept(text))).collect()
}
