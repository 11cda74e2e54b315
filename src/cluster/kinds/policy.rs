//! Policies, evacuations and namespaces: what an event of one changes. They are optional: without
//! them, each Service has the intent of its own fields. Each change resolves the intents that may
//! depend on it again, so a Service is affected exactly if its intent differs afterwards.

use std::collections::BTreeSet;

use foldhash::HashMap;
use jiff::Timestamp;

use super::{Affected, Need, ObjectKey, Stores, Tracked};
use crate::{
    api::Object,
    cluster::{Index, island::Island, keys},
    model::{
        name::{Name, ServiceKey},
        namespace::Namespace,
        policy::{
            ClusterLocalityPolicy, DemandSource, LocalityPolicy, PolicySpec, Reading, RequestKey,
            ZoneEvacuation,
        },
        store::{Admission, Id, Store, Versioned},
    },
    plan::{
        intent::resolve,
        precedence::{Rules, Scope},
    },
};

/// The most client selectors in the policies of a namespace (docs/planner.md 5).
const CLIENT_SELECTORS_OF_NAMESPACE: usize = 10;
/// The most client selectors in all policies.
const CLIENT_SELECTORS: usize = 100;

impl Tracked for LocalityPolicy {
    type Record = Self;
    const STORES: Stores<Self> =
        Stores::Namespaced { of: |island| &island.policies, of_mut: |island| &mut island.policies };
    const NEED: Need = Need::Optional;

    fn request(key: &ObjectKey) -> Option<RequestKey> {
        let (namespace, name) = (key.namespace.clone(), key.name.clone());
        Some(RequestKey::Policy { namespace, name })
    }

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        Affected::Hints(index.apply_policy(object.value))
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        Affected::Hints(index.remove_policy(&key.namespace, &key.name, version))
    }
}

impl Tracked for ClusterLocalityPolicy {
    type Record = Self;
    const STORES: Stores<Self> = Stores::Cluster {
        of: |index| &index.rules.policies,
        of_mut: |index| &mut index.rules.policies,
    };
    const NEED: Need = Need::Optional;

    fn request(key: &ObjectKey) -> Option<RequestKey> {
        Some(RequestKey::ClusterPolicy(key.name.clone()))
    }

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        Affected::Hints(index.apply_cluster_policy(object.value))
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        Affected::Hints(index.remove_cluster_policy(&key.name, version))
    }
}

impl Tracked for ZoneEvacuation {
    type Record = Self;
    const STORES: Stores<Self> = Stores::Cluster {
        of: |index| &index.rules.evacuations,
        of_mut: |index| &mut index.rules.evacuations,
    };
    const NEED: Need = Need::Optional;

    fn request(key: &ObjectKey) -> Option<RequestKey> {
        Some(RequestKey::Evacuation(key.name.clone()))
    }

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        Affected::Evacuation(index.apply_evacuation(object.value))
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        Affected::Evacuation(index.remove_evacuation(&key.name, version))
    }
}

impl Tracked for Namespace {
    type Record = Self;
    const STORES: Stores<Self> = Stores::Cluster {
        of: |index| &index.rules.namespaces,
        of_mut: |index| &mut index.rules.namespaces,
    };
    const NEED: Need = Need::OnDemand;

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        Affected::Hints(index.apply_namespace(object.value))
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        Affected::Hints(index.remove_namespace(&key.name, version))
    }
}

impl Index {
    /// Sets whether all policies and evacuations are known. Until they are, hints stay as they are.
    /// Returns the Services that this affects, sorted.
    pub fn set_policies_known(&mut self, are_known: bool) -> Vec<ServiceKey> {
        self.rule(|rules| {
            Put::if_so(std::mem::replace(&mut rules.are_known, are_known) != are_known)
        })
    }

    /// From now on, policies are only reported, and evacuations are ignored. Nothing may be known yet.
    pub fn rehearse(&mut self) {
        self.rules.are_rehearsed = true;
    }

    /// Whether a policy or an evacuation selects by the labels of namespaces.
    pub fn reads_namespaces(&self) -> bool {
        self.rules.read_namespaces()
    }

    /// Stores a policy of a namespace. Returns the Services that this affects, sorted.
    pub fn apply_policy(&mut self, policy: LocalityPolicy) -> Vec<ServiceKey> {
        let namespace = policy.namespace.clone();
        let name = policy.meta.name.clone();
        let put = put(&mut self.island(&namespace).policies, name, policy);
        self.resolve_after(put, Some(&namespace))
    }

