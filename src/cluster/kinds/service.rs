//! Services: what an event of a Service changes.

use super::{Affected, ObjectKey, Stores, Tracked};
use crate::{
    api::{Object, guard::Malformed},
    cluster::{
        Index,
        island::{Island, Selected},
    },
    model::{name::ServiceKey, service::Service, store::Admission},
    plan::{
        intent::resolve,
        precedence::{Rules, Scope},
    },
};

/// What an event changed about a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceChange {
    /// Nothing, or the event is older than what is known.
    Nothing,
    /// Something that slices do not depend on. The built-in controller syncs the Service then too,
    /// and so records what changed about its pods without a sync (docs/semantics.md 4.6).
    Unread,
    /// Only how its hints are decided.
    Hints,
    /// Something else.
    Endpoints,
}

impl ServiceChange {
    fn between(old: &Service, new: &Service) -> Self {
        let aligned = |service: &Service| Service { version: 0, ..service.clone() };
        let unhinted = |service: Service| Service {
            traffic_distribution: None,
            auto: false,
            policy: None,
            ..service
        };
        let is_newer = old.version != new.version;
        let (old, new) = (aligned(old), aligned(new));
        if old == new {
            if is_newer { Self::Unread } else { Self::Nothing }
        } else if unhinted(old) == unhinted(new) {
            Self::Hints
        } else {
            Self::Endpoints
        }
    }
}

impl Tracked for Service {
    type Record = Box<Selected>;
    const STORES: Stores<Self::Record> =
        Stores::Namespaced { of: |island| &island.services, of_mut: |island| &mut island.services };

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        let key = object.value.key.clone();
        match index.apply_service(object.value) {
            ServiceChange::Nothing => Affected::None,
            ServiceChange::Unread => Affected::Unread(key),
            ServiceChange::Hints => Affected::Hints(vec![key]),
            ServiceChange::Endpoints => Affected::Service(key),
        }
    }

    fn apply_remains(index: &mut Index, key: &ObjectKey, malformed: &Malformed) -> Affected {
        let key = ServiceKey { namespace: key.namespace.clone(), name: key.name.clone() };
        let Some(known) = index.service(&key).filter(|_| malformed.remains.is_terminating) else {
            return Affected::None;
        };
        let version = malformed.version().unwrap_or(known.version);
        let service = Self { version, terminating: true, ..known.clone() };
        match index.apply_service(service) {
            ServiceChange::Nothing => Affected::None,
            _ => Affected::Service(key),
        }
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        let key = ServiceKey { namespace: key.namespace.clone(), name: key.name.clone() };
        let is_gone = index.remove_service(&key, version);
        if is_gone { Affected::ServiceGone(key) } else { Affected::None }
    }
}

impl Index {
    /// Stores a Service; returns what changed.
    pub fn apply_service(&mut self, mut service: Service) -> ServiceChange {
        self.pool.service(&mut service);
        let island = self.islands.entry(service.key.namespace.clone()).or_default();
        island.put_service(service, &self.rules)
    }

    /// Forgets a Service, unless what is known is newer than its deletion. Returns whether it is
    /// gone.
    pub fn remove_service(&mut self, key: &ServiceKey, version: Option<u64>) -> bool {
        let removed = |island: &mut Island| island.remove_service(&key.name, version);
        self.visit(&key.namespace, removed).is_none_or(|is_gone| is_gone)
    }
}

impl Island {
    /// Stores a Service; returns what changed.
    fn put_service(&mut self, service: Service, rules: &Rules) -> ServiceChange {
        let name = service.key.name.clone();
        let mut change = ServiceChange::Endpoints;
        match self.services.admit(&name, service.version) {
            Admission::Outdated => return ServiceChange::Nothing,
            Admission::New => {}
            Admission::Known(id) => {
                let generation = self.next_generation();
                let selected = self.services.at_mut(id);
                change = ServiceChange::between(&selected.service, &service);
                if matches!(change, ServiceChange::Nothing | ServiceChange::Unread) {
                    selected.service.version = service.version;
                    return change;
                }
                if selected.service.selector == service.selector {
                    let scope = Scope { policies: &self.policies, rules };
                    selected.intent = resolve(&service, scope);
                    selected.service = service;
                    selected.generation = generation;
                    return change;
                }
                self.remove_service(&name, None);
            }
        }
        self.select(&name, service, rules);
        change
    }

    fn remove_service(&mut self, name: &str, version: Option<u64>) -> bool {
        if let Some((_, selected)) = self.services.remove(name, version) {
            self.unselect(name, &selected);
        }
        self.services.id(name).is_none()
    }
}
