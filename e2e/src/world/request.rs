//! Writes and reads of objects as JSON.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use super::{Error, Kind, Place};
use crate::progress::Progress;

/// Requests in flight when many objects are created: enough to keep the API server busy.
const IN_FLIGHT: usize = 32;

/// A client that speaks JSON.
#[derive(Clone)]
pub struct World {
    client: Client,
}

impl World {
    /// Objects that `client` reaches.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates an object, and then sets its status if it has one, as a kubelet does.
    pub async fn create(&self, object: &Value) -> Result<Value, Error> {
        let place = Place::of(object)?;
        let path = place.kind.path(place.namespace.as_deref());
        let created = self.send("POST", &path, Some(object)).await?;
        match object.get("status") {
            Some(status) => self.patch_status(&place, status).await,
            None => Ok(created),
        }
    }

    /// Creates objects, many at the same time and in no particular order.
    pub async fn create_all(&self, objects: &[Value]) -> Result<(), Error> {
        self.for_all("creating", objects, async |object| self.create(object).await.map(drop)).await
    }

    /// Does `action` for all `items`, many at the same time and in no particular order.
    pub async fn for_all<T>(
        &self,
        what: &str,
        items: &[T],
        action: impl AsyncFn(&T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let name = format!("{what} {} objects", items.len());
        let mut progress = Progress::after(Duration::from_secs(5), name);
        let mut done = stream::iter(items).map(|item| action(item)).buffer_unordered(IN_FLIGHT);
        while done.try_next().await?.is_some() {
            progress.tick();
        }
        progress.done();
        Ok(())
    }

    /// The object, or `None` if there is none.
    pub async fn get(&self, place: &Place) -> Result<Option<Value>, Error> {
        match self.send("GET", &place.path(), None).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, of all namespaces or of one, as they are now.
    pub async fn list(&self, kind: Kind, namespace: Option<&str>) -> Result<Vec<Value>, Error> {
        let mut list = self.send("GET", &kind.path(namespace), None).await?;
        Ok(match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        })
    }

    /// The slices of one Service by their label, whichever controller manages them.
    pub async fn slices_of(&self, namespace: &str, service: &str) -> Result<Vec<Value>, Error> {
        let path = Kind::Slice.path(Some(namespace));
        let path = format!("{path}?labelSelector=kubernetes.io%2Fservice-name%3D{service}");
        let mut list = self.send("GET", &path, None).await?;
        Ok(match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        })
    }

    /// The version of every slice, by `namespace/name`.
    pub async fn slice_versions(&self) -> Result<BTreeMap<String, String>, Error> {
        let text = |slice: &Value, field: &str| {
            slice["metadata"][field].as_str().unwrap_or_default().to_owned()
        };
        let slices = self.list(Kind::Slice, None).await?;
        let version = |slice: &Value| {
            let name = format!("{}/{}", text(slice, "namespace"), text(slice, "name"));
            (name, text(slice, "resourceVersion"))
        };
        Ok(slices.iter().map(version).collect())
    }

    /// Merges `patch` into the object (RFC 7386).
    pub async fn patch(&self, place: &Place, patch: &Value) -> Result<Value, Error> {
        self.send("PATCH", &place.path(), Some(patch)).await
    }

    /// Merges `status` into the object's status.
    pub async fn patch_status(&self, place: &Place, status: &Value) -> Result<Value, Error> {
        let path = format!("{}/status", place.path());
        self.send("PATCH", &path, Some(&json!({"status": status}))).await
    }

    /// Replaces the object.
    pub async fn replace(&self, object: &Value) -> Result<Value, Error> {
        self.send("PUT", &Place::of(object)?.path(), Some(object)).await
    }

    /// Deletes the object at once. An object that is already gone is not an error.
    pub async fn delete(&self, place: &Place) -> Result<(), Error> {
        self.delete_with(place, &json!({"gracePeriodSeconds": 0})).await
    }

    /// Deletes all objects of a kind in a namespace at once.
    pub async fn delete_all(&self, kind: Kind, namespace: &str) -> Result<(), Error> {
        let options = json!({"gracePeriodSeconds": 0});
        self.send("DELETE", &kind.path(Some(namespace)), Some(&options)).await.map(drop)
    }

    /// Asks a pod to end, as its owner does. It remains terminating until [`Self::delete`].
    pub async fn terminate(&self, place: &Place) -> Result<(), Error> {
        self.delete_with(place, &json!({"gracePeriodSeconds": 3600})).await
    }

    async fn delete_with(&self, place: &Place, options: &Value) -> Result<(), Error> {
        match self.send("DELETE", &place.path(), Some(options)).await {
            Err(error) if status(&error) != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let failed = |source| Error::Request { what: format!("{method} {path}"), source };
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let media = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder().method(method).uri(path);
        let request = request.header(http::header::CONTENT_TYPE, media).body(body);
        let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
        self.client.request(request).await.map_err(failed)
    }
}

/// The HTTP status of a refusal.
fn status(error: &Error) -> Option<u16> {
    match error {
        Error::Request { source: kube::Error::Api(status), .. } => Some(status.code),
        _ => None,
    }
}
