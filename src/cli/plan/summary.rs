//! Everything about all Services, as one JSON object.

use std::borrow::Cow;

use serde::Serialize;

use super::PlanError;
use crate::{
    assess::{
        reason::State,
        share::{Share, ZoneShare},
        verdict::Verdict,
    },
    report::{
        hindrance::{Hindrance, port_name},
        numbers::rounded,
        row::{Ports, Row},
    },
};

#[derive(Serialize)]
struct Summary<'a> {
    version: u8,
    services: Vec<ServiceBody<'a>>,
    totals: Totals,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceBody<'a> {
    namespace: &'a str,
    name: &'a str,
    prefer: Option<Cow<'static, str>>,
    policy: Option<String>,
    state: String,
    reasons: Vec<String>,
    endpoints: Option<usize>,
    in_zone_share: Option<f64>,
    overload: Option<f64>,
    ports: Vec<PortBody<'a>>,
    zones: Vec<ZoneBody<'a>>,
    hindrances: Vec<HindranceBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PortBody<'a> {
    port: String,
    family: String,
    state: String,
    reasons: Vec<String>,
    in_zone_share: Option<f64>,
    overload: Option<f64>,
    zones: Vec<ZoneBody<'a>>,
}

#[derive(Serialize)]
struct HindranceBody<'a> {
    reason: String,
    detail: &'a str,
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
    partial: usize,
    shadow: usize,
    ineffective: usize,
    empty: usize,
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
            State::Partial => totals.partial += 1,
            State::Shadow => totals.shadow += 1,
            State::Empty => totals.empty += 1,
            State::Ineffective => totals.ineffective += 1,
            State::None => totals.none += 1,
        }
        let [creates, updates, deletes] = row.writes();
        totals.endpoints += row.ready;
        totals.creates += creates;
        totals.updates += updates;
        totals.deletes += deletes;
    }
    let summary = Summary { version: 1, services: rows.iter().map(service).collect(), totals };
    let text = serde_json::to_string_pretty(&summary);
    Ok(text.map_err(|error| PlanError::Render(error.to_string()))? + "\n")
}

fn service<'a>(row: &'a Row<'_>) -> ServiceBody<'a> {
    let hindrance =
        |it: &'a Hindrance| HindranceBody { reason: it.reason.to_string(), detail: &it.detail };
    ServiceBody {
        namespace: &row.service.key.namespace,
        name: &row.service.key.name,
        prefer: row.prefer(),
        policy: row.policy(),
        state: row.decision.state.to_string(),
        reasons: row.decision.reasons.iter().map(ToString::to_string).collect(),
        endpoints: row.plan.as_ref().map(|_| row.ready),
        in_zone_share: row.in_zone().map(rounded),
        overload: row.overload().map(rounded),
        ports: row.ports.iter().flat_map(|ports| self::ports(row, ports)).collect(),
        zones: row.worst().map_or_else(Vec::new, zones),
        hindrances: row.hindrances.iter().map(hindrance).collect(),
    }
}

/// One body for each of these ports.
fn ports<'a>(row: &'a Row<'_>, ports: &'a Ports) -> impl Iterator<Item = PortBody<'a>> {
    let share = ports.share.as_ref();
    let named = ports.ports.iter().filter_map(|at| row.service.ports.get(*at));
    named.map(move |port| PortBody {
        port: port_name(port),
        family: ports.verdict.family.to_string(),
        state: ports.verdict.state.to_string(),
        reasons: ports.verdict.reasons.iter().map(ToString::to_string).collect(),
        in_zone_share: share.map(|share| rounded(share.in_zone)),
        overload: share.map(|share| rounded(share.overload)),
        zones: zones(ports),
    })
}

fn zones(ports: &Ports) -> Vec<ZoneBody<'_>> {
    let zones = |share| zones_of(&ports.verdict, share);
    ports.share.as_ref().map_or_else(Vec::new, zones)
}

fn zones_of<'a>(verdict: &Verdict, share: &'a Share) -> Vec<ZoneBody<'a>> {
    let body = |zone: &'a ZoneShare| ZoneBody {
        zone: &zone.zone,
        demand: rounded(zone.demand),
        endpoints: zone.endpoints,
        reachable: zone.reachable,
        rung: zone.rung.to_string(),
        reason: verdict.reason_in(&zone.zone).to_string(),
        in_zone_share: rounded(zone.in_zone),
    };
    share.zones.iter().map(body).collect()
}
