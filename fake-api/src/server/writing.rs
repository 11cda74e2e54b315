//! Writes: what each method does to an object, by the rules of its kind.

use http::Method;
use serde_json::Value;

use crate::{
    admission::admit,
    collections::{SLICES, resource},
    refusal::{Refusal, deleted},
    request::{Call, Seen},
    store::{Store, check, text},
    validation::validate,
};

/// The largest body of a request, in bytes.
const MAX_BODY: usize = 3 << 20;

/// A request that writes. Returns the status code and the answer.
pub fn write(
    store: &mut Store,
    method: &Method,
    call: &Call,
    seen: &Seen,
) -> Result<(u16, Value), Refusal> {
    let body = seen.body.clone();
    let (path, name) = (&call.collection, call.object());
    let rules = resource(path);
    if body.to_string().len() > MAX_BODY {
        return Err(Refusal::too_large());
    }
    match *method {
        Method::POST => {
            if !text(&body, "resourceVersion").is_empty() {
                return Err(Refusal::versioned());
            }
            validate(path, &body, None)?;
            Ok((201, store.create(path, &name.0, without_status(path, body))?))
        }
        Method::PUT => {
            if text(&body, "name") != name.1 {
                return Err(Refusal::misnamed(text(&body, "name"), &name.1));
            }
            let Ok(old) = store.get(path, &name) else {
                return put_new(store, call, body);
            };
            if !rules.takes_unversioned && text(&body, "resourceVersion").is_empty() {
                return Err(Refusal::unversioned(path, &name.1));
            }
            check(path, &old, &body)?;
            let body = if path == SLICES { admit(store, &old, body) } else { body };
            validate(path, &body, Some(&old))?;
            Ok((200, replace(store, call, body)?))
        }
        Method::PATCH => {
            let old = store.get(path, &name)?;
            let object = match &*seen.content_type {
                "application/json-patch+json" => patched(&old, &body)?,
                "application/merge-patch+json" => store.merged(path, &name, &body)?,
                _ => return Err(Refusal::made(415)),
            };
            check(path, &old, &object)?;
            validate(path, &object, Some(&old))?;
            Ok((200, replace(store, call, object)?))
        }
        Method::DELETE => {
            let object = store.delete(path, &name, &body)?;
            let is_gone = store.get(path, &name).is_err();
            let answers_with_status = is_gone && !rules.returns_deleted;
            Ok((200, if answers_with_status { deleted(path, &object) } else { object }))
        }
        _ => Err(Refusal::made(405)),
    }
}

/// The object as a JSON patch changes it.
fn patched(old: &Value, patch: &Value) -> Result<Value, Refusal> {
    let mut object = old.clone();
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|_| Refusal::made(400))?;
    json_patch::patch(&mut object, &patch).map_err(|_| Refusal::inapplicable())?;
    Ok(object)
}

/// A PUT of what does not exist.
fn put_new(store: &mut Store, call: &Call, body: Value) -> Result<(u16, Value), Refusal> {
    let (path, name) = (&call.collection, call.object());
    match text(&body, "uid") {
        _ if !resource(path).creates_on_put => Err(Refusal::not_found(path, &name.1)),
        "" => Ok((201, store.create(path, &name.0, body)?)),
        uid => Err(Refusal::other_uid(path, &name.1, uid, "")),
    }
}

/// Replaces an object, or only its status, or everything else.
fn replace(store: &mut Store, call: &Call, mut object: Value) -> Result<Value, Refusal> {
    let (path, name) = (&call.collection, call.object());
    if !call.is_status && resource(path).has_status {
        object["status"] = store.get(path, &name)?["status"].clone();
        object = without_null_status(object);
    }
    store.replace(path, &name, object, call.is_status)
}

/// What a client creates: its status is written apart.
fn without_status(collection: &str, mut object: Value) -> Value {
    if resource(collection).has_status {
        object["status"] = Value::Null;
    }
    without_null_status(object)
}

fn without_null_status(mut object: Value) -> Value {
    if object["status"].is_null() {
        object.as_object_mut().map(|object| object.remove("status"));
    }
    object
}
