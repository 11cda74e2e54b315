//! Forecast: what an evacuation would do, before it is created. Pure.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashSet;

use super::{
    row::Row,
    status::{deafness, evacuated_services},
};
use crate::{
    assess::reason::Reason,
    cluster::Index,
    consumers::kube_proxy::is_hidden,
    model::{
        name::{Name, ServiceKey},
        policy::ZoneEvacuation,
        service::Service,
        slice::{Endpoint, Slice},
    },
    plan::{Family, Plan, policy::outcome::PLACEHOLDER},
};

/// What an evacuation would do to the Services that it selects.
#[derive(Debug, Default, PartialEq)]
pub struct Forecast {
    /// How many Services it selects.
    pub selected: usize,
    /// How many of them lose endpoints: those that have ready ones in the zone, which hints move.
    pub services: usize,
    /// How many endpoints they lose.
    pub endpoints: usize,
    /// Where what remains is loaded most, and how far its busiest endpoint is above the even share
    /// of all ready endpoints: 1 is twice as much.
    pub worst: Option<(ServiceKey, f64)>,
    /// What hints do not move, by cause.
    pub unmoved: BTreeMap<Unmoved, BTreeSet<ServiceKey>>,
    /// Nodes whose clients hints do not keep out, because they have no zone.
    pub without_zone: Vec<Name>,
}

/// Why hints do not move the traffic of a Service, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmoved {
    /// All ready endpoints are in the zone, so they stay in use.
    NothingElse,
    /// `internalTrafficPolicy` is `Local`.
    InternalLocal,
    /// `externalTrafficPolicy` is `Local`.
    ExternalLocal,
    /// It has no cluster IP: its clients choose by themselves.
    Headless,
    /// It is left to another proxy.
    OtherProxy,
    /// It has slices of another controller with endpoints in the zone.
    ForeignSlices,
    /// An endpoint would need more names of zones than it may have.
    TooManyZones,
}

impl Forecast {
    /// What an evacuation of a zone does. The index must have it already, and `plan` returns the
    /// plan of a Service.
    pub fn of<'a>(
        index: &'a Index,
        evacuation: &'a ZoneEvacuation,
        zone: &str,
        plan: impl Fn(&Service) -> Option<Plan<'a>>,
    ) -> Self {
        let mut forecast = Self::default();
        for service in evacuated_services(index, evacuation) {
            forecast.selected += 1;
            let foreign = index.foreign_of(&service.key);
            let is_open = |it: &Endpoint| is_in(it, zone) && !is_moved(it);
            if foreign.into_iter().flat_map(|slice| slice.endpoints.iter()).any(is_open) {
                forecast.unmoved(Unmoved::ForeignSlices, service);
            }
            if let Some(row) = Row::of(index, service, plan(service)) {
                forecast.add(&row, zone);
            }
        }
        forecast.without_zone = index.topology().zoneless_senders().cloned().collect();
        forecast
    }

    fn unmoved(&mut self, cause: Unmoved, service: &Service) {
        self.unmoved.entry(cause).or_default().insert(service.key.clone());
    }

    fn add(&mut self, row: &Row<'_>, zone: &str) {
        let service = row.service;
        let families = row.plan.iter().flat_map(|plan| &plan.families);
        let Some(family) = families.max_by_key(|it| addresses(it, |it| is_in(it, zone))) else {
            return;
        };
        let inside = addresses(family, |it| is_in(it, zone));
        if inside == 0 {
            return;
        }
        if service.external_local {
            self.unmoved(Unmoved::ExternalLocal, service);
        }
        if let Some(cause) = cause(row, inside == addresses(family, Endpoint::is_served)) {
            self.unmoved(cause, service);
            return;
        }
        self.services += 1;
        self.endpoints += inside;
        if let Some(overload) = row.overload()
            && self.worst.as_ref().is_none_or(|(_, worst)| *worst < overload)
        {
            self.worst = Some((service.key.clone(), overload));
        }
    }
}

/// Why hints do not move the traffic inside the cluster. `is_all` if all ready endpoints are in the
/// zone.
fn cause(row: &Row<'_>, is_all: bool) -> Option<Unmoved> {
    match deafness(row.service) {
        Some(Reason::TrafficPolicyLocal) => return Some(Unmoved::InternalLocal),
        Some(_) => return Some(Unmoved::Headless),
        None => {}
    }
    if is_hidden(row.service) {
        Some(Unmoved::OtherProxy)
    } else if is_all {
        Some(Unmoved::NothingElse)
    } else if row.decision.reasons.contains(&Reason::TooManyZones) {
        Some(Unmoved::TooManyZones)
    } else {
        None
    }
}

/// How many addresses the matching endpoints of a family have.
fn addresses(family: &Family<'_>, matches: impl Fn(&Endpoint) -> bool) -> usize {
    let endpoints = family.after().flat_map(|slice: &Slice| slice.endpoints.iter());
    let found: HashSet<_> = endpoints.filter(|it| matches(it)).map(|it| &it.addresses).collect();
    found.len()
}

/// Whether a ready endpoint is in the zone.
fn is_in(endpoint: &Endpoint, zone: &str) -> bool {
    endpoint.is_served() && endpoint.zone.as_deref() == Some(zone)
}

/// Whether it has the hint that keeps clients out.
fn is_moved(endpoint: &Endpoint) -> bool {
    let hints = endpoint.hints.as_ref();
    hints.is_some_and(|hints| hints.zones.iter().any(|zone| &**zone == PLACEHOLDER))
}
