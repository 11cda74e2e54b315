//! What becomes of a preference for locality, case by case.

use super::*;
use crate::{
    assess::crowd::Found,
    model::{
        address::AddressType,
        node::Nodes,
        port::Port,
        samples,
        service::{ClusterIp, Service, TargetPort, TrafficDistribution},
        slice::{Endpoint, HEADLESS, Slice},
    },
    plan::topology::Topology,
    plan::{intent::Intent, ready::Ready},
};

fn service(distribution: Option<&str>) -> Service {
    Service {
        traffic_distribution: distribution.and_then(TrafficDistribution::parse),
        ..samples::service()
    }
}

/// Nodes from `NAME:ZONE`. The zone is empty if the node has none.
fn nodes(words: &[&str]) -> Nodes {
    let pairs = words.iter().map(|word| word.split_once(':').unwrap());
    samples::nodes(&pairs.collect::<Vec<_>>())
}

/// A slice with one ready endpoint on each of these nodes. Each endpoint has hints for its zone and
/// node, or no hints at all.
fn slice(words: &[&str], is_hinted: bool) -> Slice {
    let endpoint = |(number, word): (u16, &&str)| {
        let (node, zone) = word.split_once(':').unwrap();
        let endpoint = samples::endpoint(number, zone);
        let zones: Vec<_> = endpoint.zone.as_deref().into_iter().collect();
        let hints = samples::hints(&zones, &[node]).filter(|_| is_hinted);
        Endpoint { node: Some(node.into()), hints, ..endpoint }
    };
    Slice { endpoints: (1..).zip(words).map(endpoint).collect(), ..samples::slice() }
}

struct Case {
    service: Service,
    nodes: Nodes,
    slice: Slice,
    foreign: Option<Slice>,
    has_nodeless: bool,
    has_not_allowed: bool,
    has_pods: bool,
    without_address: usize,
}

/// Two zones with an endpoint in each.
fn case(distribution: Option<&str>) -> Case {
    let words = ["n1:a", "n2:b"];
    Case {
        service: service(distribution),
        nodes: nodes(&words),
        slice: slice(&words, distribution.is_some()),
        foreign: None,
        has_nodeless: false,
        has_not_allowed: false,
        has_pods: true,
        without_address: 0,
    }
}

/// The decision on a Service with these slices of one address type.
fn decide(case: &Case) -> Assessment {
    let mut own = Ready::of([&case.slice], &case.nodes);
    let foreign = case.foreign.iter().filter(|slice| slice.is_read_by_proxies());
    let foreign = Ready::of_foreign(foreign);
    own.without_address = case.without_address;
    let found = Found {
        family: AddressType::IPv4,
        own: &own,
        foreign: case.foreign.as_ref().map(|_| &foreign),
        slices: Vec::new(),
        planned: None,
    };
    assess(Standing {
        service: &case.service,
        intent: &Intent::of(&case.service),
        families: &[found],
        has_pods: case.has_pods,
        has_nodeless: case.has_nodeless,
        has_not_allowed: case.has_not_allowed,
        nodes: &case.nodes,
        topology: &Topology::of(&case.nodes),
    })
}

#[track_caller]
fn assert_decision(case: &Case, state: State, reasons: &[Reason]) {
    assert_eq!(decide(case).decision, Decision { state, reasons: reasons.to_vec() });
}

const ZONE: Option<&str> = Some("PreferSameZone");
const NODE: Option<&str> = Some("PreferSameNode");

#[test]
fn without_preference() {
    assert_decision(&case(None), State::None, &[Reason::NoPreference]);
    let nodeless = Case { has_nodeless: true, ..case(None) };
    assert_decision(&nodeless, State::None, &[Reason::NodeMissing, Reason::NoPreference]);
    let both = Case { has_not_allowed: true, ..nodeless };
    let reasons = [Reason::NodeMissing, Reason::AddressNotAllowed, Reason::NoPreference];
    assert_decision(&both, State::None, &reasons);
}

#[test]
fn services_left_alone() {
    for (distribution, state) in [(None, State::None), (ZONE, State::Ineffective)] {
        let mut alias = case(distribution);
        alias.service.external_name = true;
        assert_decision(&alias, state, &[Reason::ExternalName]);
        let mut bare = case(distribution);
        bare.service.selector = None;
        assert_decision(&bare, state, &[Reason::NoSelector]);
    }
}

