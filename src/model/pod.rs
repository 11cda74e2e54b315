//! Pod: the parts of it that become an endpoint.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use super::{
    labels::Labels,
    name::{Name, Uid},
    store::Versioned,
};

/// A pod, as far as slices depend on it. Pods of one ReplicaSet share labels and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name; the namespace is that of the owner of the record.
    pub name: Name,
    /// UID; absent only for objects in files.
    pub uid: Option<Uid>,
    /// `metadata.resourceVersion` as a number; 0 if unknown.
    pub version: u64,
    /// Its labels.
    pub labels: Labels,
    /// `spec.nodeName`, if it is bound.
    pub node: Option<Name>,
    /// `status.podIPs`, in order.
    pub addresses: Box<[IpAddr]>,
    /// Whether it has an address at all: `status.podIP` alone counts too
    /// (docs/semantics.md 3.1).
    pub has_address: bool,
    /// The named ports of its containers, then of its sidecars.
    pub ports: ContainerPorts,
    /// `spec.hostname` and `spec.subdomain`, if both are given.
    pub host: Option<Box<HostName>>,
    /// Whether its Ready condition is `True`.
    pub ready: bool,
    /// Since when the Ready condition has had its status.
    pub ready_since: Option<Timestamp>,
    /// Whether it has a deletionTimestamp.
    pub terminating: bool,
    /// Whether its phase is `Succeeded` or `Failed`.
    pub finished: bool,
}

impl Versioned for Pod {
    fn version(&self) -> u64 {
        self.version
    }
}

/// Named container ports: containers first, then init containers that always restart.
pub type ContainerPorts = Arc<[ContainerPort]>;

/// A container's port that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerPort {
    /// Its name.
    pub name: Name,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Name,
    /// Its number.
    pub number: i32,
}

/// The name that a pod has in DNS, under a headless Service with the subdomain's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// `spec.hostname`.
    pub hostname: Name,
    /// `spec.subdomain`.
    pub subdomain: Name,
}