    /// Forgets a policy of a namespace, unless what is known is newer than its deletion. Returns the
    /// Services that this affects, sorted.
    pub fn remove_policy(
        &mut self,
        namespace: &Name,
        name: &str,
        version: Option<u64>,
    ) -> Vec<ServiceKey> {
        let Some(island) = self.islands.get_mut(namespace) else { return Vec::new() };
        let put = Put::of_removed(island.policies.remove(name, version));
        let affected = self.resolve_after(put, Some(namespace));
        // The policy may have been all that was known of the namespace.
        self.visit(namespace, |_| ());
        affected
    }

    /// Stores a policy of the cluster. Returns the Services that this affects, sorted.
    pub fn apply_cluster_policy(&mut self, policy: ClusterLocalityPolicy) -> Vec<ServiceKey> {
        let name = policy.meta.name.clone();
        self.rule(|rules| put(&mut rules.policies, name, policy))
    }

    /// Forgets a policy of the cluster, unless what is known is newer than its deletion. Returns the
    /// Services that this affects, sorted.
    pub fn remove_cluster_policy(&mut self, name: &str, version: Option<u64>) -> Vec<ServiceKey> {
        self.rule(|rules| Put::of_removed(rules.policies.remove(name, version)))
    }

    /// Stores an evacuation. Returns the Services that this affects, sorted.
    pub fn apply_evacuation(&mut self, evacuation: ZoneEvacuation) -> Vec<ServiceKey> {
        let name = evacuation.meta.name.clone();
        self.rule(|rules| put(&mut rules.evacuations, name, evacuation))
    }

    /// Forgets an evacuation, unless what is known is newer than its deletion. Returns the Services
    /// that this affects, sorted.
    pub fn remove_evacuation(&mut self, name: &str, version: Option<u64>) -> Vec<ServiceKey> {
        self.rule(|rules| Put::of_removed(rules.evacuations.remove(name, version)))
    }

    /// Stores a namespace. Returns the Services that this affects, sorted.
    pub fn apply_namespace(&mut self, namespace: Namespace) -> Vec<ServiceKey> {
        let name = namespace.name.clone();
        let put = put(&mut self.rules.namespaces, name.clone(), namespace);
        self.resolve_after(put, Some(&name))
    }

    /// Forgets a namespace, unless what is known is newer than its deletion. Returns the Services
    /// that this affects, sorted.
    pub fn remove_namespace(&mut self, name: &Name, version: Option<u64>) -> Vec<ServiceKey> {
        let put = Put::of_removed(self.rules.namespaces.remove(name, version));
        self.resolve_after(put, Some(name))
    }

    /// Sets the time that decides which evacuations are over. Before that, none is. Returns the
    /// Services that this affects, sorted.
    pub fn set_time(&mut self, now: Timestamp) -> Vec<ServiceKey> {
        self.rule(|rules| {
            let before = std::mem::replace(&mut rules.now, now);
            let is_over = |at: Timestamp, it: &ZoneEvacuation| it.is_over(at);
            let has_changed = |it: &ZoneEvacuation| is_over(before, it) != is_over(now, it);
            Put::if_so(rules.evacuations.values().any(has_changed))
        })
    }

    /// Changes what holds for all namespaces.
    fn rule(&mut self, change: impl FnOnce(&mut Rules) -> Put) -> Vec<ServiceKey> {
        let put = change(&mut self.rules);
        self.resolve_after(put, None)
    }

    /// Resolves intents again after a change in a namespace (`None`: in what holds for all). Returns
    /// the Services whose intents differ, sorted.
    fn resolve_after(&mut self, put: Put, mut namespace: Option<&Name>) -> Vec<ServiceKey> {
        if put == Put::Nothing {
            return Vec::new();
        }
        if put != Put::Status {
            self.demand.forget();
        }
        // Which policies have too many selectors depends on all.
        if put == Put::Clients && self.limit_selectors() {
            namespace = None;
        }
        let rules = &self.rules;
        let mut affected = Vec::new();
        if let Some(namespace) = namespace {
            let island = self.islands.get_mut(namespace);
            affected.extend(island.into_iter().flat_map(|it| keys(namespace, it.resolve(rules))));
        } else {
            for (namespace, island) in &mut self.islands {
                affected.extend(keys(namespace, island.resolve(rules)));
            }
        }
        affected.sort_unstable();
        affected
    }

