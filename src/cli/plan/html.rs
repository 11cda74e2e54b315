//! The report as a web page: one file that needs nothing else, to look at, to send and to print.
//! Without its script, which only sorts and filters, everything on it can be read.

pub(super) mod cost;
mod details;
mod number;
mod picture;
mod services;
mod top;
mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::{cost::Price, picture::Small};
use super::super::snapshot::Snapshot;
use crate::{
    assess::reason::{Reason, State},
    report::{
        flow::{ServiceFlow, Total},
        row::Row,
    },
};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");
/// The page loads nothing, sends nothing and runs nothing but what is in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// What is shown: the Services of a cluster at one moment, with their traffic.
struct Report<'r> {
    snapshot: &'r Snapshot,
    rows: &'r [Row<'r>],
    /// One for each row.
    flows: Vec<ServiceFlow>,
    total: Total,
    /// The only namespace that is shown.
    namespace: Option<&'r str>,
    price: Price,
}

impl Report<'_> {
    /// How many of the Services whose traffic is counted are shown under a policy in mode `Shadow`.
    fn shadows(&self) -> usize {
        let rows = self.rows.iter().zip(&self.flows);
        rows.filter(|(row, flow)| row.shadow.is_some() && flow.flow().is_some()).count()
    }
}

/// The page.
pub(super) fn render(
    snapshot: &Snapshot,
    rows: &[Row<'_>],
    namespace: Option<&str>,
    price: Price,
) -> String {
    let flows: Vec<_> = rows.iter().map(|row| ServiceFlow::of(snapshot.index(), row)).collect();
    let total = Total::of(&flows);
    let report = Report { snapshot, rows, flows, total, namespace, price };
    let mut pictures = Small::default();
    let services = services::table(&report, &mut pictures);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content=(concat!("closehaul ", env!("CARGO_PKG_VERSION")));
                title { "closehaul: what the plan would change" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (picture::patterns())
                (top::header(&report))
                main {
                    (top::figures(&report))
                    (top::flow(&report))
                    @if let Some(cost) = report.price.render(&report.total, report.shadows()) { (cost) }
                    (services)
                    (glossary(&report))
                }
                (pictures.parts())
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    without_optional_ends(&page.into_string())
}

/// The words of the page that need an explanation, as far as they occur on it.
fn glossary(report: &Report<'_>) -> Markup {
    let states = State::ALL
        .into_iter()
        .filter(|state| report.rows.iter().any(|row| row.decision.state == *state));
    let occurs = |reason: &Reason| {
        report.rows.iter().any(|row| {
            let of_zones = row.ports.iter().flat_map(|ports| &ports.verdict.beyond);
            row.decision.reasons.contains(reason)
                || of_zones.map(|(_, it)| it).any(|it| it == reason)
        })
    };
    let reasons: Vec<_> = Reason::ALL.iter().copied().filter(occurs).collect();
    html! {
        section.words aria-labelledby="words" {
            h2 #words { "What the words mean" }
            dl {
                @for state in states { div { dt { (state.to_string()) } dd { (words::meaning(state)) } } }
                @for reason in reasons {
                    // Applied, Shadow and Empty are states as well.
                    @if !State::ALL.iter().any(|state| state.to_string() == reason.to_string()) {
                        div { dt { (reason.to_string()) } dd { (reason.meaning()) } }
                    }
                }
                div { dt { "In zone" } dd {
                    "The part of a Service's traffic that stays in the zone where it comes from, for the \
                     port that keeps the least. Each zone with clients is assumed to send the same, \
                     unless the demand of the policy says otherwise."
                } }
                div { dt { "Max load" } dd {
                    "How far the busiest endpoint is above the even share: +50% is one and a half times \
                     as much."
                } }
                div { dt { "Writes" } dd { "+ slices created, ~ updated, - deleted." } }
            }
        }
    }
}

/// The page without the end tags that HTML does not require: with thousands of Services, they are a
/// tenth of it. Text cannot have any, since it is escaped, and neither style nor script has one.
fn without_optional_ends(page: &str) -> String {
    let mut short = page.to_owned();
    for end in ["</td>", "</th>", "</tr>", "</li>", "</dt>", "</dd>"] {
        short = short.replace(end, "");
    }
    short.push('\n');
    short
}
