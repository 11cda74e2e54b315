//! Objects that may not parse.
//!
//! kube decodes a list in one go, so one malformed object would hide all others; in a watch it
//! would be skipped without a name. [`Guarded`] always parses, and names the object and the error.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

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
    /// What did not parse, and its place in the object's text.
    pub error: String,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match serde_json::from_str(text.get()) {
            Ok(object) => Self::Good(object),
            Err(error) => Self::Bad(Box::new(Malformed {
                metadata: readable_metadata(text.get()),
                error: error.to_string(),
            })),
        })
    }
}

/// The metadata that identifies the object, whatever else is wrong with it.
fn readable_metadata(text: &str) -> ObjectMeta {
    let object: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
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
    use k8s_openapi::api::core::v1::Pod;
    use kube::{
        api::WatchEvent,
        core::{ObjectList, ObjectMeta},
    };

    use super::*;

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
        let list: ObjectList<Guarded<Pod>> = serde_json::from_str(&list).unwrap();
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
            let event: WatchEvent<Guarded<Pod>> = serde_json::from_str(&line).unwrap();
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
        let object: Guarded<Pod> = serde_json::from_str("[1]").unwrap();
        assert_eq!(object.meta(), &ObjectMeta::default());
    }
}
