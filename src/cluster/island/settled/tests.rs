//! A patch is what a plan of the whole would be, and is assessed in the same way as a dump of the
//! cluster, whatever happens in between.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use foldhash::HashMap;
use jiff::Timestamp;
use proptest::{
    collection::SizeRange, prelude::*, strategy::ValueTree as _, test_runner::TestRunner,
};
use tokio::time::Instant;

use crate::{
    assess::{decision::Decision, reason::State, verdict::Verdict},
    cluster::Index,
    consumers::kube_proxy::{self, Client, Targets},
    model::{
        address::{AddressType, Addresses},
        labels::Labels,
        name::{Name, ServiceKey, Uid},
        node::Node,
        pod::Pod,
        policy::{
            Evacuation, Guard, Key, LocalityPolicy, Mode, PolicyMeta, PolicySpec, Reading,
            ServiceFilter, ZoneEvacuation,
        },
        samples,
        service::{Service, TargetPort, TrafficDistribution},
        slice::{Conditions as Ready, Endpoint, HEADLESS, Hints, SERVICE_NAME, Slice, SliceMeta},
    },
    plan::{
        Circumstances, Plan, Settings,
        trigger::{Seen, trigger_time, trigger_time_of},
    },
    report::{all_slices, assessment, grounds::Grounds},
};

/// Endpoints in a slice: few, so that a Service with a few pods has many slices.
const SETTINGS: Settings = Settings { max_endpoints: 2, node_hints: true };

fn key() -> ServiceKey {
    ServiceKey { namespace: "shop".into(), name: "cart".into() }
}

fn at(second: u8) -> Timestamp {
    Timestamp::from_second(second.into()).unwrap()
}

fn app() -> Labels {
    [("app".into(), "cart".into())].into_iter().collect()
}

/// What a Service is like.
#[derive(Clone, Debug)]
struct Shape {
    distribution: Option<&'static str>,
    is_dual: bool,
    publish_not_ready: bool,
    auto: bool,
    terminating: bool,
    labels: u8,
}

fn service(shape: &Shape, version: u64) -> Service {
    let families = [AddressType::IPv4, AddressType::IPv6];
    Service {
        key: key(),
        uid: Uid::parse("u"),
        version,
        created: Some(at(1)),
        terminating: shape.terminating,
        labels: (0..shape.labels).map(|_| ("team".into(), "a".into())).collect(),
        selector: Some(app()),
        ports: vec![
            samples::service_port("http", TargetPort::Named("web".into())),
            samples::service_port("more", TargetPort::Named("more".into())),
        ],
        families: families.into_iter().take(1 + usize::from(shape.is_dual)).collect(),
        publish_not_ready: shape.publish_not_ready,
        traffic_distribution: shape.distribution.and_then(TrafficDistribution::parse),
        auto: shape.auto,
        ..samples::service()
    }
}

/// A pod: what its endpoints are and where, and their conditions.
#[derive(Clone, Debug)]
struct Body {
    node: u8,
    port: u8,
    has_address: bool,
    is_selected: bool,
    /// Whether it has the addresses of pod 0.
    is_twin: bool,
}

type Conditions = (bool, bool, u8);

fn pod(name: u8, body: &Body, (ready, terminating, since): Conditions, version: u64) -> Pod {
    let mut ports = vec![samples::container_port("web", 8080 + i32::from(body.port))];
    // Only some pods have the other port.
    if !name.is_multiple_of(3) {
        ports.push(samples::container_port("more", 9090));
    }
    let number = if body.is_twin { 0 } else { name };
    let addresses = [[10, 0, 0, number].into(), [0xfd, 0, 0, 0, 0, 0, 0, number.into()].into()];
    Pod {
        name: format!("p{name}").into(),
        uid: Uid::parse(&format!("uid-{name}")),
        version,
        labels: if body.is_selected { app() } else { Labels::default() },
        node: Some(format!("n{}", body.node).into()),
        addresses: if body.has_address { addresses.into() } else { [].into() },
        has_address: body.has_address,
        ports: ports.into(),
        ready,
        ready_since: (since > 0).then(|| at(since)),
        terminating,
        ..samples::pod(0)
    }
}

