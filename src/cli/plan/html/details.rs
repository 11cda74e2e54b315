//! The details of a Service: what hinders its locality, what would help, where its traffic goes, and
//! what would be written.

use maud::{Markup, html};

use super::{
    number::{count, load, percent},
    picture::Small,
    words::zone_name,
};
use crate::{
    assess::{matrix::Matrix, share::Share},
    cluster::Index,
    model::slice::Slice,
    plain::plain,
    report::{
        advice::advice,
        flow::{Flow, ServiceFlow},
        hindrance::{listed, port_name},
        row::{Ports, Row},
    },
};

/// How many writes of one kind are listed.
const LISTED: usize = 10;
/// Up to this many zones have a line each.
const FEW: usize = 4;

/// All that is known of a Service.
pub(super) fn details(
    index: &Index,
    row: &Row<'_>,
    flow: &ServiceFlow,
    pictures: &mut Small,
) -> Markup {
    let advice = advice(index, row);
    html! {
        div {
            @if !row.hindrances.is_empty() {
                h3 { "What hinders" }
                ul {
                    @for hindrance in &row.hindrances {
                        li { b { (hindrance.reason.to_string()) } " " (plain(&hindrance.detail)) }
                    }
                }
            }
            @if !advice.is_empty() {
                h3 { "What would help" }
                ul { @for line in &advice { li { (plain(line)) } } }
            }
            @for (ports, flow) in row.ports.iter().zip(&flow.ports) {
                (self::ports(row, ports, flow.as_ref(), pictures))
            }
            (writes(row))
        }
    }
}

/// Where the traffic to some ports goes.
fn ports(row: &Row<'_>, ports: &Ports, flow: Option<&Flow>, pictures: &mut Small) -> Markup {
    let named = ports.ports.iter().filter_map(|at| row.service.ports.get(*at));
    html! {
        @if row.ports.len() > 1 {
            h3 {
                "Port " (plain(&listed(named.map(port_name)))) ", " (ports.verdict.family.to_string()) ": "
                (ports.verdict.state.to_string())
            }
        }
        @if let Some((share, flow)) = ports.share.as_ref().zip(flow) {
            div.ports {
                (self::flow(flow, pictures))
                (zones(ports, share))
            }
        } @else if row.ports.len() > 1 {
            p { "No traffic is known." }
        }
    }
}

fn flow(flow: &Flow, pictures: &mut Small) -> Markup {
    let places = Matrix::all_places([&flow.before, &flow.after]);
    let kept = [&flow.before, &flow.after].map(|matrix| percent(matrix.in_zone()));
    let when = if flow.is_assumed { "Without hints" } else { "Before" };
    html! {
        div.pair {
            @if flow.before == flow.after {
                figure {
                    figcaption { "Before and after: " (kept[1]) " in zone" }
                    (pictures.picture(&flow.after, &places, "The flow before and after"))
                }
            } @else {
                figure {
                    figcaption { (when) ": " (kept[0]) " in zone" }
                    (pictures.picture(&flow.before, &places, "The flow before"))
                }
                figure {
                    figcaption { "After: " (kept[1]) " in zone" }
                    (pictures.picture(&flow.after, &places, "The flow after"))
                }
            }
        }
    }
}

fn zones(ports: &Ports, share: &Share) -> Markup {
    html! {
        table.z {
            thead { tr {
                @for name in ["Zone", "Sends", "Endpoints", "Reaches", "In zone", "Load", "Reason"] {
                    th scope="col" { (name) }
                }
            } }
            tbody {
                @for (zones, cells) in alike(ports, share) {
                    tr {
                        th scope="row" { (zones) }
                        @for cell in cells { td { (cell) } }
                    }
                }
            }
        }
    }
}

/// The cells of each zone. If there are many zones, those with the same cells are on one line.
fn alike(ports: &Ports, share: &Share) -> Vec<(String, [String; 6])> {
    let mut lines: Vec<(String, [String; 6])> = Vec::new();
    for zone in &share.zones {
        let name = zone_name(Some(&zone.zone));
        let cells = [
            percent(zone.demand),
            zone.endpoints.to_string(),
            zone.reachable.to_string(),
            percent(zone.in_zone),
            zone.busiest.map_or_else(|| "–".to_owned(), load),
            ports.verdict.reason_in(&zone.zone).to_string(),
        ];
        let known = lines.iter_mut().find(|(_, known)| *known == cells);
        match known.filter(|_| share.zones.len() > FEW) {
            Some((names, _)) => {
                names.push_str(", ");
                names.push_str(&name);
            }
            None => lines.push((name, cells)),
        }
    }
    lines
}

/// What would be written.
fn writes(row: &Row<'_>) -> Markup {
    let families = || row.plan.iter().flat_map(|plan| &plan.families);
    let kinds: [(&str, Vec<&Slice>); 3] = [
        ("create", families().flat_map(|family| &family.changes.creates).collect()),
        ("update", families().flat_map(|family| &family.changes.updates).collect()),
        ("delete", families().flat_map(|family| &family.changes.deletes).collect()),
    ];
    html! {
        @if kinds.iter().any(|(_, slices)| !slices.is_empty()) {
            h3 { "Writes" }
            ul {
                @for (op, slices) in &kinds {
                    @for slice in slices.iter().take(LISTED) {
                        li {
                            (op) " "
                            @match (&slice.meta.name, &slice.meta.generate_name) {
                                (Some(name), _) => (plain(name)),
                                (None, Some(start)) => { (plain(start)) "…" },
                                (None, None) => "a slice",
                            }
                            ", " (slice.address_type.to_string()) ", "
                            (count(slice.endpoints.len(), "endpoint"))
                        }
                    }
                    @if let Some(others) = slices.len().checked_sub(LISTED).filter(|it| *it > 0) {
                        li { (op) " " (others) " more" }
                    }
                }
            }
        }
    }
}
