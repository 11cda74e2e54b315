//! Who decides for a Service, what becomes of the others, and what is requested then.

use jiff::Timestamp;

use super::*;
use crate::{
    model::{
        labels::Labels,
        namespace::Namespace,
        policy::{
            ClusterLocalityPolicy, DemandSource, Evacuation, Guard, LocalityPolicy, Mode,
            PolicyMeta, PolicySpec, Reading, ServiceFilter, ZoneEvacuation,
        },
        samples,
        selector::Selector,
        service::{ClusterIp, PolicyChoice},
        store::Store,
    },
    plan::{
        policy::request::Standing,
        precedence::{Fate, Rules, Scope},
    },
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn meta(name: &str, age: i64) -> PolicyMeta {
    PolicyMeta { name: name.into(), uid: None, version: 1, created: Some(at(age)), generation: 4 }
}

fn selector(pairs: &[(&str, &str)]) -> Selector {
    Selector { labels: samples::labels(pairs), expressions: Vec::new() }
}

fn guarded(max: u16) -> PolicySpec {
    PolicySpec { guard: Some(Guard::with_max(max)), ..PolicySpec::default() }
}

fn preferring(keys: &[Key]) -> PolicySpec {
    PolicySpec { prefer: Some(keys.to_vec()), ..PolicySpec::default() }
}

/// A cluster with a Service `web`, labelled `tier: web`, in the namespace `shop` of team `a`.
struct World {
    service: Service,
    policies: Store<LocalityPolicy>,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        let labels = samples::labels(&[("tier", "web")]);
        let mut rules = Rules::default();
        let team = samples::labels(&[("team", "a")]);
        let namespace = Namespace { name: "shop".into(), version: 1, labels: team };
        rules.namespaces.insert("shop".into(), namespace);
        let service = Service { labels, ..samples::service() };
        Self { service, policies: Store::default(), rules }
    }

    fn add(&mut self, name: &str, age: i64, services: ServiceFilter, spec: PolicySpec) {
        self.read(name, age, services, Reading::Known(spec));
    }

    fn read(&mut self, name: &str, age: i64, services: ServiceFilter, spec: Reading<PolicySpec>) {
        let (meta, namespace) = (meta(name, age), "shop".into());
        let policy = LocalityPolicy { meta, namespace, services, spec, programmed: None };
        self.policies.insert(name.into(), policy);
    }

    fn add_cluster(
        &mut self,
        name: &str,
        age: i64,
        namespaces: Option<Selector>,
        spec: PolicySpec,
    ) {
        let policy = ClusterLocalityPolicy {
            meta: meta(name, age),
            namespaces,
            services: ServiceFilter::All,
            spec: Reading::Known(spec),
            programmed: None,
        };
        self.rules.policies.insert(name.into(), policy);
    }

    fn evacuate(&mut self, name: &str, zones: &[&str], until: i64) {
        let zones = zones.iter().map(|zone| (*zone).into()).collect();
        let evacuation = ZoneEvacuation {
            meta: meta(name, 0),
            services: ServiceFilter::All,
            namespaces: None,
            spec: Reading::Known(Evacuation { zones, until: at(until), reason: None }),
        };
        self.rules.evacuations.insert(name.into(), evacuation);
    }

    fn scope(&self) -> Scope<'_> {
        Scope { policies: &self.policies, rules: &self.rules }
    }

    fn intent(&self) -> Intent {
        resolve(&self.service, self.scope())
    }

    fn notes(&self) -> Vec<Note> {
        self.intent().notes().to_vec()
    }

    fn policy(&self) -> Option<String> {
        self.intent().policy().map(ToString::to_string)
    }
}

fn named() -> ServiceFilter {
    ServiceFilter::Names(vec!["api".into(), "web".into()])
}

fn labelled() -> ServiceFilter {
    ServiceFilter::Selector(selector(&[("tier", "web")]))
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    LegacyAnnotation,
    OptOut,
    Annotation,
    ClusterAnnotation,
    ByName,
    BySelector,
    Whole,
    Cluster,
}

use Origin::{
    Annotation, ByName, BySelector, Cluster, ClusterAnnotation, LegacyAnnotation, OptOut, Whole,
};

