//! Numbers: how much of a Service's traffic stays in its zone under a plan, and how unevenly it is
//! distributed, by the model of a proxy that follows hints.

use super::{all_slices, groups};
use crate::{
    assess::{
        explained::Explained,
        share::{self, Share},
    },
    cluster::Index,
    consumers::kube_proxy::{Targets, is_hidden},
    model::{service::Service, slice::Slice},
    plan::{Family, Plan, hints::planned::Planned},
};

/// What becomes of a Service's traffic; `None` if nothing is ready, or if no proxy that follows hints
/// distributes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// The least share of the traffic that stays in its zone, of any port, from 0 to 1.
    pub in_zone: Option<f64>,
    /// The highest overload of any port: how far the most loaded endpoint is above the even share,
    /// from 0.
    pub overload: Option<f64>,
}

impl Numbers {
    /// The numbers of the port that fares worst.
    pub fn over<'a>(shares: impl Iterator<Item = &'a Share> + Clone) -> Self {
        Self {
            in_zone: shares.clone().map(|share| share.in_zone).reduce(f64::min),
            overload: shares.map(|share| share.overload).reduce(f64::max),
        }
    }

    /// The numbers of a Service under `plan`, or under what its policy in mode `Shadow` would bring about.
    pub fn of(index: &Index, service: &Service, plan: &Plan<'_>) -> Self {
        match index.plan_shadow(&service.key, plan.settings) {
            Some(shadow) => Self::under(index, service, &shadow),
            None => Self::under(index, service, plan),
        }
    }

    /// The numbers of a Service under exactly this plan.
    pub fn under(index: &Index, service: &Service, plan: &Plan<'_>) -> Self {
        let mut shares = Vec::new();
        for family in &plan.families {
            let slices = all_slices(index, service, family);
            for ports in groups(index, service, family) {
                let port = ports.first().and_then(|at| service.ports.get(*at));
                let of_port =
                    port.and_then(|port| of_family(index, service, &slices, family, &port.name));
                shares.extend(of_port);
            }
        }
        Self::over(shares.iter())
    }
}

/// What becomes of the traffic to a port of a Service in an address type, of which `slices` are all
/// that readers find. `None` as in [`Numbers`].
pub fn of_family(
    index: &Index,
    service: &Service,
    slices: &[&Slice],
    family: &Family<'_>,
    port: &str,
) -> Option<Share> {
    let targets = Targets::new(service, slices.iter().copied(), family.address_type, port);
    of_port(index, service, &targets, family.planned.as_deref(), port)
}

/// The same for these endpoints, and with what is planned, where policies or evacuations decide.
pub fn of_port(
    index: &Index,
    service: &Service,
    targets: &Targets<'_>,
    planned: Option<&Planned>,
    port: &str,
) -> Option<Share> {
    if service.is_headless() || service.internal_local || is_hidden(service) {
        return None;
    }
    let clients = index.topology().clients();
    let Some(planned) = planned else {
        return share::share(targets, &share::equal(clients));
    };
    let explained = Explained::of(planned, port);
    let mut share = share::share(targets, &explained.senders(clients))?;
    for zone in &mut share.zones {
        zone.rung = explained.rung(&zone.zone, zone.rung);
    }
    Some(share)
}

/// A share or an overload as JSON shows it. Six places are more than users read, and hide that a third has no end.
pub fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}
