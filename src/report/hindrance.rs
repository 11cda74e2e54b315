//! Hindrance: what keeps a Service's traffic from staying local, by name: the node, pod, port, family
//! or slice. Looks at the slices, so it costs as much as they are long. Pure.

mod policies;

pub use self::policies::evacuations;

use std::fmt::{self, Write as _};

use crate::{
    assess::{reason::Reason, verdict::Verdict},
    cluster::Index,
    model::{
        address::AddressType,
        labels::Labels,
        name::Name,
        policy::Guard,
        service::{Service, ServicePort, TargetPort},
        slice::{Endpoint, MANAGED_BY, Slice},
    },
    plan::{Family, Plan},
};

/// How many names of a kind are listed.
const LISTED: usize = 3;

/// What keeps traffic from staying local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The reason.
    pub reason: Reason,
    /// What it is about, by name.
    pub detail: String,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

/// What a hindrance is looked for in.
#[derive(Clone, Copy)]
struct Scene<'a> {
    index: &'a Index,
    service: &'a Service,
    plan: Option<&'a Plan<'a>>,
}

/// The hindrances behind these verdicts. Of a patched plan, only the slices that it covers are looked
/// at.
pub fn hindrances(
    index: &Index,
    service: &Service,
    plan: Option<&Plan<'_>>,
    verdicts: &[Verdict],
) -> Vec<Hindrance> {
    let scene = Scene { index, service, plan };
    let mut found: Vec<Hindrance> = Vec::new();
    for verdict in verdicts {
        for reason in &verdict.reasons {
            let Some(detail) = scene.detail(*reason, verdict) else { continue };
            let detail = if is_of_ports(*reason) {
                format!("{}: {detail}", scene.place(verdict))
            } else {
                detail
            };
            let hindrance = Hindrance { reason: *reason, detail };
            if !found.contains(&hindrance) {
                found.push(hindrance);
            }
        }
    }
    found
}

/// Whether a reason holds for some ports or for one address type only.
fn is_of_ports(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ZoneEmpty
            | Reason::Lent
            | Reason::Widened
            | Reason::Evacuated
            | Reason::RolloutPending
            | Reason::TooFewInZone
            | Reason::TooManyZones
            | Reason::OverloadExceeded
            | Reason::NoSuchPort
            | Reason::NoAddressInFamily
            | Reason::NothingReady
            | Reason::EndpointWithoutZone
            | Reason::ForeignSliceWithoutHints
    )
}

