//! A Service with its pods, nodes and slices, and an API server that does just enough to
//! replay histories: what a plan creates gets a name, a UID and a version.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use closehaul::{
    model::{
        name::{Name, Uid},
        node::Nodes,
        pod::Pod,
        service::Service,
        slice::{Endpoint, Slice},
    },
    plan::{
        Policy, Settings, World,
        census::Census,
        hints::{
            auto::{CpuShares, ZoneCounts},
            planned::Planned,
        },
        intent::Intent,
        policy::{demand, request::Request, searches::Searches},
    },
};
use jiff::Timestamp;

pub use crate::objects::*;

/// One Service and everything that its slices depend on.
#[derive(Clone)]
pub struct Cluster {
    pub service: Service,
    pub pods: Vec<Pod>,
    pub nodes: Nodes,
    pub shares: Option<CpuShares>,
    pub slices: Vec<Slice>,
    pub trigger_time: Option<Timestamp>,
    pub settings: Settings,
    /// What policies and evacuations request.
    pub request: Option<Request>,
    serial: u64,
}

/// What one plan requires, over all address types.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    pub creates: Vec<Slice>,
    pub updates: Vec<Slice>,
    pub deletes: Vec<Slice>,
    pub unchanged: Vec<Slice>,
    pub counts: Vec<ZoneCounts>,
    pub nodeless: Vec<Name>,
    pub not_allowed: Vec<(Name, IpAddr)>,
    pub locality_only: bool,
    pub census: Vec<Census>,
    pub planned: Vec<Arc<Planned>>,
}

impl Writes {
    /// How many creates, updates and deletes there are.
    pub fn tally(&self) -> (usize, usize, usize) {
        (self.creates.len(), self.updates.len(), self.deletes.len())
    }

    /// Asserts that nothing is written.
    #[track_caller]
    pub fn assert_none(&self) {
        assert_eq!(self.tally(), (0, 0, 0), "{self:#?}");
    }
}

impl Cluster {
    /// A Service that selects these pods, without slices yet; nodes a1, a2, b1, b2, c1, c2 in
    /// zones a, b and c.
    pub fn with(pods: Vec<Pod>) -> Self {
        Self {
            service: service(),
            pods,
            nodes: nodes(&[
                ("a1", "a"),
                ("a2", "a"),
                ("b1", "b"),
                ("b2", "b"),
                ("c1", "c"),
                ("c2", "c"),
            ]),
            shares: None,
            slices: Vec::new(),
            trigger_time: None,
            settings: Settings::with(100),
            request: None,
            serial: 0,
        }
    }

    /// Slices with this many endpoints each, as earlier syncs left them; pods numbered from 0.
    pub fn standing(sizes: &[u16]) -> Self {
        let mut cluster = Self::with(Vec::new());
        let mut first = 0;
        for size in sizes {
            let group = pods(first..first + size);
            cluster.add_slice_of(&group);
            cluster.pods.extend(group);
            first += size;
        }
        cluster
    }

    /// What must be written now.
    pub fn plan(&self) -> Writes {
        let pods: Vec<&Pod> = self.pods.iter().collect();
        let slices: Vec<&Slice> = self.slices.iter().collect();
        let zones = self.request.as_ref().map(|request| {
            let (keys, source) = (&request.keys, &request.demand);
            demand::zones(&self.nodes, keys, source)
        });
        let policy = self.request.as_ref().zip(zones.as_ref());
        let searches = Searches::default();
        let plan = closehaul::plan::plan(World {
            service: &self.service,
            pods: &pods,
            nodes: &self.nodes,
            shares: self.shares.as_ref(),
            slices: &slices,
            trigger_time: self.trigger_time,
            intent: &Intent::of(&self.service),
            policy: policy.map(|(request, zones)| Policy {
                request: Some(request),
                zones,
                searches: &searches,
                stood: None,
            }),
            settings: self.settings,
        });
        let mut writes = Writes {
            locality_only: plan.is_locality_only(),
            nodeless: plan.nodeless.clone(),
            not_allowed: plan.not_allowed.clone(),
            ..Writes::default()
        };
        for family in &plan.families {
            for slice in family.changes.creates.iter().chain(&family.changes.updates) {
                assert_eq!(slice.address_type, family.address_type);
            }
            let after: usize = family.changes.creates.len() + family.changes.updates.len();
            assert_eq!(family.after().count(), after + family.unchanged.len());
            writes.creates.extend(family.changes.creates.iter().cloned());
            writes.updates.extend(family.changes.updates.iter().cloned());
            writes.deletes.extend(family.changes.deletes.iter().cloned());
            writes.unchanged.extend(family.unchanged.iter().map(|slice| (*slice).clone()));
            writes.counts.extend(family.counts.clone());
            writes.census.extend(family.census);
            writes.planned.extend(family.planned.clone());
        }
        assert_eq!(plan.is_empty(), writes.tally() == (0, 0, 0));
        writes
    }

