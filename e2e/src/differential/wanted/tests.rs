//! What the entries allow, and no more.

use std::sync::Arc;

use super::*;

/// A slice of `cart` with these pods, and annotations.
fn slice(pods: &[&str], annotations: &[&str]) -> Form {
    let endpoint = |pod: &&str| json!({"targetRef": {"kind": "Pod", "name": pod}});
    let notes = annotations.iter().map(|key| ((*key).to_owned(), json!("mine")));
    let ports = if pods.is_empty() { json!([]) } else { json!([{"port": 80}]) };
    let slice = json!({
        "metadata": {
            "labels": {
                "kubernetes.io/service-name": "cart",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "annotations": notes.collect::<serde_json::Map<_, _>>(),
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
    });
    Form::new(&Arc::new(slice), |_, _| None)
}

fn explained(left: &[Form], right: &[Form]) -> Option<Vec<&'static str>> {
    Wanted::read().unwrap().explain(left, right, &Model::new("h"), &Loose::default())
}

const TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

#[test]
fn entries_allow_what_they_say_and_no_more() {
    let (timed, idle) = ([slice(&[], &[TIME])], [slice(&[], &[])]);
    assert_eq!(explained(&idle, &timed), Some(vec!["idle-writes"]));
    assert_eq!(explained(&timed, &idle), None);
    let late = [slice(&["a"], &[TIME])];
    assert_eq!(explained(&late, &[slice(&["a"], &[])]), None);
    let noted = [slice(&["a"], &["example.com/note"])];
    let plain = [slice(&["a"], &[])];
    assert_eq!(explained(&plain, &noted), Some(vec!["recycled-metadata"]));
    assert_eq!(explained(&noted, &plain), None);
    let copied = [slice(&["a"], &["example.com/touch"])];
    assert_eq!(explained(&plain, &copied), None, "no other client gave it that");
    assert_eq!(explained(&plain, &[slice(&["b"], &[])]), None);
}

#[test]
fn a_trigger_time_may_be_elsewhere_only_with_the_endpoints() {
    let left = [slice(&["a", "c"], &[]), slice(&["b"], &[])];
    let right = [slice(&["a"], &[TIME]), slice(&["b", "c"], &[])];
    assert_eq!(compare(&left, &right, &Loose::default()), Comparison::Placed);
    let other = [slice(&["a", "c"], &[TIME]), slice(&["b"], &[])];
    assert!(matches!(compare(&left, &other, &Loose::default()), Comparison::Different(_)));
}

/// Slices of one group, one of which has a wrong reserved label.
#[test]
fn an_endpoint_may_be_in_a_slice_with_a_wrong_label() {
    let headless = |pods: &[&str]| {
        let mut form = slice(pods, &[]);
        form.group.labels.insert("service.kubernetes.io/headless".to_owned(), String::new());
        form
    };
    let left = [headless(&["a"]), slice(&["b"], &[])];
    let right = [headless(&["b"]), slice(&["a"], &[])];
    let other = [headless(&["a"]), headless(&["b"])];
    for loose in [Loose::default(), Loose::from(["cart".to_owned()])] {
        assert_eq!(compare(&left, &right, &loose), Comparison::Placed);
        assert!(matches!(compare(&left, &other, &loose), Comparison::Different(_)));
    }
}

/// Two empty slices, of which either may get the endpoint.
#[test]
fn what_others_wrote_may_be_on_the_slice_that_is_filled() {
    let left = [slice(&[], &["example.com/note", TIME]), slice(&["a"], &[])];
    let right = [slice(&[], &[TIME]), slice(&["a"], &["example.com/note"])];
    let in_group = |mut forms: [Form; 2]| {
        let group = forms[1].group.clone();
        forms[0].group = group;
        forms
    };
    let (left, right) = (in_group(left), in_group(right));
    assert_eq!(compare(&left, &right, &Loose::default()), Comparison::Placed);
    let lost = in_group([slice(&[], &[TIME]), slice(&["a"], &[])]);
    assert!(matches!(compare(&left, &lost, &Loose::default()), Comparison::Different(_)));
}

/// The hints for three zones of equal CPU, for a Service with the legacy annotation.
#[test]
fn one_endpoint_may_be_hinted_to_another_zone() {
    use crate::differential::{
        shape::{Auto, Distribution, Selector, Shape},
        step::Step,
    };
    let mut model = Model::new("h");
    let shape = Shape {
        headless: false,
        ipv6: false,
        dual: false,
        selector: Selector::Any,
        ports: 0,
        distribution: Distribution::Unset,
        auto: Auto::Mode,
        labels: 0,
        publish: false,
        external: false,
    };
    model.take(&Step::CreateService { service: 0, shape }).unwrap();
    let hinted = |zones: &[&str]| {
        let mut form = slice(&["a"], &[]);
        let endpoint = |(number, zone): (usize, &&str)| {
            let hints = json!({"forZones": [{"name": format!("zone-{zone}")}]});
            json!({"targetRef": {"name": number.to_string()}, "hints": hints}).to_string()
        };
        form.endpoints = zones.iter().enumerate().map(endpoint).collect();
        [form]
    };
    let explained = |left: &[&str], right: &[&str]| {
        let wanted = Wanted::read().unwrap();
        wanted.explain(&hinted(left), &hinted(right), &model, &Loose::default())
    };
    let left = ["a", "a", "a", "b", "b", "b", "c"];
    let tie = ["a", "a", "a", "c", "c", "c", "b"];
    assert_eq!(explained(&left, &tie), Some(vec!["auto-ties"]));
    let one = ["c", "a", "a", "b", "b", "b", "c"];
    assert_eq!(explained(&left, &one), Some(vec!["auto-givers"]));
    let two = ["a", "a", "a", "b", "a", "a", "a"];
    assert_eq!(explained(&left, &two), None);
}

#[test]
fn every_entry_is_known_and_every_rule_has_an_entry_with_a_reason() {
    let wanted = Wanted::read().unwrap();
    let rules = IN_TIME.into_iter().chain(IN_SLICES.map(|(name, _)| name));
    for rule in rules {
        assert!(wanted.has(rule), "{rule} is not in the file");
    }
    for (entry, met) in wanted.met() {
        assert!(entry.reason.len() > 40 && !entry.section.is_empty(), "{entry:?}");
        assert_eq!(met, 0);
    }
    let unknown = "- {name: whatever, section: '1', reason: none}";
    assert!(Wanted::parse(unknown).is_err());
}