fn node(name: u8, zone: u8, version: u64) -> Node {
    let zone = (zone > 0).then(|| format!("z{zone}"));
    Node { version, ..samples::node(&format!("n{name}"), zone.as_deref().unwrap_or_default()) }
}

#[derive(Clone, Debug)]
enum Event {
    /// A pod has other conditions.
    Flip(u8, Conditions),
    Pod(u8, Body),
    PodGone(u8),
    Node(u8, u8),
    NodeGone(u8),
    Service(Shape),
    /// Another client writes a slice: it removes an endpoint, or changes hints or labels.
    Meddle(usize, u8),
    SliceGone(usize),
    /// Another controller has a slice for the Service.
    Foreign(u8, Foreign),
    ForeignGone(u8),
    /// The policy of the namespace comes, changes or goes.
    Policy(Option<Wish>),
    /// The evacuation comes, changes or goes.
    Evacuate(Option<u8>),
    /// The hints in force have stood for so many seconds, or longer than anybody asks.
    Stand(Option<u8>),
    /// Another client overwrites the slices again and again, or no longer.
    Contest(bool),
    /// The controller knows nothing of earlier plans.
    Restart,
    /// The Service is planned, and its writes are answered and shown.
    Sync(Fate),
}

/// What a policy requests.
#[derive(Clone, Debug)]
struct Wish {
    keys: usize,
    /// The maximum of the guard, and how far beyond it a plan in force may go.
    guard: Option<(u16, u16)>,
    min: u32,
    rollout: Option<u8>,
    is_shadow: bool,
    is_programmed: bool,
    is_unknown: bool,
}

impl Wish {
    fn policy(&self, version: u64) -> LocalityPolicy {
        let keys = [
            None,
            Some(vec![Key::Zone]),
            Some(vec![Key::Zone, Key::Region]),
            Some(vec![Key::Node, Key::Zone]),
            Some(vec![]),
        ];
        let guard = self.guard.map(|(max, more)| Guard {
            release_overload: max + more,
            min_per_zone: self.min,
            hold: Duration::from_secs(20),
            ..Guard::with_max(max)
        });
        let spec = PolicySpec {
            mode: if self.is_shadow { Mode::Shadow } else { Mode::Enforce },
            prefer: keys[self.keys].clone(),
            guard,
            rollout: self.rollout.map(|zone| vec![format!("z{zone}").into()]),
            ..PolicySpec::default()
        };
        LocalityPolicy {
            meta: meta("even", version),
            namespace: key().namespace,
            services: ServiceFilter::All,
            spec: if self.is_unknown { Reading::Unknown } else { Reading::Known(spec) },
            programmed: self.is_programmed.then_some(1),
        }
    }
}

fn meta(name: &str, version: u64) -> PolicyMeta {
    PolicyMeta { name: name.into(), uid: None, version, created: None, generation: 1 }
}

fn evacuation(zone: u8, version: u64) -> ZoneEvacuation {
    let zones = vec![format!("z{zone}").into()];
    let spec = Evacuation { zones, until: at(200), reason: None };
    ZoneEvacuation {
        meta: meta("sick", version),
        services: ServiceFilter::All,
        namespaces: None,
        spec: Reading::Known(spec),
    }
}

type Stranger = (u8, u8, Option<u8>, Option<u8>, Option<bool>);

/// A slice of another controller.
#[derive(Clone, Debug)]
struct Foreign {
    is_v6: bool,
    /// Whether it has the port of the Service.
    has_port: bool,
    /// Whether it is labelled so that no proxy reads it.
    is_hidden: bool,
    /// Addresses, which may be those of pods, with zones, hints and readiness.
    endpoints: Vec<Stranger>,
}

