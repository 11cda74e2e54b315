//! The steps of a history, as data: what a script consists of.

use serde::{Deserialize, Serialize};

use super::shape::{Change, Coat, Phase, PodShape, Shape, Zone};

/// How many Services a history has room for.
pub const SERVICES: usize = 2;
/// How many pods a history has room for.
pub const PODS: usize = 16;
/// How many nodes a history has room for.
pub const NODES: usize = 4;
/// How many nodes all histories share. Their numbers follow those of a history's nodes.
pub const SHARED: usize = 3;

/// One change that a user makes. Services, pods and nodes are numbered; one that does not fit
/// the state in which it is reached, as in a script that was shortened, does nothing.
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
    /// A Service is deleted. With `collect`, its slices are deleted too, as by the garbage
    /// collector.
    DeleteService {
        /// Which.
        service: usize,
        /// Whether its slices go too.
        collect: bool,
    },
    /// A Service is deleted and created again at once, under another uid.
    RecreateService {
        /// Which.
        service: usize,
    },
    /// A Service is changed.
    Service {
        /// Which.
        service: usize,
        /// The change.
        change: Change,
    },
    /// Pods appear, with consecutive numbers and on nodes in turn.
    CreatePods {
        /// The first one.
        pod: usize,
        /// How many.
        count: usize,
        /// What they are like.
        shape: PodShape,
    },
    /// Pods are deleted.
    DeletePods {
        /// The first one.
        pod: usize,
        /// How many, of those that exist.
        count: usize,
    },
    /// A pod is deleted and rebuilt at once, with another UID, at the same address or a new one.
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
    /// A pod becomes ready or unready. With `late`, the condition keeps its earlier time.
    Ready {
        /// Which.
        pod: usize,
        /// Whether it is ready.
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
    /// A pod gets addresses that slices must not contain, until its next [`Step::Address`].
    Special {
        /// Which.
        pod: usize,
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
    /// A node is deleted and rebuilt at once.
    RecreateNode {
        /// Which.
        node: usize,
    },
    /// A node becomes ready or not.
    NodeReady {
        /// Which.
        node: usize,
        /// Whether it is ready.
        ready: bool,
    },
    /// A node's CPU changes.
    Cpu {
        /// Which.
        node: usize,
        /// Its cores.
        cores: u32,
    },
    /// The history's nodes count for the zones' shares of CPU from now on. The shares are those of
    /// the whole cluster, so no other history may be active.
    Workers,
    /// A node's zone changes.
    Zone {
        /// Which.
        node: usize,
        /// The zone.
        zone: Option<Zone>,
    },
    /// Another client edits a managed slice: the nth in the order of their content.
    Slice {
        /// Which.
        slice: usize,
        /// The edit.
        edit: Edit,
    },
    /// Foreign finalizers are removed from all slices.
    Release,
    /// Both controllers are restarted. closehaul must not write anything because of that.
    Restart,
    /// A slice appears that has the labels of a managed slice, but comes from another client.
    Forge {
        /// Which.
        service: usize,
    },
}

/// What another client does to a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Deletes it.
    Delete,
    /// Removes its first endpoint.
    DropEndpoint,
    /// Adds an endpoint without a pod.
    AddEndpoint,
    /// Inverts the condition `ready` of its first endpoint.
    FlipReady,
    /// Gives its first endpoint another zone's hint.
    WrongHint,
    /// Gives all its endpoints empty hints.
    EmptyHints,
    /// Removes all hints.
    DropHints,
    /// Gives it other ports.
    Ports,
    /// Adds a label.
    AddLabel,
    /// Removes the Service's labels.
    DropLabels,
    /// Adds or removes the label for headless Services.
    Headless,
    /// Adds an annotation.
    Annotate,
    /// Adds a finalizer.
    AddFinalizer,
    /// Removes its owner.
    DropOwner,
    /// Adds a finalizer and deletes the slice, so it remains terminating.
    Hold,
    /// Labels it as managed by another client.
    Unmanage,
    /// Labels it as a slice of another Service.
    Rename,
    /// Creates another one by hand that is the same.
    Copy,
    /// Creates another one by hand and moves half of its endpoints there.
    Split,
    /// Creates another one by hand without endpoints.
    CopyEmpty,
    /// Creates another one by hand without endpoints and ports.
    CopyBare,
}

impl Edit {
    /// Whether it creates a slice, or changes the endpoints or ports of one.
    pub fn is_of_content(self) -> bool {
        !matches!(
            self,
            Self::Delete
                | Self::Hold
                | Self::AddLabel
                | Self::DropLabels
                | Self::Headless
                | Self::Annotate
                | Self::AddFinalizer
                | Self::DropOwner
                | Self::Unmanage
                | Self::Rename
        )
    }
}
