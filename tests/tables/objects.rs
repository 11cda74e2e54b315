//! Objects as the tables need them, beyond the samples that all tests share.

use std::net::{IpAddr, Ipv6Addr};

use closehaul::{
    model::{
        pod::{HostName, Pod},
        port::Ports,
        slice::{Endpoint, Slice},
    },
    plan::{
        hints::{
            self, Choices,
            auto::{CpuShares, ZoneCounts},
        },
        intent::{Intent, Mechanism},
        pack::{Draft, Group, Packing},
    },
};

pub(crate) use crate::samples::*;

/// The pod of this number on this node.
pub fn pod_on(number: u16, node: &str) -> Pod {
    Pod { node: Some(node.into()), ..pod(number) }
}

/// The pod of this number, not ready.
pub fn unready(number: u16) -> Pod {
    Pod { ready: false, ..pod(number) }
}

/// Pods with these numbers.
pub fn pods(numbers: std::ops::Range<u16>) -> Vec<Pod> {
    numbers.map(pod).collect()
}

/// An IPv6 address for a pod.
pub fn ipv6(number: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number))
}

/// A pod's DNS name.
pub fn host(hostname: &str, subdomain: &str) -> HostName {
    HostName { hostname: hostname.into(), subdomain: subdomain.into() }
}

/// A slice with neither ports nor endpoints.
pub fn placeholder() -> Slice {
    Slice { ports: Ports::default(), ..slice() }
}

/// A draft of a new slice of Service `web` with these endpoints, of which those that are not ready
/// keep their hints, as in upstream's tables.
pub fn fresh_draft(endpoints: Vec<Endpoint>) -> Draft<'static> {
    let Slice { address_type, ports, .. } = slice();
    let draft = Draft::fresh(&service(), Group { address_type, ports });
    Draft { copied: endpoints.len(), endpoints, ..draft }
}

/// A draft that writes this slice again as it is.
pub fn draft_of(slice: &Slice) -> Draft<'_> {
    Draft::copy(slice, slice.meta.labels.clone())
}

/// Chooses the hints of a packing and applies them; the counts of the legacy annotation.
pub fn assign_hints(
    mechanism: Mechanism,
    packing: &mut Packing<'_>,
    shares: Option<&CpuShares>,
    node_hints: bool,
) -> Option<ZoneCounts> {
    let Choices { endpoints, counts, newcomers: _ } =
        hints::choose(&Intent { mechanism, ruling: None }, packing, shares);
    hints::apply(packing, &endpoints, node_hints);
    counts
}

/// The zones in the hints of an endpoint.
pub fn zones(endpoint: &Endpoint) -> Vec<&str> {
    endpoint.hints.iter().flat_map(|hints| &hints.zones).map(AsRef::as_ref).collect()
}

/// The name of the pod behind an endpoint.
pub fn pod_name(endpoint: &Endpoint) -> &str {
    endpoint.pod_name().map(AsRef::as_ref).unwrap_or_default()
}

/// Numbers of endpoints, largest first.
pub fn sizes<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> Vec<usize> {
    let mut sizes: Vec<usize> = slices.into_iter().map(|slice| slice.endpoints.len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// Changes the endpoints of a slice one by one.
pub fn edit_endpoints(slice: &mut Slice, edit: impl FnMut(&mut Endpoint)) {
    let mut endpoints = slice.endpoints.to_vec();
    endpoints.iter_mut().for_each(edit);
    slice.endpoints = endpoints.into();
}