fn foreign_slice(number: u8, foreign: &Foreign) -> Slice {
    let zone = |zone: u8| Name::from(format!("z{zone}"));
    let node = |node: u8| Name::from(format!("n{node}"));
    let endpoint = |(address, home, zones, nodes, ready): &Stranger| {
        let of_type = if foreign.is_v6 {
            [0xfd, 0, 0, 0, 0, 0, 0, (*address).into()].into()
        } else {
            [10, 0, 0, *address].into()
        };
        let hints = Hints {
            zones: zones.iter().map(|it| zone(*it)).collect(),
            nodes: nodes.iter().map(|it| node(*it)).collect(),
        };
        Endpoint {
            addresses: Addresses::One(of_type),
            conditions: Ready { ready: *ready, ..Ready::default() },
            target: None,
            node: Some(node(*home)),
            zone: (*home > 0).then(|| zone(*home)),
            hostname: None,
            hints: (hints != Hints::default()).then(|| Arc::new(hints)),
        }
    };
    let mut labels: Labels = [(SERVICE_NAME.into(), "cart".into())].into_iter().collect();
    if foreign.is_hidden {
        labels = labels.with(HEADLESS, Some(""));
    }
    let port = if foreign.has_port { "http" } else { "other" };
    let meta = SliceMeta {
        name: Some(format!("foreign-{number}").into()),
        labels,
        ..samples::slice().meta
    };
    Slice {
        meta,
        address_type: if foreign.is_v6 { AddressType::IPv6 } else { AddressType::IPv4 },
        ports: [samples::port(port, 8080)].into_iter().collect(),
        endpoints: foreign.endpoints.iter().map(endpoint).collect(),
    }
}

/// The outcome of writes.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    /// They fail.
    Fail,
    /// They are done, and are shown without their hints.
    Dropped,
    /// They are done, and pods change before they are shown.
    Late(u8, Conditions),
    /// They are done, and only shown after the next plan.
    Unseen,
}

fn conditions() -> impl Strategy<Value = Conditions> {
    (any::<bool>(), proptest::bool::weighted(0.2), 0..9_u8)
}

fn wish() -> impl Strategy<Value = Wish> {
    let percent = prop_oneof![Just(5), Just(20), Just(30), Just(60)];
    let guard = (percent, prop_oneof![Just(0), Just(10), Just(50)]);
    (
        prop_oneof![4 => Just(1), 1 => 0..5_usize],
        proptest::option::weighted(0.9, guard),
        prop_oneof![4 => Just(0), 1 => 1..4_u32],
        proptest::option::weighted(0.1, 1..4_u8),
        proptest::bool::weighted(0.1),
        any::<bool>(),
        proptest::bool::weighted(0.05),
    )
        .prop_map(|(keys, guard, min, rollout, is_shadow, is_programmed, is_unknown)| Wish {
            keys,
            guard,
            min,
            rollout,
            is_shadow,
            is_programmed,
            is_unknown,
        })
}

/// What a Service is like, and what happens to it.
fn history(events: impl Into<SizeRange>) -> impl Strategy<Value = (Shape, Vec<Event>)> {
    let policy = proptest::option::weighted(0.7, wish()).prop_map(Event::Policy);
    let events = proptest::collection::vec(event(), events);
    (any::<bool>(), policy, events).prop_map(|(is_dual, policy, events)| {
        let events = [policy, Event::Sync(Fate::Done)].into_iter().chain(events).collect();
        (Shape { is_dual, ..SHAPE }, events)
    })
}

