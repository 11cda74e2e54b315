//! Row: all that is known of one Service under a plan, for `closehaul plan`. It costs more than what the running controller needs for each plan.

use std::borrow::Cow;

use foldhash::{HashSet, HashSetExt as _};

use super::{
    all_slices, assessment, groups,
    hindrance::{Hindrance, hindrances},
    numbers::{self, Numbers, of_port},
};
use crate::{
    assess::{
        decision::{Assessment, Decision},
        share::Share,
        verdict::Verdict,
    },
    cluster::Index,
    consumers::kube_proxy::Targets,
    model::{
        service::{Service, ServicePort},
        slice::{Endpoint, Slice},
    },
    plan::{Family, Plan, Settings, intent::Intent},
};

/// All that is known of one Service.
pub struct Row<'a> {
    /// The Service.
    pub service: &'a Service,
    /// What is requested for it.
    pub intent: &'a Intent,
    /// What would be written. Absent if the Service is left alone.
    pub plan: Option<Plan<'a>>,
    /// What its policy in mode `Shadow` would bring about, if there is one.
    pub shadow: Option<Plan<'a>>,
    /// What becomes of its preference for locality.
    pub decision: Decision,
    /// What hinders that, by name.
    pub hindrances: Vec<Hindrance>,
    /// Its ready endpoints, of its first address type.
    pub ready: usize,
    /// Its ports with the same endpoints, by address type.
    pub ports: Vec<Ports>,
}

/// Ports of a Service that lead to the same endpoints, in one address type.
pub struct Ports {
    /// What becomes of the preference. It may be about more ports than these.
    pub verdict: Verdict,
    /// The ports, as positions in [`Service::ports`].
    pub ports: Vec<usize>,
    /// What becomes of the traffic, if it goes through a proxy that follows hints.
    pub share: Option<Share>,
}

impl Row<'_> {
    /// What the Service prefers, if anything.
    pub fn prefer(&self) -> Option<Cow<'static, str>> {
        self.intent.prefers()
    }

    /// The policy that decides.
    pub fn policy(&self) -> Option<String> {
        self.intent.shown_policy().map(ToString::to_string)
    }

    /// The least share of the traffic that stays in its zone, of any port.
    pub fn in_zone(&self) -> Option<f64> {
        self.numbers().in_zone
    }

    /// The highest overload of any port.
    pub fn overload(&self) -> Option<f64> {
        self.numbers().overload
    }

    fn numbers(&self) -> Numbers {
        Numbers::over(self.ports.iter().filter_map(|ports| ports.share.as_ref()))
    }

    /// The ports that the Service's state and zones are about: of those in the worst state, those
    /// whose traffic stays least.
    pub fn worst(&self) -> Option<&Ports> {
        let in_zone = |ports: &Ports| ports.share.as_ref().map_or(-1.0, |share| share.in_zone);
        self.ports.iter().min_by(|one, other| {
            let states = one.verdict.state.cmp(&other.verdict.state);
            states.then(in_zone(one).total_cmp(&in_zone(other)))
        })
    }

    /// How many slices would be created, updated and deleted.
    pub fn writes(&self) -> [usize; 3] {
        let families = self.plan.iter().flat_map(|plan| &plan.families);
        families.fold([0; 3], |[creates, updates, deletes], Family { changes, .. }| {
            [
                creates + changes.creates.len(),
                updates + changes.updates.len(),
                deletes + changes.deletes.len(),
            ]
        })
    }
}

