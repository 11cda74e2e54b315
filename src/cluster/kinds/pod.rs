//! Pods: what an event of a pod changes.

use super::{Affected, ObjectKey, Stores, Tracked};
use crate::{
    api::{
        Object,
        guard::{Malformed, Remains},
    },
    cluster::{
        Index,
        island::{Island, Record},
        keys,
    },
    model::{
        name::{Name, ServiceKey, Uid},
        pod::Pod,
        store::Admission,
    },
};

impl Tracked for Pod {
    type Record = Record;
    const STORES: Stores<Self::Record> =
        Stores::Namespaced { of: |island| &island.pods, of_mut: |island| &mut island.pods };

    fn apply(index: &mut Index, object: Object<Self>) -> Affected {
        Affected::Pods(index.apply_pod(&object.namespace, object.value))
    }

    fn apply_remains(index: &mut Index, key: &ObjectKey, malformed: &Malformed) -> Affected {
        let island = index.islands.get(&key.namespace);
        let Some(known) = island.and_then(|island| island.pods.get(&key.name)) else {
            return Affected::None;
        };
        let version = malformed.version();
        let uid = malformed.metadata.uid.as_deref().and_then(Uid::parse);
        if uid.is_some() && uid != known.pod.uid {
            // The known pod is gone, and nothing is known of its successor.
            return Self::remove(index, key, version);
        }
        let Remains { is_terminating, is_finished, is_unready } = malformed.remains;
        let pod = Self {
            version: version.unwrap_or(known.pod.version),
            ready: known.pod.ready && !is_unready,
            terminating: known.pod.terminating || is_terminating,
            finished: known.pod.finished || is_finished,
            ..known.pod.clone()
        };
        Affected::Pods(index.apply_pod(&key.namespace, pod))
    }

    fn remove(index: &mut Index, key: &ObjectKey, version: Option<u64>) -> Affected {
        Affected::Pods(index.remove_pod(&key.namespace, &key.name, version))
    }
}

impl Index {
    /// Stores a pod; returns the Services to sync.
    pub fn apply_pod(&mut self, namespace: &Name, mut pod: Pod) -> Vec<ServiceKey> {
        self.pool.pod(&mut pod);
        self.pool.labels(&mut pod.labels);
        let services = self.island(namespace).put_pod(pod);
        keys(namespace, services)
    }

    /// Forgets a pod, unless what is known is newer than its deletion; returns the Services to
    /// sync.
    pub fn remove_pod(
        &mut self,
        namespace: &Name,
        name: &str,
        version: Option<u64>,
    ) -> Vec<ServiceKey> {
        let services = self.visit(namespace, |island| island.remove_pod(name, version));
        keys(namespace, services.unwrap_or_default())
    }
}

impl Island {
    /// Stores a pod; returns the Services to sync: none if nothing changed that they read.
    fn put_pod(&mut self, mut pod: Pod) -> Vec<Name> {
        let id = match self.pods.admit(&pod.name, pod.version) {
            Admission::Outdated => return Vec::new(),
            Admission::New => return self.new_pod(pod),
            Admission::Known(id) => id,
        };
        let record = self.pods.at_mut(id);
        let has_same_endpoints = is_same_but_conditions(&record.pod, &pod);
        let has_same_conditions =
            record.pod.ready == pod.ready && record.pod.terminating == pod.terminating;
        if has_same_endpoints && has_same_conditions && record.pod.ready_since == pod.ready_since {
            record.pod.version = pod.version;
            return Vec::new();
        }
        let old_group = record.group;
        let mut affected = self.services_of(old_group);
        if self.groups[old_group].labels == pod.labels {
            pod.labels = self.groups[old_group].labels.clone();
        } else {
            let group = self.join_group(&mut pod.labels);
            self.groups[group].pods.insert(id);
            self.leave_group(old_group, id);
            self.pods.at_mut(id).group = group;
            affected.extend(self.services_of(group));
            affected.sort_unstable();
            affected.dedup();
        }
        let record = self.pods.at_mut(id);
        pod.name = record.pod.name.clone();
        let before = std::mem::replace(&mut record.pod, pod);
        let now = record.pod.node.clone();
        self.move_to_node(id, before.node.as_ref(), now.as_ref());
        if has_same_endpoints {
            for service in &affected {
                self.change_conditions(service, id);
            }
            // The next sync must see a time alone: a separate sync would use it up.
            return if has_same_conditions { Vec::new() } else { affected };
        }
        self.pods_changed(&affected);
        affected
    }

    fn new_pod(&mut self, mut pod: Pod) -> Vec<Name> {
        let group = self.join_group(&mut pod.labels);
        let (name, node) = (pod.name.clone(), pod.node.clone());
        let id = self.pods.insert(name, Record { pod, group });
        self.groups[group].pods.insert(id);
        self.move_to_node(id, None, node.as_ref());
        let affected = self.services_of(group);
        self.pods_changed(&affected);
        affected
    }

    fn remove_pod(&mut self, name: &str, version: Option<u64>) -> Vec<Name> {
        let Some((id, Record { pod, group })) = self.pods.remove(name, version) else {
            return Vec::new();
        };
        self.move_to_node(id, pod.node.as_ref(), None);
        let affected = self.services_of(group);
        self.pods_changed(&affected);
        self.leave_group(group, id);
        affected
    }
}

/// Whether its endpoints have kept their identities and places, whatever their conditions.
fn is_same_but_conditions(old: &Pod, new: &Pod) -> bool {
    old.uid == new.uid
        && old.labels == new.labels
        && old.node == new.node
        && old.addresses == new.addresses
        && old.has_address == new.has_address
        && old.ports == new.ports
        && old.host == new.host
        && old.finished == new.finished
}