fn event() -> impl Strategy<Value = Event> {
    let pods = 0..9_u8;
    let body = (
        0..4_u8,
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.9),
        proptest::bool::weighted(0.9),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(node, port, has_address, is_selected, is_twin)| Body {
            node,
            port: port.into(),
            has_address,
            is_selected,
            is_twin,
        });
    let hint = || prop_oneof![1 => Just(None), 4 => (1..3_u8).prop_map(Some)];
    let stranger = (0..12_u8, 0..3_u8, hint(), hint(), proptest::option::of(any::<bool>()));
    let foreign = (
        any::<bool>(),
        proptest::bool::weighted(0.9),
        proptest::bool::weighted(0.1),
        proptest::collection::vec(stranger, 0..3),
    )
        .prop_map(|(is_v6, has_port, is_hidden, endpoints)| Foreign {
            is_v6,
            has_port,
            is_hidden,
            endpoints,
        });
    let shape = (
        0..3_usize,
        any::<bool>(),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.2),
        0..2_u8,
    )
        .prop_map(|(distribution, is_dual, publish_not_ready, auto, terminating, labels)| Shape {
            distribution: [None, Some("PreferSameZone"), Some("PreferSameNode")][distribution],
            is_dual,
            publish_not_ready,
            auto,
            terminating,
            labels,
        });
    let fate = prop_oneof![
        12 => Just(Fate::Done),
        1 => Just(Fate::Fail),
        1 => Just(Fate::Dropped),
        2 => (pods.clone(), conditions()).prop_map(|(pod, conditions)| Fate::Late(pod, conditions)),
        1 => Just(Fate::Unseen),
    ];
    prop_oneof![
        24 => (pods.clone(), conditions()).prop_map(|(pod, conditions)| Event::Flip(pod, conditions)),
        24 => fate.prop_map(Event::Sync),
        4 => (pods.clone(), body).prop_map(|(pod, body)| Event::Pod(pod, body)),
        1 => pods.prop_map(Event::PodGone),
        1 => (0..4_u8, 0..4_u8).prop_map(|(node, zone)| Event::Node(node, zone)),
        1 => (0..4_u8).prop_map(Event::NodeGone),
        1 => shape.prop_map(Event::Service),
        1 => (0..9_usize, 0..4_u8).prop_map(|(slice, how)| Event::Meddle(slice, how)),
        1 => (0..9_usize).prop_map(Event::SliceGone),
        1 => (0..2_u8, foreign).prop_map(|(number, foreign)| Event::Foreign(number, foreign)),
        2 => (0..2_u8).prop_map(Event::ForeignGone),
        2 => proptest::option::weighted(0.8, wish()).prop_map(Event::Policy),
        1 => proptest::option::weighted(0.3, 1..4_u8).prop_map(Event::Evacuate),
        2 => proptest::option::weighted(0.9, 0..40_u8).prop_map(Event::Stand),
        1 => proptest::bool::weighted(0.2).prop_map(Event::Contest),
        1 => Just(Event::Restart),
    ]
}

/// A cluster with one Service.
struct World {
    index: Index,
    seen: Option<Seen>,
    bodies: Vec<Option<(Body, Conditions)>>,
    version: u64,
    foreign: [Option<Foreign>; 2],
    policy: Option<Wish>,
    evacuated: Option<u8>,
    circumstances: Circumstances,
    now: Instant,
    /// Plans of a part under a guard, and those of which a narrower plan waits.
    guarded: (usize, usize),
    /// Plans of a part, and of the whole.
    plans: (usize, usize),
    /// The states of ports that have been found.
    states: BTreeSet<State>,
    /// The decisions that have been found, by what they were based on.
    decided: HashMap<Grounds, Decision>,
    /// How often one was found again.
    recalled: usize,
}