impl Origin {
    fn give(self, world: &mut World, name: &str) {
        let choice = |choice| Some(choice);
        match self {
            LegacyAnnotation => world.service.auto = true,
            OptOut => world.service.policy = choice(PolicyChoice::OptOut),
            Annotation => {
                world.service.policy = choice(PolicyChoice::Namespaced(name.into()));
                let other = ServiceFilter::Names(vec!["api".into()]);
                world.add(name, 9, other, guarded(10));
            }
            ClusterAnnotation => {
                world.service.policy = choice(PolicyChoice::Cluster(name.into()));
                world.add_cluster(name, 9, None, guarded(10));
            }
            ByName => world.add(name, 5, named(), guarded(10)),
            BySelector => world.add(name, 4, labelled(), guarded(10)),
            Whole => world.add(name, 3, ServiceFilter::All, guarded(10)),
            Cluster => world.add_cluster(name, 2, Some(selector(&[("team", "a")])), guarded(10)),
        }
    }

    fn wins(self) -> Option<String> {
        match self {
            LegacyAnnotation | OptOut => None,
            ClusterAnnotation | Cluster => Some("ClusterLocalityPolicy/one".to_owned()),
            _ => Some("LocalityPolicy/one".to_owned()),
        }
    }
}

/// Each pair of sources: the stronger one decides although it is younger, and what the weaker one is
/// told.
#[test]
fn each_pair_of_sources() {
    let order = [LegacyAnnotation, OptOut, Annotation, ByName, BySelector, Whole, Cluster];
    let of_cluster = [ClusterAnnotation, ByName, BySelector, Whole, Cluster];
    let mut pairs = Vec::new();
    for order in [&order[..], &of_cluster[..]] {
        for (at, one) in order.iter().enumerate() {
            pairs.extend(order[at + 1..].iter().map(|other| (*one, *other)));
        }
    }
    // One annotation cannot say both.
    pairs.retain(|pair| *pair != (OptOut, Annotation));
    assert_eq!(pairs.len(), 30);
    for (one, other) in pairs {
        let mut world = World::new();
        other.give(&mut world, "two");
        one.give(&mut world, "one");
        assert_eq!(world.policy(), one.wins(), "{one:?} {other:?}");
        let loser = match other {
            Cluster => "ClusterLocalityPolicy/two",
            _ => "LocalityPolicy/two",
        };
        let fates = world.scope().fates(&world.service);
        let fate = fates.iter().find(|(policy, _)| policy.to_string() == loser);
        let told = match one {
            LegacyAnnotation => Fate::LegacyAnnotationWins,
            OptOut => Fate::OptedOut,
            _ => Fate::Outranked,
        };
        // The annotations of Services are nothing that could be told.
        let expected = (other != OptOut).then_some(told);
        assert_eq!(fate.map(|(_, fate)| *fate), expected, "{one:?} {other:?}");
        assert!(!world.notes().contains(&Note::Conflicted), "{one:?} {other:?}");
    }
}

#[test]
fn among_equals_the_oldest_wins_then_the_first_by_name() {
    for give in [named, labelled, || ServiceFilter::All] {
        for ([one, other], wins) in [([2, 1], "b"), ([1, 2], "a"), ([1, 1], "a")] {
            let mut world = World::new();
            world.add("a", one, give(), guarded(10));
            world.add("b", other, give(), guarded(20));
            let intent = world.intent();
            assert_eq!(intent.policy(), Some(&PolicyRef::Namespaced(wins.into())));
            assert_eq!(intent.notes(), [Note::Conflicted]);
            let fates: Vec<_> = world.scope().fates(&world.service);
            assert_eq!(
                fates.iter().map(|(_, it)| *it).collect::<Vec<_>>(),
                [Fate::Wins, Fate::Conflicted]
            );
        }
    }
    let mut world = World::new();
    world.add_cluster("a", 2, None, guarded(10));
    world.add_cluster("b", 1, Some(selector(&[("team", "a")])), guarded(20));
    world.add_cluster("c", 0, Some(selector(&[("team", "c")])), guarded(20));
    assert_eq!(world.policy().as_deref(), Some("ClusterLocalityPolicy/b"));
    assert_eq!(world.notes(), [Note::Conflicted]);
}

/// As in a manifest: a policy that has not been created is younger than all that have been.
#[test]
fn a_policy_without_age_is_the_youngest() {
    let mut world = World::new();
    world.add("b", 9, ServiceFilter::All, guarded(10));
    let without = PolicyMeta { created: None, ..meta("a", 0) };
    world.add("a", 0, ServiceFilter::All, guarded(20));
    world.policies.get_mut("a").unwrap().meta = without;
    assert_eq!(world.policy().as_deref(), Some("LocalityPolicy/b"));
}

