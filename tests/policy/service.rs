//! Service: pods that come and go, planned again and again with what was planned before in force.

use std::{ops::Deref, sync::Arc, time::Duration};

use closehaul::{
    model::{
        name::{Name, ServiceKey},
        policy::{DemandSource, Guard, Key},
    },
    plan::policy::{
        choose::choose,
        group::{Candidate, Group, Identity},
        outcome::{Chosen, ChosenNode, Naming, Outcome},
        request::{Request, Standing},
        searches::Searches,
        zones::{Zone, Zones},
    },
};

/// A pod.
#[derive(Clone, Debug)]
pub struct Pod {
    pub key: String,
    pub zone: Option<Name>,
    pub node: Option<Name>,
    pub is_ready: bool,
    /// What it names; `None` if it is new.
    pub hints: Option<Chosen>,
}

/// A Service with its zones and what is requested of it.
#[derive(Clone, Debug)]
pub struct Service {
    pub key: ServiceKey,
    pub zones: Zones,
    pub request: Request,
    pub pods: Vec<Pod>,
    /// How many pods there have been.
    pub born: usize,
}

/// What a plan amounts to, and what endpoints name by it.
#[derive(Clone, Debug)]
pub struct Look {
    outcome: Outcome,
    pub naming: Naming,
}

impl Look {
    pub fn of(request: &Request, zones: &Zones, group: &Group<'_>) -> Self {
        let (naming, outcome) = choose(request, zones, &Searches::default(), group);
        Self { outcome, naming }
    }
}

impl Deref for Look {
    type Target = Outcome;

    fn deref(&self) -> &Outcome {
        &self.outcome
    }
}

/// A request with a guard of this maximum, for hints that were planned for it.
pub fn guarded(max: u16) -> Request {
    Request { guard: Some(Guard::with_max(max)), ..unguarded() }
}

/// A request for zones that changes nothing.
pub fn unguarded() -> Request {
    Request {
        node: false,
        keys: vec![Key::Zone],
        guard: None,
        rollout: None,
        evacuated: Vec::new(),
        demand: DemandSource::Equal,
        standing: Standing::New,
    }
}

/// The name of a zone.
pub fn zone(number: usize) -> Name {
    format!("z{number:03}").into()
}

/// Zones with this demand, in two regions: even and odd numbers. Each has two nodes that send.
pub fn zones(demand: &[f64]) -> Zones {
    let of = |(number, demand): (usize, &f64)| {
        let senders = (0..2).map(|node| Name::from(format!("{}-n{node}", zone(number)))).collect();
        let region = Name::from(if number % 2 == 0 { "even" } else { "odd" });
        let rack = Name::from(format!("rack-{}", number / 2));
        let areas = vec![(Key::Region, region), (Key::Label("rack".into()), rack)];
        (zone(number), *demand, Arc::new(Zone { senders, areas }))
    };
    Zones::new(demand.iter().enumerate().map(of))
}

impl Service {
    /// A Service with so many ready pods in each zone, all new.
    pub fn new(request: Request, demand: &[f64], pods: &[usize]) -> Self {
        let key = ServiceKey { namespace: "shop".into(), name: "cart".into() };
        let mut service = Self { key, zones: zones(demand), request, pods: Vec::new(), born: 0 };
        for (number, count) in pods.iter().enumerate() {
            (0..*count).for_each(|_| service.add(Some(number)));
        }
        service
    }

    /// With the same demand in every zone.
    pub fn equal(request: Request, pods: &[usize]) -> Self {
        Self::new(request, &vec![1.0; pods.len()], pods)
    }

    /// A new pod, ready, on a node of its own.
    pub fn add(&mut self, number: Option<usize>) {
        let key = format!("uid-{}", self.born);
        self.born += 1;
        let node = Some(format!("node-of-{key}").into());
        self.pods.push(Pod { key, zone: number.map(zone), node, is_ready: true, hints: None });
    }

    /// Removes the first pod of a zone.
    pub fn remove(&mut self, number: usize) {
        let at = self.pods.iter().position(|pod| pod.zone == Some(zone(number))).unwrap();
        self.pods.remove(at);
    }

    /// Takes a pod of a zone away, or brings a new one.
    pub fn turn(&mut self, number: usize, is_down: bool) {
        if is_down {
            self.remove(number);
        } else {
            self.add(Some(number));
        }
    }

    /// What would be planned.
    pub fn look(&self) -> Look {
        self.look_beside(None)
    }

    /// What would be planned beside the plan of the other address type, for the same pods in the same
    /// order.
    pub fn look_beside(&self, other: Option<&Look>) -> Look {
        let candidate = |(at, pod): (usize, _)| {
            Self::candidate(pod, other.map(|other| &*other.naming.hints[at].zones))
        };
        let candidates = self.pods.iter().enumerate().map(candidate).collect();
        let group = Group { service: &self.key, candidates, is_twin: other.is_some() };
        Look::of(&self.request, &self.zones, &group)
    }

    pub fn candidate<'a>(pod: &'a Pod, other_family: Option<&'a [Name]>) -> Candidate<'a> {
        Candidate {
            key: Identity::Text(&pod.key),
            zone: pod.zone.as_ref(),
            node: pod.node.as_ref(),
            is_ready: pod.is_ready,
            in_force: pod.hints.as_ref().map(|hints| &*hints.zones),
            node_in_force: pod.hints.as_ref().map_or(ChosenNode::Nothing, |hints| hints.node),
            other_family,
        }
    }

    /// Plans and puts the plan in force. From then on it stands for the request.
    pub fn plan(&mut self) -> Look {
        let outcome = self.look();
        for (pod, hints) in self.pods.iter_mut().zip(&outcome.naming.hints) {
            pod.hints = Some(hints.clone());
        }
        self.stand(0);
        outcome
    }

    /// The hints in force have stood for so many seconds.
    pub fn stand(&mut self, seconds: u64) {
        self.request.standing = Standing::For(Some(Duration::from_secs(seconds)));
    }

    /// The zones that each pod names, with its key.
    pub fn names(&self) -> Vec<(String, Vec<String>)> {
        let names = |pod: &Pod| {
            let zones = pod.hints.iter().flat_map(|hints| hints.zones.iter());
            (pod.key.clone(), zones.map(ToString::to_string).collect())
        };
        self.pods.iter().map(names).collect()
    }

    /// How many of the pods that were in `before` have other names now.
    pub fn changed_since(&self, before: &[(String, Vec<String>)]) -> usize {
        let now = self.names();
        before.iter().filter(|(key, names)| now.iter().any(|(k, n)| k == key && n != names)).count()
    }
}

/// The names that a plan gives, for each endpoint.
pub fn named(outcome: &Look) -> Vec<Vec<&str>> {
    outcome
        .naming
        .hints
        .iter()
        .map(|hints| hints.zones.iter().map(AsRef::as_ref).collect())
        .collect()
}