impl World {
    fn new(shape: &Shape) -> Self {
        let mut world = Self {
            index: Index::default(),
            seen: None,
            bodies: vec![None; 9],
            version: 0,
            foreign: [None, None],
            policy: None,
            evacuated: None,
            circumstances: Circumstances::default(),
            now: Instant::now(),
            guarded: (0, 0),
            plans: (0, 0),
            states: BTreeSet::new(),
            decided: HashMap::default(),
            recalled: 0,
        };
        for number in 0..4 {
            world.happen(Event::Node(number, 1 + number % 3));
        }
        world.happen(Event::Service(shape.clone()));
        for number in 0..9 {
            let body = Body { node: number % 4, ..BODY };
            world.happen(Event::Pod(number, body));
        }
        world.happen(Event::Sync(Fate::Done));
        world
    }

    fn happen(&mut self, event: Event) {
        self.version += 1;
        let version = self.version;
        match event {
            Event::Flip(name, now) => {
                if let Some((_, conditions)) = &mut self.bodies[usize::from(name)] {
                    *conditions = now;
                    self.put_pod(name);
                }
            }
            Event::Pod(name, body) => {
                let place = &mut self.bodies[usize::from(name)];
                let conditions = place.as_ref().map_or((true, false, 1), |(_, now)| *now);
                *place = Some((body, conditions));
                self.put_pod(name);
            }
            Event::PodGone(name) => {
                self.bodies[usize::from(name)] = None;
                self.index.remove_pod(&key().namespace, &format!("p{name}"), Some(version));
            }
            Event::Node(name, zone) => {
                self.index.apply_node(node(name, zone, version));
                self.sample();
            }
            Event::NodeGone(name) => {
                self.index.remove_node(&format!("n{name}"), None);
                self.sample();
            }
            Event::Service(shape) => {
                self.index.apply_service(service(&shape, version));
            }
            Event::Meddle(number, how) => {
                if let Some(slice) = self.nth(number) {
                    self.show(meddled(slice, how));
                }
            }
            Event::SliceGone(number) => {
                if let Some(name) = self.nth(number).and_then(|slice| slice.meta.name) {
                    self.index.remove_slice(&key().namespace, &name, Some(version));
                }
            }
            Event::Foreign(number, foreign) => {
                let slice = foreign_slice(number, &foreign);
                self.foreign[usize::from(number)] = Some(foreign);
                self.show(slice);
            }
            Event::ForeignGone(number) => {
                let name = format!("foreign-{number}").into();
                self.foreign[usize::from(number)] = None;
                self.index.remove_slice(&key().namespace, &name, Some(version));
            }
            Event::Policy(wish) => {
                match &wish {
                    Some(wish) => drop(self.index.apply_policy(wish.policy(version))),
                    None => drop(self.index.remove_policy(&key().namespace, "even", None)),
                }
                self.policy = wish;
            }
            Event::Evacuate(zone) => {
                match zone {
                    Some(zone) => drop(self.index.apply_evacuation(evacuation(zone, version))),
                    None => drop(self.index.remove_evacuation("sick", None)),
                }
                self.evacuated = zone;
            }
            Event::Stand(seconds) => {
                self.circumstances.stood = seconds.map(|it| Duration::from_secs(it.into()));
            }
            Event::Contest(is_contested) => self.circumstances.is_contested = is_contested,
            Event::Restart => {
                self.index.unsettle(&key());
                self.circumstances.stood = Some(Duration::ZERO);
            }
            Event::Sync(fate) => self.sync(fate),
        }
    }

    /// A dump knows nothing of what zones sent before, so nothing of it may last here.
    fn sample(&mut self) {
        for _ in 0..2 {
            self.now += Duration::from_secs(120);
            self.index.sample_demand(self.now);
        }
    }

    fn put_pod(&mut self, name: u8) {
        let Some((body, conditions)) = &self.bodies[usize::from(name)] else { return };
        let pod = pod(name, body, *conditions, self.version);
        self.index.apply_pod(&key().namespace, pod);
    }

    fn nth(&self, number: usize) -> Option<Slice> {
        let mut slices = self.index.slices_of(&key());
        slices.sort_unstable_by(|a, b| a.meta.name.cmp(&b.meta.name));
        slices.get(number).copied().cloned()
    }