#[test]
fn policies_for_others() {
    let mut world = World::new();
    world.add("a", 1, ServiceFilter::Names(vec!["api".into()]), guarded(10));
    world.add("b", 1, ServiceFilter::Selector(selector(&[("tier", "db")])), guarded(10));
    world.add_cluster("c", 1, Some(selector(&[("team", "b")])), guarded(10));
    assert_eq!(world.intent(), Intent::of(&world.service));
    assert!(world.intent().ruling.is_none());
}

/// The Service's own field decides what is preferred, and the policy still guards it.
#[test]
fn the_own_field_decides_what_is_preferred() {
    let mut world = World::new();
    let spec = PolicySpec { prefer: Some(vec![Key::Node, Key::Zone]), ..guarded(30) };
    world.add("a", 1, ServiceFilter::All, spec);
    let ruling = |world: &World| (*world.intent().ruling.unwrap()).clone();
    assert_eq!(
        (ruling(&world).source, world.intent().prefers().as_deref()),
        (Source::Policy, Some("Node"))
    );
    assert_eq!(world.intent().mechanism, Mechanism::TrafficDistribution(Preference::Node));
    world.service.traffic_distribution = Some(TrafficDistribution::PreferSameZone);
    assert_eq!(
        (ruling(&world).source, world.intent().prefers().as_deref()),
        (Source::Field, Some("Zone"))
    );
    let request = ruling(&world).request.unwrap();
    assert_eq!(
        (request.node, &request.keys[..], request.guard.unwrap().max_overload),
        (false, &[Key::Zone][..], 30)
    );
    assert_eq!(world.intent().mechanism, Mechanism::TrafficDistribution(Preference::Zone));
}

#[test]
fn the_annotation_that_names_no_policy() {
    let mut world = World::new();
    world.service.policy = Some(PolicyChoice::Namespaced("none-such".into()));
    assert_eq!(world.notes(), [Note::PolicyNotFound]);
    assert_eq!(world.intent().mechanism, Mechanism::Off);
    // Planned as without the annotation.
    world.add("a", 1, ServiceFilter::All, preferring(&[Key::Zone]));
    assert_eq!(
        (world.notes(), world.policy().as_deref()),
        (vec![Note::PolicyNotFound], Some("LocalityPolicy/a"))
    );
    // A policy of this name in the cluster is another one.
    world.add_cluster("none-such", 1, None, guarded(10));
    assert_eq!(world.notes(), [Note::PolicyNotFound]);
    world.service.policy = Some(PolicyChoice::Cluster("none-such".into()));
    assert_eq!(
        (world.notes(), world.policy().as_deref()),
        (vec![], Some("ClusterLocalityPolicy/none-such"))
    );
    // A policy for other namespaces cannot be chosen.
    world.add_cluster("none-such", 1, Some(selector(&[("team", "b")])), guarded(10));
    assert_eq!(world.notes(), [Note::PolicyNotFound]);
}

#[test]
fn opting_out() {
    let mut world = World::new();
    world.add_cluster("default", 1, None, preferring(&[Key::Zone]));
    world.add("a", 1, ServiceFilter::All, preferring(&[]));
    assert_eq!((world.notes(), world.intent().mechanism), (vec![Note::OptedOut], Mechanism::Off));
    // The Service still has its own say.
    world.service.traffic_distribution = Some(TrafficDistribution::PreferClose);
    let zone = Mechanism::TrafficDistribution(Preference::Zone);
    assert_eq!((world.notes(), world.intent().mechanism), (vec![], zone));
    world.service.policy = Some(PolicyChoice::OptOut);
    assert_eq!(
        (world.notes(), world.intent().mechanism, world.policy()),
        (vec![Note::OptedOut], zone, None)
    );
    // None exempts from no evacuation.
    world.evacuate("e", &["b"], 10);
    assert_eq!(world.intent().request().unwrap().evacuated, ["b".into()]);
}

/// Without guard, rollout, region and evacuation, there is nothing but upstream's hints.
#[test]
fn what_only_prefers_needs_no_planner() {
    let rollout = PolicySpec { rollout: Some(vec!["a".into()]), ..preferring(&[Key::Zone]) };
    let demand = PolicySpec { demand: DemandSource::Nodes, ..preferring(&[Key::Zone]) };
    let guard = PolicySpec { guard: Some(Guard::with_max(30)), ..preferring(&[Key::Zone]) };
    let label = Key::Label("example.com/rack".into());
    for (spec, prefers, is_requested) in [
        (preferring(&[Key::Zone]), Some("Zone"), false),
        (preferring(&[Key::Node, Key::Zone]), Some("Node"), false),
        (preferring(&[]), None, false),
        (PolicySpec::default(), None, false),
        (demand, Some("Zone"), false),
        // There is nothing to limit.
        (guarded(30), None, false),
        (guard, Some("Zone"), true),
        (rollout, Some("Zone"), true),
        (preferring(&[Key::Zone, Key::Region]), Some("Zone,Region"), true),
        (preferring(&[Key::Region]), Some("Region"), true),
        (preferring(&[Key::Node, Key::Zone, label]), Some("Node,Zone,example.com/rack"), true),
    ] {
        let mut world = World::new();
        world.add("a", 1, ServiceFilter::All, spec.clone());
        let intent = world.intent();
        assert_eq!(intent.prefers().as_deref(), prefers, "{spec:?}");
        assert_eq!(intent.request().is_some(), is_requested, "{spec:?}");
    }
}

