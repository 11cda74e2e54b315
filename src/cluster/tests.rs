//! Compares the index with a naive one, in which every Service looks at every pod.

use proptest::prelude::*;

use super::{island::settled::Basis, *};
use crate::model::{
    labels::Labels,
    node::Node,
    samples,
    service::{ClusterIp, TrafficDistribution},
};

fn labels(pairs: &[(&str, u8)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), value.to_string().into())).collect()
}

fn pod(name: u8, app: u8, tier: u8, node: u8, version: u64) -> Pod {
    Pod {
        name: format!("p{name}").into(),
        version,
        labels: labels(&[("app", app), ("tier", tier)]),
        node: Some(format!("n{node}").into()),
        ready_since: None,
        ..samples::pod(0)
    }
}

fn service(name: u8, selector: Labels, version: u64) -> Service {
    Service {
        key: ServiceKey { namespace: "shop".into(), name: format!("s{name}").into() },
        version,
        selector: Some(selector).filter(|selector| !selector.is_empty()),
        ..samples::service()
    }
}

fn node(name: u8, zone: u8, version: u64) -> Node {
    Node { version, ..samples::node(&format!("n{name}"), &format!("z{zone}")) }
}

#[derive(Clone, Debug)]
enum Event {
    Pod(u8, u8, u8, u8),
    PodGone(u8),
    Service(u8, Option<u8>, Option<u8>),
    ServiceGone(u8),
    PodList(Vec<(u8, u8)>),
    /// More Services than a group remembers have this selector, or are deleted.
    Crowd(Option<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..12_u8, 0..3_u8, 0..2_u8, 0..3_u8).prop_map(|(p, a, t, n)| Event::Pod(p, a, t, n)),
        2 => (0..12_u8).prop_map(Event::PodGone),
        3 => (0..6_u8, proptest::option::of(0..3_u8), proptest::option::of(0..2_u8)).prop_map(|(s, a, t)| Event::Service(s, a, t)),
        1 => (0..6_u8).prop_map(Event::ServiceGone),
        1 => proptest::collection::vec((0..12_u8, 0..3_u8), 0..6).prop_map(Event::PodList),
        1 => proptest::option::of(0..3_u8).prop_map(Event::Crowd),
    ]
}

/// The names of the Services of a crowd.
const CROWD: std::ops::Range<u8> = 10..30;

/// What each Service selects, computed the slow way.
fn naive(pods: &HashMap<Name, Pod>, services: &HashMap<Name, Service>) -> Vec<(Name, Vec<Name>)> {
    let mut all: Vec<_> = services
        .values()
        .map(|service| {
            let selects = |pod: &&Pod| {
                service.selector.as_ref().is_some_and(|s| pod.labels.match_selector(s))
            };
            let mut names: Vec<Name> =
                pods.values().filter(selects).map(|pod| pod.name.clone()).collect();
            names.sort();
            (service.key.name.clone(), names)
        })
        .collect();
    all.sort();
    all
}

/// The generations of all that a plan of a Service is based on.
fn basis(index: &Index, service: &str) -> Option<Basis> {
    index.islands.get("shop")?.basis(service, 0)
}

fn indexed(index: &Index) -> Vec<(Name, Vec<Name>)> {
    let mut all: Vec<_> = index
        .services()
        .map(|service| {
            let mut names: Vec<Name> =
                index.pods_of(&service.key).iter().map(|pod| pod.name.clone()).collect();
            names.sort();
            (service.key.name.clone(), names)
        })
        .collect();
    all.sort();
    all
}

/// A separate sync would have nothing to write, and would use the time up.
#[test]
fn a_mere_time_is_for_the_next_sync_to_see() {
    let mut index = Index::default();
    let shop = Name::from("shop");
    index.apply_service(service(1, labels(&[("app", 1)]), 1));
    index.apply_pod(&shop, pod(1, 1, 0, 0, 2));
    let ready_since = Some(Timestamp::UNIX_EPOCH);
    let later = Pod { ready_since, ..pod(1, 1, 0, 0, 3) };
    assert!(index.apply_pod(&shop, later).is_empty());
    let key = ServiceKey { namespace: shop.clone(), name: "s1".into() };
    assert_eq!(index.pods_of(&key)[0].ready_since, ready_since);
    let unready = Pod { ready: false, ready_since, ..pod(1, 1, 0, 0, 4) };
    assert_eq!(index.apply_pod(&shop, unready), [key]);
}

