//! Slice: an EndpointSlice, as it stands or as it is planned.

use std::{
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

use super::{
    address::{AddressType, Addresses},
    labels::Labels,
    name::{Name, Uid, are_same, is_same},
    port::Ports,
    store::Versioned,
};

/// The label that names a slice's Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that names a slice's controller.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] that the built-in controller uses, and closehaul in its place.
pub const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// The label of slices whose Service has no cluster IP.
pub const HEADLESS: &str = "service.kubernetes.io/headless";
/// The annotation that says which change of a pod or Service led to this write.
pub const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Name, version, labels, owners.
    pub meta: SliceMeta,
    /// `addressType`.
    pub address_type: AddressType,
    /// `ports`.
    pub ports: Ports,
    /// `endpoints`, in order.
    pub endpoints: Arc<[Endpoint]>,
}

impl Versioned for Slice {
    fn version(&self) -> u64 {
        self.meta.version
    }
}

/// The metadata of a slice, including what other clients put there and what we only pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceMeta {
    /// Namespace.
    pub namespace: Name,
    /// Name; `None` while the slice is not created yet.
    pub name: Option<Name>,
    /// `generateName`.
    pub generate_name: Option<Name>,
    /// UID; absent for slices not created yet and in files.
    pub uid: Option<Uid>,
    /// `resourceVersion` as a number; 0 if unknown.
    pub version: u64,
    /// Labels.
    pub labels: Labels,
    /// Annotations.
    pub annotations: Labels,
    /// Owners.
    pub owners: Arc<[Owner]>,
    /// Finalizers: never ours, always kept.
    pub finalizers: Arc<[Name]>,
    /// Whether it has a deletionTimestamp.
    pub terminating: bool,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `apiVersion`.
    pub api_version: Name,
    /// `kind`.
    pub kind: Name,
    /// `name`.
    pub name: Name,
    /// `uid`.
    pub uid: Uid,
    /// `controller`.
    pub controller: Option<bool>,
    /// `blockOwnerDeletion`.
    pub block_owner_deletion: Option<bool>,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, Eq)]
pub struct Endpoint {
    /// Its addresses; normally one.
    pub addresses: Addresses,
    /// Ready, serving, terminating.
    pub conditions: Conditions,
    /// The pod behind it.
    pub target: Option<Target>,
    /// `nodeName`.
    pub node: Option<Name>,
    /// `zone`.
    pub zone: Option<Name>,
    /// `hostname`.
    pub hostname: Option<Name>,
    /// `hints`; shared by the endpoints that have the same ones.
    pub hints: Option<Arc<Hints>>,
}

/// `conditions` of an endpoint; each may be absent in slices of other controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `ready`.
    pub ready: Option<bool>,
    /// `serving`.
    pub serving: Option<bool>,
    /// `terminating`.
    pub terminating: Option<bool>,
}

/// `targetRef` of an endpoint.
#[derive(Clone, Debug, Eq)]
pub struct Target {
    /// Namespace of the pod.
    pub namespace: Name,
    /// Name of the pod.
    pub name: Name,
    /// UID of the pod.
    pub uid: Option<Uid>,
    /// Whether it says something that is never written here: another kind, an API version,
    /// a field path. Such a reference is no longer that of the desired endpoint.
    pub foreign: bool,
}

/// `hints` of an endpoint. Both lists may be empty (`hints: {}`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hints {
    /// `forZones`.
    pub zones: Vec<Name>,
    /// `forNodes`.
    pub nodes: Vec<Name>,
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        let Self { addresses, conditions: _, target: _, node: _, zone: _, hostname, hints } = self;
        *addresses == other.addresses
            && are_same(hostname.as_ref(), other.hostname.as_ref())
            && self.is_same_but_hints(other)
            && *hints == other.hints
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        let Self { namespace, name, uid, foreign } = self;
        *foreign == other.foreign
            && *uid == other.uid
            && is_same(name, &other.name)
            && is_same(namespace, &other.namespace)
    }
}