    /// Finds the policies whose client selectors are too many, the youngest of a namespace and of all.
    /// Returns whether they are others than before.
    fn limit_selectors(&mut self) -> bool {
        let own = self.islands.values().flat_map(|island| island.policies.values());
        let own = own.filter(|it| reads_clients(&it.spec)).map(|it| {
            let (namespace, name) = (it.namespace.clone(), it.meta.name.clone());
            (it.meta.created, RequestKey::Policy { namespace, name })
        });
        let cluster = self.rules.policies.values().filter(|it| reads_clients(&it.spec));
        let cluster =
            cluster.map(|it| (it.meta.created, RequestKey::ClusterPolicy(it.meta.name.clone())));
        let mut all: Vec<_> = own.chain(cluster).collect();
        // One without an age, as in a manifest, is the youngest.
        all.sort_unstable_by(|(one, key), (other, other_key)| {
            (one.is_none(), one, key).cmp(&(other.is_none(), other, other_key))
        });
        let mut of_namespace: HashMap<Name, usize> = HashMap::default();
        let mut total = 0;
        let mut excess = BTreeSet::new();
        for (_, key) in all {
            let mut is_full = total >= CLIENT_SELECTORS;
            if let RequestKey::Policy { namespace, .. } = &key {
                let count = of_namespace.entry(namespace.clone()).or_default();
                is_full |= *count >= CLIENT_SELECTORS_OF_NAMESPACE;
                *count += usize::from(!is_full);
            }
            total += usize::from(!is_full);
            if is_full {
                excess.insert(key);
            }
        }
        let has_changed = self.rules.excess != excess;
        self.rules.excess = excess;
        has_changed
    }
}

impl Island {
    /// Resolves all intents again. Returns the Services whose intents differ.
    fn resolve(&mut self, rules: &Rules) -> Vec<Name> {
        let generation = self.next_generation();
        let scope = Scope { policies: &self.policies, rules };
        let mut affected = Vec::new();
        for selected in self.services.values_mut() {
            let intent = resolve(&selected.service, scope);
            if !selected.intent.requests_the_same(&intent) {
                selected.generation = generation;
                affected.push(selected.service.key.name.clone());
            }
            selected.intent = intent;
        }
        affected
    }
}

fn reads_clients(spec: &Reading<PolicySpec>) -> bool {
    matches!(spec, Reading::Known(PolicySpec { demand: DemandSource::Clients { .. }, .. }))
}

/// What a new state of an object changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    Nothing,
    /// Its status, which closehaul itself writes.
    Status,
    /// What it requests.
    Request,
    /// The same, and client selectors may be among it.
    Clients,
}

impl Put {
    /// What it changes that an object, if there was one, is gone.
    fn of_removed<T: Requesting>(removed: Option<(Id, T)>) -> Self {
        match removed {
            None => Self::Nothing,
            Some((_, object)) if object.reads_clients() => Self::Clients,
            Some(_) => Self::Request,
        }
    }

    fn if_so(has_changed: bool) -> Self {
        if has_changed { Self::Request } else { Self::Nothing }
    }
}

/// An object with a status.
trait Requesting: Versioned + Clone + PartialEq {
    /// The object without what changes with its status.
    fn request(&self) -> Self;

    /// Whether its status says that it is programmed.
    fn is_programmed(&self) -> bool {
        false
    }

    /// Whether it has a client selector.
    fn reads_clients(&self) -> bool {
        false
    }
}

impl Requesting for LocalityPolicy {
    fn request(&self) -> Self {
        Self { meta: self.meta.unversioned(), programmed: None, ..self.clone() }
    }

    fn is_programmed(&self) -> bool {
        self.programmed == Some(self.meta.generation)
    }

    fn reads_clients(&self) -> bool {
        reads_clients(&self.spec)
    }
}

impl Requesting for ClusterLocalityPolicy {
    fn request(&self) -> Self {
        Self { meta: self.meta.unversioned(), programmed: None, ..self.clone() }
    }

    fn is_programmed(&self) -> bool {
        self.programmed == Some(self.meta.generation)
    }

    fn reads_clients(&self) -> bool {
        reads_clients(&self.spec)
    }
}

impl Requesting for ZoneEvacuation {
    fn request(&self) -> Self {
        Self { meta: self.meta.unversioned(), ..self.clone() }
    }
}

impl Requesting for Namespace {
    fn request(&self) -> Self {
        Self { version: 0, ..self.clone() }
    }
}

/// Stores an object. Returns what that changes of intents.
fn put<T: Requesting>(store: &mut Store<T>, name: Name, object: T) -> Put {
    let put = match store.admit(&name, object.version()) {
        Admission::Outdated => return Put::Nothing,
        Admission::Known(id) if *store.at(id) == object => return Put::Nothing,
        Admission::Known(id) if store.at(id).request() == object.request() => {
            let is_read = store.at(id).is_programmed() != object.is_programmed();
            if is_read { Put::Status } else { Put::Nothing }
        }
        Admission::Known(id) if store.at(id).reads_clients() => Put::Clients,
        Admission::Known(_) | Admission::New if object.reads_clients() => Put::Clients,
        Admission::Known(_) | Admission::New => Put::Request,
    };
    store.insert(name, object);
    put
}
