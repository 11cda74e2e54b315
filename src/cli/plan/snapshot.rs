//! Snapshot: a cluster at one moment, with a row for each Service.

use std::borrow::Cow;

use foldhash::{HashSet, HashSetExt as _};

use jiff::Timestamp;

use crate::{
    assess::{
        decision::{Assessment, Decision},
        explained::Explained,
        share::{self, Share},
        verdict::Verdict,
    },
    cli::objects::Objects,
    cluster::Index,
    consumers::kube_proxy::{Targets, is_hidden},
    model::{service::Service, slice::Slice},
    plan::{
        Family, Plan, Settings,
        changes::Changes,
        intent::Intent,
        ready::{Ready, has_twins},
    },
    report::{
        self,
        hindrance::{Hindrance, hindrances},
    },
};

/// A cluster at one moment.
pub(super) struct Snapshot {
    index: Index,
    /// Without pods nothing can be planned.
    are_pods_unknown: bool,
}

/// All that is known of one Service.
pub(super) struct Row<'a> {
    /// The Service.
    pub(super) service: &'a Service,
    /// What is requested for it.
    pub(super) intent: &'a Intent,
    /// What would be written. Absent if the Service is left alone.
    pub(super) plan: Option<Plan<'a>>,
    /// What becomes of its preference for locality.
    pub(super) decision: Decision,
    /// What hinders that, by name.
    pub(super) hindrances: Vec<Hindrance>,
    /// Its ready endpoints, of its first address type.
    pub(super) ready: usize,
    /// Its ports with the same endpoints, by address type.
    pub(super) ports: Vec<Ports>,
}

/// Ports of a Service that lead to the same endpoints, in one address type.
pub(super) struct Ports {
    /// What becomes of the preference. It may be about more ports than these.
    pub(super) verdict: Verdict,
    /// The ports, as positions in [`Service::ports`].
    pub(super) ports: Vec<usize>,
    /// What becomes of the traffic, if it goes through a proxy that follows hints.
    pub(super) share: Option<Share>,
}

