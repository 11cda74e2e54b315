//! The server: what tests can do with it, and how it serves a request.

mod watching;
mod writing;

use std::{
    collections::BTreeSet,
    io,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
};

use closehaul::{client::connection::layers, clock::WallClock, random::Random};
use http::{Method, Request, Response};
use http_body_util::channel::Channel;
use kube::{Client, client::ClientBuilder};
use serde_json::Value;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use self::{watching::Watch, writing::write};
use crate::{
    faults::{Effect, Faults, On},
    invariants::{KNOWN, Limits, violations},
    recorder::{Caller, Change},
    refusal::Refusal,
    request::{Call, Seen},
    respond::{Body, answer_with, page, respond, typed},
    store::{Store, text},
};

/// An API server inside the test, without sockets and on tokio's paused time.
///
/// It keeps a versioned log of every kind of object. It serves lists in pages and by stream,
/// watches, bookmarks and 410. It checks versions and preconditions, and records every request.
/// Tests create and edit objects directly and make requests fail with [`crate::faults`].
/// Collections are named as in [`crate::collections`]. Clones are the same server.
#[derive(Clone)]
pub struct FakeApi {
    state: Arc<Mutex<State>>,
    /// Wakes the watches in the order in which they began to wait. The requests that follow then
    /// come in the same order in each run.
    pub(crate) pulse: Arc<Notify>,
    /// Who sends the requests of [`Self::client`].
    pub(crate) caller: Caller,
}

pub(crate) struct State {
    pub(crate) store: Store,
    faults: Faults,
    requests: Vec<Seen>,
    reachable: bool,
    /// Watches of an earlier connection end.
    pub(crate) epoch: u64,
    /// Lines injected into open watches of a collection.
    pub(crate) injected: Vec<(String, String)>,
    gone_as_status: bool,
    random: Random,
    /// Collections whose watches lag behind.
    pub(crate) held: BTreeSet<String>,
    /// Replicas whose packets are lost.
    cut_off: BTreeSet<Caller>,
    /// Whether [`FakeApi::check`] says nothing.
    is_checked_apart: bool,
    replicas: u32,
}

impl State {
    pub(crate) fn is_cut_off(&self, caller: Caller) -> bool {
        self.cut_off.contains(&caller)
    }
}

impl Default for FakeApi {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeApi {
    /// A server without objects. Its wall clock starts now and follows tokio's.
    pub fn new() -> Self {
        let state = State {
            store: Store::new(),
            faults: Faults::default(),
            requests: Vec::new(),
            reachable: true,
            epoch: 0,
            injected: Vec::new(),
            gone_as_status: false,
            random: Random::seeded(0),
            held: BTreeSet::new(),
            cut_off: BTreeSet::new(),
            is_checked_apart: false,
            replicas: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), pulse: Arc::default(), caller: Caller::World }
    }

    /// The same server as a new replica of closehaul uses it: the recorder knows what is changed by
    /// requests of this one's clients.
    #[must_use]
    pub fn replica(self) -> Self {
        let number = self.with(|state| {
            state.replicas += 1;
            state.replicas
        });
        Self { caller: Caller::Replica(number), ..self }
    }

    /// All changes so far, in order.
    pub fn record(&self) -> Vec<Change> {
        self.with(|state| state.store.record.clone())
    }

