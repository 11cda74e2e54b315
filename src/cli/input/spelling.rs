//! Spelling: finds misspelled names of fields that are read. The fields that are read are those of
//! the decoded types, and the other fields that exist are those of the API's types. So neither
//! list can become outdated.

use k8s_openapi::{
    api::{core::v1 as core, discovery::v1 as discovery},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;

use super::{
    strict::{self, Step, Unknown},
    tree::Tree,
};
use crate::{
    api::{Kind, field::FieldError},
    model::{
        namespace::Namespace,
        node::Node,
        pod::Pod,
        policy::{ClusterLocalityPolicy, LocalityPolicy, ZoneEvacuation},
        service::Service,
        slice::Slice,
    },
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

/// A kind of closehaul's own. Its spec and status are read as a whole
/// ([`crate::api::policy`]), so only `metadata` is left to be judged here.
#[derive(serde::Deserialize)]
pub(super) struct Own {
    #[expect(dead_code, reason = "only its fields matter")]
    metadata: Option<ObjectMeta>,
}

impl Spelled for LocalityPolicy {
    type Full = Own;
}

impl Spelled for ClusterLocalityPolicy {
    type Full = Own;
}

impl Spelled for ZoneEvacuation {
    type Full = Own;
}

/// How many letters of a name may be wrong for it to count as a misspelling.
const DISTANCE: usize = 2;

/// The field that was meant, if `unknown` is one letter or two away from a field that is read
/// and that is absent there. In a name of three letters or fewer, one may be wrong.
pub(super) fn meant(unknown: &Unknown<'_>) -> Option<&'static str> {
    let is_absent = |name: &&&'static str| !unknown.siblings.contains_key(**name);
    // A dump has millions of names, of which the length shows that most are far from each other.
    let length = unknown.name.chars().count();
    let is_as_long = |name: &&&'static str| name.len().abs_diff(length) <= DISTANCE;
    let distance = |name: &'static str| (strsim::levenshtein(unknown.name, name), name);
    let near = unknown.known.iter().filter(is_as_long).filter(is_absent);
    let candidates = near.map(|name| distance(name));
    candidates
        .filter(|(distance, name)| *distance <= DISTANCE.min(name.len() / 2))
        .min()
        .map(|(_, name)| name)
}

/// The message about an unknown field, and the one that was probably meant.
pub(super) fn misspelt(unknown: &Unknown<'_>, meant: &str) -> FieldError {
    let path: Vec<_> = unknown.steps().into_iter().chain([Step::Field(unknown.name)]).collect();
    let path = strict::written(&path);
    FieldError::new("", format!("unknown field `{path}`: did you mean `{meant}`?"))
}

/// Whether the API has a field of this name in this place. To find out, the API's type decodes a
/// document that contains only the path to the field.
pub(super) fn is_in_api<K: Spelled>(unknown: &Unknown<'_>) -> bool {
    let mut document = Tree::with(unknown.name, Tree::Null);
    for step in unknown.steps().into_iter().rev() {
        document = match step {
            Step::Field(name) => Tree::with(name, document),
            Step::Entry(_) => Tree::List(vec![document]),
        };
    }
    let is_known = std::cell::Cell::new(true);
    let decoded = strict::decode::<K::Full>(&document, &|_: &Unknown<'_>| is_known.set(false));
    decoded.is_ok() && is_known.get()
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::BTreeMap,
    };

    use super::*;
    use crate::cli::input::{json, tree::UNREAD};

    /// The fields of Kubernetes 1.37 in every place that is read: by kind, then by path.
    const FIELDS: &str = include_str!("../../../tests/plan_cli/fields-1.37.json");

    type Places = BTreeMap<String, Vec<String>>;

    fn places(kind: &str) -> Places {
        serde_json::from_str::<BTreeMap<String, Places>>(FIELDS).unwrap().remove(kind).unwrap()
    }

    /// A document that contains only `field`, at the end of `path`.
    fn only(path: &str, field: &str) -> Tree {
        let document = Tree::with(field, Tree::Null);
        path.split('.').filter(|step| !step.is_empty()).rev().fold(document, |inner, step| {
            match step.strip_suffix("[]") {
                Some(name) => Tree::with(name, Tree::List(vec![inner])),
                None => Tree::with(step, inner),
            }
        })
    }

    /// The fields that are read where `document` has an unknown one, and what the document is read
    /// as.
    fn judged<K: Spelled>(document: &Tree) -> Option<(Vec<&'static str>, Option<FieldError>)> {
        let judged = RefCell::new(None);
        let note = |unknown: &Unknown<'_>| {
            let slip = meant(unknown)
                .filter(|_| !is_in_api::<K>(unknown))
                .map(|meant| misspelt(unknown, meant));
            *judged.borrow_mut() = Some((unknown.known.to_vec(), slip));
        };
        // Whether the rest of such a document makes sense does not matter.
        drop(strict::decode::<K::Document>(document, &note));
        judged.into_inner()
    }

    fn no_field_of_the_api_is_a_slip<K: Spelled>() {
        for (path, fields) in places(K::KIND) {
            for field in fields {
                let slip = judged::<K>(&only(&path, &field)).and_then(|(_, slip)| slip);
                assert_eq!(slip, None, "{} {path} {field}", K::KIND);
            }
        }
    }

    /// One letter too many is detected for every field that is read, in every place.
    fn every_slip_is_found<K: Spelled>() -> usize {
        let mut found = 0;
        for path in places(K::KIND).keys() {
            let (read, _) = judged::<K>(&only(path, "no-such-field")).unwrap();
            for field in read {
                let (_, slip) = judged::<K>(&only(path, &format!("{field}x"))).unwrap();
                let problem = slip.unwrap().problem;
                assert!(
                    problem.ends_with(&format!("{field}x`: did you mean `{field}`?")),
                    "{problem}"
                );
                found += 1;
            }
        }
        found
    }

    /// The fields whose values are skipped, in every place where they could be.
    fn what_is_skipped_is_not_read<K: Spelled>() {
        for (within, fields) in UNREAD {
            let path = match *within {
                "containers" | "initContainers" => format!("spec.{within}[]"),
                within => within.to_owned(),
            };
            for field in *fields {
                let unknown = Cell::new(false);
                let document = only(&path, field);
                drop(strict::decode::<K::Document>(&document, &|_| unknown.set(true)));
                assert!(unknown.get(), "{} reads {field} of {path}", K::KIND);
            }
        }
    }

    #[test]
    fn no_type_reads_what_is_skipped() {
        what_is_skipped_is_not_read::<Pod>();
        what_is_skipped_is_not_read::<Node>();
        what_is_skipped_is_not_read::<Service>();
    }

    #[test]
    fn fields_of_newer_servers_pass() {
        no_field_of_the_api_is_a_slip::<Service>();
        no_field_of_the_api_is_a_slip::<Pod>();
        no_field_of_the_api_is_a_slip::<Node>();
        no_field_of_the_api_is_a_slip::<Slice>();
        no_field_of_the_api_is_a_slip::<Namespace>();
    }

    #[test]
    fn slips_are_found_in_every_field_that_is_read() {
        let found = every_slip_is_found::<Service>()
            + every_slip_is_found::<Pod>()
            + every_slip_is_found::<Node>()
            + every_slip_is_found::<Slice>()
            + every_slip_is_found::<Namespace>();
        assert!(found > 100, "{found}");
    }

    #[test]
    fn what_counts_as_a_slip() {
        let slip = |json: &str| {
            let document = json::documents(json).unwrap().remove(0);
            judged::<Service>(&document).and_then(|(_, slip)| slip).map(|slip| slip.problem)
        };
        let found = slip(r#"{"spec": {"trafficDistributon": "PreferSameZone"}}"#).unwrap();
        assert_eq!(
            found,
            "unknown field `spec.trafficDistributon`: did you mean `trafficDistribution`?"
        );
        assert!(slip(r#"{"sepc": {}}"#).is_some());
        assert!(slip(r#"{"spec": {"clusterIp": ""}}"#).is_some());
        assert!(slip(r#"{"spec": {"ports": [{"prot": 80}]}}"#).is_some());
        // Three letters off; there already; a field of the API that is not read.
        assert_eq!(slip(r#"{"spec": {"trafficDistri": ""}}"#), None);
        assert_eq!(slip(r#"{"spec": {"selector": {}, "selectors": {}}}"#), None);
        assert_eq!(slip(r#"{"spec": {"clusterIPs": []}}"#), None);
    }
}
