//! The steps of a history, as data: what a script is made of.

use serde::{Deserialize, Serialize};

/// How many Services a history has room for.
pub const SERVICES: usize = 2;
/// How many pods a history has room for.
pub const PODS: usize = 16;
/// How many nodes a history has room for.
pub const NODES: usize = 4;

/// One change that somebody makes. Services, pods and nodes are numbered; one that does not fit
/// the state in which it is reached, as in a script that was made shorter, does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A Service appears.
    CreateService {
        /// Which.
        service: usize,
        /// What it is like.
        shape: Shape,
    },
    /// A Service is deleted; with `collect`, so are its slices, as the garbage collector does.
    DeleteService {
        /// Which.
        service: usize,
        /// Whether its slices go too.
        collect: bool,
    },
    /// A Service is deleted and made again at once, under another uid.
    RecreateService {
        /// Which.
        service: usize,
    },
    /// A Service is changed.
    Service {
        /// Which.
        service: usize,
        /// In what.
        change: Change,
    },
    /// Pods appear, with numbers that follow each other and nodes in turn.
    CreatePods {
        /// The first one.
        pod: usize,
        /// How many.
        count: usize,
        /// What they are like.
        shape: PodShape,
    },
    /// Pods are gone.
    DeletePods {
        /// The first one.
        pod: usize,
        /// How many, of those that exist.
        count: usize,
    },
    /// A pod is gone and there again at once, under another uid, at the same address or not.
    RecreatePod {
        /// Which.
        pod: usize,
        /// Whether its address stays.
        same_address: bool,
    },
    /// A pod gets a deletionTimestamp.
    TerminatePod {
        /// Which.
        pod: usize,
    },
    /// A pod becomes ready or unready; `late` says so with the time of an earlier change.
    Ready {
        /// Which.
        pod: usize,
        /// Whether it is.
        ready: bool,
        /// Whether the condition's time stays.
        late: bool,
    },
    /// A pod's phase changes, and nothing else.
    Phase {
        /// Which.
        pod: usize,
        /// The phase.
        phase: Phase,
    },
    /// A pod's addresses change: to those of a number, which another pod may have, or to none.
    Address {
        /// Which.
        pod: usize,
        /// The number.
        address: Option<u64>,
    },
    /// A pod's labels change.
    Relabel {
        /// Which.
        pod: usize,
        /// Its coat.
        coat: Coat,
    },
    /// A node appears, perhaps after its pods.
    CreateNode {
        /// Which.
        node: usize,
        /// Its zone.
        zone: Option<Zone>,
    },
    /// A node is deleted.
    DeleteNode {
        /// Which.
        node: usize,
    },
    /// A node's zone changes.
    Zone {
        /// Which.
        node: usize,
        /// The zone.
        zone: Option<Zone>,
    },
    /// Somebody else lays hand on a managed slice: the nth in the order of what is in them.
    Slice {
        /// Which.
        slice: usize,
        /// What is done.
        edit: Edit,
    },
    /// Foreign finalizers are taken off all slices.
    Release,
    /// A slice that says that it is managed and a Service's, but has another owner.
    Forge {
        /// Whose.
        service: usize,
    },
}

/// What a Service is like when it is made.
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

/// A change of one thing of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Its selector.
    Selector(Selector),
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
    /// Pods in whatever colour.
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

/// What pods are like when they are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PodShape {
    /// Their labels.
    pub coat: Coat,
    /// The node of the first one; `None` for pods on no node at all.
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
    /// Over, and well.
    Succeeded,
    /// Over.
    Failed,
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
    /// All of them.
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

/// What somebody else does to a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Deletes it.
    Delete,
    /// Takes its first endpoint out.
    DropEndpoint,
    /// Adds an endpoint that no pod stands for.
    AddEndpoint,
    /// Turns its first endpoint's condition `ready` round.
    FlipReady,
    /// Gives its first endpoint another zone's hint.
    WrongHint,
    /// Gives all its endpoints empty hints.
    EmptyHints,
    /// Takes all hints away.
    DropHints,
    /// Gives it other ports.
    Ports,
    /// Adds a label.
    AddLabel,
    /// Takes the Service's labels away.
    DropLabels,
    /// Turns the label for headless Services round.
    Headless,
    /// Adds an annotation.
    Annotate,
    /// Adds a finalizer.
    AddFinalizer,
    /// Takes its owner away.
    DropOwner,
    /// Adds a finalizer and deletes it, so that it stays and ends.
    Hold,
    /// Says that somebody else manages it.
    Unmanage,
    /// Says that it is another Service's.
    Rename,
}
