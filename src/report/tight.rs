//! Tight: zones that are local, and whose endpoints carry much, or would if there was one less. For
//! those who ask about one Service (docs/explain.md). Pure.

use std::collections::BTreeMap;

use super::{
    hindrance::listed,
    row::{Ports, Row},
};
use crate::{
    assess::{
        reason::State,
        share::{Rung, Share, ZoneShare},
    },
    model::{name::Name, policy::Guard},
    plan::policy::counts::float,
};

/// Without a guard, an endpoint that carries twice the even share is worth a word.
const TWICE: f64 = 1.0;

/// What to watch, each a sentence without its full stop, without repetitions.
pub fn warnings(row: &Row<'_>) -> Vec<String> {
    let guard = row.predicted_intent().request().and_then(|request| request.guard);
    let mut warnings: Vec<String> = Vec::new();
    for ports in &row.ports {
        for line in of_ports(ports, guard) {
            if !warnings.contains(&line) {
                warnings.push(line);
            }
        }
    }
    warnings
}

fn of_ports(ports: &Ports, guard: Option<Guard>) -> Vec<String> {
    let is_local = matches!(ports.verdict.state, State::Applied | State::Partial | State::Shadow);
    let Some(share) = ports.share.as_ref().filter(|_| is_local) else { return Vec::new() };
    let strict = || share.zones.iter().filter(|zone| zone.rung == Rung::Strict);
    let crowded = strict().filter(|zone| guard.is_none() && is_crowded(zone));
    let crowded = by(crowded, |zone| percent(zone.busiest.unwrap_or_default()));
    let limit = guard.map_or(TWICE, |guard| f64::from(guard.release_overload) / 100.0);
    let at_risk = strict().filter(|zone| guard.is_some() || !is_crowded(zone));
    let at_risk = at_risk.filter(|zone| with_one_less(share, zone).is_some_and(|it| it > limit));
    let at_risk = by(at_risk, |zone| {
        (zone.endpoints, percent(with_one_less(share, zone).unwrap_or_default()))
    });
    let now = |(load, zones): (i64, Vec<&Name>)| {
        format!(
            "Nothing limits the load: the busiest endpoint in {} carries {load} % more than the even \
             share. Add endpoints there, or set spec.guard.maxOverloadPercent in a policy",
            names(&zones),
        )
    };
    let then = |((own, load), zones): ((usize, i64), Vec<&Name>)| {
        let zones = names(&zones);
        let effect = match guard {
            Some(_) => "more than the guard allows: its clients would then go to other zones, too",
            None => "and nothing limits that",
        };
        format!(
            "If {zones} lost one of its {own} endpoints, the others there would carry {load} % more than \
             the even share, {effect}"
        )
    };
    crowded.into_iter().rev().map(now).chain(at_risk.into_iter().rev().map(then)).collect()
}

fn is_crowded(zone: &ZoneShare) -> bool {
    zone.busiest.is_some_and(|busiest| busiest >= TWICE)
}

/// How far above the even share a zone's endpoints would be if there was one less, and if they served
/// its clients alone. `None` if none would be left.
fn with_one_less(share: &Share, zone: &ZoneShare) -> Option<f64> {
    let left = zone.endpoints.checked_sub(1).filter(|left| *left > 0)?;
    Some(zone.demand * float(share.endpoints - 1) / float(left) - 1.0)
}

/// The zones of which the same is said.
fn by<'z, K: Ord>(
    zones: impl Iterator<Item = &'z ZoneShare>,
    key: impl Fn(&ZoneShare) -> K,
) -> BTreeMap<K, Vec<&'z Name>> {
    let mut by: BTreeMap<K, Vec<&Name>> = BTreeMap::new();
    for zone in zones {
        by.entry(key(zone)).or_default().push(&zone.zone);
    }
    by
}

fn names(zones: &[&Name]) -> String {
    let one_of = if zones.len() == 1 { "" } else { "one of " };
    format!("{one_of}{}", listed(zones.iter().map(ToString::to_string)))
}

#[expect(clippy::cast_possible_truncation, reason = "a percentage")]
fn percent(overload: f64) -> i64 {
    (overload * 100.0).round() as i64
}
