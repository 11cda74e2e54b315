//! One large Service with and without a guard, as the index plans it: what a flip of one pod costs
//! while the plan stays, and what a new plan costs.

use std::{net::IpAddr, sync::Arc};

use closehaul::{
    cluster::Index,
    model::{
        name::{Name, ServiceKey},
        pod::Pod,
        policy::{Guard, LocalityPolicy, PolicyMeta, PolicySpec, Reading, ServiceFilter},
        service::TrafficDistribution,
        slice::Slice,
    },
    plan::{Circumstances, Plan, Settings, changes::Changes},
};

use crate::samples;

/// A Service whose slices are right.
pub struct Site {
    index: Index,
    version: u64,
    zones: usize,
}

impl Site {
    /// A Service with this many pods, spread over zones, with a guard of this limit. Its slices are
    /// written, and the plan stays.
    pub fn new(pods: usize, zones: usize, guard: Option<u16>) -> Self {
        let mut site = Self { index: Index::default(), version: 1, zones };
        for zone in 0..zones {
            let node = samples::node(&format!("node-{zone}"), &format!("zone-{zone}"));
            site.index.apply_node(node);
        }
        let mut service = samples::service();
        service.traffic_distribution = Some(TrafficDistribution::PreferSameZone);
        if let Some(limit) = guard {
            site.index.apply_policy(policy(&service.key.namespace, limit));
        }
        site.index.apply_service(service);
        for number in 0..pods {
            site.take_in(number, true);
        }
        // The second plan finds what the first one wrote.
        for _ in 0..2 {
            site.sync();
        }
        site
    }

    /// A pod becomes ready or unready.
    pub fn take_in(&mut self, number: usize, ready: bool) {
        self.version += 1;
        let [.., a, b, c] = number.to_be_bytes();
        let pod = Pod {
            name: format!("pod-{number}").into(),
            uid: closehaul::model::name::Uid::parse(&format!("uid-{number}")),
            version: self.version,
            node: Some(format!("node-{}", number % self.zones).into()),
            addresses: Box::new([IpAddr::from([10, a, b, c])]),
            ready,
            ..samples::pod(0)
        };
        self.index.apply_pod(&key().namespace, pod);
    }

    /// Plans what has changed and shows what is written. Returns how many slices that is, and whether
    /// only a part was planned.
    pub fn sync(&mut self) -> (usize, bool) {
        let key = key();
        let part = self.index.part(&key);
        let settings = Settings::with(100);
        let patch = part.and_then(|part| {
            self.index.patch(&key, &part, None, settings, Circumstances::default())
        });
        let is_patch = patch.is_some();
        let plan = patch
            .or_else(|| self.index.plan(&key, None, settings, Circumstances::default()))
            .expect("a plan");
        let service = self.index.service(&key).expect("the Service");
        let known = self.index.known(service, &plan);
        let writes: Vec<Changes> = changes(plan);
        self.index.settle(&key, known, &writes, is_patch);
        let mut count = 0;
        for slice in
            writes.iter().flat_map(|changes| changes.creates.iter().chain(&changes.updates))
        {
            count += 1;
            self.show(slice.clone());
        }
        (count, is_patch)
    }

    fn show(&mut self, mut slice: Slice) {
        self.version += 1;
        let name = slice.meta.name.get_or_insert_with(|| format!("web-{}", self.version).into());
        slice.meta.uid = closehaul::model::name::Uid::parse(&format!("uid-{name}"));
        slice.meta.version = self.version;
        self.index.apply_slice(slice);
    }
}

fn changes(plan: Plan<'_>) -> Vec<Changes> {
    plan.families.into_iter().map(|family| family.changes).collect()
}

fn key() -> ServiceKey {
    samples::service().key
}

fn policy(namespace: &Name, limit: u16) -> LocalityPolicy {
    let meta =
        PolicyMeta { name: Arc::from("even"), uid: None, version: 1, created: None, generation: 1 };
    let spec = PolicySpec { guard: Some(Guard::with_max(limit)), ..PolicySpec::default() };
    LocalityPolicy {
        meta,
        namespace: namespace.clone(),
        services: ServiceFilter::All,
        spec: Reading::Known(spec),
        programmed: Some(1),
    }
}
