//! A Service with its pods, nodes and slices, and an API server that is just obedient enough
//! to replay histories: what a plan creates gets a name, a UID and a version.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use closehaul::plan::{
    World,
    hints::auto::{CpuShares, ZoneCounts},
    labels::Labels,
    metadata,
    name::{Name, ServiceKey, Uid},
    node::{Node, Nodes},
    pod::{ContainerPort, HostName, Pod},
    port::{Port, Ports},
    service::{ClusterIp, Service, ServicePort, TargetPort},
    slice::{AddressType, Endpoint, Hints, Owner, Slice, SliceMeta},
};
use jiff::Timestamp;

/// One Service and all that its slices depend on.
#[derive(Clone)]
pub struct Cluster {
    pub service: Service,
    pub pods: Vec<Pod>,
    pub nodes: Nodes,
    pub shares: Option<CpuShares>,
    pub slices: Vec<Slice>,
    pub trigger_time: Option<Timestamp>,
    pub max_endpoints: usize,
    serial: u64,
}

/// What one plan asks for, over all address types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes {
    pub creates: Vec<Slice>,
    pub updates: Vec<Slice>,
    pub deletes: Vec<Slice>,
    pub unchanged: Vec<Slice>,
    pub counts: Vec<ZoneCounts>,
    pub nodeless: Vec<Name>,
    pub hints_only: bool,
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
            max_endpoints: 100,
            serial: 0,
        }
    }

    /// What is to be written now.
    pub fn plan(&self) -> Writes {
        let pods: Vec<&Pod> = self.pods.iter().collect();
        let slices: Vec<&Slice> = self.slices.iter().collect();
        let plan = closehaul::plan::plan(World {
            service: &self.service,
            pods: &pods,
            nodes: &self.nodes,
            shares: self.shares.as_ref(),
            slices: &slices,
            trigger_time: self.trigger_time,
            max_endpoints: self.max_endpoints,
        });
        let mut writes = Writes {
            hints_only: plan.is_hints_only(),
            nodeless: plan.nodeless.clone(),
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
        }
        assert_eq!(plan.is_empty(), writes.tally() == (0, 0, 0));
        writes
    }

    /// Plans, writes what is asked for and returns it.
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

    /// The slices that are not on their way out.
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

    /// Puts a slice of the Service with these pods' endpoints there, as an earlier sync would
    /// have left it.
    pub fn add_slice_of(&mut self, pods: &[Pod]) -> Name {
        let mut past = Self { pods: pods.to_vec(), slices: Vec::new(), ..self.clone() };
        past.max_endpoints = pods.len().max(1);
        let planned = past.plan().creates;
        assert_eq!(planned.len(), 1, "one address type, one port group");
        let mut name = Name::from("");
        for slice in planned {
            name = self.create(slice);
        }
        name
    }

    /// The slice of this name.
    #[track_caller]
    pub fn slice(&mut self, name: &str) -> &mut Slice {
        let found = self.slices.iter_mut().find(|slice| slice.meta.name.as_deref() == Some(name));
        found.expect("a slice of this name")
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

/// Service `web` of namespace `shop`: IPv4, one unnamed port 80 that leads to 8080.
pub fn service() -> Service {
    Service {
        key: ServiceKey { namespace: "shop".into(), name: "web".into() },
        uid: Uid::parse("uid-web"),
        version: 1,
        created: Some(at(0)),
        terminating: false,
        labels: Labels::default(),
        selector: Some(labels(&[("app", "web")])),
        ports: vec![service_port("", TargetPort::Number(8080))],
        external_name: false,
        cluster_ip: ClusterIp::Of(AddressType::IPv4),
        families: vec![AddressType::IPv4],
        publish_not_ready: false,
        traffic_distribution: None,
        auto: false,
        internal_local: false,
        external_local: false,
    }
}

/// A TCP port of a Service.
pub fn service_port(name: &str, target: TargetPort) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol: "TCP".into(),
        number: 80,
        target,
        app_protocol: None,
    }
}

/// A ready pod `pod-NNN` of one IPv4 address on node a1.
pub fn pod(number: u16) -> Pod {
    let [high, low] = number.to_be_bytes();
    Pod {
        name: format!("pod-{number:03}").into(),
        uid: Uid::parse(&format!("uid-pod-{number}")),
        version: 1,
        labels: labels(&[("app", "web")]),
        node: Some("a1".into()),
        addresses: Box::new([IpAddr::V4(Ipv4Addr::new(10, 0, high, low))]),
        has_address: true,
        ports: [].into(),
        host: None,
        ready: true,
        ready_since: Some(at(1)),
        terminating: false,
        finished: false,
    }
}