impl<'a> Row<'a> {
    /// The plan that the numbers are about: what a policy in mode `Shadow` would bring about, else what
    /// would be written.
    fn predicted(&self) -> Option<&Plan<'a>> {
        self.shadow.as_ref().or(self.plan.as_ref())
    }

    /// What is requested in the plan that the numbers are about.
    pub fn predicted_intent(&self) -> &Intent {
        self.shadow.as_ref().map_or(self.intent, |shadow| &shadow.intent)
    }

    /// The address type of these ports in the plan that the numbers are about.
    pub fn family(&self, ports: &Ports) -> Option<&Family<'a>> {
        let families = &self.predicted()?.families;
        families.iter().find(|family| family.address_type == ports.verdict.family)
    }

    /// What readers find for these ports in the plan that the numbers are about. The numbers of
    /// target ports are those of the first port.
    pub fn targets<'r>(&'r self, index: &'r Index, ports: &Ports) -> Option<Targets<'r>> {
        self.targets_of(index, ports, self.service.ports.get(*ports.ports.first()?)?)
    }

    /// What readers find for one of these ports. Where closehaul writes no slices, it is what those of
    /// other managers contain.
    pub fn targets_of<'r>(
        &'r self,
        index: &'r Index,
        ports: &Ports,
        port: &ServicePort,
    ) -> Option<Targets<'r>> {
        let address_type = ports.verdict.family;
        let slices = match self.family(ports) {
            Some(family) => all_slices(index, self.service, family),
            None if self.service.is_served() => return None,
            None => found_slices(index, self.service),
        };
        Some(Targets::new(self.service, slices, address_type, &port.name))
    }

    /// The row of a Service with what would be written; absent if the Service is left alone.
    pub fn of(index: &'a Index, service: &'a Service, plan: Option<Plan<'a>>) -> Option<Self> {
        let intent = index.intent(&service.key)?;
        let Assessment { decision, verdicts } = assessment(index, service, intent, plan.as_ref());
        let hindrances = hindrances(index, service, plan.as_ref(), &verdicts);
        let families = plan.as_ref().map_or(&[][..], |plan| &plan.families);
        let ready = families.first().map_or(0, ready_endpoints);
        // What a policy in mode `Shadow` would bring about is predicted.
        let shadow = plan.as_ref().and_then(|plan| index.plan_shadow(&service.key, plan.settings));
        let families = shadow.as_ref().map_or(families, |shadow| &shadow.families);
        let predicted = shadow.as_ref().map_or_else(Vec::new, |shadow| {
            assessment(index, service, &shadow.intent, Some(shadow)).verdicts
        });
        let scene = Scene { index, service };
        let mut ports = Vec::new();
        for mut verdict in verdicts {
            let is_same = |it: &&Verdict| it.family == verdict.family && it.ports == verdict.ports;
            if let Some(predicted) = predicted.iter().find(is_same) {
                verdict.beyond.clone_from(&predicted.beyond);
            }
            let family = families.iter().find(|family| family.address_type == verdict.family);
            match family {
                Some(family) => ports.extend(scene.ports(family, &verdict)),
                None => ports.push(Ports { ports: verdict.ports.clone(), verdict, share: None }),
            }
        }
        Some(Self { service, intent, plan, shadow, decision, hindrances, ready, ports })
    }

    /// The same; if closehaul leaves the Service alone, with the traffic that the slices of other
    /// managers bring about. `closehaul plan` leaves that out of its sums, because no plan changes it.
    #[must_use]
    pub fn with_traffic_of_others(mut self, index: &'a Index) -> Self {
        if !self.service.is_served() {
            let ports = std::mem::take(&mut self.ports);
            self.ports = ports.iter().flat_map(|it| found_ports(index, self.service, it)).collect();
        }
        self
    }
}

/// The slices of a Service as they are.
fn found_slices<'a>(index: &'a Index, service: &Service) -> Vec<&'a Slice> {
    let foreign = index.foreign_of(&service.key);
    index.slices_of(&service.key).into_iter().chain(foreign).collect()
}

/// The ports of a Service that is left alone, by the endpoints to which its slices lead.
fn found_ports(index: &Index, service: &Service, ports: &Ports) -> Vec<Ports> {
    let verdict = &ports.verdict;
    let slices = found_slices(index, service);
    let mut groups: Vec<(Vec<(String, *const Endpoint)>, Ports)> = Vec::new();
    for (at, port) in service.ports.iter().enumerate() {
        let targets = Targets::new(service, slices.iter().copied(), verdict.family, &port.name);
        let each =
            targets.all.iter().map(|it| (it.address.clone(), std::ptr::from_ref(it.endpoint)));
        let each: Vec<_> = each.collect();
        if let Some((_, known)) = groups.iter_mut().find(|(known, _)| *known == each) {
            known.ports.push(at);
        } else {
            let share = of_port(index, service, &targets, None, &port.name);
            groups.push((each, Ports { verdict: verdict.clone(), ports: vec![at], share }));
        }
    }
    groups.into_iter().map(|(_, ports)| ports).collect()
}

/// What a preference for the same zone would bring about for a Service that requests nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// What would become of the preference.
    pub decision: Decision,
    /// What would become of its traffic.
    pub numbers: Numbers,
}

impl Offer {
    /// For a Service that is served.
    pub fn of(index: &Index, service: &Service, settings: Settings) -> Option<Self> {
        let plan = index.plan_local(&service.key, settings)?;
        let decision = assessment(index, service, &plan.intent, Some(&plan)).decision;
        Some(Self { decision, numbers: Numbers::under(index, service, &plan) })
    }
}

/// A Service among all that is known.
#[derive(Clone, Copy)]
struct Scene<'a> {
    index: &'a Index,
    service: &'a Service,
}

impl Scene<'_> {
    /// The ports of a verdict, by the endpoints to which they lead.
    fn ports(self, family: &Family<'_>, verdict: &Verdict) -> Vec<Ports> {
        let slices = all_slices(self.index, self.service, family);
        let groups = groups(self.index, self.service, family);
        let of_verdict = groups
            .into_iter()
            .filter(|group| group.first().is_none_or(|first| verdict.ports.contains(first)));
        let ports = of_verdict.map(|ports| {
            let port = ports.first().and_then(|at| self.service.ports.get(*at));
            let share = port.and_then(|port| {
                numbers::of_family(self.index, self.service, &slices, family, &port.name)
            });
            Ports { verdict: verdict.clone(), ports, share }
        });
        ports.collect()
    }
}

/// The ready endpoints of a family, as readers tell them apart: by address and ports.
fn ready_endpoints(family: &Family<'_>) -> usize {
    let mut seen = HashSet::new();
    let endpoints = family
        .after()
        .flat_map(|slice| slice.endpoints.iter().map(|endpoint| (&slice.ports, endpoint)));
    let served = endpoints.filter(|(_, endpoint)| endpoint.is_served());
    served.filter(|(ports, endpoint)| seen.insert((*ports, &endpoint.addresses))).count()
}
