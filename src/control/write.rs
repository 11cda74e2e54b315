//! Write: sends the changes of one Service, one after the other, each on the version that it
//! was planned on, and none without leadership.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    Method, Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use kube::{Client, client::Body, core::Status};
use serde::de::Error as _;
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

pub use self::{answers::Answers, error::WriteError};
use self::{
    error::refused,
    order::{Order, Step},
    trim::{Trimmed, trim},
};
use super::{expectations::Sight, history::Shown, lease::Leadership, stop::Stop};
use crate::{
    api::{
        Kind,
        frame::{self, Encoding},
        refusal::{self, is_namespace_terminating},
        render,
        stored::Stored,
    },
    model::{
        address::AddressType,
        name::{Name, ServiceKey},
        slice::Slice,
    },
    observe::{Metrics, Operation, WriteKind, WriteResult},
    pace::Pace,
    plan::changes::Changes,
};

mod answers;
mod error;
mod order;
mod patch;
#[cfg(test)]
mod tests;
mod trim;

/// How often a slice that the API server rejects is sent again, each time without what it named.
const ROUNDS: usize = 2;

/// Sends writes to the API server.
#[derive(Clone)]
pub struct Writer {
    /// The client. It must not retry by itself.
    pub client: Client,
    /// Who may write.
    pub leadership: Leadership,
    /// Whether a write may still begin. The main loop uses it to stop its writers.
    pub stop: Stop,
    /// How long one request may take. Shorter than what is left of the lease at its deadline.
    pub timeout: Duration,
    /// How many writes are sent.
    pub limit: Limit,
    /// The encoding in which slices are sent.
    pub encoding: WriteEncoding,
    /// Where writes are counted.
    pub metrics: Metrics,
    /// Whether its requests are answered in time.
    pub answers: Answers,
}

/// How many writes all writers send together. There is no limit by default.
#[derive(Clone, Debug, Default)]
pub struct Limit(Option<Arc<Mutex<Pace>>>);

impl Limit {
    /// At most `qps` per second and `burst` at once. 0 per second means no limit.
    pub fn new(qps: f64, burst: u32) -> Self {
        let interval = Duration::try_from_secs_f64(qps.recip()).ok();
        Self(interval.map(|interval| Arc::new(Mutex::new(Pace::new(interval, burst.into())))))
    }

    /// Waits for its turn.
    async fn wait(&self) {
        let Some(pace) = &self.0 else { return };
        let turn = pace.lock().unwrap_or_else(PoisonError::into_inner).book(Instant::now());
        sleep_until(turn).await;
    }
}

/// The encoding in which slices are sent: JSON, which every API server reads, until an answer comes
/// in Protobuf. A server that writes Protobuf also reads it, with far less work.
#[derive(Clone, Debug, Default)]
pub struct WriteEncoding(Arc<AtomicBool>);

impl WriteEncoding {
    fn current(&self) -> Encoding {
        if self.0.load(Ordering::Relaxed) { Encoding::Protobuf } else { Encoding::Json }
    }

    /// Records the encoding of an answer.
    fn learn(&self, answer: Encoding) {
        self.0.store(answer == Encoding::Protobuf, Ordering::Relaxed);
    }
}

/// The outcome of the writes for one Service.
#[derive(Debug)]
pub struct Outcome {
    /// The Service.
    pub service: ServiceKey,
    /// What was written, as the watch will show it.
    pub written: Vec<Sight>,
    /// For each address type, the first slice rejected as invalid, and what ended its writes.
    pub failures: Vec<WriteError>,
    /// The address types for which everything was written.
    pub complete: Vec<AddressType>,
    /// Whether the API server stored a slice without the `forNodes` hints that were sent.
    pub node_hints_dropped: bool,
    /// The versions that it returned.
    pub shown: Vec<Shown>,
    /// Slices of the Service that exist already where new ones were to be created.
    pub found: Vec<Slice>,
    /// Names for new slices that another client's slices have.
    pub taken: Vec<Name>,
}

impl Outcome {
    /// Nothing was written, and nothing failed.
    pub fn of(service: ServiceKey) -> Self {
        let (written, failures, complete) = (Vec::new(), Vec::new(), Vec::new());
        let (shown, found, taken) = (Vec::new(), Vec::new(), Vec::new());
        let node_hints_dropped = false;
        Self { service, written, failures, complete, node_hints_dropped, shown, found, taken }
    }
}