/// The same pod on this node.
pub fn pod_on(number: u16, node: &str) -> Pod {
    Pod { node: Some(node.into()), ..pod(number) }
}

/// The same pod, not ready.
pub fn unready(number: u16) -> Pod {
    Pod { ready: false, ..pod(number) }
}

/// Pods with these numbers.
pub fn pods(numbers: std::ops::Range<u16>) -> Vec<Pod> {
    numbers.map(pod).collect()
}

/// An IPv6 address for a pod.
pub fn ipv6(number: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number))
}

/// A pod's DNS name.
pub fn host(hostname: &str, subdomain: &str) -> Option<Box<HostName>> {
    Some(Box::new(HostName { hostname: hostname.into(), subdomain: subdomain.into() }))
}

/// A named TCP port of a container.
pub fn container_port(name: &str, number: i32) -> ContainerPort {
    ContainerPort { name: name.into(), protocol: "TCP".into(), number }
}

/// A ready node with four cores in a zone; an empty zone is none.
pub fn node(name: &str, zone: &str) -> Node {
    Node {
        name: name.into(),
        version: 1,
        zone: Some(zone).filter(|zone| !zone.is_empty()).map(Into::into),
        ready: true,
        control_plane: false,
        schedulable: true,
        cpu: 4000,
    }
}

/// Nodes with their zones.
pub fn nodes(pairs: &[(&str, &str)]) -> Nodes {
    pairs.iter().map(|(name, zone)| ((*name).into(), node(name, zone))).collect()
}

/// Labels, annotations or a selector.
pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// The labels of a slice of Service `web` without own labels.
pub fn reserved_labels() -> Labels {
    labels(&[(metadata::SERVICE_NAME, "web"), (metadata::MANAGED_BY, metadata::CONTROLLER)])
}

/// A TCP port of a slice.
pub fn port(name: &str, number: i32) -> Port {
    Port {
        name: Some(name.into()),
        number: Some(number),
        protocol: Some("TCP".into()),
        app_protocol: None,
    }
}

/// A slice of Service `web` as it is sent for creation: port 8080, no endpoints.
pub fn slice() -> Slice {
    Slice {
        meta: SliceMeta {
            namespace: "shop".into(),
            name: None,
            generate_name: Some("web-".into()),
            uid: None,
            version: 0,
            labels: reserved_labels(),
            annotations: Labels::default(),
            owners: [owner("uid-web")].into(),
            finalizers: [].into(),
            terminating: false,
        },
        address_type: AddressType::IPv4,
        ports: [port("", 8080)].into_iter().collect(),
        endpoints: [].into(),
    }
}

/// The same with neither ports nor endpoints.
pub fn placeholder() -> Slice {
    Slice { ports: Ports::default(), ..slice() }
}

/// The owner reference to a Service `web` of this UID.
pub fn owner(uid: &str) -> Owner {
    Owner {
        api_version: "v1".into(),
        kind: "Service".into(),
        name: "web".into(),
        uid: Uid::parse(uid).expect("a UID"),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Hints for zones and nodes.
pub fn hints(zones: &[&str], nodes: &[&str]) -> Option<Arc<Hints>> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    Some(Arc::new(Hints { zones: names(zones), nodes: names(nodes) }))
}

/// The zones an endpoint is hinted to.
pub fn zones(endpoint: &Endpoint) -> Vec<&str> {
    endpoint.hints.iter().flat_map(|hints| &hints.zones).map(AsRef::as_ref).collect()
}

/// The name of the pod behind an endpoint.
pub fn pod_name(endpoint: &Endpoint) -> &str {
    endpoint.pod_name().map(AsRef::as_ref).unwrap_or_default()
}

/// Numbers of endpoints, largest first.
pub fn sizes<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> Vec<usize> {
    let mut sizes: Vec<usize> = slices.into_iter().map(|slice| slice.endpoints.len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// A moment, in seconds of the tests' time.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a timestamp")
}

/// Changes the endpoints of a slice one by one.
pub fn edit_endpoints(slice: &mut Slice, edit: impl FnMut(&mut Endpoint)) {
    let mut endpoints = slice.endpoints.to_vec();
    endpoints.iter_mut().for_each(edit);
    slice.endpoints = endpoints.into();
}
