//! A faulty proxy between closehaul and the real API server, and a recorder of what happens on that
//! server.
//!
//! - [`Proxy`]: forwards requests, and makes some of them fail as [`fake_api::faults`] says
//! - `watching`: the bodies of watches that fail
//! - [`Recorder`]: every change of Services, pods, nodes and slices, for the invariants

mod recorder;
mod watching;

use std::{
    collections::BTreeSet,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fake_api::{
    Seen,
    faults::{Answer, Effect, Faults, On},
};
use http::{
    Method, Request, Response,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

pub use self::recorder::Recorder;

/// The body of an answer. An error breaks the connection.
type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A proxy on loopback that speaks plain HTTP. It asks the API server for JSON, which the faults of
/// watches are made of. Dropping it ends all connections.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    _connections: JoinSet<()>,
}

struct Shared {
    client: Client,
    state: Mutex<State>,
    /// Watches of an earlier epoch end.
    epoch: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    written: Written,
}

/// What was written through a proxy.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The versions that the API server answered with.
    pub versions: BTreeSet<u64>,
    /// The paths of objects that were deleted.
    pub deleted: BTreeSet<String>,
}

impl Proxy {
    /// A proxy that asks the API server of `client`, with its identity.
    pub async fn before(client: Client) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (state, epoch) = (Mutex::default(), watch::Sender::new(0));
        let shared = Arc::new(Shared { client, state, epoch });
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, _connections: connections })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes requests fail. If several faults apply, the one that was added first wins.
    pub fn fault(&self, on: On, effect: Effect) {
        self.shared.state().faults.add(on, effect);
    }

    /// Ends all faults. What they hold stays as it is.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Breaks all watches.
    pub fn break_watches(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// What was written through it so far.
    pub fn written(&self) -> Written {
        self.shared.state().written.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let answer = service_fn(move |request| answer(Arc::clone(&shared), request));
    // An error of a connection is what a fault makes of it.
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    connection.await.unwrap_or_default();
}

/// Answers a request. An error breaks its connection.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let seen = Seen::of(&head, &body);
    let effect = shared.state().faults.strike(&seen);
    if let Some(effect) = &effect {
        effect.before().await?;
    }
    if let Some(answer) = effect.as_ref().and_then(|effect| effect.answer(&seen)) {
        return made(answer);
    }
    let mut forwarded = Request::builder().method(head.method.clone()).uri(&head.uri);
    forwarded = forwarded.header(ACCEPT, "application/json");
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        forwarded = forwarded.header(CONTENT_TYPE, content_type);
    }
    let forwarded = forwarded.body(kube::client::Body::from(body)).map_err(io::Error::other)?;
    let answer = shared.client.send(forwarded).await.map_err(io::Error::other)?;
    if seen.is_watch() {
        return Ok(watching::body(answer, effect.as_ref(), shared.epoch.subscribe()));
    }
    let (answer, body) = answer.into_parts();
    let body = body.collect_bytes().await.map_err(io::Error::other)?;
    if answer.status.is_success() && head.method != Method::GET {
        shared.state().written.add(&head.method, &seen.path, &body);
    }
    if let Some(effect) = &effect {
        effect.after().await?;
    }
    match effect.and_then(|effect| effect.answer_after()) {
        Some(made_up) => made(made_up),
        None => Ok(Response::from_parts(answer, full(body))),
    }
}

impl Written {
    fn add(&mut self, method: &Method, path: &str, body: &[u8]) {
        if *method == Method::DELETE {
            self.deleted.insert(path.to_owned());
            return;
        }
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let version = object["metadata"]["resourceVersion"].as_str();
        self.versions.extend(version.and_then(|version| version.parse::<u64>().ok()));
    }
}

fn made(answer: Answer) -> io::Result<Response<Body>> {
    let Answer { code, retry_after, body } = answer;
    let mut response = Response::builder().status(code).header(CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response.body(full(body.into())).map_err(io::Error::other)
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}
