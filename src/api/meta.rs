//! Meta: the part of `metadata` that is read, the same for all kinds.

use jiff::{Timestamp, civil::DateTime};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{
    field::{FieldError, or_default},
    pairs::{Pairs, pairs},
    texts::{self, Texts},
};
use crate::model::{
    name::{Name, Uid},
    slice::{Owner, SliceMeta},
};

/// `metadata` of an object.
#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) generate_name: String,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub(super) namespace: String,
    #[prost(string, tag = "5")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
    #[prost(string, tag = "6")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) resource_version: String,
    #[prost(int64, tag = "7")]
    #[serde(deserialize_with = "or_default", skip_serializing)]
    pub(super) generation: i64,
    #[prost(message, optional, tag = "8")]
    #[serde(skip_serializing)]
    pub(super) creation_timestamp: Option<Time>,
    #[prost(message, optional, tag = "9")]
    #[serde(skip_serializing)]
    pub(super) deletion_timestamp: Option<Time>,
    #[prost(btree_map = "string, string", tag = "11")]
    #[serde(deserialize_with = "pairs", skip_serializing_if = "Pairs::is_empty")]
    pub(super) labels: Pairs,
    #[prost(btree_map = "string, bytes", tag = "12")]
    #[serde(with = "texts", skip_serializing_if = "Texts::is_empty")]
    pub(super) annotations: Texts,
    #[prost(message, repeated, tag = "13")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(super) owner_references: Vec<OwnerReference>,
    #[prost(string, repeated, tag = "14")]
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(super) finalizers: Vec<String>,
}

/// `metadata` of an object whose annotations and owners are not read: pods have many.
#[derive(Clone, PartialEq, Deserialize, prost::Message)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BriefMeta {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[prost(string, tag = "5")]
    #[serde(deserialize_with = "or_default")]
    uid: String,
    #[prost(string, tag = "6")]
    #[serde(deserialize_with = "or_default")]
    resource_version: String,
    #[prost(message, optional, tag = "9")]
    deletion_timestamp: Option<Time>,
    #[prost(btree_map = "string, string", tag = "11")]
    #[serde(deserialize_with = "pairs")]
    labels: Pairs,
}

/// The part of `metadata` that identifies the object, whatever else is wrong with it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(message, optional, tag = "9")]
    deletion_timestamp: Option<Time>,
}

