//! Lists: a list that begins puts all of its kind into doubt, what it names is true whatever its
//! version, and what it has not named at its end is gone.

use super::{Index, Watched, island::Island};
use crate::model::name::{Name, ServiceKey};

/// An object that a complete list did not name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gone {
    /// A Service.
    Service(ServiceKey),
    /// A pod, by namespace and name.
    Pod(Name, Name),
    /// A node.
    Node(Name),
    /// A slice, by namespace and name.
    Slice(Name, Name),
}

impl Index {
    /// A list begins; what it does not name is gone when it ends.
    pub fn begin_list(&mut self, kind: Watched) {
        let islands = self.islands.values_mut();
        match kind {
            Watched::Services => islands.for_each(Island::doubt_services),
            Watched::Pods => islands.for_each(Island::doubt_pods),
            Watched::Slices => islands.for_each(|island| island.slices.doubt()),
            Watched::Nodes => self.doubted_nodes = self.nodes.keys().cloned().collect(),
        }
    }

    /// An object was named, but could not be read. What is known of it stays. If a list named it,
    /// its next state is accepted whatever its version, as that of a list would have been.
    pub fn confirm(&mut self, named: &Gone) {
        match named {
            Gone::Service(key) => {
                self.visit(&key.namespace, |island| island.confirm_service(&key.name));
            }
            Gone::Pod(namespace, name) => {
                self.visit(namespace, |island| island.confirm_pod(name));
            }
            Gone::Slice(namespace, name) => {
                self.visit(namespace, |island| island.slices.confirm(name));
            }
            Gone::Node(name) => {
                if self.doubted_nodes.remove(name)
                    && let Some(node) = self.nodes.get_mut(name)
                {
                    node.version = 0;
                }
            }
        }
    }

    /// The version in which an object is known; `None` if it is not.
    pub fn version_of(&self, object: &Gone) -> Option<u64> {
        match object {
            Gone::Service(key) => Some(self.service(key)?.version),
            Gone::Pod(namespace, name) => Some(self.islands.get(namespace)?.pod(name)?.version),
            Gone::Node(name) => Some(self.nodes.get(name)?.version),
            Gone::Slice(namespace, name) => {
                Some(self.islands.get(namespace)?.slices.named(name)?.meta.version)
            }
        }
    }

    /// Forgets which plans have come true: all Services must be planned as a whole.
    pub fn unsettle_all(&mut self) {
        self.islands.values_mut().for_each(Island::unsettle_all);
    }

    /// A list is complete; returns what is known and was not named, sorted, still to be removed.
    pub fn end_list(&mut self, kind: Watched) -> Vec<Gone> {
        let mut gone = self.doubted(kind);
        gone.sort_unstable();
        gone
    }

    fn doubted(&mut self, kind: Watched) -> Vec<Gone> {
        if kind == Watched::Nodes {
            return std::mem::take(&mut self.doubted_nodes).into_iter().map(Gone::Node).collect();
        }
        let gone = |(namespace, island): (&Name, &Island)| -> Vec<Gone> {
            let named = |gone: fn(Name, Name) -> Gone, names: Vec<Name>| {
                names.into_iter().map(|name| gone(namespace.clone(), name)).collect()
            };
            match kind {
                Watched::Services => named(Gone::service, island.doubted_services()),
                Watched::Pods => named(Gone::Pod, island.doubted_pods()),
                Watched::Slices => named(Gone::Slice, island.slices.doubted()),
                Watched::Nodes => Vec::new(),
            }
        };
        self.islands.iter().flat_map(gone).collect()
    }
}

impl Gone {
    /// A Service, by namespace and name.
    pub fn service(namespace: Name, name: Name) -> Self {
        Self::Service(ServiceKey { namespace, name })
    }
}

impl Island {
    /// A list of Services begins: those that it does not name will be gone.
    pub fn doubt_services(&mut self) {
        self.services.values_mut().for_each(|selected| selected.is_stale = true);
    }

    /// A list of pods begins.
    pub fn doubt_pods(&mut self) {
        self.pods.iter_mut().for_each(|(_, record)| record.is_stale = true);
    }

    /// A list named this Service, which could not be read.
    pub fn confirm_service(&mut self, name: &str) {
        if let Some(selected) = self.services.get_mut(name)
            && std::mem::take(&mut selected.is_stale)
        {
            selected.service.version = 0;
        }
    }

    /// A list named this pod, which could not be read.
    pub fn confirm_pod(&mut self, name: &str) {
        if let Some(id) = self.pod_ids.get(name) {
            let record = &mut self.pods[*id];
            if std::mem::take(&mut record.is_stale) {
                record.pod.version = 0;
            }
        }
    }

    /// The Services that a list did not name.
    pub fn doubted_services(&self) -> Vec<Name> {
        let stale = self.services.iter().filter(|(_, selected)| selected.is_stale);
        stale.map(|(name, _)| name.clone()).collect()
    }

    /// The pods that a list did not name.
    pub fn doubted_pods(&self) -> Vec<Name> {
        let stale = self.pods.iter().filter(|(_, record)| record.is_stale);
        stale.map(|(_, record)| record.pod.name.clone()).collect()
    }
}