    /// Plans, writes what is requested and returns it.
    pub fn sync(&mut self) -> Writes {
        let writes = self.plan();
        for slice in &writes.creates {
            self.create(slice.clone());
        }
        for slice in &writes.updates {
            self.replace(slice.clone());
        }
        for slice in &writes.deletes {
            self.delete(slice);
        }
        writes
    }

    /// Asserts that a further sync would write nothing.
    #[track_caller]
    pub fn assert_settled(&self) {
        let again = Self { trigger_time: None, ..self.clone() };
        again.plan().assert_none();
    }

    /// The slices that are not terminating.
    pub fn live(&self) -> impl Iterator<Item = &Slice> {
        self.slices.iter().filter(|slice| !slice.meta.terminating)
    }

    /// The endpoints of all live slices, each with its slice.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Slice, &Endpoint)> {
        self.live().flat_map(|slice| slice.endpoints.iter().map(move |endpoint| (slice, endpoint)))
    }

    /// The zones hinted for each pod.
    pub fn zone_hints(&self) -> BTreeMap<&str, Vec<&str>> {
        self.endpoints().map(|(_, e)| (pod_name(e), zones(e))).collect()
    }

    /// Adds a slice of the Service with these pods' endpoints, as an earlier sync would have left
    /// it.
    pub fn add_slice_of(&mut self, pods: &[Pod]) -> Name {
        let mut past = Self { pods: pods.to_vec(), slices: Vec::new(), ..self.clone() };
        past.settings.max_endpoints = pods.len().max(1);
        let planned = past.plan().creates;
        assert_eq!(planned.len(), 1, "one address type, one port group");
        let mut name = Name::from("");
        for slice in planned {
            name = self.create(slice);
        }
        name
    }

    /// The only slice.
    #[track_caller]
    pub fn only_slice(&mut self) -> &mut Slice {
        assert_eq!(self.slices.len(), 1);
        &mut self.slices[0]
    }

    /// The API server's create.
    pub fn create(&mut self, mut slice: Slice) -> Name {
        assert_eq!((slice.meta.name.as_ref(), slice.meta.uid.as_ref()), (None, None));
        assert_eq!(slice.meta.version, 0);
        self.serial += 1;
        let base = slice.meta.generate_name.as_deref().unwrap_or_default();
        let name: Name = format!("{base}{:05}", self.serial).into();
        slice.meta.name = Some(name.clone());
        slice.meta.uid = Uid::parse(&format!("slice-{}", self.serial));
        slice.meta.version = self.serial;
        self.slices.push(slice);
        name
    }

    fn replace(&mut self, mut slice: Slice) {
        self.serial += 1;
        let found = self.slices.iter_mut().find(|old| old.meta.name == slice.meta.name);
        let old = found.expect("an update of a slice that exists");
        assert_eq!(old.meta.version, slice.meta.version, "a conflict");
        assert_eq!(old.meta.uid, slice.meta.uid);
        assert_eq!(old.address_type, slice.address_type, "addressType is immutable");
        slice.meta.version = self.serial;
        *old = slice;
    }

    fn delete(&mut self, slice: &Slice) {
        let at = self.slices.iter().position(|old| old == slice);
        let at = at.expect("a delete of a slice that exists");
        if slice.meta.finalizers.is_empty() {
            self.slices.remove(at);
        } else {
            self.slices[at].meta.terminating = true;
        }
    }
}
