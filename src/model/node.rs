//! Node: its zone, and whether clients are assumed to run there.

use super::{
    name::Name,
    store::{Store, Versioned},
};

/// A node, as far as slices depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// `metadata.resourceVersion` as a number; 0 if unknown.
    pub version: u64,
    /// The label `topology.kubernetes.io/zone`, if it is not empty.
    pub zone: Option<Name>,
    /// Whether its Ready condition is `True`.
    pub ready: bool,
    /// Whether it has a control-plane role label.
    pub control_plane: bool,
    /// Whether ordinary pods can be placed here: neither cordoned nor tainted `NoSchedule`.
    pub schedulable: bool,
    /// Allocatable CPU in thousandths of a core; 0 if unknown.
    pub cpu: u64,
}

impl Versioned for Node {
    fn version(&self) -> u64 {
        self.version
    }
}

/// All nodes, by name.
pub type Nodes = Store<Node>;
