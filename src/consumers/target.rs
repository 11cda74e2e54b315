//! What all consumers derive from slices first: endpoints with one address and one port.

use std::collections::BTreeMap;

use crate::model::{
    address::{AddressType, Addresses},
    name::Name,
    service::{ClusterIp, Service},
    slice::{Endpoint, SERVICE_NAME, Slice},
};

/// Services with this label are left to another proxy.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";

/// Whether a Service is left to another proxy, so that kube-proxy does not see it
/// (docs/semantics.md 6.1).
pub fn is_hidden(service: &Service) -> bool {
    service.labels.get(OTHER_PROXY).is_some()
}

/// Whether proxies see a Service at all.
pub fn is_seen(service: &Service) -> bool {
    !service.external_name && service.cluster_ip != ClusterIp::Headless && !is_hidden(service)
}

/// Where a client runs.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The name of its node.
    pub node: &'a str,
    /// The zone of its node, if it has one.
    pub zone: Option<&'a str>,
}

/// An endpoint as a proxy sees it: with one address and one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its first address. The others are not used.
    pub address: String,
    /// The port's number.
    pub port: i32,
    /// The endpoint in its slice.
    pub endpoint: &'a Endpoint,
    /// The slice.
    pub slice: &'a Slice,
}

/// The port of a Service in one family: what the slices contain for it.
#[derive(Clone, Debug)]
pub struct Targets<'a> {
    /// Each address and port once, in order.
    pub all: Vec<Target<'a>>,
}

impl<'a> Targets<'a> {
    /// The endpoints of the port of `service` with the name `port`. Only those of `slices` count
    /// that have this address type and name the Service, and of their ports those with the name and
    /// the protocol. Of two endpoints with the same address and port, one that is not terminating
    /// counts.
    pub fn new(
        service: &Service,
        slices: impl IntoIterator<Item = &'a Slice>,
        family: AddressType,
        port: &str,
    ) -> Self {
        let of_service = service.ports.iter().find(|own| &*own.name == port);
        let protocol = of_service.map(|own| &*own.protocol);
        let is_seen = is_seen(service);
        let is_own = |slice: &&Slice| {
            slice.address_type == family
                && slice.meta.namespace == service.key.namespace
                && slice.meta.labels.get(SERVICE_NAME) == Some(&service.key.name)
                && slice.is_read_by_proxies()
        };
        let mut slices: Vec<_> =
            slices.into_iter().filter(|slice| is_seen && is_own(slice)).collect();
        slices.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        let mut targets: BTreeMap<(String, i32), Target<'a>> = BTreeMap::new();
        for slice in slices {
            let ports = slice.ports.iter().filter(|own| {
                // Without a protocol, it is TCP.
                own.name.as_deref() == Some(port)
                    && protocol == Some(own.protocol.as_deref().unwrap_or("TCP"))
            });
            for number in ports.filter_map(|own| own.number).filter(|number| *number != 0) {
                for endpoint in slice.endpoints.iter() {
                    let Some(address) = first_address(&endpoint.addresses) else { continue };
                    let target = Target { address, port: number, endpoint, slice };
                    let key = (target.address.clone(), number);
                    if !target.is_terminating() || !targets.contains_key(&key) {
                        targets.insert(key, target);
                    }
                }
            }
        }
        Self { all: targets.into_values().collect() }
    }

    /// The ready ones.
    pub fn ready(&self) -> Vec<Target<'a>> {
        self.filtered(Target::is_ready)
    }

    /// The ready ones, or else those that still serve while they terminate.
    pub fn usable(&self) -> Vec<Target<'a>> {
        let ready = self.ready();
        if ready.is_empty() { self.filtered(Target::serves_last) } else { ready }
    }

    /// Those for which `keep` holds.
    pub(super) fn filtered(&self, keep: impl Fn(&Target<'a>) -> bool) -> Vec<Target<'a>> {
        self.all.iter().filter(|target| keep(target)).cloned().collect()
    }

    /// Those on a node.
    pub(super) fn on(&self, node: &str) -> Self {
        Self { all: self.filtered(|target| target.is_on(node)) }
    }
}

impl Target<'_> {
    /// Whether it is ready. A condition that is not given counts as true.
    pub fn is_ready(&self) -> bool {
        self.endpoint.is_served()
    }

    /// Whether it is on this node.
    pub fn is_on(&self, node: &str) -> bool {
        self.endpoint.node.as_deref() == Some(node)
    }

    pub(super) fn is_terminating(&self) -> bool {
        self.endpoint.conditions.terminating == Some(true)
    }

    /// Whether it still serves while it terminates.
    pub(super) fn serves_last(&self) -> bool {
        self.endpoint.conditions.serving != Some(false) && self.is_terminating()
    }

    /// The zones that it is hinted for.
    pub fn zones(&self) -> &[Name] {
        self.endpoint.hints.as_ref().map_or(&[], |hints| &hints.zones)
    }

    /// The nodes that it is hinted for.
    pub fn nodes(&self) -> &[Name] {
        self.endpoint.hints.as_ref().map_or(&[], |hints| &hints.nodes)
    }

    /// Whether it is hinted for this zone.
    pub(super) fn is_for_zone(&self, zone: &str) -> bool {
        self.zones().iter().any(|name| &**name == zone)
    }
}

fn first_address(addresses: &Addresses) -> Option<String> {
    match addresses {
        Addresses::One(address) => Some(address.to_string()),
        Addresses::Many(texts) => texts.first().map(ToString::to_string),
    }
}
