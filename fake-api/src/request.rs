//! What a request is for.

use std::collections::BTreeMap;

use closehaul::model::slice::SERVICE_NAME;
use http::{header::CONTENT_TYPE, request::Parts};
use serde_json::Value;
use tokio::time::Instant;

use crate::{selector::Selector, store::Name};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, still encoded; empty if there was none.
    pub query: String,
    /// The header `Content-Type`; empty if there was none.
    pub content_type: String,
    /// Null if there was none.
    pub body: Value,
    /// When it arrived.
    pub at: Instant,
}

impl Seen {
    /// A request that arrives now. A body that is no JSON does not count.
    pub fn of(head: &Parts, body: &[u8]) -> Self {
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            content_type: head
                .headers
                .get(CONTENT_TYPE)
                .map_or_else(String::new, |value| value.to_str().unwrap().to_owned()),
            body: serde_json::from_slice(body).unwrap_or_default(),
            at: Instant::now(),
        }
    }

    /// Whether this starts a watch, including a streamed list.
    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }

    /// Whether this reads the document of a group, which happens again and again.
    pub fn is_discovery(&self) -> bool {
        self.method == "GET"
            && self.path.matches('/').count() == 3
            && self.path.starts_with("/apis/")
    }

    /// Whether this is a paged list, for any page.
    pub fn is_paged_list(&self) -> bool {
        self.query.contains("limit=") && !self.is_watch()
    }

    /// Whether this writes a slice of the Service of this name: by its label, or by the slice's
    /// name, which begins with the Service's.
    pub fn writes_slice_of(&self, service: &str) -> bool {
        let label = &self.body["metadata"]["labels"][SERVICE_NAME];
        let name = self.path.rsplit_once("/endpointslices/").map(|(_, name)| name);
        let is_named = name
            .and_then(|name| name.strip_prefix(service))
            .is_some_and(|rest| rest.strip_prefix('-').is_some_and(|rest| !rest.contains('-')));
        self.method != "GET" && (*label == *service || is_named)
    }

    /// The collection and the namespace; `None` if the path does not belong to the API.
    pub(crate) fn place(&self) -> Option<(String, String)> {
        let call = Call::read(&self.path, &self.query)?;
        Some((call.collection, call.namespace.unwrap_or_default()))
    }

    /// The value of a query parameter, empty if absent.
    pub fn parameter(&self, name: &str) -> String {
        parameters(&self.query).remove(name).unwrap_or_default()
    }
}

/// The path and the query, parsed.
pub struct Call {
    /// `GROUP/VERSION/PLURAL`, without a group for the core kinds: `v1/pods`.
    pub collection: String,
    pub namespace: Option<String>,
    /// For one object.
    pub name: Option<String>,
    pub is_status: bool,
    pub parameters: BTreeMap<String, String>,
}

impl Call {
    /// `None` if the path does not belong to the API.
    pub fn read(path: &str, query: &str) -> Option<Self> {
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let (version, rest) = match &parts[..] {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, name, part) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(*name), None),
            [plural, name, part] => (plural, Some(*name), Some(*part)),
            _ => return None,
        };
        Some(Self {
            collection: format!("{version}/{plural}"),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            is_status: part == Some("status"),
            parameters: parameters(query),
        })
    }

    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// The one object that the call is about. Its name is empty if the call is about a collection.
    pub fn object(&self) -> Name {
        (self.namespace.clone().unwrap_or_default(), self.name.clone().unwrap_or_default())
    }

    pub fn selector(&self) -> Selector {
        Selector {
            namespace: self.namespace.clone(),
            labels: self.parameter("labelSelector").to_owned(),
            fields: self.parameter("fieldSelector").to_owned(),
        }
    }
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Decodes form encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
