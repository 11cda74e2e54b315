//! Report: what a plan of a Service amounts to, for everything that shows it: `closehaul plan`, the
//! log, Events, health and metrics. No code that decides may read it.

pub mod advice;
pub mod flow;
pub mod forecast;
pub mod grounds;
pub mod hindrance;
pub mod news;
pub mod numbers;
pub mod outlook;
pub mod reach;
pub mod row;
pub mod status;
pub mod tight;

use self::{
    hindrance::Hindrance,
    news::{LeftOut, left_out},
    outlook::Outlook,
};
use crate::{
    assess::{
        crowd::Found,
        decision::{Assessment, Decision, assess},
        verdict::Standing,
    },
    cluster::Index,
    model::{
        address::AddressType,
        name::{ServiceKey, Uid},
        service::{Service, TrafficDistribution},
        slice::Slice,
    },
    plan::{
        self, Plan,
        census::Census,
        intent::{Intent, Mechanism},
        ready::{Alike, Ready},
    },
};

/// What a plan of a Service amounts to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The Service.
    pub service: ServiceKey,
    /// Its UID; absent only for objects in files.
    pub uid: Option<Uid>,
    /// What becomes of its preference.
    pub outlook: Outlook,
    /// What hinders it, by name, if that is to be reported.
    pub hindrances: Vec<Hindrance>,
    /// What decides its hints.
    pub label: Label,
    /// By address type.
    pub families: Vec<FamilyReport>,
    /// What is left out of its slices.
    pub left_out: LeftOut,
}

/// What decides the hints of a Service, as metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Whether the legacy annotation does.
    pub auto: bool,
    /// The `spec.trafficDistribution` in force.
    pub distribution: Option<TrafficDistribution>,
}

/// The slices of one address type in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyReport {
    /// The address type.
    pub address_type: AddressType,
    /// How many slices are written.
    pub writes: usize,
    /// What the slices contain when all is written; `None` if the Service has this address type no longer.
    pub slices: Option<Slices>,
}

/// What the slices of one address type contain when everything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    /// The numbers that the built-in controller counts, too.
    pub census: Census,
    /// How many there are.
    pub count: usize,
    /// Ready endpoints.
    pub ready: usize,
    /// Ready endpoints without zone.
    pub ready_without_zone: usize,
    /// Ready endpoints with hints.
    pub ready_hinted: usize,
}

impl Report {
    /// The report on a plan of `service` with this decision, without hindrances.
    pub fn of(service: &Service, plan: &Plan<'_>, decision: Decision) -> Self {
        let family = |family: &plan::Family<'_>| FamilyReport {
            address_type: family.address_type,
            writes: family.changes.len(),
            slices: family.census.map(|census| Slices {
                census,
                count: family.ready.slices,
                ready: family.ready.count(),
                ready_without_zone: family.ready.count_if(|alike| alike.zone.is_none()),
                ready_hinted: family.ready.count_if(Alike::is_hinted),
            }),
        };
        Self {
            service: service.key.clone(),
            uid: service.uid.clone(),
            outlook: Outlook::of(service, plan, decision),
            hindrances: Vec::new(),
            label: Label::of(service, &plan.intent),
            families: plan.families.iter().map(family).collect(),
            left_out: left_out(plan),
        }
    }
}

impl Label {
    fn of(service: &Service, Intent { mechanism, .. }: &Intent) -> Self {
        let preferred = matches!(mechanism, Mechanism::TrafficDistribution(_));
        Self {
            auto: *mechanism == Mechanism::Auto,
            distribution: service.traffic_distribution.filter(|_| preferred),
        }
    }
}

/// What becomes of a Service's preference for locality under this plan, and on each of its ports.
/// `plan` is `None` if the Service is not served.
pub fn assessment(
    index: &Index,
    service: &Service,
    intent: &Intent,
    plan: Option<&Plan<'_>>,
) -> Assessment {
    let families = plan.iter().flat_map(|plan| &plan.families);
    let of_type = |family: &&plan::Family<'_>| family.census.is_some();
    let foreign = index.foreign_ready(&service.key);
    let found = |family| found(index, service, family, foreign);
    let found: Vec<_> = families.filter(of_type).map(found).collect();
    assess(Standing {
        service,
        intent,
        families: &found,
        has_pods: plan.is_some_and(|plan| plan.has_pods),
        has_nodeless: plan.is_some_and(|plan| !plan.nodeless.is_empty()),
        has_not_allowed: plan.is_some_and(|plan| !plan.not_allowed.is_empty()),
        nodes: index.nodes(),
        topology: index.topology(),
    })
}

/// All slices of an address type of a Service that readers may find, as they will stand.
pub fn all_slices<'a>(
    index: &'a Index,
    service: &Service,
    family: &'a plan::Family<'_>,
) -> Vec<&'a Slice> {
    family.after().chain(index.foreign_of(&service.key)).collect()
}

/// The ports of a Service, as positions, by the endpoints to which they lead in an address type.
pub fn groups(index: &Index, service: &Service, family: &plan::Family<'_>) -> Vec<Vec<usize>> {
    found(index, service, family, index.foreign_ready(&service.key)).groups(service)
}

fn found<'a>(
    index: &'a Index,
    service: &Service,
    family: &'a plan::Family<'_>,
    foreign: &'a [(AddressType, Ready)],
) -> Found<'a> {
    let of_type = foreign.iter().find(|(address_type, _)| *address_type == family.address_type);
    // Mostly, the numbers say what readers find.
    let slices =
        if family.ready.has_twins { all_slices(index, service, family) } else { Vec::new() };
    Found {
        family: family.address_type,
        own: &family.ready,
        foreign: of_type.map(|(_, ready)| ready),
        slices,
        planned: family.planned.as_deref(),
    }
}
