//! What becomes of a preference for locality, case by case.

use super::*;
use crate::{
    model::{
        port::Port,
        samples,
        service::TrafficDistribution,
        slice::{Endpoint, HEADLESS},
    },
    plan::intent::Intent,
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
    node_hints: bool,
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
        node_hints: true,
    }
}

#[track_caller]
fn assert_decision(case: &Case, state: State, reasons: &[Reason]) {
    let decision = decide(Standing {
        service: &case.service,
        intent: Intent::of(&case.service),
        ready: &Ready::of([&case.slice], &case.nodes),
        foreign: &case.foreign.iter().collect::<Vec<_>>(),
        has_nodeless: case.has_nodeless,
        has_not_allowed: case.has_not_allowed,
        node_hints: case.node_hints,
        nodes: &case.nodes,
        topology: &Topology::of(&case.nodes),
    });
    assert_eq!(decision, Decision { state, reasons: reasons.to_vec() });
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
        assert_decision(&empty, State::Applied, &[Reason::ZoneEmpty]);
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
        let (nodes, slice) = (nodes(&words), slice(&words, true));
        Case { nodes, slice, ..case(distribution) }
    };
    let reasons = [Reason::EndpointWithoutZone, Reason::NodeWithoutZoneLabel];
    assert_decision(&zoneless(ZONE), State::Ineffective, &reasons);
    assert_decision(&zoneless(NODE), State::Applied, &reasons);
    // The API server drops hints for nodes.
    let dropped = Case { node_hints: false, ..zoneless(NODE) };
    assert_decision(&dropped, State::Ineffective, &reasons);
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

    // Only ready nodes count, including those that accept no ordinary pods.
    let mut down = auto(false, &two, &two);
    down.nodes.get_mut("n2").unwrap().ready = false;
    assert_decision(&down, State::Ineffective, &[wins, Reason::SingleZone]);
    let mut tainted = auto(false, &two, &["n1:a", "n2:b", "n3:"]);
    tainted.nodes.get_mut("n3").unwrap().schedulable = false;
    let reasons = [wins, Reason::NodeWithoutZoneLabel];
    assert_decision(&tainted, State::Ineffective, &reasons);
}
