//! Site: a controller that knows a cluster of a given shape whose slices are up to date, and events
//! that happen there. No I/O: the bench supplies what the API server would answer and show.

use closehaul::{
    api::{Kind, Object},
    clock::Now,
    control::{
        controller::{Controller, Event, Job, Mode, Role, Settings},
        expectations::Sight,
        watch::Change,
        write::Outcome,
    },
    model::{
        address::AddressType,
        name::Uid,
        node::Node,
        pod::Pod,
        policy::{ClusterLocalityPolicy, LocalityPolicy, ZoneEvacuation},
        service::Service,
        slice::Slice,
    },
    observe::{Health, Metrics},
    plan,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How large a cluster is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// All Services.
    pub services: usize,
    /// Pods of each Service.
    pub pods: usize,
    /// Services in one namespace.
    pub per_namespace: usize,
}

/// Where pods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// On any node, so that zones have different numbers of a Service's pods.
    Any,
    /// As the scheduler places them: over zones as evenly as possible.
    Even,
}

const NODES: usize = 500;
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// A cluster and its controller.
pub struct Site {
    shape: Shape,
    placing: Placing,
    controller: Controller,
    pod: Object<Pod>,
    slice: Object<Slice>,
    version: u64,
    now: Now,
    /// The slice that was written last.
    pub latest: Option<Slice>,
}

fn object<T: Kind>(document: Value) -> Object<T> {
    serde_json::from_value(document).expect("a document that can be read")
}

/// The number of a Service's pod among all pods.
fn number(shape: Shape, service: usize, pod: usize) -> usize {
    service * shape.pods + pod
}

impl Site {
    /// Everything is listed, every slice is written and shown, and nothing is left to do.
    pub fn new(shape: Shape) -> Self {
        Self::under(shape, Placing::Any, &[])
    }

    /// The same under these policies of the cluster, each given as its spec.
    pub fn under(shape: Shape, placing: Placing, policies: &[Value]) -> Self {
        let mut site = Self { placing, ..Self::empty(shape) };
        for (number, spec) in policies.iter().enumerate() {
            let policy = object::<ClusterLocalityPolicy>(json!({
                "metadata": {"name": format!("policy-{number}"), "uid": format!("p-{number}"),
                    "resourceVersion": "1", "generation": 1},
                "spec": spec,
            }));
            site.take_in(Event::from(Change::Applied(policy)));
        }
        site.list();
        site.settle();
        site
    }

    /// The same for one namespace where each of `many` Services selects each of `many` pods. The
    /// pods have a label of their own, and neither node nor address yet.
    pub fn crowd(many: usize) -> Self {
        let mut site = Self::empty(Shape { services: many, pods: 1, per_namespace: many });
        for number in 0..many {
            let service = site.selecting(number, "crowd", "Cluster");
            site.take_in(service);
        }
        for number in 0..many {
            let mut object = site.pod(number, 0, false);
            let pod = &mut object.value;
            pod.labels = pod.labels.with("app", Some("crowd")).with("pod-name", Some(&object.name));
            (pod.node, pod.addresses, pod.has_address) = (None, [].into(), false);
            pod.ready_since = None;
            site.take_in(Event::from(Change::Applied(object)));
        }
        site.listed();
        site.settle();
        site
    }