#[test]
fn hints_in_force() {
    for distribution in [ZONE, NODE, Some("PreferClose")] {
        assert_decision(&case(distribution), State::Applied, &[Reason::Applied]);
        let nodes = nodes(&["n1:a", "n2:b", "n3:c"]);
        let empty = Case { nodes, ..case(distribution) };
        assert_decision(&empty, State::Partial, &[Reason::ZoneEmpty]);
    }
    let single = |distribution| {
        let words = ["n1:a", "n2:a"];
        let (nodes, slice) = (nodes(&words), slice(&words, true));
        Case { nodes, slice, ..case(distribution) }
    };
    assert_decision(&single(ZONE), State::Applied, &[Reason::SingleZone]);
    assert_decision(&single(NODE), State::Applied, &[Reason::Applied]);
    let nodeless = Case { has_nodeless: true, ..case(ZONE) };
    assert_decision(&nodeless, State::Applied, &[Reason::NodeMissing]);
    let special = Case { has_not_allowed: true, ..case(ZONE) };
    assert_decision(&special, State::Applied, &[Reason::AddressNotAllowed]);
    let nodes = nodes(&["n1:a", "n2:b", "n3:"]);
    let unlabelled = Case { nodes, ..case(ZONE) };
    assert_decision(&unlabelled, State::Applied, &[Reason::NodeWithoutZoneLabel]);
    let mut external = case(ZONE);
    external.service.external_local = true;
    assert_decision(&external, State::Applied, &[Reason::TrafficPolicyLocal]);
}

#[test]
fn readers_that_pass_hints_over() {
    let mut headless = case(ZONE);
    headless.service.cluster_ip = ClusterIp::Headless;
    assert_decision(&headless, State::Ineffective, &[Reason::Headless]);
    let mut internal = case(ZONE);
    internal.service.internal_local = true;
    assert_decision(&internal, State::Ineffective, &[Reason::TrafficPolicyLocal]);
}

/// Hints for zones need a zone on every endpoint. Hints for nodes do not.
#[test]
fn an_endpoint_without_zone() {
    let words = ["n1:a", "n2:b", "n3:"];
    let zoneless = |distribution| {
        let (nodes, mut slice) = (nodes(&words), slice(&words, true));
        if distribution == ZONE {
            let bare = |endpoint: &Endpoint| {
                let zones: Vec<_> = endpoint.zone.as_deref().into_iter().collect();
                Endpoint { hints: samples::hints(&zones, &[]), ..endpoint.clone() }
            };
            slice.endpoints = slice.endpoints.iter().map(bare).collect();
        }
        Case { nodes, slice, ..case(distribution) }
    };
    let reasons = [Reason::EndpointWithoutZone, Reason::NodeWithoutZoneLabel];
    assert_decision(&zoneless(ZONE), State::Ineffective, &reasons);
    // On a node without an endpoint, clients reach all.
    assert_decision(&zoneless(NODE), State::Partial, &reasons);
}

#[test]
fn slices_of_others() {
    let with = |foreign: Slice| Case { foreign: Some(foreign), ..case(ZONE) };
    let bare = slice(&["n9:a"], false);
    let reasons = [Reason::ForeignSliceWithoutHints];
    assert_decision(&with(bare.clone()), State::Ineffective, &reasons);
    assert_decision(&with(slice(&["n9:a"], true)), State::Applied, &[Reason::Applied]);
    let mut headless = bare.clone();
    headless.meta.labels = headless.meta.labels.with(HEADLESS, Some(""));
    assert_decision(&with(headless), State::Applied, &[Reason::Applied]);
    let mut other_port = bare;
    other_port.ports = other_port
        .ports
        .iter()
        .map(|port| Port { name: Some("other".into()), ..port.clone() })
        .collect();
    assert_decision(&with(other_port), State::Applied, &[Reason::Applied]);
}

#[test]
fn the_legacy_annotation() {
    let auto = |is_hinted, words: &[&str], known: &[&str]| {
        let (nodes, slice) = (nodes(known), slice(words, is_hinted));
        let mut case = Case { nodes, slice, ..case(NODE) };
        case.service.auto = true;
        case
    };
    let two = ["n1:a", "n2:b"];
    let wins = Reason::LegacyAnnotationWins;
    assert_decision(&auto(true, &two, &two), State::Applied, &[wins]);
    let rows = [
        (vec!["n1:a"], vec!["n1:a", "n2:b"], vec![wins, Reason::TooFewInZone]),
        (vec!["n1:a"], vec!["n1:a"], vec![wins, Reason::SingleZone]),
        (two.to_vec(), two.to_vec(), vec![wins, Reason::OverloadExceeded]),
        (
            vec!["n1:a", "n3:"],
            vec!["n1:a", "n3:"],
            vec![
                wins,
                Reason::EndpointWithoutZone,
                Reason::NodeWithoutZoneLabel,
                Reason::SingleZone,
            ],
        ),
    ];
    for (words, known, reasons) in rows {
        assert_decision(&auto(false, &words, &known), State::Ineffective, &reasons);
    }

    // Only ready nodes count.
    let mut down = auto(false, &two, &two);
    down.nodes.get_mut("n2").unwrap().ready = false;
    assert_decision(&down, State::Ineffective, &[wins, Reason::SingleZone]);
}

