//! Slices: what an event of a slice changes.

use super::{Affected, ObjectKey, SliceChange, Stores, Tracked};
use crate::{
    api::{Object, guard::Malformed},
    cluster::{Index, island::Island, keys, slices::Put},
    model::{
        labels::Labels,
        name::Name,
        slice::{Endpoint, Slice, SliceMeta},
    },
};

impl Tracked for Slice {
    type Record = Self;
    const STORES: Stores<Self> = Stores::Namespaced {
        of: |island| &island.slices.held,
        of_mut: |island| &mut island.slices.held,
    };

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        index.apply_slice(object.value).map_or(Affected::None, Affected::Slice)
    }

    fn apply_remains(index: &mut Index, key: &ObjectKey, malformed: &Malformed) -> Affected {
        if malformed.remains.is_terminating {
            // It counts as gone.
            return Self::remove(index, key, malformed.version());
        }
        Affected::None
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        let change = index.remove_slice(&key.namespace, &key.name, version);
        change.map_or(Affected::None, Affected::Slice)
    }
}

impl Index {
    /// Stores a slice; `None` if it names no Service or nothing is new.
    pub fn apply_slice(&mut self, mut slice: Slice) -> Option<SliceChange> {
        let namespace = slice.meta.namespace.clone();
        let name = slice.meta.name.clone()?;
        let version = Some(slice.meta.version).filter(|_| !slice.meta.terminating);
        let mut is_own = false;
        if let Some(service) = slice.managed_service() {
            let island = self.islands.entry(namespace.clone()).or_default();
            let own = island.take_awaited(service, &slice);
            is_own = own.is_some();
            if let Some(own) = own {
                slice.meta.labels = own.meta.labels;
                (slice.ports, slice.endpoints) = (own.ports, own.endpoints);
            } else {
                let pod_name = |name: &str| island.pod(name).map(|pod| pod.name.clone());
                self.pool.slice(&mut slice, island.slices.held.get(&name), pod_name);
            }
        } else if slice.service().is_some() {
            strip(&mut slice);
            let island = self.islands.get(&namespace);
            let known = island.and_then(|island| island.slices.held.get(&name));
            self.pool.slice(&mut slice, known, |_| None);
        }
        let put = self.island(&namespace).slices.put(name.clone(), slice, is_own);
        self.visit(&namespace, |_| ());
        Some(change(&namespace, name, version, put?))
    }

    /// Forgets a slice, unless what is known is newer than its deletion.
    pub fn remove_slice(
        &mut self,
        namespace: &Name,
        name: &Name,
        version: Option<u64>,
    ) -> Option<SliceChange> {
        let removed = |island: &mut Island| island.slices.remove(name, version);
        let put = self.visit(namespace, removed).filter(|put| !put.is_empty())?;
        Some(change(namespace, name.clone(), None, put))
    }
}

fn change(namespace: &Name, name: Name, version: Option<u64>, put: Put) -> SliceChange {
    let Put { services, assessed, is_rewritten } = put;
    let [services, assessed] = [services, assessed].map(|names| keys(namespace, names));
    SliceChange { services, assessed, is_rewritten, name, version }
}

/// Drops what proxies do not read: such a slice is never written here.
fn strip(slice: &mut Slice) {
    let SliceMeta { annotations, owners, finalizers, .. } = &mut slice.meta;
    *annotations = Labels::default();
    (*owners, *finalizers) = ([].into(), [].into());
    let bare = |endpoint: &Endpoint| Endpoint { target: None, hostname: None, ..endpoint.clone() };
    slice.endpoints = slice.endpoints.iter().map(bare).collect();
}
