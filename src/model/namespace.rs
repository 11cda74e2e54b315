//! Namespace: its labels, by which policies of the cluster select it.

use super::{labels::Labels, name::Name, store::Versioned};

/// A Namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: Name,
    /// `metadata.resourceVersion` as a number; 0 if unknown.
    pub version: u64,
    /// Its labels.
    pub labels: Labels,
}

impl Versioned for Namespace {
    fn version(&self) -> u64 {
        self.version
    }
}
