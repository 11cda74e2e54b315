//! Node: its zone, and whether clients are assumed to run there.

use super::{
    labels::Labels,
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
    /// Its labels, which may name areas that are larger than a zone. Those that only it can have are
    /// left out.
    pub labels: Labels,
    /// Whether its Ready condition is `True`.
    pub ready: bool,
    /// Whether it has a control-plane role label.
    pub control_plane: bool,
    /// Allocatable CPU in thousandths of a core; 0 if unknown.
    pub cpu: u64,
}

impl Node {
    /// Whether clients are assumed to run on it, and its CPU counts for the legacy annotation: it is
    /// ready and does not belong to the control plane. A cordon or a taint stops no client
    /// (docs/planner.md 5).
    pub fn is_sending(&self) -> bool {
        self.ready && !self.control_plane
    }
}

impl Versioned for Node {
    fn version(&self) -> u64 {
        self.version
    }
}

/// All nodes, by name.
pub type Nodes = Store<Node>;