impl Row<'_> {
    /// What the Service prefers, if anything.
    pub(super) fn prefer(&self) -> Option<Cow<'static, str>> {
        self.intent.prefers()
    }

    /// The policy that decides.
    pub(super) fn policy(&self) -> Option<String> {
        self.intent.shown_policy().map(ToString::to_string)
    }

    /// The least share of the traffic that stays in its zone, of any port.
    pub(super) fn in_zone(&self) -> Option<f64> {
        self.shares().map(|share| share.in_zone).reduce(f64::min)
    }

    /// The highest overload of any port.
    pub(super) fn overload(&self) -> Option<f64> {
        self.shares().map(|share| share.overload).reduce(f64::max)
    }

    /// The ports that the Service's state and zones are about: of those in the worst state, those
    /// whose traffic stays least.
    pub(super) fn worst(&self) -> Option<&Ports> {
        let in_zone = |ports: &Ports| ports.share.as_ref().map_or(-1.0, |share| share.in_zone);
        self.ports.iter().min_by(|one, other| {
            let states = one.verdict.state.cmp(&other.verdict.state);
            states.then(in_zone(one).total_cmp(&in_zone(other)))
        })
    }

    fn shares(&self) -> impl Iterator<Item = &Share> {
        self.ports.iter().filter_map(|ports| ports.share.as_ref())
    }

    /// How many slices would be created, updated and deleted.
    pub(super) fn writes(&self) -> [usize; 3] {
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

impl Snapshot {
    /// Indexes what was read.
    pub(super) fn of(objects: Objects, now: Timestamp) -> Self {
        let Objects { services, pods, nodes, slices, are_pods_unknown, rules } = objects;
        let mut index = Index::default();
        index.set_time(now);
        // Which Services a change affects does not matter here: everything is planned afterwards.
        for namespace in rules.namespaces {
            index.apply_namespace(namespace);
        }
        for policy in rules.policies {
            index.apply_policy(policy);
        }
        for policy in rules.cluster_policies {
            index.apply_cluster_policy(policy);
        }
        for evacuation in rules.evacuations {
            index.apply_evacuation(evacuation);
        }
        for node in nodes {
            index.apply_node(node);
        }
        for service in services {
            index.apply_service(service);
        }
        for (namespace, pod) in pods {
            index.apply_pod(&namespace, pod);
        }
        for slice in slices {
            index.apply_slice(slice);
        }
        Self { index, are_pods_unknown }
    }

    /// One row for each Service, by namespace and name.
    pub(super) fn rows(&self, settings: Settings) -> Vec<Row<'_>> {
        let mut services: Vec<_> = self.index.services().collect();
        services.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        services.into_iter().filter_map(|service| self.row(service, settings)).collect()
    }

    fn row<'a>(&'a self, service: &'a Service, settings: Settings) -> Option<Row<'a>> {
        let intent = self.index.intent(&service.key)?;
        // A controller that starts now sees each Service for the first time (docs/semantics.md 4.6).
        // The API server has not been seen to drop anything.
        let plan = self.index.plan(&service.key, service.created, settings, None);
        let plan =
            plan.map(|plan| if self.are_pods_unknown { self.idle(service, plan) } else { plan });
        let Assessment { decision, verdicts } =
            report::assessment(&self.index, service, intent, plan.as_ref());
        let hindrances = hindrances(&self.index, service, plan.as_ref(), &verdicts);
        let families = plan.as_ref().map_or(&[][..], |plan| &plan.families);
        let ready = families.first().map_or(0, ready_endpoints);
        let mut ports = Vec::new();
        for verdict in verdicts {
            let family = families.iter().find(|family| family.address_type == verdict.family);
            match family {
                Some(family) => ports.extend(self.ports(service, family, &verdict)),
                None => ports.push(Ports { ports: verdict.ports.clone(), verdict, share: None }),
            }
        }
        Some(Row { service, intent, plan, decision, hindrances, ready, ports })
    }

    /// The same without any write: all slices stay as they are.
    fn idle<'a>(&'a self, service: &Service, plan: Plan<'a>) -> Plan<'a> {
        let slices = self.index.slices_of(&service.key);
        let family = |family: Family<'a>| {
            let of_type = |slice: &&Slice| slice.address_type == family.address_type;
            let unchanged: Vec<_> = slices.iter().copied().filter(of_type).collect();
            let mut ready = Ready::of(unchanged.iter().copied(), self.index.nodes());
            ready.has_twins = has_twins(unchanged.iter().copied());
            let (changes, counts, planned) = (Changes::default(), None, None);
            Family { changes, unchanged, counts, planned, ready, ..family }
        };
        let families = plan.families.into_iter().map(family).collect();
        // Those that it selects are not known.
        Plan { families, has_pods: true, ..plan }
    }

    /// The ports of a verdict, by the endpoints to which they lead.
    fn ports<'s>(
        &'s self,
        service: &'s Service,
        family: &'s Family<'_>,
        verdict: &'s Verdict,
    ) -> impl Iterator<Item = Ports> + use<'s> {
        let slices = report::all_slices(&self.index, service, family);
        let groups = report::groups(&self.index, service, family);
        let of_verdict = groups
            .into_iter()
            .filter(|group| group.first().is_none_or(|first| verdict.ports.contains(first)));
        of_verdict.map(move |ports| {
            let share = ports
                .first()
                .and_then(|at| self.share(service, &slices, family, &service.ports[*at].name));
            Ports { verdict: verdict.clone(), ports, share }
        })
    }

    /// What becomes of the traffic to a port, if it goes through a proxy that follows hints.
    fn share(
        &self,
        service: &Service,
        slices: &[&Slice],
        family: &Family<'_>,
        port: &str,
    ) -> Option<Share> {
        if service.is_headless() || service.internal_local || is_hidden(service) {
            return None;
        }
        let targets = Targets::new(service, slices.iter().copied(), family.address_type, port);
        let clients = self.index.topology().clients();
        let Some(planned) = &family.planned else {
            return share::share(&targets, &share::equal(clients));
        };
        let explained = Explained::of(planned, port);
        let mut share = share::share(&targets, &explained.senders(clients))?;
        for zone in &mut share.zones {
            zone.rung = explained.rung(&zone.zone, zone.rung);
        }
        Some(share)
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
