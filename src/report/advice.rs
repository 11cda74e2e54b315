//! Advice: what would keep a Service's traffic local, for those who ask about one Service
//! (docs/planner.md 8.9). The numbers of endpoints take new plans, so nothing that runs all the time
//! may use this. Pure.

use std::collections::BTreeMap;

use super::{
    hindrance::{evacuations, listed},
    row::{Ports, Row},
};
use crate::{
    api::policy::limits::MAX_OVERLOAD,
    assess::reason::Reason,
    cluster::Index,
    model::{name::Name, service::ServicePort},
    plan::{
        Family,
        policy::{counts::Tally, help::Asked},
    },
};

/// What would help, each a sentence without its full stop, without repetitions.
pub fn advice(index: &Index, row: &Row<'_>) -> Vec<String> {
    let mut advice: Vec<String> = Vec::new();
    for ports in &row.ports {
        let of_reasons =
            ports.verdict.reasons.iter().filter_map(|reason| remedy(index, row, *reason));
        for line in of_numbers(index, row, ports).into_iter().chain(of_reasons) {
            if !advice.contains(&line) {
                advice.push(line);
            }
        }
    }
    advice
}

/// What would keep one zone local.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cure {
    /// So many more endpoints there.
    more: Option<usize>,
    /// Another value in the guard, as an order.
    guard: Option<String>,
}

/// What would keep zones local that are not because of numbers, the fewest endpoints first.
fn of_numbers(index: &Index, row: &Row<'_>, ports: &Ports) -> Vec<String> {
    let mut zones: BTreeMap<Cure, Vec<&Name>> = BTreeMap::new();
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
        if is_of_numbers && let Some(cure) = cure(index, row, ports, zone) {
            zones.entry(cure).or_default().push(zone);
        }
    }
    let line = |(Cure { more, guard }, zones): (Cure, Vec<&Name>)| {
        let more = more.map(|more| {
            let plural = if more == 1 { "" } else { "s" };
            format!("add {more} endpoint{plural} there")
        });
        let ways: Vec<_> = more.into_iter().chain(guard).collect();
        // Each is tried alone: what is added elsewhere changes the even share.
        let one_of = if zones.len() == 1 { "" } else { "one of " };
        let zones = listed(zones.into_iter().map(ToString::to_string));
        format!("To keep {one_of}{zones} local, {}", ways.join(", or "))
    };
    zones.into_iter().map(line).collect()
}

/// What would keep a zone local, if anything.
fn cure(index: &Index, row: &Row<'_>, ports: &Ports, zone: &Name) -> Option<Cure> {
    let family = row.family(ports)?;
    let intent = row.predicted_intent();
    let (Some(request), Some(_)) = (intent.request(), &family.planned) else {
        // Without a request, every endpoint serves its own zone.
        return Some(Cure { more: Some(1), guard: None });
    };
    let port = ports.ports.first().and_then(|at| row.service.ports.get(*at));
    let tally = tally(family, port?)?;
    let zones = index.zones(&row.service.key, intent)?;
    let asked = Asked { request, zones: &zones, tally, zone: zones.number(zone)? };
    let cure = Cure { more: asked.missing(), guard: other_guard(row, asked) };
    (cure.more.is_some() || cure.guard.is_some()).then_some(cure)
}

/// Which other value in the guard would keep the zone local.
fn other_guard(row: &Row<'_>, asked: Asked<'_>) -> Option<String> {
    let (policy, guard) = (policy(row)?, asked.request.guard?);
    if let Some(least) = asked.low_minimum() {
        let now = guard.min_per_zone;
        return Some(format!(
            "lower spec.guard.minEndpointsPerZone of {policy} from {now} to {least}"
        ));
    }
    let limit = asked.enough_overload(MAX_OVERLOAD)?;
    let now = guard.max_overload;
    Some(format!("raise spec.guard.maxOverloadPercent of {policy} from {now} to {limit}"))
}

fn tally<'f>(family: &'f Family<'_>, port: &ServicePort) -> Option<&'f Tally> {
    let groups = &family.planned.as_ref()?.groups;
    groups.iter().find(|group| group.has_port(&port.name)).map(|group| &group.outcome.tally)
}

/// The policy that the numbers are about, by kind and full name.
pub fn policy(row: &Row<'_>) -> Option<String> {
    let policy = row.intent.shown_policy()?;
    Some(policy.in_full(&row.service.key.namespace))
}

/// What helps against a reason that is not about numbers of endpoints.
fn remedy(index: &Index, row: &Row<'_>, reason: Reason) -> Option<String> {
    let policy = || policy(row).unwrap_or_else(|| "the policy".to_owned());
    Some(match reason {
        Reason::Shadow => format!("To bring this about, set spec.mode of {} to Enforce", policy()),
        Reason::RolloutPending => format!(
            "Add the zones that are named below to spec.rollout.zones of {}, when you are ready",
            policy()
        ),
        Reason::Evacuated if has_nowhere_to_go(row) => {
            "Add endpoints in zones that are not evacuated: all that are ready are in those that are, so \
             their traffic cannot leave"
                .to_owned()
        }
        Reason::Evacuated => {
            let named = listed(evacuations(index, row.service));
            format!("Wait: {named} ends by itself. To end it now, delete it")
        }
        reason => fixed(reason)?.to_owned(),
    })
}

/// Whether all ready endpoints of some ports are in zones that are evacuated.
fn has_nowhere_to_go(row: &Row<'_>) -> bool {
    let request = row.predicted_intent().request();
    let is_evacuated = |zone| request.is_some_and(|request| request.evacuated.contains(zone));
    row.ports.iter().filter_map(|ports| ports.share.as_ref()).any(|share| {
        let own = share.zones.iter().filter(|zone| is_evacuated(&zone.zone));
        own.map(|zone| zone.endpoints).sum::<usize>() == share.endpoints
    })
}

/// What helps, whatever the Service.
fn fixed(reason: Reason) -> Option<&'static str> {
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
