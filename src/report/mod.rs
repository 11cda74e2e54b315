//! Report: what a plan of a Service amounts to, for everything that shows it: `closehaul plan`, the
//! log, Events, health and metrics. No code that decides may read it.

pub mod news;
pub mod outlook;

use self::{
    news::{LeftOut, left_out},
    outlook::Outlook,
};
use crate::{
    assess::decision::{Decision, Standing, decide},
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
        ready::Ready,
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
    /// The report on a plan of `service`.
    pub fn of(index: &Index, service: &Service, plan: &Plan<'_>) -> Self {
        let decision = decision(index, service, plan.intent, Some(plan), &[], plan.settings);
        let family = |family: &plan::Family<'_>| FamilyReport {
            address_type: family.address_type,
            writes: family.changes.len(),
            slices: family.census.map(|census| Slices {
                census,
                count: family.ready.slices,
                ready: family.ready.count(),
                ready_without_zone: family.ready.in_zone(None),
                ready_hinted: family.ready.hinted,
            }),
        };
        Self {
            service: service.key.clone(),
            uid: service.uid.clone(),
            outlook: Outlook::of(service, plan, decision),
            label: Label::of(service, plan.intent),
            families: plan.families.iter().map(family).collect(),
            left_out: left_out(plan),
        }
    }
}

impl Label {
    fn of(service: &Service, Intent { mechanism }: Intent) -> Self {
        let preferred = matches!(mechanism, Mechanism::TrafficDistribution(_));
        Self {
            auto: mechanism == Mechanism::Auto,
            distribution: service.traffic_distribution.filter(|_| preferred),
        }
    }
}

/// What becomes of a Service's preference for locality under this plan, judged by the first address
/// type. `plan` is `None` if the Service is not served. `foreign` contains the slices that other
/// controllers have for it.
pub fn decision(
    index: &Index,
    service: &Service,
    intent: Intent,
    plan: Option<&Plan<'_>>,
    foreign: &[&Slice],
    settings: plan::Settings,
) -> Decision {
    let none = Ready::default();
    let family = plan.and_then(|plan| plan.families.first());
    decide(Standing {
        service,
        intent,
        ready: family.map_or(&none, |family| &family.ready),
        foreign,
        has_nodeless: plan.is_some_and(|plan| !plan.nodeless.is_empty()),
        has_not_allowed: plan.is_some_and(|plan| !plan.not_allowed.is_empty()),
        node_hints: settings.node_hints,
        nodes: index.nodes(),
        topology: index.topology(),
    })
}
