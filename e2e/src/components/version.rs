//! Which Kubernetes: the default version, and older ones that closehaul must also work with.

use std::fmt;

use clap::ValueEnum;

/// A version of Kubernetes that is pinned here, see `e2e/components/kubernetes*/go.mod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub enum Kubernetes {
    /// The oldest whose API server takes hints for nodes as it comes, and lets that be switched
    /// off.
    #[value(name = "1.34.4")]
    V1_34,
    /// The version in between.
    #[value(name = "1.36.3")]
    V1_36,
    /// The default version for all tests.
    #[default]
    #[value(name = "1.37.2")]
    V1_37,
}

impl Kubernetes {
    /// All versions, oldest first.
    pub const ALL: [Self; 3] = [Self::V1_34, Self::V1_36, Self::V1_37];

    /// The folder with its go.mod. The folder of the default version keeps its name when the
    /// version changes.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::V1_34 => "kubernetes-1.34",
            Self::V1_36 => "kubernetes-1.36",
            Self::V1_37 => "kubernetes",
        }
    }
}

impl fmt::Display for Kubernetes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every version has a name.
        self.to_possible_value().map_or(Ok(()), |value| out.write_str(value.get_name()))
    }
}
