//! What exists in a history's namespace, and what each step consists of.

pub(super) mod node;

use serde_json::{Value, json};

use super::{
    change::{changed, is_valid},
    form::Loose,
    model::node::Node,
    objects,
    shape::{Coat, Phase, PodShape, Shape, Zone},
    step::{Edit, NODES, PODS, SERVICES, SHARED, Step},
};
use crate::world::{Kind, Place};

/// The state that the steps so far have led to.
#[derive(Debug, Clone)]
pub struct Model {
    pub(super) namespace: String,
    /// The Services.
    pub services: [Option<Shape>; SERVICES],
    /// The pods.
    pub pods: [Option<Pod>; PODS],
    /// The nodes.
    pub nodes: [Option<Node>; NODES],
    /// Whether the nodes count for the zones' shares of CPU.
    pub workers: bool,
    /// Whether a slice that is being deleted is kept by a finalizer.
    pub held: bool,
    /// Whether a slice may have a foreign finalizer.
    finalizers: bool,
    /// Seconds since a fixed time, so both sides have the same times.
    clock: i64,
    addresses: u64,
    forged: u64,
}

/// A pod that exists.
#[derive(Debug, Clone)]
pub struct Pod {
    shape: PodShape,
    node: Option<usize>,
    terminating: bool,
    phase: Phase,
    address: Option<u64>,
    /// Whether it has addresses that slices must not contain.
    special: bool,
    changed: i64,
}

/// A request of a step.
#[derive(Debug)]
pub enum Action {
    /// Creates an object.
    Create(Value),
    /// Merges into an object.
    Patch(Place, Value),
    /// Merges into an object's status.
    Status(Place, Value),
    /// Deletes an object at once.
    Delete(Place),
    /// Deletes a pod with grace.
    Terminate(Place),
    /// Changes the nth managed slice.
    Slice(usize, Edit),
    /// Deletes the slices of a Service.
    Collect(String),
    /// Removes foreign finalizers.
    Release,
}

/// What a step does.
#[derive(Debug, Default)]
pub struct Effect {
    /// The requests, one after the other.
    pub actions: Vec<Action>,
    /// The Services whose slice sizes depend on how many syncs see the step.
    pub loose: Loose,
    /// The wanted difference because of which the built-in controller may not see the step before
    /// the touch.
    pub lag: Option<&'static str>,
    /// Whether pods are changed.
    pub pods: bool,
    /// Whether nodes are changed.
    pub nodes: bool,
    /// Whether slices are changed, which a controller may answer a second later.
    pub slices: bool,
    /// Whether slices are created, or contain something else than before.
    pub edits: bool,
    /// Whether it may trap the built-in controller's tracker.
    pub trap: bool,
    /// Whether both controllers are restarted.
    pub restart: bool,
}

