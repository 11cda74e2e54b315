//! kube-proxy: which endpoints a client reaches through a Service (docs/semantics.md 6). A
//! model of its rule, to explain slices and to check them. Other conformant proxies follow the
//! same rule.

use crate::model::{address::AddressType, name::Name, service::Service, slice::Slice};

pub use super::target::{Client, Target, Targets};

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
    /// The endpoints, by address and port. Each gets the same share of the traffic.
    pub endpoints: Vec<Target<'a>>,
}

/// What a kube-proxy holds for the port of a Service (docs/semantics.md 6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// For the traffic policy `Cluster`; `None` if nothing of the Service follows it.
    pub cluster: Option<Reach<'a>>,
    /// For the traffic policy `Local`; `None` if nothing of the Service follows it.
    pub local: Option<Reach<'a>>,
    /// Whether any client in the cluster has an endpoint to use. A client that reaches none gets no
    /// answer if so, and is refused if not.
    pub anywhere: bool,
}

/// What a client reaches through the cluster IP of `service`, on the port with the name `port`.
/// Only those of `slices` count that have this address type and name the Service.
pub fn reach<'a>(
    service: &Service,
    slices: impl IntoIterator<Item = &'a Slice>,
    family: AddressType,
    port: &str,
    client: Client<'_>,
) -> Reach<'a> {
    let targets = Targets::new(service, slices, family, port);
    if service.internal_local { local(&targets, client) } else { nearest(&targets, client) }
}

/// What the kube-proxy on the client's node holds for the endpoints of a port of `service`.
/// `is_exposed` means that the port has a node port, or the Service an external or load balancer
/// address. Without those, the external traffic policy has no effect.
pub fn held<'a>(
    service: &Service,
    targets: &Targets<'a>,
    is_exposed: bool,
    client: Client<'_>,
) -> Held<'a> {
    // Also under the external policy Local: a pod that uses such an address is not outside.
    let uses_cluster = !service.internal_local || is_exposed;
    let uses_local = service.internal_local || (service.external_local && is_exposed);
    Held {
        cluster: uses_cluster.then(|| nearest(targets, client)),
        local: uses_local.then(|| local(targets, client)),
        anywhere: !targets.usable().is_empty(),
    }
}

impl<'a> Held<'a> {
    /// All that it holds: each endpoint once, by address and port.
    pub fn all(&self) -> Vec<Target<'a>> {
        let both = self.cluster.iter().chain(&self.local);
        let mut all: Vec<_> = both.flat_map(|reach| reach.endpoints.iter().cloned()).collect();
        all.sort_by(|a, b| (&a.address, a.port).cmp(&(&b.address, b.port)));
        all.dedup_by(|a, b| (&a.address, a.port) == (&b.address, b.port));
        all
    }
}

/// Under the traffic policy `Local`: the client's node or nothing, whatever the hints.
fn local<'a>(targets: &Targets<'a>, client: Client<'_>) -> Reach<'a> {
    let endpoints = targets.on(client.node).usable();
    let mode = if endpoints.is_empty() { Mode::None } else { Mode::Node };
    Reach { mode, endpoints }
}

/// Under the traffic policy `Cluster`: the node's, else the zone's, else all.
fn nearest<'a>(targets: &Targets<'a>, client: Client<'_>) -> Reach<'a> {
    let ready = targets.ready();
    if ready.is_empty() {
        // Hints count for ready endpoints only. All clients use the last ones that serve.
        let endpoints = targets.usable();
        let mode = if endpoints.is_empty() { Mode::None } else { Mode::Cluster };
        return Reach { mode, endpoints };
    }
    let nearer = |mode, names: Names, own: Option<&str>| {
        let own = own.filter(|own| !own.is_empty())?;
        meant_for(&ready, names, own).map(|endpoints| Reach { mode, endpoints })
    };
    let by_node = nearer(Mode::Node, |target| target.nodes(), Some(client.node));
    let by_zone = || nearer(Mode::Zone, |target| target.zones(), client.zone);
    let all = || Reach { mode: Mode::Cluster, endpoints: ready.clone() };
    by_node.or_else(by_zone).unwrap_or_else(all)
}

/// The hints of a level.
type Names = for<'t> fn(&'t Target<'_>) -> &'t [Name];

/// Those meant for `own`. Returns `None` if there are none, or if any of `ready` has no name.
fn meant_for<'a>(ready: &[Target<'a>], names: Names, own: &str) -> Option<Vec<Target<'a>>> {
    if ready.iter().any(|target| names(target).is_empty()) {
        return None;
    }
    let is_meant = |target: &&Target<'a>| names(target).iter().any(|name| &**name == own);
    let meant: Vec<_> = ready.iter().filter(is_meant).cloned().collect();
    (!meant.is_empty()).then_some(meant)
}

#[cfg(test)]
mod tests;