#[test]
fn a_plan_is_known_for_the_generation_that_is_programmed() {
    for (programmed, standing) in
        [(None, Standing::New), (Some(3), Standing::New), (Some(4), Standing::For(None))]
    {
        let mut world = World::new();
        let spec = PolicySpec { guard: Some(Guard::with_max(30)), ..preferring(&[Key::Zone]) };
        world.add("a", 1, ServiceFilter::All, spec);
        world.policies.get_mut("a").unwrap().programmed = programmed;
        assert_eq!(world.intent().request().unwrap().standing, standing);
    }
}

/// Its status says that it is programmed, but none of its plans has been in force.
#[test]
fn no_plan_is_known_for_a_policy_that_is_only_reported() {
    let mut world = World::new();
    let guard = Some(Guard::with_max(30));
    let spec = PolicySpec { mode: Mode::Shadow, guard, ..preferring(&[Key::Zone]) };
    world.add("a", 1, ServiceFilter::All, spec);
    world.policies.get_mut("a").unwrap().programmed = Some(4);
    let intent = world.intent();
    assert_eq!(intent.shadow().unwrap().request().unwrap().standing, Standing::New);
}

/// A rehearsal changes nothing: the next policy decides.
#[test]
fn shadow() {
    let mut world = World::new();
    world.add_cluster("default", 1, None, preferring(&[Key::Zone]));
    let before = world.intent();
    let spec = PolicySpec { mode: Mode::Shadow, ..preferring(&[Key::Node, Key::Zone]) };
    world.add("a", 1, ServiceFilter::All, spec.clone());
    let intent = world.intent();
    assert_eq!((intent.mechanism, intent.policy()), (before.mechanism, before.policy()));
    let shadow = intent.ruling.as_ref().unwrap().shadow.clone().unwrap();
    assert_eq!(shadow.intent.mechanism, Mechanism::TrafficDistribution(Preference::Node));
    assert_eq!(intent.shown_policy(), Some(&PolicyRef::Namespaced("a".into())));
    let fates = world.scope().fates(&world.service);
    assert!(fates.iter().all(|(_, fate)| *fate == Fate::Wins), "{fates:?}");
    // Behind one that decides, it would not decide either.
    world.add("0", 0, ServiceFilter::All, guarded(10));
    assert_eq!(world.intent().ruling.unwrap().shadow, None);
    let fates = world.scope().fates(&world.service);
    assert!(fates.contains(&(PolicyRef::Namespaced("a".into()), Fate::Conflicted)), "{fates:?}");
    assert_eq!(world.notes(), [], "the one that decides has no equal");
}

#[test]
fn evacuations_beat_everything_and_join() {
    let mut world = World::new();
    world.evacuate("one", &["b", "a"], 10);
    let request = world.intent().request().unwrap().clone();
    assert_eq!(
        (request.evacuated, request.keys, request.node),
        (vec!["a".into(), "b".into()], vec![], false)
    );
    assert_eq!(world.intent().mechanism, Mechanism::Off);
    world.evacuate("two", &["c", "b"], 20);
    world.service.auto = true;
    let request = world.intent().request().unwrap().clone();
    assert_eq!(request.evacuated, ["a".into(), "b".into(), "c".into()]);
    assert_eq!(request.keys, [Key::Zone], "what the annotation stands for");
    // One is over at `until`.
    world.rules.now = at(10);
    assert_eq!(world.intent().request().unwrap().evacuated, ["b".into(), "c".into()]);
    world.rules.now = at(20);
    assert_eq!(world.intent(), Intent::of(&world.service));
    // No policy guards what the annotation decides.
    world.add("a", 1, ServiceFilter::All, guarded(10));
    world.rules.now = at(0);
    assert_eq!(world.intent().request().unwrap().guard, None);
    world.service.auto = false;
    assert_eq!(world.intent().request().unwrap().guard, Some(Guard::with_max(10)));
}

