//! Everything about all Services, as one JSON object.

use serde::Serialize;

use super::{PlanError, snapshot::Row};
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
pub(super) fn render(rows: &[Row<'_>]) -> Result<String, PlanError> {
    let mut totals = Totals { services: rows.len(), ..Totals::default() };
    for row in rows {
        match row.decision.state {
            State::Applied => totals.applied += 1,
            State::Ineffective => totals.ineffective += 1,
            State::None => totals.none += 1,
        }
        let [creates, updates, deletes] = row.writes();
        totals.endpoints += row.ready;
        totals.creates += creates;
        totals.updates += updates;
        totals.deletes += deletes;
    }
    let summary = Summary { services: rows.iter().map(service).collect(), totals };
    let text = serde_json::to_string_pretty(&summary);
    Ok(text.map_err(|error| PlanError::Render(error.to_string()))? + "\n")
}

fn service<'a>(row: &'a Row<'_>) -> ServiceBody<'a> {
    let share = row.share.as_ref();
    ServiceBody {
        namespace: &row.service.key.namespace,
        name: &row.service.key.name,
        prefer: row.prefer(),
        policy: None,
        state: row.decision.state.to_string(),
        reasons: row.decision.reasons.iter().map(ToString::to_string).collect(),
        endpoints: row.plan.as_ref().map(|_| row.ready),
        in_zone_share: share.map(|share| rounded(share.in_zone)),
        overload: share.map(|share| rounded(share.overload)),
        zones: share.map_or_else(Vec::new, |share| zones(row, share)),
    }
}

fn zones<'a>(row: &Row<'_>, share: &'a Share) -> Vec<ZoneBody<'a>> {
    let body = |zone: &'a ZoneShare| ZoneBody {
        zone: &zone.zone,
        demand: rounded(zone.demand),
        endpoints: zone.endpoints,
        reachable: zone.reachable,
        rung: zone.rung.to_string(),
        reason: row.decision.reason_in(zone).to_string(),
        in_zone_share: rounded(zone.in_zone),
    };
    share.zones.iter().map(body).collect()
}

/// Six places are more than users read, and hide that a third has no end.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}