impl Writer {
    /// Writes the changes of one Service. Slices that another controller writes are patched, all others
    /// are sent as a whole. A failure ends the writes of its address type, unless the
    /// API server rejects a slice as invalid; the others continue (docs/semantics.md 2).
    pub async fn write(self, service: ServiceKey, families: Vec<Changes>) -> Outcome {
        let mut outcome = Outcome::of(service);
        for changes in families {
            let address_type = changes.address_type();
            match self.write_family(changes, &mut outcome).await {
                Ok(true) => outcome.complete.extend(address_type),
                Ok(false) => {}
                Err(error) => outcome.failures.push(error),
            }
        }
        outcome
    }

    /// Returns whether everything was written. In a terminating namespace, nothing more can be.
    async fn write_family(
        &self,
        changes: Changes,
        outcome: &mut Outcome,
    ) -> Result<bool, WriteError> {
        let kind = if changes.is_locality_only { WriteKind::Hints } else { WriteKind::Endpoints };
        let mut order = Order::of(&changes);
        let mut refusal = None;
        while let Some(step) = order.next() {
            let sent = if changes.is_in_place {
                self.send(kind, &step, None, outcome).await.map(|()| None)
            } else {
                self.send_trimmed(kind, &step, outcome).await
            };
            match sent {
                Ok(None) => {}
                Ok(Some((trimmed, error))) => {
                    order.refuse_endpoints(&step, &trimmed.endpoints);
                    refusal.get_or_insert(error);
                }
                Err(WriteError::Refused { status, .. })
                    if step.operation == Operation::Create && is_namespace_terminating(&status) =>
                {
                    return Ok(false);
                }
                Err(error) if error.is_invalid() => {
                    order.refuse(&step);
                    refusal.get_or_insert(error);
                }
                Err(error) => {
                    outcome.failures.extend(refusal);
                    return Err(error);
                }
            }
        }
        refusal.map_or(Ok(true), Err)
    }

