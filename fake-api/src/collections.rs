//! Collections: their names, `GROUP/VERSION/PLURAL` without a group for the core kinds, and how a
//! real API server treats the objects in each.

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
/// Namespaces.
pub const NAMESPACES: &str = "v1/namespaces";
/// Policies of a namespace.
pub const POLICIES: &str = "closehaul.io/v1alpha1/localitypolicies";
/// Policies of the cluster.
pub const CLUSTER_POLICIES: &str = "closehaul.io/v1alpha1/clusterlocalitypolicies";
/// Evacuations.
pub const EVACUATIONS: &str = "closehaul.io/v1alpha1/zoneevacuations";
/// Admission policies that change objects.
pub const MUTATING_POLICIES: &str = "admissionregistration.k8s.io/v1/mutatingadmissionpolicies";
/// What puts them into force.
pub const MUTATING_BINDINGS: &str =
    "admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings";
/// `ConfigMaps`. closehaul does not watch them, so a write to one only raises the version.
pub const CONFIG_MAPS: &str = "v1/configmaps";

/// How a kind is served.
#[derive(Debug)]
pub(crate) struct Resource {
    collection: &'static str,
    /// The kind, as in objects.
    pub kind: &'static str,
    /// Whether the server counts the changes of the content in `metadata.generation`.
    pub counts_generations: bool,
    /// Whether a PUT without a version is accepted.
    pub takes_unversioned: bool,
    /// Whether a PUT creates what does not exist.
    pub creates_on_put: bool,
    /// Whether a DELETE answers with the object. Otherwise the answer is a Status.
    pub returns_deleted: bool,
    /// Whether a DELETE first sets the deletion timestamp, whatever the finalizers.
    pub ends_gracefully: bool,
    /// Whether the status is written apart.
    pub has_status: bool,
}

impl Resource {
    const fn new(collection: &'static str, kind: &'static str) -> Self {
        Self {
            collection,
            kind,
            counts_generations: false,
            takes_unversioned: true,
            creates_on_put: false,
            returns_deleted: false,
            ends_gracefully: false,
            has_status: false,
        }
    }

    /// One that a `CustomResourceDefinition` brings.
    const fn custom(collection: &'static str, kind: &'static str) -> Self {
        Self {
            counts_generations: true,
            takes_unversioned: false,
            returns_deleted: false,
            has_status: true,
            ..Self::new(collection, kind)
        }
    }
}

/// The collections of closehaul's own kinds.
pub(crate) const CUSTOM: [&str; 3] = [POLICIES, CLUSTER_POLICIES, EVACUATIONS];

static RESOURCES: [Resource; 14] = [
    Resource {
        creates_on_put: true,
        returns_deleted: true,
        has_status: true,
        ..Resource::new(SERVICES, "Service")
    },
    Resource {
        counts_generations: true,
        returns_deleted: true,
        ends_gracefully: true,
        has_status: true,
        ..Resource::new(PODS, "Pod")
    },
    Resource { has_status: true, ..Resource::new(NODES, "Node") },
    Resource { counts_generations: true, ..Resource::new(SLICES, "EndpointSlice") },
    Resource { creates_on_put: true, ..Resource::new(EVENTS, "Event") },
    Resource { takes_unversioned: false, creates_on_put: true, ..Resource::new(LEASES, "Lease") },
    Resource::new(CONFIG_MAPS, "ConfigMap"),
    Resource::new(NAMESPACES, "Namespace"),
    Resource::custom(POLICIES, "LocalityPolicy"),
    Resource::custom(CLUSTER_POLICIES, "ClusterLocalityPolicy"),
    Resource::custom(EVACUATIONS, "ZoneEvacuation"),
    Resource::new(MUTATING_POLICIES, "MutatingAdmissionPolicy"),
    Resource::new(MUTATING_BINDINGS, "MutatingAdmissionPolicyBinding"),
    Resource::new("", "Unknown"),
];

/// The resource of a collection. One that is not known here has no particular rules.
pub(crate) fn resource(collection: &str) -> &'static Resource {
    let known = RESOURCES.iter().find(|resource| resource.collection == collection);
    known.unwrap_or(&RESOURCES[RESOURCES.len() - 1])
}

/// The `apiVersion` of a collection's objects.
pub(crate) fn api_version(collection: &str) -> &str {
    collection.rsplit_once('/').map_or("", |(version, _)| version)
}

/// The plural of a collection, and its group.
pub(crate) fn plural_and_group(collection: &str) -> (&str, &str) {
    match collection.split('/').collect::<Vec<_>>()[..] {
        [group, _, plural] => (plural, group),
        [_, plural] => (plural, ""),
        _ => (collection, ""),
    }
}
