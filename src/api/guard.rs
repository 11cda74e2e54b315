//! Objects that may not parse.
//!
//! kube decodes a list in one go, so one malformed object would hide all others; in a watch it
//! would be skipped without a name. [`Guarded`] always parses, and names the object and the error.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

use super::{Kind, Object, Written};
use crate::plain::shortened;

/// An object as it came from the API server: parsed, or reported as malformed.
///
/// Deserialises from JSON text only (not from `serde_json::Value`), which is how kube reads lists
/// and watches. The text is scanned once to find its end and once to be parsed, in place of kube's
/// `DeserializeGuard`, which builds a tree of each object and copies it.
#[derive(Debug, Clone)]
pub enum Guarded<K> {
    /// The object parsed.
    Good(K),
    /// The object did not parse.
    Bad(Box<Malformed>),
}

/// An object that did not parse.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    /// Name, namespace, uid and resourceVersion, each where readable; nothing else.
    pub metadata: ObjectMeta,
    /// What can be read of its state.
    pub remains: Remains,
    /// What did not parse, and its place in the object's text.
    pub error: String,
}

impl Malformed {
    /// Its version as a number, if it has one.
    pub fn version(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref()?.parse().ok()
    }
}

/// What can be read of an object that did not parse. Each says that less traffic should go there
/// than before, so it must not be missed. What says the opposite is not believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remains {
    /// It has a deletionTimestamp.
    pub is_terminating: bool,
    /// Its phase is `Succeeded` or `Failed`.
    pub is_finished: bool,
    /// Its Ready condition is not `True`.
    pub is_unready: bool,
}

impl<'de, T: Kind> Deserialize<'de> for Guarded<Object<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let read = serde_json::from_str::<T::Document>(text.get())
            .map_err(|error| error.to_string())
            .and_then(|document| document.read().map_err(|error| error.to_string()));
        Ok(match read {
            Ok(object) => Self::Good(object),
            Err(error) => {
                let object: Value = serde_json::from_str(text.get()).unwrap_or_default();
                let (metadata, remains) = (readable_metadata(&object), remains(&object));
                let error = shortened(error);
                Self::Bad(Box::new(Malformed { metadata, remains, error }))
            }
        })
    }
}

fn remains(object: &Value) -> Remains {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let is_ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
    let conditions = match &status["conditions"] {
        Value::Array(conditions) => Some(&conditions[..]),
        Value::Null if status.is_object() => Some(&[][..]),
        _ => None,
    };
    Remains {
        is_terminating: !metadata["deletionTimestamp"].is_null(),
        is_finished: status["phase"].as_str().is_some_and(is_final),
        is_unready: conditions.is_some_and(|conditions| !conditions.iter().any(is_ready)),
    }
}

/// Whether a phase of a pod is the last one.
pub(super) fn is_final(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

/// The metadata that identifies the object, whatever else is wrong with it.
fn readable_metadata(object: &Value) -> ObjectMeta {
    let field = |name: &str| object["metadata"][name].as_str().map(str::to_owned);
    ObjectMeta {
        name: field("name"),
        namespace: field("namespace"),
        uid: field("uid"),
        resource_version: field("resourceVersion"),
        ..ObjectMeta::default()
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Good(object) => object.meta(),
            Self::Bad(malformed) => &malformed.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Good(object) => object.meta_mut(),
            Self::Bad(malformed) => &mut malformed.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::{
        api::WatchEvent,
        core::{ObjectList, ObjectMeta},
    };

    use super::*;
    use crate::model::pod::Pod;

    const BAD: &str = r#"{"metadata":{"name":"bad","namespace":"ns","uid":"u","resourceVersion":"7",
        "labels":["no map"]},"spec":{"containers":"no list"}}"#;
    const GOOD: &str = r#"{"metadata":{"name":"good"},"spec":{"containers":[]}}"#;

    fn bad_metadata() -> ObjectMeta {
        ObjectMeta {
            name: Some("bad".into()),
            namespace: Some("ns".into()),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn one_malformed_object_leaves_the_rest_of_a_list() {
        let list = format!(
            r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"9"}},
               "items":[{GOOD},{BAD},{GOOD}]}}"#
        );
        let list: ObjectList<Guarded<Object<Pod>>> = serde_json::from_str(&list).unwrap();
        let [Guarded::Good(_), Guarded::Bad(bad), Guarded::Good(_)] = &list.items[..] else {
            panic!("{:?}", list.items)
        };
        assert_eq!(bad.metadata, bad_metadata());
        assert!(bad.error.contains("expected"), "{}", bad.error);
    }

    #[test]
    fn a_malformed_object_in_a_watch_keeps_its_name_and_version() {
        for kind in ["ADDED", "MODIFIED", "DELETED"] {
            let line = format!(r#"{{"type":"{kind}","object":{BAD}}}"#);
            let event: WatchEvent<Guarded<Object<Pod>>> = serde_json::from_str(&line).unwrap();
            let (WatchEvent::Added(object)
            | WatchEvent::Modified(object)
            | WatchEvent::Deleted(object)) = event
            else {
                panic!("{event:?}")
            };
            assert_eq!(object.meta(), &bad_metadata());
        }
    }

    #[test]
    fn something_that_is_no_object_at_all_is_bad_and_nameless() {
        let object: Guarded<Object<Pod>> = serde_json::from_str("[1]").unwrap();
        assert_eq!(object.meta(), &ObjectMeta::default());
    }
}
