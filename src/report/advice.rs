//! Advice: what would keep a Service's traffic local, for those who ask about one Service
//! (docs/planner.md 8.9). The numbers of endpoints take new plans, so nothing that runs all the time
//! may use this. Pure.

use std::collections::BTreeMap;

use super::{
    hindrance::listed,
    row::{Ports, Row},
};
use crate::{
    assess::reason::Reason,
    cluster::Index,
    model::{name::Name, service::ServicePort},
    plan::{
        Family,
        policy::{counts::Tally, help::missing},
    },
};

/// What would help, each a sentence without its full stop, without repetitions.
pub fn advice(index: &Index, row: &Row<'_>) -> Vec<String> {
    let mut advice: Vec<String> = Vec::new();
    for ports in &row.ports {
        let of_reasons = ports.verdict.reasons.iter().filter_map(|reason| remedy(*reason));
        for line in
            more_endpoints(index, row, ports).into_iter().chain(of_reasons.map(str::to_owned))
        {
            if !advice.contains(&line) {
                advice.push(line);
            }
        }
    }
    advice
}

/// How many more endpoints would keep zones local, the fewest first.
fn more_endpoints(index: &Index, row: &Row<'_>, ports: &Ports) -> Vec<String> {
    let mut zones: BTreeMap<usize, Vec<&Name>> = BTreeMap::new();
    // Where no proxy follows hints, more endpoints keep nothing local.
    for (zone, reason) in ports.share.iter().flat_map(|_| &ports.verdict.beyond) {
        let is_of_numbers = matches!(
            reason,
            Reason::ZoneEmpty
                | Reason::Lent
                | Reason::Widened
                | Reason::TooFewInZone
                | Reason::OverloadExceeded
        );
        if is_of_numbers && let Some(more) = needed(index, row, ports, zone) {
            zones.entry(more).or_default().push(zone);
        }
    }
    let line = |(more, zones): (usize, Vec<&Name>)| {
        let plural = if more == 1 { "" } else { "s" };
        // Each is tried alone: what is added elsewhere changes the even share.
        let one_of = if zones.len() == 1 { "" } else { "one of " };
        let zones = listed(zones.into_iter().map(ToString::to_string));
        format!("To keep {one_of}{zones} local: {more} more endpoint{plural} there")
    };
    zones.into_iter().map(line).collect()
}

/// The fewest endpoints that must be added in a zone.
fn needed(index: &Index, row: &Row<'_>, ports: &Ports, zone: &Name) -> Option<usize> {
    let family = row.family(ports)?;
    let intent = row.predicted_intent();
    match (intent.request(), &family.planned) {
        (Some(request), Some(_)) => {
            let port = ports.ports.first().and_then(|at| row.service.ports.get(*at));
            let tally = tally(family, port?)?;
            let zones = index.zones(&row.service.key, intent)?;
            missing(request, &zones, tally, zones.number(zone)?)
        }
        // Without a request, every endpoint serves its own zone.
        _ => Some(1),
    }
}

fn tally<'f>(family: &'f Family<'_>, port: &ServicePort) -> Option<&'f Tally> {
    let groups = &family.planned.as_ref()?.groups;
    groups.iter().find(|group| group.has_port(&port.name)).map(|group| &group.outcome.tally)
}

/// What helps against a reason that is not about numbers of endpoints.
fn remedy(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::EndpointWithoutZone | Reason::NodeWithoutZoneLabel => {
            "Label the nodes that are named below with topology.kubernetes.io/zone"
        }
        Reason::NodeMissing => "Delete pods whose nodes are gone, or bring their nodes back",
        Reason::SingleZone => "Nothing needs to be done: all nodes are in one zone",
        Reason::ForeignSliceWithoutHints => {
            "Let the controller of the other slices write hints, or delete these slices"
        }
        Reason::OverwrittenByOtherController => {
            "Switch the other controller of these slices off; see docs/troubleshooting.md"
        }
        Reason::TrafficPolicyLocal => {
            "Set the traffic policy that is named below to Cluster, unless it is intended: under Local, \
             clients get no answer where no endpoint is on the node"
        }
        Reason::Headless => {
            "Create the Service again with a cluster IP, or drop the preference: clients of a headless \
             Service choose pods from DNS"
        }
        Reason::HiddenFromProxy => {
            "Remove the label service.kubernetes.io/service-proxy-name, or configure that proxy"
        }
        Reason::LegacyAnnotationWins => {
            "Set spec.trafficDistribution, then remove the annotation service.kubernetes.io/topology-mode: \
             it overrides the field and policies"
        }
        Reason::TooManyZones => {
            "Use a coarser preference, such as Region: an endpoint names 8 zones"
        }
        Reason::RolloutPending => {
            "Add the zones that are named below to rollout.zones of the policy"
        }
        Reason::Evacuated => {
            "The evacuation ends by itself: kubectl get zoneevacuations shows when"
        }
        Reason::Held => "Wait: the better plan follows once guard.hold is over",
        Reason::Conflicted => "Delete one of the policies of the same rank, or narrow its selector",
        Reason::NoMatchingPods => "Correct spec.selector of the Service, or the labels of its pods",
        Reason::NoSuchPort => "Correct targetPort of the Service, or name the port in its pods",
        Reason::NoAddressInFamily => {
            "Give the pods addresses of that family, or remove it from ipFamilies"
        }
        Reason::NothingReady => "Check why its pods are not ready: kubectl describe pods",
        Reason::PolicyUnknown => "Upgrade closehaul, or grant it the permission to list policies",
        Reason::PolicyNotFound => {
            "Create the policy, or correct the annotation closehaul.io/policy"
        }
        Reason::PolicyInvalid => "Correct the policy: its condition Accepted says what is wrong",
        Reason::AddressNotAllowed => "Give the pods that are named below other addresses",
        Reason::OutsideAdmission => {
            "Install the admission policy that the chart brings with mode=assist: docs/assist.md"
        }
        Reason::WriteRefused => "Look in the log of closehaul for what the API server refuses",
        _ => return None,
    })
}
