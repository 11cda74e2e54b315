//! What an island remembers is bounded by its objects, whatever their labels and selectors are.

use crate::{
    cluster::Index,
    model::{
        labels::Labels,
        name::{Name, ServiceKey},
        pod::Pod,
        samples,
        service::Service,
    },
};

use super::FEW;

/// Services, and pods without addresses.
const MANY: usize = 5_000;

fn labels(pairs: impl Iterator<Item = (String, String)>) -> Labels {
    pairs.map(|(key, value)| (key.into(), value.into())).collect()
}

fn app() -> (String, String) {
    ("app".into(), "x".into())
}

/// A namespace with as many Services as pods; the pods are there first, or the Services.
fn crowd(
    selector: impl Fn(usize) -> Labels,
    pod_labels: impl Fn(usize) -> Labels,
    many: usize,
    are_pods_first: bool,
) -> Index {
    let mut index = Index::default();
    let namespace = Name::from("shop");
    let (services, pods) = (0..many, many..2 * many);
    let halves = if are_pods_first { [pods, services] } else { [services, pods] };
    for number in halves.into_iter().flatten() {
        put(&mut index, &namespace, number, many, (&selector, &pod_labels));
    }
    index
}

/// The first half of the numbers are Services, the second half pods.
fn put(
    index: &mut Index,
    namespace: &Name,
    number: usize,
    many: usize,
    (selector, pod_labels): (&impl Fn(usize) -> Labels, &impl Fn(usize) -> Labels),
) {
    if let Some(pod) = number.checked_sub(many) {
        let labels = pod_labels(pod);
        let name = format!("pod-{pod}").into();
        index.apply_pod(namespace, Pod { name, labels, node: None, ..samples::pod(0) });
    } else {
        let key = ServiceKey { namespace: namespace.clone(), name: format!("svc-{number}").into() };
        let selector = Some(selector(number));
        index.apply_service(Service { key, selector, ..samples::service() });
    }
}

/// How many groups there are, and how many pairs of a group and a Service are remembered.
fn stored(index: &Index) -> (usize, usize) {
    let island = &index.islands["shop"];
    let services = island.groups.iter().filter_map(|(_, group)| group.services.as_ref());
    (island.groups.len(), services.map(Vec::len).sum())
}

fn selected(index: &Index, service: usize) -> usize {
    let name = format!("svc-{service}").into();
    index.pods_of(&ServiceKey { namespace: "shop".into(), name }).len()
}

fn own_label(pod: usize) -> Labels {
    labels([app(), ("pod-name".into(), pod.to_string())].into_iter())
}

#[test]
fn many_services_that_select_many_pods_with_labels_of_their_own() {
    let index = crowd(|_| labels([app()].into_iter()), own_label, MANY, true);
    assert_eq!(stored(&index), (MANY, 0), "instead of 25 million");
    assert_eq!((selected(&index, 0), selected(&index, MANY - 1)), (MANY, MANY));
}

/// Of a few labels that all pods have, there are many different selectors.
#[test]
fn so_with_as_many_different_selectors() {
    const PODS: usize = 300;
    let common = |bit: u32| (format!("common-{bit}"), "1".to_owned());
    let of_bits = |number: usize| (0..9).filter(move |bit| number >> bit & 1 == 1);
    let selector = |number: usize| labels(of_bits(number + 1).map(common));
    let pod =
        |number: usize| labels((0..9).map(common).chain([("pod-name".into(), number.to_string())]));
    for are_pods_first in [false, true] {
        let index = crowd(selector, pod, PODS, are_pods_first);
        assert_eq!(stored(&index), (PODS, 0), "instead of 90,000");
        assert_eq!((selected(&index, 0), selected(&index, PODS - 1)), (PODS, PODS));
    }
}

#[test]
fn few_services_are_remembered_however_they_have_become_few() {
    let mut index = crowd(|_| labels([app()].into_iter()), own_label, FEW + 1, false);
    assert_eq!(stored(&index), (FEW + 1, 0));
    let name = "svc-0".into();
    assert!(index.remove_service(&ServiceKey { namespace: "shop".into(), name }, None));
    for number in 0..=FEW {
        let pod = Pod { name: format!("pod-{number}").into(), version: 9, ..samples::pod(0) };
        let pod = Pod { labels: own_label(number), node: None, ready: true, ..pod };
        let changed = Pod { ready: false, version: 10, ..pod.clone() };
        index.apply_pod(&"shop".into(), pod);
        assert_eq!(index.apply_pod(&"shop".into(), changed).len(), FEW);
    }
    assert_eq!(stored(&index), (FEW + 1, (FEW + 1) * FEW));
}
