//! Intent: what is requested for a Service. It is resolved once, when the Service changes, and
//! stored with the Service. Everything that depends on it reads it from there or from the plan.

use crate::model::service::{Service, TrafficDistribution};

/// What is requested for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// How its hints are chosen.
    pub mechanism: Mechanism,
}

impl Intent {
    /// The intent of `service`. The legacy annotation comes before `spec.trafficDistribution`
    /// (docs/semantics.md 5.1).
    pub fn of(service: &Service) -> Self {
        let distribution = service.traffic_distribution.map(Preference::of);
        let mechanism = if service.auto {
            Mechanism::Auto
        } else {
            distribution.map_or(Mechanism::Off, Mechanism::TrafficDistribution)
        };
        Self { mechanism }
    }

    /// Whether any preference for locality is requested.
    pub fn prefers_locality(self) -> bool {
        self.mechanism != Mechanism::Off
    }
}

/// How the hints of a Service are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// The legacy annotation: by CPU share.
    Auto,
    /// `spec.trafficDistribution`.
    TrafficDistribution(Preference),
    /// No hints.
    Off,
}

impl Mechanism {
    /// What it prefers, if anything; the same word everywhere.
    pub fn prefers(self) -> Option<&'static str> {
        match self {
            Self::Auto => Some("Auto"),
            Self::TrafficDistribution(Preference::Node) => Some("Node"),
            Self::TrafficDistribution(Preference::Zone) => Some("Zone"),
            Self::Off => None,
        }
    }
}

/// What a Service prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preference {
    /// `PreferSameZone`, or `PreferClose`, its older name.
    Zone,
    /// `PreferSameNode`, then the zone.
    Node,
}

impl Preference {
    /// The preference that a Service's value stands for.
    pub fn of(distribution: TrafficDistribution) -> Self {
        match distribution {
            TrafficDistribution::PreferClose | TrafficDistribution::PreferSameZone => Self::Zone,
            TrafficDistribution::PreferSameNode => Self::Node,
        }
    }
}
