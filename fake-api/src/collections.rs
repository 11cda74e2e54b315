//! Names of collections: `GROUP/VERSION/PLURAL`, without a group for the core kinds.

/// Services.
pub const SERVICES: &str = "v1/services";
/// Pods.
pub const PODS: &str = "v1/pods";
/// Nodes.
pub const NODES: &str = "v1/nodes";
/// `EndpointSlices`.
pub const SLICES: &str = "discovery.k8s.io/v1/endpointslices";
/// Events.
pub const EVENTS: &str = "events.k8s.io/v1/events";
/// Leases.
pub const LEASES: &str = "coordination.k8s.io/v1/leases";
/// `ConfigMaps`. closehaul does not watch them, so a write to one only raises the version.
pub const CONFIG_MAPS: &str = "v1/configmaps";
