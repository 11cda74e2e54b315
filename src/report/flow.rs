//! Flow: from which zones to which the traffic of Services goes, with the slices as they are and
//! under a plan. It takes what [`Row`] found of a Service, so that both say the same. Pure.

use std::sync::Arc;

use super::row::{Ports, Row};
use crate::{
    assess::{
        matrix::Matrix,
        share::{self, Sender, ZoneShare},
    },
    cluster::Index,
    consumers::kube_proxy::Targets,
    model::slice::{Endpoint, Slice},
};

/// The traffic to some ports of a Service in one address type.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// With the slices as they are.
    pub before: Matrix,
    /// How far the busiest endpoint is above the even share then.
    pub overload_before: f64,
    /// Whether no slice has a ready endpoint yet, so that `before` is the traffic to the same
    /// endpoints without hints.
    pub is_assumed: bool,
    /// Under the plan.
    pub after: Matrix,
}

impl Flow {
    /// The traffic to these ports. `None` if no proxy that follows hints distributes it, or if
    /// nothing is ready.
    pub fn of(index: &Index, row: &Row<'_>, ports: &Ports) -> Option<Self> {
        let share = ports.share.as_ref()?;
        let clients = index.topology().clients();
        // What zones send does not depend on slices.
        let sender = |zone: &'_ ZoneShare| (zone.zone.clone(), zone.demand);
        let sent: Vec<_> = share.zones.iter().map(sender).collect();
        let senders: Vec<Sender<'_>> = sent
            .iter()
            .map(|(zone, demand)| Sender { zone, demand: *demand, nodes: clients.get(zone) })
            .collect();
        let after = Matrix::of(&row.targets(index, ports)?, &senders)?;
        let port = row.service.ports.get(*ports.ports.first()?)?;
        let family = ports.verdict.family;
        let side = |slices: &[&Slice]| {
            let targets = Targets::new(row.service, slices.iter().copied(), family, &port.name);
            let overload = share::share(&targets, &senders)?.overload;
            Some((Matrix::of(&targets, &senders)?, overload))
        };
        let key = &row.service.key;
        let foreign = index.foreign_of(key);
        let mut slices = index.slices_of(key);
        slices.extend(&foreign);
        let is = side(&slices);
        let is_assumed = is.is_none();
        let (before, overload_before) = is.or_else(|| {
            let bare: Vec<Slice> = row.family(ports)?.after().map(without_hints).collect();
            side(&bare.iter().chain(foreign).collect::<Vec<_>>())
        })?;
        Some(Self { before, overload_before, is_assumed, after })
    }
}

/// The same slice without hints.
fn without_hints(slice: &Slice) -> Slice {
    let bare = |endpoint: &Endpoint| Endpoint { hints: None, ..endpoint.clone() };
    let endpoints: Arc<[Endpoint]> = slice.endpoints.iter().map(bare).collect();
    Slice { endpoints, ..slice.clone() }
}

/// The traffic of a Service, by its ports.
pub struct ServiceFlow {
    /// One for each of [`Row::ports`].
    pub ports: Vec<Option<Flow>>,
    /// Which of them keeps the least of its traffic in its zone, so that it stands for the Service.
    stands: Option<usize>,
}

impl ServiceFlow {
    /// The traffic of a Service.
    pub fn of(index: &Index, row: &Row<'_>) -> Self {
        let ports: Vec<_> = row.ports.iter().map(|ports| Flow::of(index, row, ports)).collect();
        let kept = row.ports.iter().zip(&ports).enumerate().filter_map(|(at, (ports, flow))| {
            flow.as_ref()?;
            Some((at, ports.share.as_ref()?.in_zone))
        });
        let least = kept.min_by(|(_, one), (_, other)| one.total_cmp(other));
        Self { stands: least.map(|(at, _)| at), ports }
    }

    /// The traffic that stands for the Service: to the ports that keep the least of it in its zone.
    pub fn flow(&self) -> Option<&Flow> {
        self.ports.get(self.stands?)?.as_ref()
    }
}

/// The traffic of all Services whose traffic is known, each with the same weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Total {
    /// How many Services.
    pub services: usize,
    /// How many of them have no slice with a ready endpoint yet.
    pub assumed: usize,
    /// With the slices as they are.
    pub before: Matrix,
    /// Under the plan.
    pub after: Matrix,
}

impl Total {
    /// The total of these Services.
    pub fn of(services: &[ServiceFlow]) -> Self {
        let flows = || services.iter().filter_map(ServiceFlow::flow);
        Self {
            services: flows().count(),
            assumed: flows().filter(|flow| flow.is_assumed).count(),
            before: Matrix::mean(flows().map(|flow| &flow.before)),
            after: Matrix::mean(flows().map(|flow| &flow.after)),
        }
    }
}