    /// The watch shows a slice as it was written.
    fn show(&mut self, mut slice: Slice) {
        self.version += 1;
        slice.meta.version = self.version;
        // As decoded: nothing is shared.
        slice.endpoints = slice.endpoints.iter().cloned().collect();
        self.index.apply_slice(slice);
    }

    fn sync(&mut self, fate: Fate) {
        let part = self.index.part(&key());
        let service = self.index.service(&key()).unwrap();
        let pods = self.index.pods_of(&key());
        let (time, sighting) = trigger_time(self.seen.as_ref(), service, &pods);
        let mut seen = self.seen.clone();
        let _ = sighting.put(&mut seen);
        let circumstances = self.circumstances;
        let whole = self.index.plan(&key(), time, SETTINGS, circumstances).unwrap();
        let patch = part
            .as_ref()
            .and_then(|part| self.index.patch(&key(), part, time, SETTINGS, circumstances));
        if let Some((part, patch)) = part.as_ref().zip(patch.as_ref()) {
            assert_same(&whole, patch);
            let planned = patch.families.iter().filter_map(|family| family.planned.as_ref());
            self.guarded.0 += usize::from(planned.clone().next().is_some());
            self.guarded.1 += usize::from(planned.clone().any(|planned| planned.is_held()));
            let before = self.seen.clone();
            let changed = self.index.changed_pods(&key(), part);
            let (of_part, sighting) = trigger_time_of(before.as_ref().unwrap(), &changed);
            let undo = sighting.put(&mut self.seen);
            assert_eq!((of_part, &self.seen), (time, &seen));
            let mut undone = self.seen.clone();
            let _ = undo.put(&mut undone);
            assert_eq!(undone, before);
        }
        self.seen = seen;
        let is_patch = patch.is_some();
        *(if is_patch { &mut self.plans.0 } else { &mut self.plans.1 }) += 1;
        let plan = patch.unwrap_or(whole);
        let of_plan = assessment(&self.index, service, &plan.intent, Some(&plan));
        let grounds = Grounds::of(&self.index, service, &plan);
        let dump = self.dump();
        let planned = dump.plan(&key(), None, SETTINGS, circumstances).unwrap();
        let assessment = assessment(&dump, service, &planned.intent, Some(&planned));
        assert_eq!(of_plan, assessment);
        if let Some(grounds) = grounds {
            let known = self.decided.insert(grounds, assessment.decision.clone());
            self.recalled += usize::from(known.is_some());
            assert!(known.is_none_or(|known| known == assessment.decision));
        }
        assert_follows_kube_proxy(&dump, service, &planned, &of_plan.verdicts);
        self.states.extend(of_plan.verdicts.iter().map(|verdict| verdict.state));
        let known = self.index.known(service, &plan);
        let writes: Vec<_> = plan.families.into_iter().map(|family| family.changes).collect();
        self.index.settle(&key(), known, &writes, is_patch);
        self.write(writes.iter().flat_map(|changes| &changes.creates), &writes, fate);
    }

    /// The same cluster, as a file has it.
    fn dump(&self) -> Index {
        let mut dump = Index::default();
        for node in self.index.nodes().values() {
            dump.apply_node(node.clone());
        }
        if let Some(wish) = &self.policy {
            dump.apply_policy(wish.policy(1));
        }
        if let Some(zone) = self.evacuated {
            dump.apply_evacuation(evacuation(zone, 1));
        }
        dump.apply_service(self.index.service(&key()).unwrap().clone());
        for (name, body) in (0..).zip(&self.bodies) {
            if let Some((body, conditions)) = body {
                dump.apply_pod(&key().namespace, pod(name, body, *conditions, 1));
            }
        }
        for slice in self.index.slices_of(&key()) {
            dump.apply_slice(slice.clone());
        }
        for (number, foreign) in (0..).zip(&self.foreign) {
            if let Some(foreign) = foreign {
                dump.apply_slice(foreign_slice(number, foreign));
            }
        }
        dump
    }

