//! Document: the kind of an object, and the object itself with what the API server would have
//! filled in.

use std::cell::RefCell;

use super::{
    spelling::{self, Spelled},
    strict,
    tree::Tree,
    value,
};
use crate::{
    api::{Kind, Object, Written, field::FieldError, policy},
    model::{
        namespace::Namespace,
        node::Node,
        pod::Pod,
        policy::{ClusterLocalityPolicy, LocalityPolicy, ZoneEvacuation},
        service::Service,
        slice::Slice,
    },
};

/// The kinds of objects, as far as they make a difference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Service,
    Pod,
    Node,
    Slice,
    Namespace,
    Policy,
    ClusterPolicy,
    Evacuation,
    /// One that is skipped.
    Other(String),
}

/// The kind of the items, if this is a list: `Pod` for a `PodList`, nothing for a `List`.
pub(super) fn list_of(document: &Tree) -> Option<&str> {
    let kind = document["kind"].as_str()?.strip_suffix("List")?;
    document.get("items").map(|_| kind)
}

/// Sets a field that is absent. Returns whether it was.
pub(super) fn set_missing(document: &mut Tree, field: &str, value: impl FnOnce() -> Tree) -> bool {
    if let Tree::Object(map) = document
        && map.get(field).is_none_or(|value| value.is_null() || value.as_str() == Some(""))
    {
        map.insert(field.to_owned(), value());
        return true;
    }
    false
}

/// The kind of a document.
pub(super) fn kind(document: &Tree) -> Result<Known, FieldError> {
    let Tree::Object(_) = document else {
        return Err(FieldError::new("", "is not an object; expected apiVersion, kind, metadata"));
    };
    let text = |field: &str| match document.get(field) {
        Some(Tree::Text(text)) if !text.is_empty() => Ok(text.as_str()),
        None => Err(FieldError::new(field, format!("is missing; say which {field} this is of"))),
        Some(_) => Err(FieldError::new(field, "is not a string")),
    };
    let (kind, api_version) = (text("kind")?, text("apiVersion")?);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let known = match (group, kind) {
        (Service::GROUP, Service::KIND) => Known::Service,
        (Pod::GROUP, Pod::KIND) => Known::Pod,
        (Node::GROUP, Node::KIND) => Known::Node,
        (Namespace::GROUP, Namespace::KIND) => Known::Namespace,
        (Slice::GROUP, Slice::KIND) => Known::Slice,
        (LocalityPolicy::GROUP, LocalityPolicy::KIND) => Known::Policy,
        (ClusterLocalityPolicy::GROUP, ClusterLocalityPolicy::KIND) => Known::ClusterPolicy,
        (ZoneEvacuation::GROUP, ZoneEvacuation::KIND) => Known::Evacuation,
        (policy::GROUP, _) => {
            let problem = format!(
                "unknown value `{kind}`; expected LocalityPolicy, ClusterLocalityPolicy or ZoneEvacuation"
            );
            return Err(FieldError::new("kind", problem));
        }
        _ => return Ok(Known::Other(kind.to_owned())),
    };
    let read = if group == policy::GROUP { policy::VERSION } else { "v1" };
    if version == read {
        return Ok(known);
    }
    let version = if group.is_empty() { read.to_owned() } else { format!("{group}/{read}") };
    let problem = format!("`{api_version}` is not read; ask the cluster for {kind} of {version}");
    Err(FieldError::new("apiVersion", problem))
}

/// Reads an object. If it names no namespace, it gets the given one; kinds without namespace are
/// given none. If it leaves its name to the API server, it gets one that ends in `number`.
pub(super) fn object<K: Spelled>(
    document: &mut Tree,
    namespace: Option<&str>,
    number: usize,
) -> Result<Object<K>, FieldError> {
    let slip: RefCell<Option<FieldError>> = RefCell::default();
    let decoded = strict::decode::<K::Document>(document, &|unknown| {
        if let Some(meant) = spelling::meant(unknown)
            && slip.borrow().is_none()
            && !spelling::is_in_api::<K>(unknown)
        {
            *slip.borrow_mut() = Some(spelling::misspelt(unknown, meant));
        }
    });
    // A misspelled field is often the cause of other errors, such as a missing field.
    if let Some(slip) = slip.into_inner() {
        return Err(slip);
    }
    let mut decoded = decoded?;
    // Not before: a misspelled field is one whose right name is absent.
    let is_named = set_namespace(document, namespace) | set_name(document, number);
    value::check(K::KIND, document)?;
    if fill_in(K::KIND, document) | is_named {
        decoded = strict::decode::<K::Document>(document, &|_| ())?;
    }
    let object =
        decoded.read().and_then(Object::flawless).map_err(|FieldError { path, problem }| {
            // Where there is more than one way out, the problem says which.
            let has_remedy = problem.contains("; ");
            let problem = if has_remedy { problem } else { format!("{problem}; correct it") };
            FieldError { path, problem }
        })?;
    if object.name.is_empty() {
        return Err(FieldError::new("metadata.name", "is missing; give the object a name"));
    }
    Ok(object)
}

/// Gives an object that names no namespace this one. Returns whether it did.
fn set_namespace(document: &mut Tree, namespace: Option<&str>) -> bool {
    let metadata = document.get_mut("metadata").zip(namespace);
    metadata.is_some_and(|(metadata, name)| set_missing(metadata, "namespace", || name.into()))
}

/// The most letters of `metadata.generateName` that the API server uses.
const GENERATED: usize = 58;

/// Names an object that has only `metadata.generateName`. Returns whether it did. The API server
/// appends five characters at random, and the same input must give the same plan.
fn set_name(document: &mut Tree, number: usize) -> bool {
    let Some(metadata) = document.get_mut("metadata") else { return false };
    let Some(start) = metadata["generateName"].as_str().filter(|start| !start.is_empty()) else {
        return false;
    };
    let start: String = start.chars().take(GENERATED).collect();
    set_missing(metadata, "name", || Tree::Text(format!("{start}{number:05}")))
}

/// Fills in what the API server would have: `status.podIPs` from `status.podIP`. Returns whether
/// something was filled in.
fn fill_in(kind: &str, document: &mut Tree) -> bool {
    let Some(status) = document.get_mut("status").filter(|_| kind == Pod::KIND) else {
        return false;
    };
    let has_many = status["podIPs"].as_list().is_some_and(|list| !list.is_empty());
    let one = status["podIP"].as_str().filter(|one| !one.is_empty() && !has_many);
    let Some(one) = one.map(Tree::from) else { return false };
    if let Tree::Object(fields) = status {
        fields.insert("podIPs".to_owned(), Tree::List(vec![Tree::with("ip", one)]));
    }
    true
}