impl Scene<'_> {
    /// The ports and the address type of a verdict.
    fn place(&self, verdict: &Verdict) -> String {
        place(self.service, &verdict.ports, verdict.family)
    }

    fn ports(&self, verdict: &Verdict) -> impl Iterator<Item = &ServicePort> {
        verdict.ports.iter().filter_map(|at| self.service.ports.get(*at))
    }

    /// The guard in force with the policy that sets it.
    fn guard(&self) -> Option<(Guard, String)> {
        let intent = self.index.intent(&self.service.key)?;
        let policy = intent.policy()?.in_full(&self.service.key.namespace);
        Some((intent.request()?.guard?, policy))
    }

    fn detail(&self, reason: Reason, verdict: &Verdict) -> Option<String> {
        let beyond = || {
            let zones = verdict.beyond.iter().filter(|(_, other)| *other == reason);
            listed(zones.map(|(zone, _)| zone.to_string()))
        };
        // Some hold for the Service as a whole, under the legacy annotation.
        let zones = Some(beyond()).filter(|zones| !zones.is_empty());
        let of_zones = |what: &str| Some(format!("{what} {}", zones.as_ref()?));
        match reason {
            Reason::ZoneEmpty => of_zones("no ready endpoint in"),
            Reason::Lent => {
                Some(format!("endpoints of other zones serve {} instead of their own zone", zones?))
            }
            Reason::Widened => {
                Some(format!("endpoints of other zones serve {} besides their own zone", zones?))
            }
            Reason::Evacuated => {
                let evacuations = listed(evacuations(self.index, self.service));
                Some(format!("{evacuations}: clients in {} use endpoints of other zones", zones?))
            }
            Reason::RolloutPending => {
                let intent = self.index.intent(&self.service.key)?;
                let policy = intent.policy()?.in_full(&self.service.key.namespace);
                of_zones(&format!("spec.rollout.zones of {policy} does not list"))
            }
            Reason::TooFewInZone => {
                let (guard, policy) = self.guard()?;
                let least = guard.min_per_zone;
                of_zones(&format!(
                    "minEndpointsPerZone of {policy} is {least}, more than there are in"
                ))
            }
            Reason::TooManyZones => of_zones("no endpoint has room to name"),
            Reason::OverloadExceeded => {
                let (guard, policy) = self.guard()?;
                let most = guard.max_overload;
                let limit = format!("maxOverloadPercent {most} of {policy}");
                of_zones(&format!("{limit} allows no plan that keeps traffic in"))
            }
            Reason::EndpointWithoutZone => self.endpoint_without_zone(verdict),
            Reason::NodeWithoutZoneLabel => Some(self.node_without_zone(verdict)),
            Reason::NodeMissing => self.node_missing(),
            Reason::AddressNotAllowed => self.address_not_allowed(),
            Reason::ForeignSliceWithoutHints => self.foreign_slice(verdict),
            Reason::NoMatchingPods => {
                let selector = self.service.selector.as_ref().map(selector).unwrap_or_default();
                Some(format!("no pod has the labels {selector}"))
            }
            Reason::NoSuchPort => Some(self.no_such_port(verdict)),
            Reason::NoAddressInFamily => Some(format!("no pod has an {} address", verdict.family)),
            Reason::NothingReady => Some("no endpoint is ready".to_owned()),
            Reason::HiddenFromProxy => {
                Some("the label service.kubernetes.io/service-proxy-name".to_owned())
            }
            Reason::Headless => Some("the Service has no cluster IP".to_owned()),
            Reason::TrafficPolicyLocal => Some(
                if self.service.internal_local {
                    "spec.internalTrafficPolicy is Local"
                } else {
                    "spec.externalTrafficPolicy is Local"
                }
                .to_owned(),
            ),
            reason => policies::detail(self.index, self.service, reason),
        }
    }

    fn slices(&self, verdict: &Verdict) -> impl Iterator<Item = &Slice> {
        let families = self.plan.iter().flat_map(|plan| &plan.families);
        let of_type = |family: &&Family<'_>| family.address_type == verdict.family;
        families.filter(of_type).flat_map(Family::after)
    }

    fn endpoint_without_zone(&self, verdict: &Verdict) -> Option<String> {
        let ports: Vec<_> = self.ports(verdict).map(|port| &port.name).collect();
        let has_port = |slice: &&Slice| {
            slice.ports.iter().any(|port| port.name.as_ref().is_some_and(|it| ports.contains(&it)))
        };
        let endpoints = self.slices(verdict).filter(has_port).flat_map(|it| it.endpoints.iter());
        let zoneless = endpoints.filter(|it| it.is_served() && it.zone.is_none());
        let names = listed(zoneless.map(pod_on_node));
        (!names.is_empty()).then(|| format!("{names} without zone"))
    }

    fn node_without_zone(&self, verdict: &Verdict) -> String {
        let endpoints = self.slices(verdict).flat_map(|slice| slice.endpoints.iter());
        let zoneless = endpoints.filter(|it| it.is_served() && it.zone.is_none());
        let hosts = zoneless.filter_map(|it| it.node.as_ref());
        let known = hosts.filter(|name| self.index.nodes().get(name).is_some());
        let mut nodes: Vec<_> = known.chain(self.index.topology().zoneless_senders()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let names = nodes.into_iter().map(|name| format!("node {name}"));
        format!("{} without the label topology.kubernetes.io/zone", listed(names))
    }

    fn node_missing(&self) -> Option<String> {
        let name = |pod: &Name| {
            let found = self.index.pod(&self.service.key.namespace, pod);
            let node = found.and_then(|pod| pod.node.as_deref());
            node.map_or_else(
                || format!("pod {pod} on no node"),
                |node| format!("pod {pod} on node {node}"),
            )
        };
        let names = listed(self.plan?.nodeless.iter().map(name));
        Some(format!("left out {names}, which is not known"))
    }

    fn address_not_allowed(&self) -> Option<String> {
        let name = |(pod, address): &(_, _)| format!("{address} of pod {pod}");
        Some(format!("left out {}", listed(self.plan?.not_allowed.iter().map(name))))
    }

    fn foreign_slice(&self, verdict: &Verdict) -> Option<String> {
        let lacks = |endpoint: &&Endpoint| {
            let hints = endpoint.hints.as_ref();
            endpoint.is_served()
                && hints.is_none_or(|it| it.zones.is_empty() || it.nodes.is_empty())
        };
        let mut slices = self.index.foreign_of(&self.service.key);
        slices.retain(|slice| {
            slice.address_type == verdict.family
                && slice.is_read_by_proxies()
                && slice.endpoints.iter().any(|endpoint| lacks(&endpoint))
        });
        slices.sort_unstable_by(|one, other| one.meta.name.cmp(&other.meta.name));
        let name = |slice: &Slice| {
            let name = slice.meta.name.as_deref().unwrap_or_default();
            let manager = slice.meta.labels.get(MANAGED_BY);
            let manager = manager.map_or_else(String::new, |it| format!(" of {it}"));
            format!("slice {name}{manager}")
        };
        (!slices.is_empty())
            .then(|| format!("{} without hints", listed(slices.into_iter().map(name))))
    }

    fn no_such_port(&self, verdict: &Verdict) -> String {
        let named = self.ports(verdict).filter_map(|port| match &port.target {
            TargetPort::Named(name) => Some(format!("`{name}` ({})", port.protocol)),
            TargetPort::Number(_) => None,
        });
        format!("no pod declares a port {}", listed(named))
    }
}

/// The pod behind an endpoint, with its node.
fn pod_on_node(endpoint: &Endpoint) -> String {
    let pod = endpoint.pod_name().map_or_else(String::new, |name| format!("pod {name}"));
    endpoint.node.as_ref().map_or_else(|| pod.clone(), |node| format!("{pod} on node {node}"))
}

/// Ports of a Service, as positions in [`Service::ports`], with an address type.
pub fn place(service: &Service, ports: &[usize], family: AddressType) -> String {
    let names = ports.iter().filter_map(|at| service.ports.get(*at)).map(port_name);
    let plural = if ports.len() == 1 { "" } else { "s" };
    format!("port{plural} {}, {family}", listed(names))
}

/// The name of a Service's port, or its number if it has none.
pub fn port_name(port: &ServicePort) -> String {
    if port.name.is_empty() { port.number.to_string() } else { port.name.to_string() }
}

/// The first of these names, and how many others there are.
pub fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names = names.peekable();
    let mut text = String::new();
    for name in names.by_ref().take(LISTED) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&name);
    }
    let others = names.count();
    if others > 0 {
        let _ = write!(text, " and {others} more");
    }
    text
}

fn selector(labels: &Labels) -> String {
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}