    fn write<'a>(
        &mut self,
        creates: impl Iterator<Item = &'a Slice>,
        writes: &[crate::plan::changes::Changes],
        fate: Fate,
    ) {
        let mut shown = Vec::new();
        for slice in creates {
            self.version += 1;
            let mut slice = slice.clone();
            slice.meta.name = Some(format!("cart-{}", self.version).into());
            shown.push(slice);
        }
        shown.extend(writes.iter().flat_map(|changes| changes.updates.iter().cloned()));
        let gone: Vec<Name> = writes
            .iter()
            .flat_map(|changes| &changes.deletes)
            .filter_map(|slice| slice.meta.name.clone())
            .collect();
        match fate {
            Fate::Done | Fate::Dropped => {}
            Fate::Fail => return self.index.unsettle(&key()),
            Fate::Late(pod, conditions) => self.happen(Event::Flip(pod, conditions)),
            Fate::Unseen => return self.sync(Fate::Fail),
        }
        for mut slice in shown {
            if matches!(fate, Fate::Dropped) {
                slice = meddled(slice, 1);
            }
            self.show(slice);
        }
        for name in gone {
            self.version += 1;
            self.index.remove_slice(&key().namespace, &name, Some(self.version));
        }
    }
}

/// A slice as another client writes it.
fn meddled(mut slice: Slice, how: u8) -> Slice {
    let hints = |endpoint: &Endpoint, hints| Endpoint { hints, ..endpoint.clone() };
    slice.endpoints = match how {
        0 => slice.endpoints.iter().skip(1).cloned().collect(),
        1 => slice.endpoints.iter().map(|endpoint| hints(endpoint, None)).collect(),
        2 => {
            let none = Some(Arc::new(Hints::default()));
            slice.endpoints.iter().map(|endpoint| hints(endpoint, none.clone())).collect()
        }
        _ => {
            slice.meta.labels = slice.meta.labels.with("by", Some("hand"));
            slice.endpoints
        }
    };
    slice
}

#[track_caller]
fn assert_same(whole: &Plan<'_>, patch: &Plan<'_>) {
    assert_eq!(whole.nodeless, patch.nodeless);
    assert_eq!(whole.families.len(), patch.families.len());
    for (whole, patch) in whole.families.iter().zip(&patch.families) {
        assert_eq!(whole.address_type, patch.address_type);
        assert_eq!(whole.changes, patch.changes);
        assert_eq!(whole.counts, patch.counts);
        assert_eq!(whole.census, patch.census);
        assert_eq!(whole.ready, patch.ready);
        assert_eq!(whole.planned, patch.planned);
    }
}

/// Asks the model of kube-proxy, for clients on each node and on one that no endpoint names.
fn assert_follows_kube_proxy(
    index: &Index,
    service: &Service,
    plan: &Plan<'_>,
    verdicts: &[Verdict],
) {
    for verdict in verdicts.iter().filter(|_| plan.intent.prefers_locality()) {
        let families = plan.families.iter();
        let family = families.clone().find(|it| it.address_type == verdict.family).unwrap();
        let slices = all_slices(index, service, family);
        for port in verdict.ports.iter().map(|at| &service.ports[*at].name) {
            let targets = Targets::new(service, slices.iter().copied(), verdict.family, port);
            let is_empty = targets.ready().is_empty();
            assert_eq!(is_empty, verdict.state == State::Empty, "{port} {verdict:?}");
            let goes_beyond = |(zone, nodes): &(&Name, &BTreeSet<Name>)| {
                let mut clients = nodes.iter().map(|node| &**node).chain([""]);
                clients.any(|node| {
                    let client = Client { node, zone: Some(zone) };
                    let slices = slices.iter().copied();
                    let reach = kube_proxy::reach(service, slices, verdict.family, port, client);
                    reach.endpoints.iter().any(|it| it.endpoint.zone.as_ref() != Some(zone))
                })
            };
            let beyond = index.topology().clients().iter().filter(goes_beyond);
            let expected: Vec<_> = beyond.map(|(zone, _)| zone).filter(|_| !is_empty).collect();
            let found: Vec<_> = verdict.beyond.iter().map(|(zone, _)| zone).collect();
            assert_eq!(found, expected, "{port} {verdict:?}");
        }
    }
}