    /// Nothing is listed yet.
    fn empty(shape: Shape) -> Self {
        let settings = Settings {
            plan: plan::Settings::with(100),
            batch_period: Duration::ZERO,
            replan_qps: 0.0,
            concurrency: 5,
            policies: true,
            mode: Mode::Replace,
            renew_deadline: Duration::from_secs(10),
        };
        let metrics = Metrics::with_services(1000).expect("metrics");
        let controller = Controller::new(settings, metrics, Health::new(None));
        let pod = object(json!({
            "metadata": {"name": "x", "namespace": "x", "uid": "x", "resourceVersion": "1",
                "labels": {"app": "x", "pod-template-hash": "7c9d8f6b5d", "team": "shop"}},
            "spec": {"nodeName": "x", "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}]},
        }));
        let slice =
            object(json!({"metadata": {"name": "x", "namespace": "x"}, "addressType": "IPv4"}));
        let now = Now { monotonic: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let placing = Placing::Any;
        Self { shape, placing, controller, pod, slice, version: 1, now, latest: None }
    }

    fn list(&mut self) {
        for number in 0..NODES {
            let node = object::<Node>(json!({
                "metadata": {"name": format!("node-{number}"), "resourceVersion": "1",
                    "labels": {"topology.kubernetes.io/zone": ZONES[number % 3]}},
                "status": {"allocatable": {"cpu": "8"}, "conditions": [{"type": "Ready", "status": "True"}]},
            }));
            self.take_in(Event::from(Change::Applied(node)));
        }
        for number in 0..self.shape.services {
            let event = self.service_event(number, "Cluster");
            self.take_in(event);
        }
        for service in 0..self.shape.services {
            for pod in 0..self.shape.pods {
                let pod = self.pod(service, pod, true);
                self.take_in(Event::from(Change::Applied(pod)));
            }
        }
        self.listed();
    }

    fn listed(&mut self) {
        self.take_in(Change::<Node>::Listed.into());
        self.take_in(Change::<Service>::Listed.into());
        self.take_in(Change::<Pod>::Listed.into());
        self.take_in(Change::<Slice>::Listed.into());
        self.take_in(Change::<LocalityPolicy>::Listed.into());
        self.take_in(Change::<ClusterLocalityPolicy>::Listed.into());
        self.take_in(Change::<ZoneEvacuation>::Listed.into());
    }

    /// A Service's event. Its slices do not depend on `policy`, which is `externalTrafficPolicy`,
    /// but a change of it still causes a plan.
    pub fn service_event(&mut self, number: usize, policy: &str) -> Event {
        let (app, _) = self.service(number);
        self.selecting(number, &app, policy)
    }

    fn selecting(&mut self, number: usize, app: &str, policy: &str) -> Event {
        let (name, namespace) = self.service(number);
        self.version += 1;
        Event::from(Change::Applied(object::<Service>(json!({
            "metadata": {"name": name, "namespace": namespace, "uid": format!("00000000-0000-4000-8000-{number:012x}"),
                "resourceVersion": self.version.to_string(), "labels": {"app": name}},
            "spec": {"selector": {"app": app}, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"],
                "externalTrafficPolicy": policy, "trafficDistribution": "PreferClose",
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }))))
    }

    fn service(&self, number: usize) -> (String, String) {
        (format!("svc-{number}"), format!("ns-{}", number / self.shape.per_namespace))
    }

    fn pod(&mut self, service: usize, pod: usize, ready: bool) -> Object<Pod> {
        let (app, namespace) = self.service(service);
        let number = number(self.shape, service, pod);
        self.version += 1;
        let mut object = self.pod.clone();
        object.namespace = namespace.into();
        object.name = format!("{app}-7c9d8f6b5d-{pod:05}").into();
        let value = &mut object.value;
        value.name = object.name.clone();
        value.uid = Uid::parse(&format!("{number:08x}-0000-4000-8000-000000000000"));
        value.version = self.version;
        value.labels = value.labels.with("app", Some(&app));
        let node = match self.placing {
            Placing::Any => number * 7919 % NODES,
            Placing::Even => {
                number * 7919 % (NODES / ZONES.len()) * ZONES.len() + pod % ZONES.len()
            }
        };
        value.node = Some(format!("node-{node}").into());
        let [_, a, b, c] = u32::try_from(number).expect("not that many").to_be_bytes();
        value.addresses = [[10, a, b, c].into()].into();
        value.ready = ready;
        object
    }

    /// Applies an event.
    pub fn take_in(&mut self, event: Event) {
        self.controller.take_in(event, self.now);
    }

    /// The next write.
    pub fn next_job(&mut self) -> Option<Job> {
        self.controller.next_job(Role::Leader, self.now)
    }

    /// A pod's event: the pod becomes ready or unready.
    pub fn flip(&mut self, service: usize, pod: usize, ready: bool) -> Event {
        Event::from(Change::Applied(self.pod(service, pod, ready)))
    }

    /// Plans and writes until there is nothing left to do.
    pub fn settle(&mut self) {
        while self.controller.next_due().is_some_and(|due| due <= self.now.monotonic) {
            if let Some(job) = self.next_job() {
                self.written(job);
            }
        }
    }

    /// The writes are done and shown, and some time passes. The next event is not batched with
    /// them.
    pub fn written(&mut self, job: Job) {
        let (outcome, shown) = self.answer(job);
        self.finish(outcome);
        for event in shown {
            self.take_in(event);
        }
        self.now.monotonic += Duration::from_secs(60);
    }

    /// Completes writes.
    pub fn finish(&mut self, outcome: Outcome) {
        self.controller.finish(outcome, self.now);
    }

    /// The API server's answers to writes, and what the watch shows of them.
    pub fn answer(&mut self, job: Job) -> (Outcome, Vec<Event>) {
        let mut outcome = Outcome::of(job.service);
        outcome.complete.push(AddressType::IPv4);
        let mut shown = Vec::new();
        for mut value in job.families.into_iter().flat_map(|changes| {
            assert!(changes.deletes.is_empty(), "nothing is deleted here");
            changes.creates.into_iter().chain(changes.updates)
        }) {
            self.version += 1;
            value.meta.version = self.version;
            let made = || format!("{}-{}", outcome.service.name, self.version).into();
            let name = value.meta.name.get_or_insert_with(made).clone();
            value.meta.uid.get_or_insert(Uid::Uuid([7; 16]));
            // As decoded: no data is shared.
            value.endpoints = value.endpoints.iter().cloned().collect();
            outcome.written.push(Sight::Version(self.version));
            let mut object = self.slice.clone();
            (object.namespace, object.name) = (value.meta.namespace.clone(), name);
            self.latest = Some(value.clone());
            object.value = value;
            shown.push(Event::from(Change::Applied(object)));
        }
        (outcome, shown)
    }
}
