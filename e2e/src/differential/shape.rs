//! The shapes of Services, pods and nodes, as data: what the steps of a script say about them.

use serde::{Deserialize, Serialize};

/// The properties of a Service when it is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shape {
    /// Whether it has no cluster IP.
    pub headless: bool,
    /// Whether its first family is IPv6.
    pub ipv6: bool,
    /// Whether it has both families.
    pub dual: bool,
    /// Which pods it selects.
    pub selector: Selector,
    /// Its ports, by number: see [`super::objects::ports`].
    pub ports: usize,
    /// `spec.trafficDistribution`.
    pub distribution: Distribution,
    /// The legacy annotation.
    pub auto: Auto,
    /// Its labels, by number: see [`super::objects::labels`].
    pub labels: usize,
    /// `spec.publishNotReadyAddresses`.
    pub publish: bool,
    /// Whether it is of the type `ExternalName`.
    pub external: bool,
}

/// A change of one property of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Its selector.
    Selector(Selector),
    /// Its selector and its labels at once, so that all its slices are written with other pods.
    SelectorAndLabels(Selector, usize),
    /// Its ports.
    Ports(usize),
    /// Its type.
    External(bool),
    /// One family or both.
    Dual(bool),
    /// `spec.publishNotReadyAddresses`.
    Publish(bool),
    /// `spec.trafficDistribution`.
    Distribution(Distribution),
    /// The legacy annotation.
    Auto(Auto),
    /// Its labels.
    Labels(usize),
}

/// What a Service selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// Pods in red.
    Red,
    /// Pods in blue.
    Blue,
    /// Pods in red and blue.
    Both,
    /// Pods in any colour.
    Any,
    /// It has no selector.
    Absent,
}

/// A pod's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coat {
    /// Whether it is red.
    pub red: bool,
    /// Whether it is blue.
    pub blue: bool,
}

/// `spec.trafficDistribution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distribution {
    /// Not set.
    Unset,
    /// The old name of `PreferSameZone`.
    PreferClose,
    /// Zones.
    PreferSameZone,
    /// Nodes, then zones.
    PreferSameNode,
}

/// The annotations of the legacy mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auto {
    /// None.
    Off,
    /// `topology-mode: Auto`.
    Mode,
    /// `topology-aware-hints: auto`, the deprecated key.
    Hints,
    /// `topology-mode` with a value that means nothing.
    Disabled,
}

/// The properties of pods when they are created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PodShape {
    /// Their labels.
    pub coat: Coat,
    /// The node of the first pod, or `None` for pods without a node.
    pub node: Option<usize>,
    /// Whether they are ready.
    pub ready: bool,
    /// Where their port `web` is: see [`super::objects::pod`].
    pub web: Web,
    /// Their addresses' families.
    pub addresses: Addresses,
    /// Whether they have a hostname, in the first Service's domain.
    pub hostname: bool,
}

/// Where a pod declares its port `web`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Web {
    /// Nowhere.
    Absent,
    /// In its container.
    Container(u16),
    /// In a sidecar.
    Sidecar(u16),
    /// In its container, for UDP only.
    Udp(u16),
}

/// The addresses that a pod has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addresses {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Both.
    Both,
}

/// A pod's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Not started.
    Pending,
    /// Running.
    Running,
    /// Ended with success.
    Succeeded,
    /// Ended with a failure.
    Failed,
}

impl Phase {
    /// Whether the pod has ended.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// A zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// `zone-a`
    A,
    /// `zone-b`
    B,
    /// `zone-c`
    C,
    /// `zone-d`, in which no node counts for the legacy mechanism.
    D,
}

impl Zone {
    /// All zones.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "zone-a",
            Self::B => "zone-b",
            Self::C => "zone-c",
            Self::D => "zone-d",
        }
    }
}
