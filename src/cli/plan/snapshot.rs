//! Snapshot: a cluster at one moment, with a row for each Service.

use std::collections::HashMap;

use crate::{
    assess::{
        decision::Decision,
        share::{self, Share},
    },
    cli::objects::Objects,
    cluster::Index,
    model::{
        address::AddressType,
        name::{Name, ServiceKey},
        service::{ClusterIp, Service},
        slice::{SERVICE_NAME, Slice},
    },
    plan::{Family, Plan, Settings, intent::Intent},
    report,
};

/// A cluster at one moment.
pub(super) struct Snapshot {
    index: Index,
    /// Slices of other managers, by the Service that they name.
    foreign: HashMap<ServiceKey, Vec<Slice>>,
    /// Without pods nothing can be planned.
    are_pods_unknown: bool,
}

/// All that is known of one Service.
pub(super) struct Row<'a> {
    /// The Service.
    pub(super) service: &'a Service,
    /// What is requested for it.
    pub(super) intent: Intent,
    /// What would be written. Absent if the Service is left alone.
    pub(super) plan: Option<Plan<'a>>,
    /// What becomes of its preference for locality.
    pub(super) decision: Decision,
    /// Its ready endpoints, of its first address type.
    pub(super) ready: usize,
    /// What becomes of its traffic, if it goes through a proxy that follows hints.
    pub(super) share: Option<Share>,
}

impl Row<'_> {
    /// What the Service prefers, if anything.
    pub(super) fn prefer(&self) -> Option<&'static str> {
        self.intent.mechanism.prefers()
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
    pub(super) fn of(objects: Objects) -> Self {
        let Objects { services, pods, nodes, slices, are_pods_unknown } = objects;
        let mut index = Index::default();
        // Which Services a change affects does not matter here: everything is planned afterwards.
        for node in nodes {
            index.apply_node(node);
        }
        for service in services {
            index.apply_service(service);
        }
        for (namespace, pod) in pods {
            index.apply_pod(&namespace, pod);
        }
        let mut foreign: HashMap<_, Vec<_>> = HashMap::new();
        for slice in slices {
            match foreign_service(&slice).cloned() {
                None => {
                    index.apply_slice(slice);
                }
                Some(name) => {
                    let key = ServiceKey { namespace: slice.meta.namespace.clone(), name };
                    foreign.entry(key).or_default().push(slice);
                }
            }
        }
        Self { index, foreign, are_pods_unknown }
    }

    /// One row for each Service, by namespace and name.
    pub(super) fn rows(&self, settings: Settings) -> Vec<Row<'_>> {
        let mut services: Vec<_> = self.index.services().collect();
        services.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        services.into_iter().map(|service| self.row(service, settings)).collect()
    }

    fn row<'a>(&'a self, service: &'a Service, settings: Settings) -> Row<'a> {
        // A controller that starts now sees each Service for the first time (docs/semantics.md 4.6).
        // The API server has not been seen to drop anything.
        let plan = self.index.plan(&service.key, service.created, settings);
        let plan = plan.filter(|_| !self.are_pods_unknown);
        let family = plan.as_ref().and_then(|plan| plan.families.first());
        let slices: Vec<&Slice> = family.into_iter().flat_map(Family::after).collect();
        let foreign = self.foreign_of(&service.key, family.map(|family| family.address_type));
        let intent = Intent::of(service);
        let decision =
            report::decision(&self.index, service, intent, plan.as_ref(), &foreign, settings);
        let ready = share::ready(slices.iter().copied()).len();
        let is_hinted = service.cluster_ip != ClusterIp::Headless && !service.internal_local;
        let all: Vec<&Slice> = slices.into_iter().chain(foreign).collect();
        let share = family
            .filter(|_| is_hinted)
            .and_then(|_| share::worst(service, &all, self.index.topology().clients()));
        Row { service, intent, plan, decision, ready, share }
    }

    /// The slices of this address type that other controllers have for a Service.
    fn foreign_of(&self, key: &ServiceKey, address_type: Option<AddressType>) -> Vec<&Slice> {
        let foreign = self.foreign.get(key).into_iter().flatten();
        foreign.filter(|slice| Some(slice.address_type) == address_type).collect()
    }
}

/// The Service that a slice of another manager names.
fn foreign_service(slice: &Slice) -> Option<&Name> {
    let name = slice.meta.labels.get(SERVICE_NAME).filter(|name| !name.is_empty());
    name.filter(|_| slice.managed_service().is_none())
}
