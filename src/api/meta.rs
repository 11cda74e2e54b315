//! Meta: the part of `metadata` that is read, the same for all kinds.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::field::{FieldError, or_default};
use crate::plan::{
    labels::Labels,
    name::{Name, Uid},
    slice::Owner,
};

/// `metadata` of an object.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: Name,
    #[serde(deserialize_with = "or_default")]
    pub(super) namespace: Name,
    pub(super) generate_name: Option<Name>,
    #[serde(deserialize_with = "or_default")]
    pub(super) uid: Name,
    #[serde(deserialize_with = "or_default")]
    pub(super) resource_version: Name,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: Pairs,
    #[serde(deserialize_with = "or_default")]
    pub(super) finalizers: Vec<Name>,
    #[serde(deserialize_with = "or_default")]
    pub(super) owner_references: Vec<OwnerReference>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: Pairs,
}

/// A map of strings.
#[derive(Debug, Default)]
pub struct Pairs(pub(super) Labels);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnerReference {
    api_version: Name,
    kind: Name,
    name: Name,
    uid: String,
    controller: Option<bool>,
    block_owner_deletion: Option<bool>,
}

impl Meta {
    /// The UID, if there is one.
    pub(super) fn uid(&self) -> Option<Uid> {
        Uid::parse(&self.uid)
    }

    /// The version as a number; 0 if there is none.
    ///
    /// # Errors
    /// A version that is no number. API servers officially give numbers (KEP-5504).
    pub(super) fn version(&self) -> Result<u64, FieldError> {
        if self.resource_version.is_empty() {
            return Ok(0);
        }
        let problem = |_| FieldError::new("metadata.resourceVersion", "is not a number");
        self.resource_version.parse().map_err(problem)
    }

    /// The time of creation.
    pub(super) fn created(&self) -> Result<Option<Timestamp>, FieldError> {
        let parse = |text: &String| time(text, "metadata.creationTimestamp");
        self.creation_timestamp.as_ref().map(parse).transpose()
    }

    /// The owners.
    pub(super) fn owners(&mut self) -> Vec<Owner> {
        let owner = |reference: OwnerReference| {
            Some(Owner {
                uid: Uid::parse(&reference.uid)?,
                api_version: reference.api_version,
                kind: reference.kind,
                name: reference.name,
                controller: reference.controller,
                block_owner_deletion: reference.block_owner_deletion,
            })
        };
        std::mem::take(&mut self.owner_references).into_iter().filter_map(owner).collect()
    }
}

/// Reads a time as the API writes it.
pub(super) fn time(text: &str, path: &str) -> Result<Timestamp, FieldError> {
    text.parse().map_err(|_| FieldError::new(path, format!("`{text}` is not an RFC 3339 time")))
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<Name, Option<Name>>()? {
                    pairs.insert(key, value.unwrap_or_default());
                }
                Ok(Pairs(pairs.into_iter().collect()))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}
