//! One row for each Service.

use clap::builder::styling::{AnsiColor, Style};

use super::snapshot::Row;
use crate::assess::{
    decision::State,
    share::{Share, ZoneShare},
};

/// The columns, and whether their cells are aligned to the right, as numbers are.
const COLUMNS: [(&str, bool); 10] = [
    ("NAMESPACE", false),
    ("SERVICE", false),
    ("PREFER", false),
    ("POLICY", false),
    ("STATE", false),
    ("REASON", false),
    ("ENDPOINTS", true),
    ("IN-ZONE", true),
    ("MAX-LOAD", true),
    ("CHANGES", false),
];

/// The column of the state.
const STATE: usize = 4;

/// The cell of a column that does not apply.
const NOTHING: &str = "-";

type Cells = [String; COLUMNS.len()];

/// The table, in colour or not. `wide` adds a line for each zone.
pub(super) fn render(services: &[Row<'_>], wide: bool, in_colour: bool) -> String {
    let head = COLUMNS.map(|(name, _)| name.to_owned());
    let mut rows = vec![(head, Style::new())];
    for row in services {
        rows.push((cells(row), colour(row.decision.state)));
        let zones = row.share.iter().flat_map(|share| &share.zones).filter(|_| wide);
        rows.extend(zones.map(|zone| (zone_cells(row, zone), Style::new())));
    }
    let mut widths = [0; COLUMNS.len()];
    for (row, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().map(|(row, style)| line(row, &widths, in_colour.then_some(*style))).collect()
}

/// One line, with the state in this colour.
fn line(cells: &Cells, widths: &[usize; COLUMNS.len()], colour: Option<Style>) -> String {
    let mut text = String::new();
    for (at, ((cell, width), (_, right))) in cells.iter().zip(widths).zip(COLUMNS).enumerate() {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        let style = colour.filter(|_| at == STATE).unwrap_or_default();
        let cell = format!("{style}{cell}{style:#}");
        let [first, second] = if right { [&padding, &cell] } else { [&cell, &padding] };
        text.extend([first, second, "  "]);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn colour(state: State) -> Style {
    match state {
        State::Applied => AnsiColor::Green.on_default(),
        State::Ineffective => AnsiColor::Yellow.on_default(),
        State::None => Style::new().dimmed(),
    }
}

fn cells(row: &Row<'_>) -> Cells {
    let decision = &row.decision;
    // The most important reason; there is no room for more.
    let reason = decision.reasons.first().map(ToString::to_string);
    let share = |show: fn(&Share) -> String| row.share.as_ref().map(show);
    let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
    [
        row.service.key.namespace.to_string(),
        row.service.key.name.to_string(),
        or_nothing(row.prefer().map(str::to_owned)),
        NOTHING.to_owned(),
        decision.state.to_string(),
        or_nothing(reason),
        or_nothing(row.plan.as_ref().map(|_| row.ready.to_string())),
        or_nothing(share(|share| percent(share.in_zone))),
        or_nothing(share(|share| format!("+{}", percent(share.overload)))),
        or_nothing(changes(row)),
    ]
}

/// The line of one zone, in the columns of its Service.
fn zone_cells(row: &Row<'_>, zone: &ZoneShare) -> Cells {
    let mut cells = Cells::default();
    cells[1] = format!("  {}", zone.zone);
    cells[STATE] = zone.rung.to_string();
    cells[5] = row.decision.reason_in(zone).to_string();
    cells[6] = zone.endpoints.to_string();
    cells[7] = percent(zone.in_zone);
    cells
}

/// How many slices would be created, updated and deleted: `+1 ~2 -1`.
fn changes(row: &Row<'_>) -> Option<String> {
    let counts = ["+", "~", "-"].into_iter().zip(row.writes());
    let written = counts.filter(|(_, count)| *count > 0);
    let parts: Vec<_> = written.map(|(sign, count)| format!("{sign}{count}")).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}