const BODY: Body = Body { node: 0, port: 0, has_address: true, is_selected: true, is_twin: false };

const SHAPE: Shape = Shape {
    distribution: Some("PreferSameZone"),
    is_dual: true,
    publish_not_ready: false,
    auto: false,
    terminating: false,
    labels: 1,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_patch_is_what_a_plan_of_the_whole_would_be_and_a_dump_is_assessed_the_same((shape, events) in history(1..60)) {
        let mut world = World::new(&shape);
        for event in events {
            world.happen(event);
        }
    }
}

/// What the property above is about does occur.
#[test]
fn generated_clusters_reach_every_state_by_patches_too() {
    let mut runner = TestRunner::deterministic();
    let histories = history(60);
    let (mut states, mut patches, mut recalled) = (BTreeSet::new(), 0, 0);
    let (mut guarded, mut held) = (0, 0);
    for _ in 0..80 {
        let (shape, events) = histories.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(&shape);
        for event in events {
            world.happen(event);
        }
        states.extend(world.states);
        patches += world.plans.0;
        recalled += world.recalled;
        guarded += world.guarded.0;
        held += world.guarded.1;
    }
    assert_eq!(states.into_iter().collect::<Vec<_>>(), State::ALL);
    assert!(patches > 50, "{patches}");
    assert!(recalled > 50, "{recalled}");
    assert!(guarded > 30 && held > 0, "{guarded} {held}");
}

#[test]
fn a_flip_is_a_patch_of_the_slices_of_one_pod() {
    let mut world = World::new(&SHAPE);
    world.happen(Event::Sync(Fate::Done));
    assert_eq!(world.plans, (0, 2), "slices that were made are looked at once more");
    for (second, ready) in [(5, false), (6, true), (7, false)] {
        world.happen(Event::Flip(3, (ready, false, second)));
        let part = world.index.part(&key()).unwrap();
        assert_eq!((part.pods.len(), part.slices.len()), (1, 2), "one of each address type");
        let plan = world
            .index
            .patch(&key(), &part, Some(at(second)), SETTINGS, Circumstances::default())
            .unwrap();
        assert_eq!(plan.families.iter().map(|family| family.changes.len()).sum::<usize>(), 2);
        world.happen(Event::Sync(Fate::Done));
    }
    assert_eq!(world.plans, (3, 2));
    world.happen(Event::PodGone(3));
    assert!(world.index.part(&key()).is_none(), "an endpoint leaves");
    world.happen(Event::Sync(Fate::Done));
    assert_eq!(world.plans, (3, 3));
}

#[test]
fn what_ends_it() {
    let others = [
        Event::Node(1, 1),
        Event::NodeGone(1),
        Event::Service(Shape { labels: 0, ..SHAPE }),
        Event::Meddle(2, 1),
        Event::SliceGone(2),
        Event::Pod(1, Body { node: 2, ..BODY }),
        Event::Sync(Fate::Fail),
    ];
    for event in others {
        let mut world = World::new(&SHAPE);
        world.happen(Event::Sync(Fate::Done));
        world.happen(Event::Flip(3, (false, false, 5)));
        assert!(world.index.part(&key()).is_some());
        let text = format!("{event:?}");
        world.happen(event);
        assert!(world.index.part(&key()).is_none(), "{text}");
    }
}