    /// Checks the invariants over all changes so far, for replicas with at most this many endpoints
    /// in a slice. After a restore, the record is not what the server knows, so nothing is checked.
    pub fn check(&self, max_endpoints: usize) {
        let (is_checked_apart, is_restored, stores_node_hints) = self.with(|state| {
            let store = &state.store;
            (state.is_checked_apart, store.was_restored, !store.has_dropped_node_hints)
        });
        if is_checked_apart || is_restored {
            return;
        }
        let limits = Limits { max_endpoints, staleness: None, stores_node_hints, lag: None };
        let mut violations = violations(&self.record(), limits);
        violations.retain(|violation| !KNOWN.contains(&violation.invariant));
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// From now on, only the test itself checks the invariants.
    pub fn check_apart(&self) {
        self.with(|state| state.is_checked_apart = true);
    }

    /// A client with the same layers as the controller's.
    pub fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request| api.clone().handle(request));
        ClientBuilder::new(service, "default").with_layer(&layers()).build()
    }

    /// Seeds all sources of [`Self::random`] with `seed`; the default is 0.
    pub fn seed(&self, seed: u64) {
        self.with(|state| state.random = Random::seeded(seed));
    }

    /// The source of random numbers for a replica on this server. Each call returns another source,
    /// so two replicas differ, but each run gets the same ones.
    pub fn random(&self) -> Random {
        self.with(|state| state.random.fork())
    }

    /// The time of day on this server, which follows tokio's time.
    pub fn wall_clock(&self) -> WallClock {
        self.with(|state| state.store.clock.clone())
    }

    /// Creates an object, or replaces it regardless of its version. There is no validation: an
    /// object may be malformed, but it needs a name. Returns it as stored.
    pub fn put(&self, collection: &str, object: Value) -> Value {
        let name = (text(&object, "namespace").to_owned(), text(&object, "name").to_owned());
        self.change(|state| match state.store.get(collection, &name) {
            Err(_) => state.store.create(collection, &name.0, object).unwrap(),
            Ok(old) => {
                let mut object = object;
                object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
                object["metadata"]["uid"] = old["metadata"]["uid"].clone();
                state.store.replace(collection, &name, object, false).unwrap()
            }
        })
    }

    /// Changes an existing object. Its new version follows the rules of PUT.
    pub fn edit(&self, collection: &str, ns: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut object = self.get(collection, ns, name).unwrap();
        edit(&mut object);
        self.put(collection, object);
    }

    /// Removes an object at once, regardless of its finalizers.
    pub fn remove(&self, collection: &str, ns: &str, name: &str) {
        let name = (ns.to_owned(), name.to_owned());
        self.change(|state| state.store.write(collection, name, None));
    }

    /// Deletes an object as a client would. An object with finalizers stays and gets a deletion
    /// timestamp.
    pub fn delete(&self, collection: &str, ns: &str, name: &str) {
        let name = (ns.to_owned(), name.to_owned());
        self.change(|state| state.store.delete(collection, &name, &Value::Null)).unwrap();
    }

    /// An object as stored.
    pub fn get(&self, collection: &str, ns: &str, name: &str) -> Option<Value> {
        let name = (ns.to_owned(), name.to_owned());
        self.with(|state| state.store.get(collection, &name).ok())
    }

    /// All objects of a collection, by namespace and name.
    pub fn list(&self, collection: &str) -> Vec<Value> {
        self.with(|state| state.store.collection(collection).objects.values().cloned().collect())
    }

    /// The version of the latest change of any object.
    pub fn version(&self) -> u64 {
        self.with(|state| state.store.version)
    }

    /// Forgets the past: watches and pages from before now get 410.
    pub fn compact(&self) {
        self.with(|state| state.store.oldest = state.store.version);
    }

    /// Whether a watch from a forgotten version fails with a status. Otherwise its first event is
    /// the error, which is what the watch cache does.
    pub fn gone_as_status(&self, status: bool) {
        self.with(|state| state.gone_as_status = status);
    }

    /// Goes back to the state at `version`, as after a restore from a backup. Open watches know a
    /// later version, so they send nothing until that version is reached again.
    pub fn restore(&self, version: u64) {
        self.with(|state| state.store.restore(version));
    }

    /// Ends all watches, as a server does from time to time.
    pub fn end_watches(&self) {
        self.change(|state| state.epoch += 1);
    }

    /// Lets the watches of a collection fall behind until [`Self::release`].
    pub fn hold(&self, collection: &str) {
        self.with(|state| state.held.insert(collection.to_owned()));
    }

    /// Lets the watches of a collection catch up.
    pub fn release(&self, collection: &str) {
        self.change(|state| state.held.remove(collection));
    }

    /// Injects a line into all open watches of a collection.
    pub fn inject(&self, collection: &str, line: &str) {
        self.change(|state| state.injected.push((collection.to_owned(), line.to_owned())));
    }

    /// Reports to all open watches of a collection that their version is expired.
    pub fn expire_watches(&self, collection: &str) {
        self.inject(collection, &Refusal::gone(1, self.version()).event());
    }

    /// Ends all watches and refuses all connections until [`Self::connect`].
    pub fn disconnect(&self) {
        self.change(|state| {
            state.reachable = false;
            state.epoch += 1;
        });
    }

    /// Accepts connections again.
    pub fn connect(&self) {
        self.with(|state| state.reachable = true);
    }

    /// Cuts this replica off: until [`Self::rejoin`] it neither gets answers and events nor reaches
    /// the server, and its connections stay open.
    pub fn cut_off(&self) {
        self.with(|state| state.cut_off.insert(self.caller));
    }

    /// Connects all replicas again that were cut off. What they sent meanwhile arrives now.
    pub fn rejoin(&self) {
        self.change(|state| state.cut_off.clear());
    }

    /// Sets whether the feature gate that allows hints for nodes in slices is off.
    pub fn drops_node_hints(&self, drops: bool) {
        self.with(|state| {
            state.store.drops_node_hints = drops;
            state.store.has_dropped_node_hints |= drops;
        });
    }

    /// Makes requests fail. If several faults apply, the one that was added first wins.
    pub fn fault(&self, on: On, effect: Effect) {
        self.with(|state| state.faults.add(on, effect));
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.with(|state| state.faults.clear());
    }

    /// All requests so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Seen> {
        self.with(|state| state.requests.clone())
    }

    /// How many requests so far match.
    pub fn count(&self, such: impl Fn(&Seen) -> bool) -> usize {
        self.with(|state| state.requests.iter().filter(|seen| such(seen)).count())
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state: MutexGuard<'_, State> = self.state.lock().unwrap();
        act(&mut state)
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let outcome = self.with(act);
        self.pulse.notify_waiters();
        outcome
    }

    fn change_by<T>(&self, caller: Caller, act: impl FnOnce(&mut State) -> T) -> T {
        self.change(|state| {
            state.store.caller = caller;
            let outcome = act(state);
            state.store.caller = Caller::World;
            outcome
        })
    }

    async fn handle(self, request: Request<kube::client::Body>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let seen = Seen {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            at: Instant::now(),
            by: self.caller,
        };
        let (reachable, effect) = self.with(|state| {
            state.requests.push(seen.clone());
            (state.reachable, state.faults.strike(&seen))
        });
        if !reachable {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.connected().await;
        match &effect {
            Some(Effect::Refuse) => return Err(io::ErrorKind::ConnectionReset.into()),
            Some(Effect::Hang) => std::future::pending().await,
            Some(Effect::Delay(wait)) => sleep(*wait).await,
            _ => {}
        }
        if let Some(answer) = effect.as_ref().and_then(|effect| effect.answer(&seen)) {
            return Ok(answer_with(&answer).await);
        }
        let response = match self.serve(&head.method, &seen, effect.as_ref()).await {
            Ok(response) => response,
            Err(refusal) => refusal.respond().await,
        };
        self.connected().await;
        match effect {
            Some(Effect::DoAndHang) => std::future::pending().await,
            Some(Effect::DoAndDelay(wait)) => {
                sleep(wait).await;
                Ok(response)
            }
            Some(Effect::DoAndAnswer(code)) => Ok(Refusal::made(code).respond().await),
            Some(Effect::DoAndRefuse) => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(response),
        }
    }

    /// Waits until this replica is not cut off.
    async fn connected(&self) {
        loop {
            // Created before we read the state, so that no change is missed.
            let mut changed = pin!(self.pulse.notified());
            changed.as_mut().enable();
            if !self.with(|state| state.is_cut_off(self.caller)) {
                return;
            }
            changed.await;
        }
    }

    async fn serve(
        &self,
        method: &Method,
        seen: &Seen,
        effect: Option<&Effect>,
    ) -> Result<Response<Body>, Refusal> {
        let call = Call::read(&seen.path, &seen.query).ok_or_else(Refusal::no_such_path)?;
        let (path, name) = (&call.collection, call.object());
        if *method == Method::GET && call.name.is_none() {
            return if seen.is_watch() {
                self.watch(&call, effect).await
            } else {
                let list = self.with(|state| {
                    let version = shown(state, effect);
                    page(&mut state.store, &call, version)
                })?;
                Ok(respond(200, &list).await)
            };
        }
        let (code, object) = if *method == Method::GET {
            (200, self.with(|state| state.store.get(path, &name))?)
        } else {
            self.change_by(self.caller, |state| {
                write(&mut state.store, method, &call, seen.body.clone())
            })?
        };
        Ok(respond(code, &typed(path, object)).await)
    }

    async fn watch(&self, call: &Call, effect: Option<&Effect>) -> Result<Response<Body>, Refusal> {
        let version = self.with(|state| shown(state, effect));
        let mut watch = match Watch::new(self, call, version) {
            Err(refusal) if refusal.code == 410 && !self.with(|state| state.gone_as_status) => {
                return Ok(respond(200, &refusal.event()).await);
            }
            watch => watch?,
        };
        let body = match effect {
            Some(Effect::CloseAtOnce) => Channel::new(1).1,
            Some(Effect::Silence) => {
                let (sender, body) = Channel::new(1);
                // Stays open until the test ends.
                tokio::spawn(async move {
                    let _open = sender;
                    std::future::pending::<()>().await;
                });
                body
            }
            Some(Effect::MarkAfter(wait)) => {
                watch.mark_after = Some(*wait);
                watch.start(self.clone())
            }
            Some(Effect::CloseBeforeMark) => {
                watch.close_before_mark = true;
                watch.start(self.clone())
            }
            Some(Effect::CloseAfter(wait)) => {
                watch.close_after(*wait);
                watch.start(self.clone())
            }
            Some(Effect::Repeat) => {
                watch.repeats = true;
                watch.start(self.clone())
            }
            Some(Effect::BlankBookmarks) => {
                watch.blank_bookmarks = true;
                watch.start(self.clone())
            }
            Some(Effect::Truncate) => {
                watch.is_truncated = true;
                watch.start(self.clone())
            }
            Some(Effect::Throttle(rate)) => {
                watch.rate = Some(*rate);
                watch.start(self.clone())
            }
            _ => watch.start(self.clone()),
        };
        Ok(Response::new(body))
    }
}

/// The version that a list shows. It is the newest unless a fault selects an old one.
fn shown(state: &State, effect: Option<&Effect>) -> u64 {
    match effect {
        Some(Effect::Stale(version)) => *version,
        _ => state.store.version,
    }
}
