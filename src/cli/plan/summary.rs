//! Everything about all Services, as one JSON object.

use serde::Serialize;

use super::{PlanError, report::Report};
use crate::assess::{
    decision::State,
    share::{Share, ZoneShare},
};

#[derive(Serialize)]
struct Summary<'a> {
    services: Vec<ServiceBody<'a>>,
    totals: Totals,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceBody<'a> {
    namespace: &'a str,
    name: &'a str,
    prefer: Option<&'static str>,
    policy: Option<&'a str>,
    state: String,
    reasons: Vec<String>,
    endpoints: Option<usize>,
    in_zone_share: Option<f64>,
    overload: Option<f64>,
    zones: Vec<ZoneBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ZoneBody<'a> {
    zone: &'a str,
    demand: f64,
    endpoints: usize,
    reachable: usize,
    rung: String,
    reason: String,
    in_zone_share: f64,
}

#[derive(Default, Serialize)]
struct Totals {
    services: usize,
    applied: usize,
    ineffective: usize,
    none: usize,
    endpoints: usize,
    creates: usize,
    updates: usize,
    deletes: usize,
}

/// The summary.
pub(super) fn render(reports: &[Report<'_>]) -> Result<String, PlanError> {
    let mut totals = Totals { services: reports.len(), ..Totals::default() };
    for report in reports {
        match report.decision.state {
            State::Applied => totals.applied += 1,
            State::Ineffective => totals.ineffective += 1,
            State::None => totals.none += 1,
        }
        let [creates, updates, deletes] = report.writes();
        totals.endpoints += report.ready;
        totals.creates += creates;
        totals.updates += updates;
        totals.deletes += deletes;
    }
    let summary = Summary { services: reports.iter().map(service).collect(), totals };
    let text = serde_json::to_string_pretty(&summary);
    Ok(text.map_err(|error| PlanError::Render(error.to_string()))? + "\n")
}

fn service<'a>(report: &'a Report<'_>) -> ServiceBody<'a> {
    let share = report.share.as_ref();
    ServiceBody {
        namespace: &report.service.key.namespace,
        name: &report.service.key.name,
        prefer: report.prefer(),
        policy: None,
        state: report.decision.state.to_string(),
        reasons: report.decision.reasons.iter().map(ToString::to_string).collect(),
        endpoints: report.plan.as_ref().map(|_| report.ready),
        in_zone_share: share.map(|share| rounded(share.in_zone)),
        overload: share.map(|share| rounded(share.overload)),
        zones: share.map_or_else(Vec::new, |share| zones(report, share)),
    }
}

fn zones<'a>(report: &Report<'_>, share: &'a Share) -> Vec<ZoneBody<'a>> {
    let body = |zone: &'a ZoneShare| ZoneBody {
        zone: &zone.zone,
        demand: rounded(zone.demand),
        endpoints: zone.endpoints,
        reachable: zone.reachable,
        rung: zone.rung.to_string(),
        reason: report.decision.reason_in(zone).to_string(),
        in_zone_share: rounded(zone.in_zone),
    };
    share.zones.iter().map(body).collect()
}

/// Six places are more than anybody reads, and hide that a third has no end.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}