    /// Sends one write. If the API server's own validation rejects parts of endpoints, sends it
    /// again without them. Returns what was written, and what to report.
    async fn send_trimmed(
        &self,
        kind: WriteKind,
        step: &Step<'_>,
        outcome: &mut Outcome,
    ) -> Result<Option<(Trimmed, WriteError)>, WriteError> {
        let mut first = match self.send(kind, step, Some(step.slice), outcome).await {
            Err(WriteError::Refused { what, status }) => (what, status),
            result => return result.map(|()| None),
        };
        let mut trimmed = trim(step.slice, &first.1);
        for _ in 0..ROUNDS {
            let Some(now) = trimmed.take().filter(|now| step.is_worth(&now.slice)) else { break };
            match self.send(kind, step, Some(&now.slice), outcome).await {
                Ok(()) => {
                    let (what, status) = first;
                    let without = now.without.clone();
                    return Ok(Some((now, WriteError::Trimmed { what, without, status })));
                }
                Err(WriteError::Refused { what, status }) => {
                    trimmed = trim(&now.slice, &status).map(|next| next.after(now));
                    if trimmed.is_none() {
                        first = (what, status);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let (what, status) = first;
        Err(WriteError::Refused { what, status })
    }

    /// Sends one write and counts it: of `whole`, or without it a patch.
    async fn send(
        &self,
        kind: WriteKind,
        step: &Step<'_>,
        whole: Option<&Slice>,
        outcome: &mut Outcome,
    ) -> Result<(), WriteError> {
        let operation = step.operation;
        tokio::select! {
            biased;
            () = self.limit.wait() => {}
            () = self.stop.asked() => {}
        }
        let sent = Instant::now();
        let result = match (operation, whole) {
            (Operation::Create, Some(slice)) => self.create(slice, outcome).await,
            (Operation::Update, Some(slice)) => self.put(Method::PUT, slice, outcome).await,
            (Operation::Delete, Some(slice)) => self.delete(slice).await,
            (_, None) => self.patch(step, outcome).await,
        };
        let came = result.as_ref().map_or_else(WriteError::result, |_| WriteResult::Done);
        let took = (came != WriteResult::NotLeading).then(|| sent.elapsed());
        self.metrics.own.wrote(kind, operation, came, took);
        // What was gone already was not deleted by us (kubernetes#141304). What is patched, another
        // controller counts.
        if whole.is_some() && matches!(result, Ok(Some(_))) {
            self.metrics.built_in.changed(operation);
        }
        outcome.written.extend(result?);
        Ok(())
    }

    /// Creates a slice. Its name says what it is for, so if it exists already, an earlier try has
    /// created it whose answer was lost, and it counts as seen. If it is another client's or cannot be
    /// parsed, the name counts as taken.
    async fn create(
        &self,
        slice: &Slice,
        outcome: &mut Outcome,
    ) -> Result<Option<Sight>, WriteError> {
        let what = match self.put(Method::POST, slice, outcome).await {
            Err(WriteError::Conflict { what }) => what,
            result => return result,
        };
        let read = (frame::JSON, Vec::new());
        match self.request(what.clone(), Method::GET, slice, read).await {
            Ok((encoding, body)) => {
                let found = encoding.read::<Slice>(body).map(|object| object.value);
                match found.filter(|found| is_for_the_same(found, slice)) {
                    Some(found) => outcome.found.push(found),
                    None => outcome.taken.extend(slice.meta.name.clone()),
                }
                Err(WriteError::Exists { what })
            }
            Err(_) => Err(WriteError::Conflict { what }),
        }
    }

    async fn put(
        &self,
        method: Method,
        slice: &Slice,
        outcome: &mut Outcome,
    ) -> Result<Option<Sight>, WriteError> {
        let what = what(&method, slice);
        let encoding = self.encoding.current();
        let body = render::body(slice, encoding).map_err(kube::Error::SerdeError);
        let body = body.map_err(|source| WriteError::Lost { what: what.clone(), source })?;
        let is_update = method == Method::PUT;
        let body = (encoding.content_type(), body);
        let answer = self.request(what.clone(), method, slice, body).await;
        let (encoding, body) = match answer {
            Err(WriteError::Refused { what, status }) if is_update && status.code == 404 => {
                return Err(WriteError::Conflict { what });
            }
            Err(error) => {
                if error.is_about_the_body() {
                    self.encoding.learn(Encoding::Json);
                }
                return Err(error);
            }
            Ok(answer) => answer,
        };
        self.encoding.learn(encoding);
        let stored = stored(what, encoding, body)?;
        outcome.node_hints_dropped |= has_node_hints(slice) && !stored.has_node_hints();
        outcome.shown.extend(stored.version().map(|stored| {
            let sent = slice.meta.version;
            if is_update { Shown::Updated { sent, stored } } else { Shown::Created(stored) }
        }));
        Ok(stored.version().map(Sight::Version))
    }

    /// Patches hints and annotation of a slice that another controller writes.
    async fn patch(
        &self,
        step: &Step<'_>,
        outcome: &mut Outcome,
    ) -> Result<Option<Sight>, WriteError> {
        let slice = step.slice;
        let what = what(&Method::PATCH, slice);
        let patch = patch::patch(step.before.unwrap_or(slice), slice).to_string();
        let body = (patch::CONTENT_TYPE, patch.into());
        let (encoding, body) = match self.request(what.clone(), Method::PATCH, slice, body).await {
            Err(WriteError::Refused { what, status }) if is_outdated(&status) => {
                return Err(WriteError::Conflict { what });
            }
            answer => answer?,
        };
        let stored = stored(what, encoding, body)?;
        outcome.node_hints_dropped |= has_node_hints(slice) && !stored.has_node_hints();
        let sent = slice.meta.version;
        outcome.shown.extend(stored.version().map(|stored| Shown::Updated { sent, stored }));
        Ok(stored.version().map(Sight::Version))
    }

    async fn delete(&self, slice: &Slice) -> Result<Option<Sight>, WriteError> {
        let preconditions = json!({
            "uid": slice.meta.uid.as_ref().map(ToString::to_string),
            "resourceVersion": slice.meta.version.to_string(),
        });
        let body =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions});
        let what = what(&Method::DELETE, slice);
        let body = (frame::JSON, body.to_string().into());
        match self.request(what, Method::DELETE, slice, body).await {
            Ok(_) => Ok(slice.meta.name.clone().map(Sight::Gone)),
            // It is gone as intended (kubernetes#141304). The watch may have shown it long ago.
            Err(WriteError::Refused { status, .. }) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn request(
        &self,
        what: String,
        method: Method,
        slice: &Slice,
        (content_type, body): (&str, Vec<u8>),
    ) -> Result<(Encoding, Bytes), WriteError> {
        if self.stop.is_asked() {
            return Err(WriteError::Stopping { what });
        }
        if !self.leadership.holds() {
            return Err(WriteError::NotLeading { what });
        }
        let sent = Instant::now();
        let request = Request::builder().method(&method).uri(path(&method, slice));
        let request = request.header(CONTENT_TYPE, content_type);
        let request = request.header(ACCEPT, frame::ACCEPT).body(body);
        let request = request.map_err(kube::Error::HttpError);
        let request = request.map_err(|source| WriteError::Lost { what: what.clone(), source })?;
        self.answers.asked(sent);
        let answer = timeout(self.timeout, answer(&self.client, request)).await;
        self.answers.answered(Instant::now());
        debug!(write = what, elapsed = ?sent.elapsed(), "write");
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(refused(what, status)),
            Ok(Err(source)) => Err(WriteError::Lost { what, source }),
            Err(_) => Err(WriteError::TimedOut { what, after: self.timeout }),
        }
    }
}

/// Like [`Client::request`], in either encoding and with what [`refusal::status`] also reads.
async fn answer(client: &Client, request: Request<Vec<u8>>) -> kube::Result<(Encoding, Bytes)> {
    let (head, body) = client.send(request.map(Body::from)).await?.into_parts();
    let body = body.collect_bytes().await?;
    if head.status.is_success() {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        return Ok((Encoding::of(content_type.unwrap_or_default()), body));
    }
    let text = || String::from_utf8_lossy(&body).trim().to_owned();
    Err(kube::Error::Api(refusal::status(&head, body.clone(), text)))
}

/// The slice as it is stored, by the API server's answer.
fn stored(what: String, encoding: Encoding, body: Bytes) -> Result<Stored, WriteError> {
    let read = |error| kube::Error::SerdeError(serde_json::Error::custom(error));
    let stored = encoding.object(body).map_err(read);
    stored.map_err(|source| WriteError::Lost { what, source })
}

/// Whether a patch was refused because the slice is gone, or is not the one any more that the patch was
/// made for. An API server that finds a test of a patch to fail answers 422, like one that finds the
/// result to be invalid, but names no field.
fn is_outdated(status: &Status) -> bool {
    let names_fields = || status.details.as_ref().is_some_and(|details| !details.causes.is_empty());
    status.code == 404 || (status.code == 422 && !names_fields())
}

/// Whether a slice is one of those that the watch shows for the Service of `new`. Another client may
/// have given it to another Service.
fn is_for_the_same(found: &Slice, new: &Slice) -> bool {
    let mut owners = new.meta.owners.iter();
    found.managed_service().is_some()
        && found.managed_service() == new.managed_service()
        && owners.any(|owner| found.is_owned_by(Some(&owner.uid)))
}

fn has_node_hints(slice: &Slice) -> bool {
    let hints = slice.endpoints.iter().filter_map(|endpoint| endpoint.hints.as_ref());
    hints.into_iter().any(|hints| !hints.nodes.is_empty())
}

fn path(method: &Method, slice: &Slice) -> String {
    let (group, version, plural) = (Slice::GROUP, Slice::VERSION, Slice::PLURAL);
    let name = slice.meta.name.as_ref().filter(|_| method != Method::POST);
    let name = name.map_or_else(String::new, |name| format!("/{name}"));
    let is_sent = [Method::POST, Method::PUT, Method::PATCH].contains(method);
    let manager = if is_sent { "?fieldManager=closehaul" } else { "" };
    format!("/apis/{group}/{version}/namespaces/{}/{plural}{name}{manager}", slice.meta.namespace)
}

fn what(method: &Method, slice: &Slice) -> String {
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ => "delete",
    };
    let name: Option<&Name> = slice.meta.name.as_ref().or(slice.meta.generate_name.as_ref());
    format!("{verb} slice {}/{}", slice.meta.namespace, name.map_or("", AsRef::as_ref))
}
