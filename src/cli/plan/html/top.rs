//! The top of the page: what it is, the figures of the whole cluster, and the flow between zones.

use maud::{Markup, html};

use super::{
    Report,
    number::{count, fine, load, percent},
    picture::{is_many, large},
    words::{meaning, zone_name},
};
use crate::{
    assess::{matrix::Matrix, reason::State},
    model::name::Name,
    plain::plain,
};

/// What this is, and when it was.
pub(super) fn header(report: &Report<'_>) -> Markup {
    let now = report.snapshot.now();
    html! {
        header {
            h1 { "How near Service traffic stays" }
            p.lead {
                "What closehaul would write to the EndpointSlices, and where traffic would go then. \
                 Nothing has been changed."
            }
            p.meta {
                "Planned for "
                time datetime=(now.strftime("%Y-%m-%dT%H:%M:%SZ")) {
                    (now.strftime("%Y-%m-%d %H:%M:%S UTC"))
                }
                " by closehaul " (env!("CARGO_PKG_VERSION"))
                @match report.namespace {
                    Some(namespace) => {
                        ". Only the namespace " bdi.name { (plain(namespace)) } " is shown."
                    }
                    None => ". All namespaces that were read are shown.",
                }
            }
            @if report.snapshot.are_pods_unknown() {
                p.warning {
                    b { "Nothing is planned: " }
                    "there is no Pod in the input, so the slices are judged as they are."
                }
            }
        }
    }
}

/// The figures of the whole cluster.
pub(super) fn figures(report: &Report<'_>) -> Markup {
    let total = &report.total;
    let writes =
        report.rows.iter().map(super::Row::writes).fold([0; 3], |sum, writes| {
            [sum[0] + writes[0], sum[1] + writes[1], sum[2] + writes[2]]
        });
    html! {
        section.figures aria-label="Summary" {
            div.tile {
                h2 { "Stays in its zone" }
                @if total.services == 0 {
                    p.big { "–" }
                    p { "There is no Service with known traffic." }
                } @else {
                    p.big {
                        (percent(total.before.in_zone())) span.to { " → " }
                        b { (percent(total.after.in_zone())) }
                    }
                    p { "of the traffic, before → after. Each Service weighs the same." }
                }
            }
            (worst(report))
            div.tile {
                h2 { "Writes" }
                p.big { b { (writes.iter().sum::<usize>()) } }
                p { (listed(writes)) }
            }
            (states(report))
        }
    }
}

/// How many slices are created, updated and deleted.
fn listed(writes: [usize; 3]) -> String {
    let kinds = ["to create", "to update", "to delete"].into_iter().zip(writes);
    let kinds = kinds.filter(|(_, number)| *number > 0);
    let listed: Vec<_> =
        kinds.map(|(kind, number)| format!("{} {kind}", count(number, "slice"))).collect();
    if listed.is_empty() {
        "All slices are as they should be.".to_owned()
    } else {
        listed.join(", ")
    }
}

/// Where an endpoint is loaded most.
fn worst(report: &Report<'_>) -> Markup {
    let mut worst = None;
    for row in report.rows {
        if let Some(overload) = row.overload()
            && worst.is_none_or(|(_, known)| known < overload)
        {
            worst = Some((row, overload));
        }
    }
    let flows = report.flows.iter().flat_map(|flows| flows.ports.iter().flatten());
    let before = flows.map(|flow| flow.overload_before).reduce(f64::max);
    html! {
        div.tile {
            h2 { "Worst load" }
            @match worst.zip(before) {
                None => {
                    p.big { "–" }
                    p { "There is no Service with known traffic." }
                }
                Some(((row, overload), before)) => {
                    p.big { (load(before)) span.to { " → " } b { (load(overload)) } }
                    p {
                        "above the even share"
                        @if overload > 0.0 {
                            ", after: an endpoint of "
                            bdi.name { (plain(&row.service.key.to_string())) }
                        }
                    }
                }
            }
        }
    }
}

/// How many Services are in each state.
fn states(report: &Report<'_>) -> Markup {
    let counted = State::ALL
        .map(|state| (state, report.rows.iter().filter(|row| row.decision.state == state).count()));
    html! {
        div.tile.states {
            h2 { (count(report.rows.len(), "Service")) }
            ul {
                @for (state, count) in counted.into_iter().filter(|(_, count)| *count > 0) {
                    li title=(meaning(state)) {
                        b { (count) } " " span class={ "s s" (state.to_string()) } { (state.to_string()) }
                    }
                }
            }
        }
    }
}

/// The flow between zones, before and after.
pub(super) fn flow(report: &Report<'_>) -> Markup {
    let total = &report.total;
    if total.services == 0 {
        return html! {};
    }
    let places = Matrix::all_places([&total.before, &total.after]);
    let shadows = report.shadows();
    let kept = |matrix: &Matrix| format!("{} stays in its zone", percent(matrix.in_zone()));
    html! {
        section.flow aria-labelledby="flow" {
            h2 #flow { "From zone to zone" }
            div.pair {
                @for (when, matrix) in [("Before", &total.before), ("After", &total.after)] {
                    figure {
                        figcaption { b { (when) } " " (kept(matrix)) }
                        (large(matrix, &places, &format!("{when}: {}", kept(matrix))))
                    }
                }
            }
            p.key {
                span { svg.swatch width="34" height="14" aria-hidden="true" { path.i d="M1 2H33V12H1Z" {} }
                    " stays in its zone" }
                span { svg.swatch.many[is_many(&places)] width="34" height="14" aria-hidden="true" { path.x d="M1 2H33V12H1Z" {} }
                    " goes to another zone" }
                span { "Left: where it comes from. Right: where it goes to." }
            }
            p.note {
                (count(total.services, "Service")) " of " (report.rows.len()) " counted, each with the same \
                 weight: those that a proxy distributes by hints and that have a ready endpoint. Zones \
                 send what the plan assumes, which is the same for each zone unless a policy says \
                 otherwise."
                @if total.assumed > 0 {
                    " " (count(total.assumed, "Service")) " had no slice with a ready endpoint: their traffic \
                     before is that to the same endpoints without hints."
                }
                @if shadows > 0 {
                    " After: " (count(shadows, "Service")) " as under a policy in mode Shadow, which these writes \
                     do not bring about."
                }
            }
            details.numbers {
                summary { "The same in numbers" }
                div.pair {
                    (numbers("Before", &total.before, &places))
                    (numbers("After", &total.after, &places))
                }
            }
        }
    }
}

/// A matrix as a table.
fn numbers(when: &str, matrix: &Matrix, places: &[Option<&Name>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={ (when) ", in numbers" } {
            table.matrix {
                caption { (when) ", part of all traffic, from row to column" }
                thead { tr {
                    th scope="col" { "From" }
                    @for place in places { th scope="col" { (zone_name(*place)) } }
                } }
                tbody {
                    @for from in places.iter().flatten() {
                        tr {
                            th scope="row" { (zone_name(Some(from))) }
                            @for to in places {
                                td.own[Some(*from) == *to] { (fine(matrix.part(from, *to))) }
                            }
                        }
                    }
                }
            }
        }
    }
}