#[test]
fn evacuations_of_some_services() {
    let mut world = World::new();
    world.evacuate("one", &["a"], 10);
    let mut select = |services: ServiceFilter, namespaces: Option<Selector>| {
        let evacuation = world.rules.evacuations.get_mut("one").unwrap();
        (evacuation.services, evacuation.namespaces) = (services, namespaces);
        world.intent().request().is_some()
    };
    assert!(select(named(), None) && select(labelled(), Some(selector(&[("team", "a")]))));
    assert!(!select(ServiceFilter::Names(vec!["api".into()]), None));
    assert!(!select(ServiceFilter::All, Some(selector(&[("team", "b")]))));
}

/// Services whose traffic hints cannot move: upstream's hints for their own fields, whatever
/// policies and evacuations request, but locality is still requested.
#[test]
fn services_that_hints_cannot_move() {
    let base = World::new().service;
    for service in [
        Service { internal_local: true, ..base.clone() },
        Service { cluster_ip: ClusterIp::Headless, ..base.clone() },
        Service { external_name: true, ..base.clone() },
        Service { selector: None, ..base.clone() },
    ] {
        for distribution in [None, Some(TrafficDistribution::PreferSameZone)] {
            let service = Service { traffic_distribution: distribution, ..service.clone() };
            let mut world = World { service, ..World::new() };
            let spec = PolicySpec { prefer: Some(vec![Key::Node, Key::Zone]), ..guarded(30) };
            world.add("a", 1, ServiceFilter::All, spec);
            world.evacuate("e", &["a"], 10);
            let intent = world.intent();
            assert_eq!(intent.mechanism, Intent::of(&world.service).mechanism);
            assert_eq!((intent.request(), intent.prefers_locality()), (None, true));
            assert_eq!(world.policy().as_deref(), Some("LocalityPolicy/a"));
        }
    }
}

/// Services for which a policy means what it means for others.
#[test]
fn services_that_hints_move() {
    let base = World::new().service;
    for service in [
        Service { external_local: true, ..base.clone() },
        Service { publish_not_ready: true, ..base.clone() },
    ] {
        let mut world = World { service, ..World::new() };
        let spec = PolicySpec { guard: Some(Guard::with_max(30)), ..preferring(&[Key::Zone]) };
        world.add("a", 1, ServiceFilter::All, spec);
        world.evacuate("e", &["a"], 10);
        let intent = world.intent();
        let request = intent.request().unwrap();
        assert!(request.guard.is_some() && !request.evacuated.is_empty());
    }
}

#[test]
fn what_is_unknown_is_not_absent() {
    for (reading, note) in
        [(Reading::Unknown, Note::PolicyUnknown), (Reading::Invalid, Note::PolicyInvalid)]
    {
        let mut world = World::new();
        world.add_cluster("default", 1, None, preferring(&[Key::Zone]));
        world.read("a", 1, named(), reading);
        assert_eq!(
            (world.notes(), world.policy().as_deref()),
            (vec![note], Some("LocalityPolicy/a"))
        );
        assert_eq!(world.intent().mechanism, Mechanism::Off, "the default does not take its place");
        // Behind one that decides it does not matter.
        world.service.policy = Some(PolicyChoice::Cluster("default".into()));
        assert_eq!(world.notes(), []);
    }
}

#[test]
fn a_namespace_without_known_labels() {
    let mut world = World::new();
    world.rules.namespaces = Store::default();
    world.add_cluster("default", 1, None, preferring(&[Key::Zone]));
    assert_eq!(world.notes(), [], "it is for all namespaces");
    world.add_cluster("team", 0, Some(selector(&[("team", "a")])), preferring(&[Key::Zone]));
    assert_eq!(world.notes(), [Note::PolicyUnknown, Note::Conflicted]);
    assert_eq!(world.intent().mechanism, Mechanism::Off);
    let labels = Labels::default();
    world
        .rules
        .namespaces
        .insert("shop".into(), Namespace { name: "shop".into(), version: 1, labels });
    assert_eq!(world.policy().as_deref(), Some("ClusterLocalityPolicy/default"));
    // The same for an evacuation.
    world.evacuate("e", &["a"], 10);
    world.rules.evacuations.get_mut("e").unwrap().namespaces = Some(selector(&[("team", "a")]));
    assert_eq!(world.notes(), []);
    world.rules.namespaces = Store::default();
    world.rules.policies = Store::default();
    assert_eq!((world.notes(), world.intent().request()), (vec![Note::PolicyUnknown], None));
}