/// No client reaches an endpoint: that is never `Applied`, and the reason says why.
#[test]
fn no_ready_endpoint() {
    let empty = || Case { slice: slice(&[], false), ..case(ZONE) };
    let no_pods = Case { has_pods: false, ..empty() };
    assert_decision(&no_pods, State::Empty, &[Reason::NoMatchingPods]);
    assert_decision(&empty(), State::Empty, &[Reason::NothingReady]);
    let other_family = Case { without_address: 2, ..empty() };
    assert_decision(&other_family, State::Empty, &[Reason::NoAddressInFamily]);
    let nodeless = Case { has_nodeless: true, ..empty() };
    assert_decision(&nodeless, State::Empty, &[Reason::NodeMissing, Reason::NothingReady]);

    let mut unready = case(ZONE);
    let down = |endpoint: &Endpoint| {
        let mut endpoint = endpoint.clone();
        endpoint.conditions.ready = Some(false);
        endpoint
    };
    unready.slice.endpoints = unready.slice.endpoints.iter().map(down).collect();
    assert_decision(&unready, State::Empty, &[Reason::NothingReady]);

    // No pod declares the port, so the slice has none.
    let mut portless = case(ZONE);
    portless.slice.ports = [].into_iter().collect();
    assert_decision(&portless, State::Empty, &[Reason::NoSuchPort]);

    // What hides the Service comes first.
    let mut hidden = no_pods;
    hidden.service.cluster_ip = ClusterIp::Headless;
    let reasons = [Reason::Headless, Reason::NoMatchingPods];
    assert_decision(&hidden, State::Ineffective, &reasons);
    // Without a preference, there is nothing to report.
    let idle = Case { has_pods: false, slice: slice(&[], false), ..case(None) };
    assert_decision(&idle, State::None, &[Reason::NoPreference]);
}

#[test]
fn a_service_of_another_proxy() {
    let mut hidden = case(ZONE);
    let label = "service.kubernetes.io/service-proxy-name";
    hidden.service.labels = hidden.service.labels.with(label, Some("other"));
    assert_decision(&hidden, State::Ineffective, &[Reason::HiddenFromProxy]);
    let mut without_address = case(ZONE);
    without_address.service.cluster_ip = ClusterIp::Empty;
    assert_decision(&without_address, State::Ineffective, &[Reason::Headless]);
}

/// Each port has endpoints in one zone only; together, they are in both.
#[test]
fn ports_are_judged_by_themselves() {
    let mut two = case(ZONE);
    two.service.ports = vec![
        samples::service_port("front", TargetPort::Number(1)),
        samples::service_port("back", TargetPort::Number(2)),
    ];
    let port = |name: &str| [samples::port(name, 1)].into_iter().collect();
    let front = Slice { ports: port("front"), ..slice(&["n1:a"], true) };
    let back = Slice { ports: port("back"), ..slice(&["n2:b"], true) };
    let own = Ready::of([&front, &back], &two.nodes);
    let found = Found {
        family: AddressType::IPv4,
        own: &own,
        foreign: None,
        slices: Vec::new(),
        planned: None,
    };
    let topology = Topology::of(&two.nodes);
    let assessment = assess(Standing {
        service: &two.service,
        intent: &Intent::of(&two.service),
        families: &[found],
        has_pods: true,
        has_nodeless: false,
        has_not_allowed: false,
        nodes: &two.nodes,
        topology: &topology,
    });
    let partial = Decision { state: State::Partial, reasons: vec![Reason::ZoneEmpty] };
    assert_eq!(assessment.decision, partial);
    let beyond: Vec<_> = assessment.verdicts.iter().map(|it| (&*it.ports, &*it.beyond)).collect();
    let empty = |zone: &str| [(zone.into(), Reason::ZoneEmpty)];
    assert_eq!(beyond, [(&[0][..], &empty("b")[..]), (&[1], &empty("a"))]);
}