impl Endpoint {
    /// Whether traffic may go to it. An absent condition counts as not ready, as it does when the
    /// built-in controller sets hints (docs/semantics.md 5.2).
    pub fn is_ready(&self) -> bool {
        self.conditions.ready == Some(true)
    }

    /// Whether those who send traffic consider it ready. To them, an absent condition, which only
    /// slices of other controllers have, counts as ready (docs/semantics.md 6.1).
    pub fn is_served(&self) -> bool {
        self.conditions.ready != Some(false)
    }

    /// Whether everything except the hints is the same. The caller has already compared the
    /// identities (docs/semantics.md 3.5).
    pub fn is_same_but_hints(&self, other: &Self) -> bool {
        are_same(self.zone.as_ref(), other.zone.as_ref()) && self.is_same_but_locality(other)
    }

    /// Whether everything except the zone and the hints is the same, so traffic still arrives.
    pub fn is_same_but_locality(&self, other: &Self) -> bool {
        self.conditions == other.conditions
            && are_same(self.node.as_ref(), other.node.as_ref())
            && self.target == other.target
    }

    /// The name of the pod behind it.
    pub fn pod_name(&self) -> Option<&Name> {
        self.target.as_ref().map(|target| &target.name)
    }

    /// What makes it this endpoint: addresses, hostname and the pod's name
    /// (docs/semantics.md 3.5).
    pub fn identity(&self) -> Identity<'_> {
        let mut texts: Vec<&str> = Vec::new();
        let address = match &self.addresses {
            Addresses::One(address) => Some(*address),
            Addresses::Many(many) => {
                texts.extend(many.iter().map(AsRef::as_ref));
                texts.sort_unstable();
                None
            }
        };
        Identity {
            address,
            texts,
            hostname: self.hostname.as_deref().unwrap_or_default(),
            pod: self.target.as_ref().map(|target| (&*target.namespace, &*target.name)),
        }
    }
}

/// What makes an endpoint this endpoint; see [`Endpoint::identity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    address: Option<IpAddr>,
    texts: Vec<&'a str>,
    hostname: &'a str,
    pod: Option<(&'a str, &'a str)>,
}

/// Of the address and the pod's name alone, which mostly differ. Each endpoint of each plan is hashed
/// twice.
impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.address {
            Some(IpAddr::V4(address)) => state.write_u32(address.to_bits()),
            Some(IpAddr::V6(address)) => state.write_u128(address.to_bits()),
            None => self.texts.hash(state),
        }
        if let Some((_, name)) = self.pod {
            state.write(name.as_bytes());
        }
    }
}

impl Slice {
    /// The name of its Service, whichever controller manages it.
    pub fn service(&self) -> Option<&Name> {
        self.meta.labels.get(SERVICE_NAME).filter(|name| !name.is_empty())
    }

    /// The name of its Service, if closehaul manages it.
    pub fn managed_service(&self) -> Option<&Name> {
        let manager = self.meta.labels.get(MANAGED_BY);
        manager.filter(|manager| &***manager == CONTROLLER).and_then(|_| self.service())
    }

    /// Whether proxies read it: they skip slices that are labelled as headless, whichever
    /// controller wrote them (docs/semantics.md 6.1).
    pub fn is_read_by_proxies(&self) -> bool {
        self.meta.labels.get(HEADLESS).is_none()
    }

    /// Whether it belongs to the Service of this UID (docs/semantics.md 4.1).
    /// A Service without a UID, which only files can contain, owns every slice with its label.
    pub fn is_owned_by(&self, uid: Option<&Uid>) -> bool {
        let Some(uid) = uid else { return true };
        let owners = self.meta.owners.iter();
        owners
            .filter(|owner| &*owner.kind == "Service" && &*owner.api_version == "v1")
            .any(|owner| owner.uid == *uid)
    }
}
