//! Endpoint: what a pod looks like in a slice, and which pods are listed at all
//! (docs/semantics.md 3).

use std::{iter, net::IpAddr};

use foldhash::HashMap;

use super::{endpoint_ip::is_allowed, port::Resolver};
use crate::model::{
    address::{AddressType, Addresses},
    name::Name,
    node::Nodes,
    pod::Pod,
    port::Ports,
    service::Service,
    slice::{Conditions, Endpoint, Target},
};

/// The endpoints that a Service needs, of one address type.
#[derive(Debug, Default)]
pub struct Desired {
    /// The endpoints by the ports that they serve. A group may be empty: its pods wait for
    /// their node or have no address of this type.
    pub groups: HashMap<Ports, Vec<Endpoint>>,
    /// Pods left out because their node is not known, sorted.
    pub nodeless: Vec<Name>,
    /// Addresses left out because slices must not contain them, with their pods.
    pub not_allowed: Vec<(Name, IpAddr)>,
    /// Pods that are left out because they have no address of this type.
    pub without_address: usize,
}

/// Turns the pods that `service` selects into endpoints of one address type.
pub fn desired(
    service: &Service,
    pods: &[&Pod],
    nodes: &Nodes,
    address_type: AddressType,
) -> Desired {
    let mut desired = Desired::default();
    let mut resolver = Resolver::new(service);
    // Mostly, all pods have the same ports.
    let mut run: Option<(Ports, Vec<Endpoint>)> = None;
    for pod in pods.iter().filter(|pod| is_listed(pod)) {
        let ports = resolver.ports_on(pod);
        if run.as_ref().is_none_or(|(other, _)| other != ports) {
            let room = if run.is_none() { pods.len() } else { 0 };
            let group = desired.groups.remove(ports);
            let group = group.unwrap_or_else(|| Vec::with_capacity(room));
            desired.groups.extend(run.replace((ports.clone(), group)));
        }
        let Some((_, group)) = &mut run else { continue };
        let node = pod.node.as_ref().and_then(|name| nodes.get(name));
        if node.is_none() && !service.publish_not_ready {
            desired.nodeless.push(pod.name.clone());
            continue;
        }
        let zone = node.and_then(|node| node.zone.clone());
        if let Some(addresses) = addresses(pod, address_type, &mut desired.not_allowed) {
            group.push(endpoint(service, pod, zone, addresses));
        } else if !pod.addresses.iter().any(|it| AddressType::of(*it) == address_type) {
            desired.without_address += 1;
        }
    }
    desired.groups.extend(run);
    desired.nodeless.sort_unstable();
    desired
}

/// Whether a pod is listed in slices: it has an address and has not finished
/// (docs/semantics.md 3.1).
pub fn is_listed(pod: &Pod) -> bool {
    pod.has_address && !pod.finished
}

/// The endpoint of one pod at these addresses.
fn endpoint(service: &Service, pod: &Pod, zone: Option<Name>, addresses: Addresses) -> Endpoint {
    let conditions = Conditions {
        ready: Some(service.publish_not_ready || (pod.ready && !pod.terminating)),
        serving: Some(pod.ready),
        terminating: Some(pod.terminating),
    };
    let hostname = pod.host.as_ref().filter(|host| host.subdomain == service.key.name);
    Endpoint {
        addresses,
        conditions,
        target: Some(Target {
            namespace: service.key.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            foreign: false,
        }),
        node: pod.node.clone(),
        zone,
        hostname: hostname.map(|host| host.hostname.clone()),
        hints: None,
    }
}

/// The pod's addresses of this type that slices may contain; the others are added to `not_allowed`.
fn addresses(
    pod: &Pod,
    address_type: AddressType,
    not_allowed: &mut Vec<(Name, IpAddr)>,
) -> Option<Addresses> {
    let addresses = pod.addresses.iter().copied();
    let of_type = addresses.filter(|address| AddressType::of(*address) == address_type);
    let mut allowed = of_type.filter(|address| {
        let is_allowed = is_allowed(*address);
        if !is_allowed {
            not_allowed.push((pod.name.clone(), *address));
        }
        is_allowed
    });
    let first = allowed.next()?;
    let mut others = allowed.peekable();
    if others.peek().is_none() {
        return Some(Addresses::One(first));
    }
    let all = iter::once(first).chain(others);
    Some(Addresses::Many(all.map(|address| address.to_string().into()).collect()))
}
