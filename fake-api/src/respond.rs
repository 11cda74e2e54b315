//! Answers: objects, pages and refusals as HTTP responses.

use std::{convert::Infallible, fmt::Display};

use bytes::Bytes;
use http::Response;
use http_body_util::channel::Channel;
use serde_json::{Value, json};

use crate::{
    collections::{api_version, resource},
    faults::Answer,
    refusal::Refusal,
    request::Call,
    store::{Objects, Store},
};

/// A body that may be written over time.
pub type Body = Channel<Bytes, Infallible>;

impl Refusal {
    pub async fn respond(&self) -> Response<Body> {
        let mut response = respond(self.code, &self.status()).await;
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        response
    }
}

/// A complete answer.
pub async fn respond(code: u16, answer: &impl Display) -> Response<Body> {
    let (mut sender, body) = Channel::new(1);
    sender.send_data(answer.to_string().into()).await.unwrap();
    Response::builder().status(code).body(body).unwrap()
}

/// The answer that a fault sets.
pub async fn answer_with(answer: &Answer) -> Response<Body> {
    let mut response = respond(answer.code, &answer.body).await;
    if let Some(seconds) = answer.retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

/// A page of a list at `version`, or at the version in the continue token.
pub fn page(store: &mut Store, call: &Call, mut version: u64) -> Result<Value, Refusal> {
    let (mut from, token) = (0_usize, call.parameter("continue"));
    if let Some((as_of, start)) = token.split_once('.') {
        version = as_of.parse().unwrap();
        from = start.parse().unwrap();
        if version < store.oldest {
            return Err(Refusal::gone(version, store.oldest));
        }
    }
    let selector = call.selector();
    let objects: Objects = store.collection(&call.collection).at(version);
    let matching: Vec<_> = objects.into_values().filter(|one| selector.matches(one)).collect();
    let limit = call.parameter("limit").parse().unwrap_or(usize::MAX);
    let end = from.saturating_add(limit).min(matching.len());
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if end < matching.len() {
        metadata["continue"] = json!(format!("{version}.{end}"));
        // What a selector leaves out is not known in advance.
        if selector.labels.is_empty() && selector.fields.is_empty() {
            metadata["remainingItemCount"] = json!(matching.len() - end);
        }
    }
    let items = &matching[from.min(end)..end];
    let kind = format!("{}List", resource(&call.collection).kind);
    let api_version = api_version(&call.collection);
    Ok(json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items }))
}

/// An object of a collection with its kind, as single objects and events have it.
pub fn typed(collection: &str, mut object: Value) -> Value {
    if object["kind"].is_null() {
        object["kind"] = json!(resource(collection).kind);
        object["apiVersion"] = json!(api_version(collection));
    }
    object
}