impl From<BriefMeta> for Meta {
    fn from(brief: BriefMeta) -> Self {
        let BriefMeta { name, namespace, uid, resource_version, deletion_timestamp, labels } =
            brief;
        Self {
            name,
            namespace,
            uid,
            resource_version,
            deletion_timestamp,
            labels,
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Deserialize, Serialize, prost::Message)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnerReference {
    #[prost(string, tag = "5")]
    api_version: String,
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    uid: String,
    #[prost(bool, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    block_owner_deletion: Option<bool>,
}

/// A time: seconds in Protobuf, text in JSON.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Time {
    /// Since 1970; absent: no time at all.
    #[prost(int64, optional, tag = "1")]
    seconds: Option<i64>,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// What kube must know of an object.
impl From<HeaderMeta> for ObjectMeta {
    fn from(header: HeaderMeta) -> Self {
        let text = |text: String| (!text.is_empty()).then_some(text);
        Self {
            name: text(header.name),
            namespace: text(header.namespace),
            uid: text(header.uid),
            resource_version: text(header.resource_version),
            ..Self::default()
        }
    }
}

impl HeaderMeta {
    /// Whether it is being deleted.
    pub(super) fn is_terminating(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

impl Meta {
    /// Which object it is.
    pub(super) fn into_header(self) -> HeaderMeta {
        let Self { name, namespace, uid, resource_version, deletion_timestamp, .. } = self;
        HeaderMeta { name, namespace, uid, resource_version, deletion_timestamp }
    }

    /// The UID, if there is one.
    pub(super) fn uid(&self) -> Option<Uid> {
        Uid::parse(&self.uid)
    }

    /// The version as a number; 0 if there is none.
    ///
    /// # Errors
    /// A version that is not a number. API servers officially give numbers (KEP-5504).
    pub(super) fn version(&self) -> Result<u64, FieldError> {
        if self.resource_version.is_empty() {
            return Ok(0);
        }
        let problem = |_| FieldError::new("metadata.resourceVersion", "is not a number");
        self.resource_version.parse().map_err(problem)
    }

    /// The time of creation.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.creation_timestamp.and_then(Time::stamp)
    }

    /// Whether it is being deleted.
    pub(super) fn is_terminating(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// The owners.
    pub(super) fn owners(&mut self) -> Vec<Owner> {
        let owner = |reference: OwnerReference| {
            Some(Owner {
                uid: Uid::parse(&reference.uid)?,
                api_version: reference.api_version.into(),
                kind: reference.kind.into(),
                name: reference.name.into(),
                controller: reference.controller,
                block_owner_deletion: reference.block_owner_deletion,
            })
        };
        std::mem::take(&mut self.owner_references).into_iter().filter_map(owner).collect()
    }
}

/// For a slice that is written. The API server sets the times.
impl From<&SliceMeta> for Meta {
    fn from(meta: &SliceMeta) -> Self {
        let text = |name: &Name| String::from(&**name);
        let optional = |name: &Option<Name>| name.as_ref().map_or_else(String::new, text);
        Self {
            name: optional(&meta.name),
            generate_name: optional(&meta.generate_name),
            namespace: text(&meta.namespace),
            uid: meta.uid.as_ref().map_or_else(String::new, String::from),
            resource_version: if meta.version == 0 {
                String::new()
            } else {
                meta.version.to_string()
            },
            labels: meta.labels.iter().map(|(key, value)| (text(key), text(value))).collect(),
            annotations: texts::written(&meta.annotations),
            owner_references: meta.owners.iter().map(OwnerReference::from).collect(),
            finalizers: meta.finalizers.iter().map(text).collect(),
            ..Self::default()
        }
    }
}

impl From<&Owner> for OwnerReference {
    fn from(owner: &Owner) -> Self {
        Self {
            api_version: String::from(&*owner.api_version),
            kind: String::from(&*owner.kind),
            name: String::from(&*owner.name),
            uid: String::from(&owner.uid),
            controller: owner.controller,
            block_owner_deletion: owner.block_owner_deletion,
        }
    }
}

impl Time {
    /// The time; `None` for the zero time, which Go writes for "none".
    pub(super) fn stamp(self) -> Option<Timestamp> {
        Timestamp::new(self.seconds?, self.nanos).ok()
    }
}

/// Whether a text is a time in UTC, as Go writes it.
fn is_date_and_time(text: &str) -> bool {
    text.strip_suffix('Z').is_some_and(|text| text.parse::<DateTime>().is_ok())
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<Timestamp>() {
            Ok(time) => {
                Ok(Self { seconds: Some(time.as_second()), nanos: time.subsec_nanosecond() })
            }
            // A time on the last day of the year 9999 is beyond the range of `Timestamp`.
            Err(_) if is_date_and_time(&text) => Ok(Self { seconds: None, nanos: 0 }),
            Err(_) => Err(D::Error::custom(format_args!("`{text}` is not an RFC 3339 time"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_go_can_write_hides_nothing() {
        let seconds = |text: &str| {
            let time: Result<Time, _> = serde_json::from_value(text.into());
            time.ok().map(|time| time.seconds)
        };
        assert_eq!(seconds("1970-01-01T00:00:07Z"), Some(Some(7)));
        assert_eq!(seconds("9999-12-31T23:59:59Z"), Some(None), "beyond what jiff has");
        assert!(seconds("0001-01-01T00:00:00Z").flatten().is_some());
        assert_eq!(seconds("yesterday"), None);
        assert_eq!(seconds("9999-12-32T23:59:59Z"), None);
    }
}
