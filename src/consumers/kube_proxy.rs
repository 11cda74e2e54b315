//! kube-proxy: which endpoints a client reaches through a Service's cluster IP
//! (endpointslice-semantics 6). A model of its rule, to explain slices and to check them; other
//! proxies that conform follow the same one.

use std::collections::BTreeMap;

use crate::plan::{
    metadata::{HEADLESS, SERVICE_NAME},
    name::Name,
    service::{ClusterIp, Service},
    slice::{AddressType, Addresses, Endpoint, Slice},
};

/// Services with this label are left to another proxy.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";

/// Where a client runs.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The name of its node.
    pub node: &'a str,
    /// The zone of its node, if it has one.
    pub zone: Option<&'a str>,
}

/// How near the endpoints are that a client reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those meant for its node.
    Node,
    /// Those meant for its zone.
    Zone,
    /// All that are ready, or all that still serve.
    Cluster,
    /// None.
    None,
}

/// What a client reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach<'a> {
    /// How near the endpoints are.
    pub mode: Mode,
    /// The endpoints, by address and port; each gets the same part of the traffic.
    pub endpoints: Vec<Target<'a>>,
}

/// An endpoint as a proxy sees it: with one address and one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its first address; the others are not used.
    pub address: String,
    /// The port's number.
    pub port: i32,
    /// The endpoint in its slice.
    pub endpoint: &'a Endpoint,
}

/// What a client reaches through the cluster IP of `service`, by the port that bears `port` as
/// its name. Of `slices` only those of this address type count that name the Service.
pub fn reach<'a>(
    service: &Service,
    slices: impl IntoIterator<Item = &'a Slice>,
    family: AddressType,
    port: &str,
    client: Client<'_>,
) -> Reach<'a> {
    let is_seen = !service.external_name
        && service.cluster_ip != ClusterIp::Headless
        && service.labels.get(OTHER_PROXY).is_none();
    let is_own = |slice: &&Slice| {
        slice.address_type == family
            && slice.meta.namespace == service.key.namespace
            && slice.meta.labels.get(SERVICE_NAME) == Some(&service.key.name)
    };
    let slices = slices.into_iter().filter(|slice| is_seen && is_own(slice));
    let targets = targets(slices, port);
    if service.internal_local { local(&targets, client) } else { nearest(&targets, client) }
}

/// All endpoints of a port, each address and port once: of two, one that is not terminating
/// counts.
fn targets<'a>(slices: impl Iterator<Item = &'a Slice>, port: &str) -> Vec<Target<'a>> {
    let mut slices: Vec<_> =
        slices.filter(|slice| slice.meta.labels.get(HEADLESS).is_none()).collect();
    slices.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
    let mut targets: BTreeMap<(String, i32), Target<'a>> = BTreeMap::new();
    for slice in slices {
        let bears_name = |own: &Option<Name>| own.as_deref() == Some(port);
        let ports = slice.ports.iter().filter(|own| bears_name(&own.name));
        for number in ports.filter_map(|own| own.number).filter(|number| *number != 0) {
            for endpoint in slice.endpoints.iter() {
                let Some(address) = first_address(&endpoint.addresses) else { continue };
                let key = (address.clone(), number);
                if !is_terminating(endpoint) || !targets.contains_key(&key) {
                    targets.insert(key, Target { address, port: number, endpoint });
                }
            }
        }
    }
    targets.into_values().collect()
}

fn first_address(addresses: &Addresses) -> Option<String> {
    match addresses {
        Addresses::One(address) => Some(address.to_string()),
        Addresses::Many(texts) => texts.first().map(ToString::to_string),
    }
}

/// Under the traffic policy `Local`: the client's own node or nothing, whatever the hints.
fn local<'a>(targets: &[Target<'a>], client: Client<'_>) -> Reach<'a> {
    let here: Vec<_> = targets
        .iter()
        .filter(|target| target.endpoint.node.as_deref() == Some(client.node))
        .cloned()
        .collect();
    let (_, endpoints) = usable(&here);
    let mode = if endpoints.is_empty() { Mode::None } else { Mode::Node };
    Reach { mode, endpoints }
}

/// Under the traffic policy `Cluster`: the node's, else the zone's, else all.
fn nearest<'a>(targets: &[Target<'a>], client: Client<'_>) -> Reach<'a> {
    let (is_ready, usable) = usable(targets);
    if usable.is_empty() {
        return Reach { mode: Mode::None, endpoints: usable };
    }
    // Hints count for ready endpoints only; the last ones to serve are used by everybody.
    let nearer = |mode, names: fn(&Endpoint) -> &[Name], own: Option<&str>| {
        let own = own.filter(|own| is_ready && !own.is_empty())?;
        meant_for(&usable, names, own).map(|endpoints| Reach { mode, endpoints })
    };
    let by_node = nearer(Mode::Node, nodes, Some(client.node));
    let by_zone = || nearer(Mode::Zone, zones, client.zone);
    by_node
        .or_else(by_zone)
        .unwrap_or_else(|| Reach { mode: Mode::Cluster, endpoints: usable.clone() })
}

/// The ready endpoints, or else those that still serve while they terminate; and whether they
/// are ready.
fn usable<'a>(targets: &[Target<'a>]) -> (bool, Vec<Target<'a>>) {
    let ready: Vec<_> =
        targets.iter().filter(|target| is_ready(target.endpoint)).cloned().collect();
    if !ready.is_empty() {
        return (true, ready);
    }
    let serves = |endpoint: &Endpoint| {
        endpoint.conditions.serving != Some(false) && is_terminating(endpoint)
    };
    (false, targets.iter().filter(|target| serves(target.endpoint)).cloned().collect())
}

/// Those meant for `own`; `None` if there are none, or if one of all has no name at all.
fn meant_for<'a>(
    ready: &[Target<'a>],
    names: fn(&Endpoint) -> &[Name],
    own: &str,
) -> Option<Vec<Target<'a>>> {
    if ready.iter().any(|target| names(target.endpoint).is_empty()) {
        return None;
    }
    let is_meant = |target: &&Target<'a>| names(target.endpoint).iter().any(|name| &**name == own);
    let meant: Vec<_> = ready.iter().filter(is_meant).cloned().collect();
    (!meant.is_empty()).then_some(meant)
}

fn zones(endpoint: &Endpoint) -> &[Name] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.zones)
}

fn nodes(endpoint: &Endpoint) -> &[Name] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.nodes)
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.ready != Some(false)
}

fn is_terminating(endpoint: &Endpoint) -> bool {
    endpoint.conditions.terminating == Some(true)
}
