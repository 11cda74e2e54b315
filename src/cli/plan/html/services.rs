//! The table of all Services. Each row opens its details.

use maud::{Markup, html};

use super::{
    Report, details,
    number::{exact, load, percent},
    picture::Small,
};
use crate::{
    assess::reason::State,
    plain::plain,
    report::{flow::ServiceFlow, row::Row},
};

/// The columns, and whether the script sorts them by number.
const COLUMNS: [(&str, bool); 10] = [
    ("Service", false),
    ("Namespace", false),
    ("Prefers", false),
    ("Policy", false),
    ("State", false),
    ("Reason", false),
    ("Endpoints", true),
    ("In zone", true),
    ("Max load", true),
    ("Writes", true),
];

/// The most Services of which details are printed without being open.
const PRINTED: usize = 60;

/// Whether a Service is not as it should be.
fn is_amiss(row: &Row<'_>) -> bool {
    !matches!(row.decision.state, State::Applied | State::None)
}

/// The table.
pub(super) fn table(report: &Report<'_>, pictures: &mut Small) -> Markup {
    let amiss = report.rows.iter().filter(|row| is_amiss(row)).count();
    let is_printed = amiss <= PRINTED;
    html! {
        section.services aria-labelledby="services" {
            h2 #services { "Services" }
            form #filter hidden {
                label { "Find" input type="search" name="text" autocomplete="off"; }
                label { "State" select name="state" {
                    option value="" { "all" }
                    @for state in State::ALL { option { (state.to_string()) } }
                } }
                label { "Reason" select name="reason" { option value="" { "all" } } }
                output #shown aria-live="polite" {}
            }
            @if !report.rows.is_empty() {
                p.note.paper {
                    @if is_printed {
                        "With details of the Services that are neither Applied nor None."
                    } @else {
                        "Without the details of " (amiss) " Services that are neither Applied nor None, because \
                         they are many. Those that are open on the screen are printed, and Services that the \
                         filter hides are not."
                    }
                }
            }
            @if report.rows.is_empty() {
                p { "There is no Service." }
            } @else {
                table #table {
                    thead { tr {
                        @for (name, is_number) in COLUMNS {
                            th.n[is_number] scope="col" { (name) }
                        }
                    } }
                    tbody {
                        @for (row, flow) in report.rows.iter().zip(&report.flows) {
                            (self::row(report, row, is_printed, flow, pictures))
                        }
                    }
                }
            }
        }
    }
}

fn row(
    report: &Report<'_>,
    row: &Row<'_>,
    is_printed: bool,
    flow: &ServiceFlow,
    pictures: &mut Small,
) -> Markup {
    let decision = &row.decision;
    let state = decision.state.to_string();
    // What is as it should be need not be printed.
    let is_printed = is_printed && is_amiss(row);
    let reasons: Vec<_> = decision.reasons.iter().map(ToString::to_string).collect();
    let [creates, updates, deletes] = row.writes();
    html! {
        tr data-r=(reasons.join(" ")) {
            th scope="row" {
                details class=[is_printed.then_some("p")] {
                    summary { (plain(&row.service.key.name)) }
                    (details::details(report.snapshot.index(), row, flow, pictures))
                }
            }
            td { (plain(&row.service.key.namespace)) }
            td { @if let Some(prefer) = row.prefer() { (plain(&prefer)) } @else { "–" } }
            td { @if let Some(policy) = row.policy() { (self::policy(&policy)) } @else { "–" } }
            td { span class={ "s s" (state) } { (state) } }
            td {
                @if let [first, others @ ..] = &*reasons {
                    (first)
                    @if !others.is_empty() { " +" (others.len()) }
                }
            }
            td { @if row.plan.is_some() { (row.ready) } @else { "–" } }
            @match row.in_zone().zip(flow.flow()) {
                None => td { "–" },
                Some((after, flow)) => td data-v=(exact(after)) {
                    (percent(flow.before.in_zone())) " → " b { (percent(after)) }
                },
            }
            @match row.overload() {
                None => td { "–" },
                Some(overload) => td data-v=(exact(overload)) { (load(overload)) },
            }
            @match creates + updates + deletes {
                0 => td { "–" },
                sum => td data-v=(sum) {
                    @if creates > 0 { "+" (creates) " " }
                    @if updates > 0 { "~" (updates) " " }
                    @if deletes > 0 { "-" (deletes) }
                },
            }
        }
    }
}

/// A policy, which may be broken into two lines after its kind.
fn policy(policy: &str) -> Markup {
    if let Some((kind, name)) = policy.split_once('/') {
        html! { (plain(kind)) "/" wbr; (plain(name)) }
    } else {
        html! { (plain(policy)) }
    }
}
