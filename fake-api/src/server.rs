//! The server: what tests can do with it.

mod serving;
mod watching;
mod writing;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
};

use closehaul::{
    admission::names::{BINDING, POLICY},
    client::connection::layers,
    clock::WallClock,
    random::Random,
};
use kube::{Client, client::ClientBuilder};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    collections::{CUSTOM, MUTATING_BINDINGS, MUTATING_POLICIES},
    faults::{Effect, Faults, On},
    invariants::{Limits, violations},
    recorder::{Caller, Change},
    refusal::Refusal,
    request::Seen,
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
    /// The collections of custom resources that are served.
    pub(crate) installed: BTreeSet<&'static str>,
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
            installed: BTreeSet::new(),
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
        let violations = violations(&self.record(), limits);
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

    /// Serves closehaul's own kinds from now on, as after their definitions were applied.
    pub fn install(&self) {
        self.change(|state| state.installed.extend(CUSTOM));
    }

    /// Installs the admission policy of assist mode and its binding.
    pub fn install_admission(&self) {
        self.put(MUTATING_POLICIES, json!({ "metadata": { "name": POLICY }, "spec": {} }));
        let spec = json!({ "policyName": POLICY });
        self.put(MUTATING_BINDINGS, json!({ "metadata": { "name": BINDING }, "spec": spec }));
    }

    /// Whether closehaul's own kinds are served.
    pub fn is_installed(&self) -> bool {
        self.with(|state| !state.installed.is_empty())
    }

    /// Stops serving closehaul's own kinds, whose objects are gone.
    pub fn uninstall(&self) {
        for collection in CUSTOM {
            for object in self.list(collection) {
                self.remove(collection, text(&object, "namespace"), text(&object, "name"));
            }
        }
        self.change(|state| state.installed.clear());
        self.end_watches();
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
}
