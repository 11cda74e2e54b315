//! kube-proxy: which endpoints a client reaches through a Service (docs/semantics.md 6). A
//! model of its rule, to explain slices and to check them. Other conformant proxies follow the
//! same rule.

use foldhash::HashMap;

use crate::model::{address::AddressType, name::Name, service::Service, slice::Slice};

pub use super::target::{Client, Target, Targets, is_hidden, is_seen};

/// How near the endpoints are that a client reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    reach_of(service, &Targets::new(service, slices, family, port), client)
}

/// The same for the endpoints of the port.
pub fn reach_of<'a>(service: &Service, targets: &Targets<'a>, client: Client<'_>) -> Reach<'a> {
    if service.internal_local { local(targets, client) } else { nearest(targets, client) }
}

impl<'a> Reach<'a> {
    /// These endpoints; if there is none, the client reaches none.
    pub fn of(mode: Mode, endpoints: Vec<Target<'a>>) -> Self {
        Self { mode: if endpoints.is_empty() { Mode::None } else { mode }, endpoints }
    }
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
    Reach::of(Mode::Node, targets.on(client.node).usable())
}

/// Under the traffic policy `Cluster`: the node's, else the zone's, else all.
fn nearest<'a>(targets: &Targets<'a>, client: Client<'_>) -> Reach<'a> {
    let ready = targets.ready();
    if ready.is_empty() {
        // Hints count for ready endpoints only. All clients use the last ones that serve.
        return Reach::of(Mode::Cluster, targets.usable());
    }
    let levels = Levels::of(&ready);
    let (mode, reached) = levels.reach(client);
    Reach { mode, endpoints: reached.iter().map(|at| ready[*at].clone()).collect() }
}

/// What the rule reads of ready endpoints: of one, or of some that are alike.
pub trait Hinted {
    /// The zones for which it is hinted.
    fn zones(&self) -> &[Name];
    /// The nodes for which it is hinted.
    fn nodes(&self) -> &[Name];
}

impl Hinted for Target<'_> {
    fn zones(&self) -> &[Name] {
        self.zones()
    }

    fn nodes(&self) -> &[Name] {
        self.nodes()
    }
}

/// The levels at which the ready endpoints of a port can be chosen (docs/semantics.md 6.2). A level
/// counts for no client if an endpoint has no hint of it.
#[derive(Debug)]
pub struct Levels<'t, T> {
    ready: &'t [T],
    nodes: Option<Level<'t, T>>,
    zones: Option<Level<'t, T>>,
}

/// One level, at which each endpoint has a name.
#[derive(Debug)]
struct Level<'t, T> {
    names: fn(&T) -> &[Name],
    /// The positions of the endpoints by name, if there are many endpoints.
    index: Option<HashMap<&'t str, Vec<usize>>>,
}

/// Up to this many endpoints are searched for a name.
const FEW: usize = 16;

impl<'t, T: Hinted> Levels<'t, T> {
    /// The levels of these ready endpoints.
    pub fn of(ready: &'t [T]) -> Self {
        Self { ready, nodes: Level::of(ready, T::nodes), zones: Level::of(ready, T::zones) }
    }

    /// Whether proxies look for the endpoints of their node.
    pub fn has_nodes(&self) -> bool {
        self.nodes.is_some()
    }

    /// The endpoints that a client reaches, by position, and how near they are.
    pub fn reach(&self, client: Client<'_>) -> (Mode, Vec<usize>) {
        let find = |level: &Option<Level<'t, T>>, own: Option<&str>| {
            let own = own.filter(|own| !own.is_empty())?;
            let found = level.as_ref()?.find(self.ready, own);
            (!found.is_empty()).then_some(found)
        };
        if let Some(found) = find(&self.nodes, Some(client.node)) {
            return (Mode::Node, found);
        }
        let all = || (Mode::Cluster, (0..self.ready.len()).collect());
        find(&self.zones, client.zone).map_or_else(all, |found| (Mode::Zone, found))
    }
}

impl<'t, T: Hinted> Level<'t, T> {
    fn of(ready: &'t [T], names: fn(&T) -> &[Name]) -> Option<Self> {
        if ready.iter().any(|it| names(it).is_empty()) {
            return None;
        }
        let index = (ready.len() > FEW).then(|| {
            let mut index: HashMap<_, Vec<usize>> = HashMap::default();
            for (at, it) in ready.iter().enumerate() {
                for name in names(it) {
                    index.entry(&**name).or_default().push(at);
                }
            }
            index
        });
        Some(Self { names, index })
    }

    /// The endpoints with this name.
    fn find(&self, ready: &[T], own: &str) -> Vec<usize> {
        if let Some(index) = &self.index {
            return index.get(own).cloned().unwrap_or_default();
        }
        let is_meant = |it: &T| (self.names)(it).iter().any(|name| &**name == own);
        (0..ready.len()).filter(|at| is_meant(&ready[*at])).collect()
    }
}

#[cfg(test)]
mod tests;
