//! Spelling: finds fields that are meant to be read but written wrongly. Which fields are read
//! is taken from the decoded types themselves, and which others exist from the API's types, so
//! that neither list can fall behind.

use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::strict::{self, Step, Unknown};
use crate::{
    api::{Kind, field::FieldError, namespace::Namespace},
    plan::{node::Node, pod::Pod, service::Service, slice::Slice},
};

/// A kind whose fields are all known.
pub(super) trait Spelled: Kind {
    /// The API's own type, which has every field.
    type Full: DeserializeOwned;
}

impl Spelled for Service {
    type Full = core::Service;
}

impl Spelled for Pod {
    type Full = core::Pod;
}

impl Spelled for Node {
    type Full = core::Node;
}

impl Spelled for Namespace {
    type Full = core::Namespace;
}

impl Spelled for Slice {
    type Full = discovery::EndpointSlice;
}

/// How many letters may be wrong in a name for it to be taken for a slip.
const DISTANCE: usize = 2;

/// The field that was meant, if `unknown` is one letter or two away from a field that is read
/// and that is absent there. Of a name of three letters or less, one may be wrong.
pub(super) fn meant(unknown: &Unknown<'_>) -> Option<&'static str> {
    let is_absent = |name: &&&'static str| !unknown.siblings.contains_key(**name);
    let distance = |name: &'static str| (strsim::levenshtein(unknown.name, name), name);
    let candidates = unknown.known.iter().filter(is_absent).map(|name| distance(name));
    candidates
        .filter(|(distance, name)| *distance <= DISTANCE.min(name.len() / 2))
        .min()
        .map(|(_, name)| name)
}

/// What is said of a field that is no field, and of the one that was meant.
pub(super) fn misspelt(unknown: &Unknown<'_>, meant: &str) -> FieldError {
    let path: Vec<_> = unknown.steps().into_iter().chain([Step::Field(unknown.name)]).collect();
    let path = strict::written(&path);
    FieldError::new("", format!("unknown field `{path}`: did you mean `{meant}`?"))
}

/// Whether the API has a field of this name in this place. Asked of the API's type itself, with
/// a document that holds nothing but the way there.
pub(super) fn is_in_api<K: Spelled>(unknown: &Unknown<'_>) -> bool {
    let mut document = nested(unknown.name, Value::Null);
    for step in unknown.steps().into_iter().rev() {
        document = match step {
            Step::Field(name) => nested(name, document),
            Step::Entry(_) => Value::Array(vec![document]),
        };
    }
    let is_known = std::cell::Cell::new(true);
    let decoded = strict::decode::<K::Full>(&document, &|_: &Unknown<'_>| is_known.set(false));
    decoded.is_ok() && is_known.get()
}

fn nested(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}