proptest! {
    #[test]
    fn selects_as_the_naive_index_does(events in proptest::collection::vec(event(), 1..80)) {
        let namespace: Name = "shop".into();
        let mut index = Index::default();
        let (mut pods, mut services) = (HashMap::default(), HashMap::default());
        for (at, event) in events.into_iter().enumerate() {
            let version = at as u64 + 1;
            let before = naive(&pods, &services);
            let bases: HashMap<_, _> =
                before.iter().map(|(name, _)| (name.clone(), basis(&index, name))).collect();
            let had_pods = pods.clone();
            let mut affected = Vec::new();
            match event {
                Event::Pod(name, app, tier, node) => {
                    let pod = pod(name, app, tier, node, version);
                    pods.insert(pod.name.clone(), pod.clone());
                    affected = index.apply_pod(&namespace, pod);
                }
                Event::PodGone(name) => {
                    let name = format!("p{name}");
                    pods.remove(&*name);
                    affected = index.remove_pod(&namespace, &name, Some(version));
                }
                Event::Service(name, app, tier) => {
                    let pairs = app.map(|a| ("app", a)).into_iter().chain(tier.map(|t| ("tier", t)));
                    let service = service(name, labels(&pairs.collect::<Vec<_>>()), version);
                    affected.push(service.key.clone());
                    services.insert(service.key.name.clone(), service.clone());
                    index.apply_service(service);
                }
                Event::ServiceGone(name) => {
                    let key = service(name, Labels::default(), 0).key;
                    services.remove(&key.name);
                    index.remove_service(&key, None);
                }
                Event::Crowd(app) => {
                    for name in CROWD {
                        let selector = app.map(|app| labels(&[("app", app)])).unwrap_or_default();
                        let service = service(name, selector, version);
                        affected.push(service.key.clone());
                        if app.is_some() {
                            services.insert(service.key.name.clone(), service.clone());
                            index.apply_service(service);
                        } else {
                            services.remove(&service.key.name);
                            index.remove_service(&service.key, None);
                        }
                    }
                }
                Event::PodList(list) => {
                    index.begin_list::<Pod>();
                    pods.clear();
                    for (name, app) in list {
                        let pod = pod(name, app, 0, 0, version);
                        pods.insert(pod.name.clone(), pod.clone());
                        affected.extend(index.apply_pod(&namespace, pod));
                    }
                    for gone in index.not_named::<Pod>() {
                        let ObjectKey { namespace, name } = gone;
                        affected.extend(index.remove_pod(&namespace, &name, None));
                    }
                }
            }
            let after = naive(&pods, &services);
            prop_assert_eq!(&indexed(&index), &after);
            for (service, selected) in &after {
                let had = before.iter().find(|(name, _)| name == service).map(|(_, selected)| selected);
                let is_affected = affected.iter().any(|key| key.name == *service);
                prop_assert!(had == Some(selected) || is_affected, "{} was not affected", service);
                let is_same = |name: &Name| {
                    let without_version = |pod: &Pod| Pod { version: 0, ..pod.clone() };
                    had_pods.get(name).map(without_version) == pods.get(name).map(without_version)
                };
                let is_as_it_was = had == Some(selected) && selected.iter().all(is_same);
                prop_assert!(
                    is_as_it_was || bases.get(service).copied().flatten() != basis(&index, service),
                    "a plan of {} was not void", service
                );
            }
            prop_assert_eq!(index.islands.is_empty(), pods.is_empty() && services.is_empty());
        }
    }
}

#[test]
fn a_node_touches_the_services_with_pods_on_it() {
    let mut index = Index::default();
    index.apply_service(service(1, labels(&[("app", 1)]), 1));
    index.apply_service(service(2, labels(&[("app", 2)]), 1));
    index.apply_pod(&"shop".into(), pod(1, 1, 0, 1, 1));
    index.apply_pod(&"shop".into(), pod(2, 2, 0, 2, 1));
    let names = |change: NodeChange| {
        change.services.iter().map(|key| key.name.to_string()).collect::<Vec<_>>()
    };
    let came = index.apply_node(node(1, 1, 1));
    assert!(!came.is_move);
    assert_eq!(names(came), ["s1"]);
    assert_eq!(names(index.apply_node(node(1, 1, 2))), [""; 0], "no change of zone");
    let moved = index.apply_node(node(1, 2, 3));
    assert!(moved.is_move);
    assert_eq!(names(moved), ["s1"]);
    assert_eq!(names(index.apply_node(node(1, 1, 2))), [""; 0], "older than what is known");
    let went = index.remove_node("n1", None);
    assert!(!went.is_move);
    assert_eq!(names(went), ["s1"]);
}

#[test]
fn older_events_are_passed_over() {
    let namespace: Name = "shop".into();
    let mut index = Index::default();
    index.apply_service(service(1, labels(&[("app", 1)]), 5));
    assert_eq!(index.apply_service(service(1, labels(&[("app", 2)]), 4)), ServiceChange::Nothing);
    assert_eq!(index.apply_pod(&namespace, pod(1, 1, 0, 1, 7)).len(), 1);
    assert_eq!(index.apply_pod(&namespace, pod(1, 2, 0, 1, 6)).len(), 0);
    assert_eq!(index.remove_pod(&namespace, "p1", Some(6)).len(), 0);
    assert_eq!(
        index.apply_pod(&namespace, pod(1, 1, 0, 1, 8)).len(),
        0,
        "nothing but the version changed"
    );
    assert_eq!(index.remove_pod(&namespace, "p1", Some(9)).len(), 1);
}

#[test]
fn what_changed_of_a_service() {
    let mut index = Index::default();
    let base = service(1, labels(&[("app", 1)]), 1);
    assert_eq!(index.apply_service(base.clone()), ServiceChange::Endpoints);
    assert_eq!(index.apply_service(base.clone()), ServiceChange::Nothing);
    assert_eq!(index.apply_service(Service { version: 2, ..base.clone() }), ServiceChange::Unread);
    let hinted = Service {
        version: 3,
        traffic_distribution: Some(TrafficDistribution::PreferClose),
        ..base
    };
    assert_eq!(index.apply_service(hinted.clone()), ServiceChange::Hints);
    let headless = Service { version: 4, cluster_ip: ClusterIp::Headless, ..hinted };
    assert_eq!(index.apply_service(headless), ServiceChange::Endpoints);
}