impl Model {
    /// The state before the first step: three nodes that are not workers.
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            services: [const { None }; SERVICES],
            pods: [const { None }; PODS],
            nodes: [Some(Zone::A), Some(Zone::B), Some(Zone::C), None]
                .map(|zone| zone.map(|zone| Node::new(Some(zone)))),
            workers: false,
            held: false,
            finalizers: false,
            clock: 0,
            addresses: 0,
            forged: 0,
        }
    }

    /// Whether there is a Service of this name.
    pub fn has_service(&self, name: &str) -> bool {
        let services = self.services.iter().enumerate();
        let mut names = services.filter(|(_, shape)| shape.is_some()).map(|(number, _)| number);
        names.any(|number| objects::service_name(number) == name)
    }

    /// The names of the Services that select pods in this coat.
    pub fn selecting(&self, coat: Coat) -> impl Iterator<Item = String> {
        let services = self.services.iter().enumerate();
        services.filter_map(move |(number, shape)| {
            let shape = shape.as_ref()?;
            let selects = !shape.external && objects::selects(shape.selector, coat);
            selects.then(|| objects::service_name(number))
        })
    }

    /// The names of the Services that select a pod with addresses that slices must not contain. The
    /// built-in controller may fail to write them until that is over.
    pub fn frozen(&self) -> Loose {
        let special = self.pods.iter().flatten().filter(|pod| pod.special);
        special.flat_map(|pod| self.selecting(pod.shape.coat)).collect()
    }

    /// The first pod with such addresses.
    pub fn special_pod(&self) -> Option<usize> {
        self.pods.iter().position(|pod| pod.as_ref().is_some_and(|pod| pod.special))
    }

    /// A number for addresses that no pod has had yet.
    pub fn fresh_address(&self) -> u64 {
        self.addresses + 1
    }

    /// The numbers of the pods' addresses.
    pub fn addresses(&self) -> impl Iterator<Item = u64> {
        self.pods.iter().flatten().filter_map(|pod| pod.address)
    }

    /// Takes a step. Returns what it does, or `None` if it does not fit.
    pub fn take(&mut self, step: &Step) -> Option<Effect> {
        self.clock += 1;
        match step {
            Step::CreateService { .. }
            | Step::DeleteService { .. }
            | Step::RecreateService { .. }
            | Step::Service { .. }
            | Step::Forge { .. } => self.service_step(step),
            Step::CreateNode { .. }
            | Step::DeleteNode { .. }
            | Step::RecreateNode { .. }
            | Step::Zone { .. }
            | Step::NodeReady { .. }
            | Step::Cpu { .. }
            | Step::Workers => self.node_step(step),
            // While a slice is held or refused, what the built-in controller does depends on the
            // restart.
            Step::Restart if self.held || !self.frozen().is_empty() => None,
            Step::Restart => Some(Effect { restart: true, ..Effect::default() }),
            Step::Slice { slice, edit } => Some(self.slice_step(*slice, *edit)),
            Step::Release => {
                // Work that a held slice has delayed may wait for the touch.
                let lag = self.held.then_some("unseen-changes");
                (self.held, self.finalizers) = (false, false);
                let actions = vec![Action::Release];
                Some(Effect { actions, slices: true, lag, ..Effect::default() })
            }
            _ => self.pod_step(step),
        }
    }

    fn service_step(&mut self, step: &Step) -> Option<Effect> {
        let place =
            |number| Place::new(Kind::Service, &self.namespace, &objects::service_name(number));
        let mut effect = Effect::default();
        match step {
            Step::CreateService { service, shape } => {
                let slot = self.services.get_mut(*service).filter(|slot| slot.is_none())?;
                if !is_valid(shape) {
                    return None;
                }
                *slot = Some(shape.clone());
                effect.actions =
                    vec![Action::Create(objects::service(&self.namespace, *service, shape))];
            }
            Step::DeleteService { service, collect } => {
                let place = place(*service);
                self.services.get_mut(*service)?.take()?;
                effect.actions = vec![Action::Delete(place)];
                if *collect {
                    effect.actions.push(Action::Collect(objects::service_name(*service)));
                    effect.slices = true;
                }
            }
            Step::RecreateService { service } => {
                let shape = self.services.get(*service)?.as_ref()?;
                effect.actions = vec![
                    Action::Delete(place(*service)),
                    Action::Create(objects::service(&self.namespace, *service, shape)),
                ];
                effect.loose.insert(objects::service_name(*service));
                (effect.trap, effect.slices) = (true, true);
            }
            Step::Service { service, change } => {
                let place = place(*service);
                let shape = self.services.get_mut(*service)?.as_mut()?;
                effect.actions = vec![Action::Patch(place, changed(shape, change)?)];
            }
            Step::Forge { service } => {
                self.forged += 1;
                effect.actions = vec![Action::Create(self.forgery(*service))];
                (effect.slices, effect.edits) = (true, true);
            }
            _ => return None,
        }
        Some(effect)
    }

    fn pod_step(&mut self, step: &Step) -> Option<Effect> {
        let mut effect = Effect { pods: true, ..Effect::default() };
        match step {
            Step::CreatePods { pod, count, shape } => {
                let range = *pod..*pod + *count;
                if self.pods.get(range.clone())?.iter().any(Option::is_some) || range.is_empty() {
                    return None;
                }
                for number in range {
                    self.create_pod(number, number - pod, shape, &mut effect);
                }
                if *count > 1 {
                    effect.loose.extend(self.selecting(shape.coat));
                }
            }
            Step::DeletePods { pod, count } => {
                let range = *pod..(*pod + *count).min(PODS);
                for number in range {
                    if self.pods.get_mut(number)?.take().is_some() {
                        effect.actions.push(Action::Delete(self.pod(number)));
                    }
                }
                if effect.actions.is_empty() {
                    return None;
                }
            }
            Step::RecreatePod { pod, same_address } => {
                let old = self.pods.get_mut(*pod)?.take()?;
                effect.actions.push(Action::Delete(self.pod(*pod)));
                self.create_pod(*pod, 0, &old.shape, &mut effect);
                if let (Some(new), true) = (&mut self.pods[*pod], same_address) {
                    new.address = old.address;
                    effect.actions.pop();
                    let status = new.status();
                    effect.actions.push(Action::Status(self.pod(*pod), status));
                }
                effect.loose.extend(self.selecting(old.shape.coat));
            }
            Step::TerminatePod { pod } => {
                let held = self.pods.get_mut(*pod)?.as_mut()?;
                // A pod without a node, or one that has ended, is deleted at once.
                held.node?;
                if held.terminating || held.phase.is_over() {
                    return None;
                }
                held.terminating = true;
                effect.actions = vec![Action::Terminate(self.pod(*pod))];
            }
            Step::Relabel { pod, coat } => {
                let held =
                    self.pods.get_mut(*pod)?.as_mut().filter(|held| held.shape.coat != *coat)?;
                held.shape.coat = *coat;
                let labels = json!({"metadata": {"labels": objects::coat(*coat)}});
                effect.actions = vec![Action::Patch(self.pod(*pod), labels)];
            }
            Step::Ready { pod, ready, late } => {
                let clock = self.clock;
                let held = self.pods.get_mut(*pod)?.as_mut()?;
                held.shape.ready = *ready;
                held.changed = if *late { held.changed } else { clock };
                effect.actions = vec![self.status(*pod)?];
            }
            Step::Phase { pod, phase } => {
                let held = self.pods.get_mut(*pod)?.as_mut().filter(|held| held.phase != *phase)?;
                let is_seen = held.phase.is_over() == phase.is_over();
                held.phase = *phase;
                effect.actions = vec![self.status(*pod)?];
                effect.lag = (!is_seen).then_some("unseen-changes");
            }
            Step::Address { pod, address } => {
                let held = self.pods.get_mut(*pod)?.as_mut()?;
                (held.address, held.special) = (*address, false);
                self.addresses = self.addresses.max(address.unwrap_or_default());
                effect.actions = vec![self.status(*pod)?];
            }
            Step::Special { pod } => {
                let held = self.pods.get_mut(*pod)?.as_mut().filter(|held| !held.special)?;
                held.special = true;
                effect.actions = vec![self.status(*pod)?];
            }
            _ => return None,
        }
        Some(effect)
    }

    fn create_pod(&mut self, number: usize, nth: usize, shape: &PodShape, effect: &mut Effect) {
        self.addresses += 1;
        let node = shape.node.map(|node| (node + nth) % (NODES + SHARED));
        let pod = Pod {
            shape: shape.clone(),
            node,
            terminating: false,
            phase: Phase::Running,
            address: Some(self.addresses),
            special: false,
            changed: self.clock,
        };
        effect.actions.push(Action::Create(objects::pod(&self.namespace, number, node, shape)));
        effect.actions.push(Action::Status(self.pod(number), pod.status()));
        self.pods[number] = Some(pod);
    }

    fn slice_step(&mut self, slice: usize, edit: Edit) -> Effect {
        let is_held = edit == Edit::Hold || edit == Edit::Delete && self.finalizers;
        self.held |= is_held;
        self.finalizers |= edit == Edit::AddFinalizer || is_held;
        let lag = match edit {
            _ if is_held => Some("held-slices"),
            Edit::Delete | Edit::DropOwner => Some("unseen-changes"),
            _ => None,
        };
        Effect {
            actions: vec![Action::Slice(slice, edit)],
            slices: true,
            edits: edit.is_of_content(),
            lag,
            trap: matches!(edit, Edit::Unmanage | Edit::Rename),
            // A controller that syncs in between sees some endpoints in both slices.
            loose: if edit == Edit::Split { every_service() } else { Loose::default() },
            ..Effect::default()
        }
    }

    fn status(&self, number: usize) -> Option<Action> {
        let pod = self.pods.get(number)?.as_ref()?;
        Some(Action::Status(self.pod(number), pod.status()))
    }

    fn pod(&self, number: usize) -> Place {
        Place::new(Kind::Pod, &self.namespace, &objects::pod_name(number))
    }

    fn forgery(&self, service: usize) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": self.namespace,
                "name": format!("forged-{}", self.forged),
                "labels": {
                    "kubernetes.io/service-name": objects::service_name(service),
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.9.9.9"], "conditions": {"ready": true}}],
        })
    }
}

/// The names of all Services that may exist.
pub fn every_service() -> Loose {
    (0..SERVICES).map(objects::service_name).collect()
}

impl Pod {
    fn status(&self) -> Value {
        let addresses = if self.special {
            objects::special_addresses(self.shape.addresses)
        } else {
            objects::addresses(self.shape.addresses, self.address)
        };
        let all = addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
        let time = jiff::Timestamp::from_second(1_700_000_000 + self.changed).unwrap_or_default();
        json!({
            "phase": format!("{:?}", self.phase),
            "podIP": addresses.first(),
            "podIPs": if all.is_empty() { Value::Null } else { json!(all) },
            "conditions": [{
                "type": "Ready",
                "status": if self.shape.ready { "True" } else { "False" },
                "lastTransitionTime": time.to_string(),
            }],
        })
    }
}
