//! One row for each Service.

use std::borrow::Cow;

use clap::builder::styling::{AnsiColor, Style};

use crate::{
    assess::{reason::State, share::ZoneShare},
    cli::look::{End, cut, fit, width, wrapped},
    plain::plain,
    report::{
        hindrance::{listed, port_name},
        row::{Ports, Row},
    },
};

/// A column: its name, and what its cells are.
struct Column(&'static str, Cell);

/// What cells are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// A name, which is cut where there is no room for it.
    Name,
    /// A word or a count, which is always shown as it is.
    Word,
    /// A number, which is aligned to the right, and always shown as it is.
    Number,
}

const COLUMNS: [Column; 10] = [
    Column("NAMESPACE", Cell::Name),
    Column("SERVICE", Cell::Name),
    Column("PREFER", Cell::Name),
    Column("POLICY", Cell::Name),
    Column("STATE", Cell::Word),
    Column("REASON", Cell::Name),
    Column("ENDPOINTS", Cell::Number),
    Column("IN-ZONE", Cell::Number),
    Column("MAX-LOAD", Cell::Number),
    Column("CHANGES", Cell::Word),
];

/// How wide the name of a column stays where there is no room.
const HEAD: usize = 5;
/// How wide names stay as long as the names of other columns can be cut instead, and at least.
const NAME: usize = 12;
const SHORT_NAME: usize = 4;

/// The column of the policy, of whose text the end says most.
const POLICY: usize = 3;

/// How many columns of the terminal are between two of the table, and at least.
const GAP: usize = 2;
const NARROW_GAP: usize = 1;

/// The column of the state.
const STATE: usize = 4;

/// The cell of a column that does not apply.
const NOTHING: &str = "-";

type Cells = [String; COLUMNS.len()];

/// A line of the table.
enum Line {
    /// Cells, with the colour of the state.
    Cells(Box<Cells>, Style),
    /// Text that is in no column.
    Text(String),
}

/// The table, in colour or not, with lines of at most so many columns if that is possible. `wide` adds
/// lines for ports, zones and what hinders locality.
pub(super) fn render(services: &[Row<'_>], wide: bool, in_colour: bool, columns: usize) -> String {
    let head = COLUMNS.map(|Column(name, _)| name.to_owned());
    let mut lines = vec![Line::Cells(head.into(), Style::new())];
    for row in services {
        lines.push(Line::Cells(cells(row).into(), colour(row.decision.state)));
        if wide {
            add_details(row, &mut lines);
        }
    }
    let (mut widths, mut heads) = ([0; COLUMNS.len()], true);
    let mut contents = widths;
    for line in &mut lines {
        let Line::Cells(cells, _) = line else { continue };
        for (at, cell) in cells.iter_mut().enumerate() {
            // The client that creates an object chooses its names and labels.
            *cell = plain(cell);
            widths[at] = width(cell).max(widths[at]);
            contents[at] = if heads { HEAD } else { width(cell).max(contents[at]) };
        }
        heads = false;
    }
    let gap = fitted(&mut widths, &contents, columns);
    let text = |line: &Line| match line {
        Line::Cells(cells, style) => self::line(cells, &widths, gap, in_colour.then_some(*style)),
        Line::Text(text) => {
            let lines = wrapped(text, "  ", "    ", columns);
            lines.into_iter().map(|line| line + "\n").collect()
        }
    };
    lines.iter().map(text).collect()
}

/// Fits the table into so many columns of the terminal. `contents` are the widths without the names of
/// the columns. Returns how many columns are between two of the table.
fn fitted(
    widths: &mut [usize; COLUMNS.len()],
    contents: &[usize; COLUMNS.len()],
    columns: usize,
) -> usize {
    let gaps = COLUMNS.len() - 1;
    if widths.iter().sum::<usize>() + gaps * GAP <= columns {
        return GAP;
    }
    let room = columns.saturating_sub(gaps * NARROW_GAP);
    let natural = *widths;
    for (name, others) in [(NAME, &natural), (NAME, contents), (SHORT_NAME, contents)] {
        let mut floors = *others;
        for (floor, Column(_, cell)) in floors.iter_mut().zip(COLUMNS) {
            if cell == Cell::Name {
                *floor = name;
            }
        }
        fit(widths, &floors, room);
    }
    NARROW_GAP
}

/// The lines for ports, if they lead to different endpoints, for zones, and for what hinders
/// locality.
fn add_details(row: &Row<'_>, lines: &mut Vec<Line>) {
    let is_one = row.ports.len() == 1;
    for ports in &row.ports {
        if !is_one {
            lines.push(Line::Cells(port_cells(row, ports).into(), colour(ports.verdict.state)));
        }
        let indent = if is_one { "  " } else { "    " };
        let zones = ports.share.iter().flat_map(|share| &share.zones);
        let cells = zones.map(|zone| zone_cells(ports, zone, indent));
        lines.extend(cells.map(|cells| Line::Cells(cells.into(), Style::new())));
    }
    let texts = row.hindrances.iter().map(|it| format!("{}: {}", it.reason, plain(&it.detail)));
    lines.extend(texts.map(Line::Text));
}

/// One line, with the state in this colour.
fn line(
    cells: &Cells,
    widths: &[usize; COLUMNS.len()],
    gap: usize,
    colour: Option<Style>,
) -> String {
    let mut text = String::new();
    for (at, (cell, column)) in cells.iter().zip(widths).enumerate() {
        let end = if at == POLICY && cell.contains('/') { End::First } else { End::Last };
        let cell = cut(cell, *column, end);
        let padding = " ".repeat(column.saturating_sub(width(&cell)));
        let style = colour.filter(|_| at == STATE).unwrap_or_default();
        let cell = format!("{style}{cell}{style:#}");
        let Column(_, kind) = COLUMNS[at];
        let [first, second] =
            if kind == Cell::Number { [&padding, &cell] } else { [&cell, &padding] };
        text.extend([&**first, second, &" ".repeat(gap)]);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn colour(state: State) -> Style {
    match state {
        State::Applied => AnsiColor::Green.on_default(),
        State::Shadow => AnsiColor::Cyan.on_default(),
        State::Ineffective | State::Empty | State::Partial => AnsiColor::Yellow.on_default(),
        State::None => Style::new().dimmed(),
    }
}

fn cells(row: &Row<'_>) -> Cells {
    let decision = &row.decision;
    // The most important reason; there is no room for more.
    let reason = decision.reasons.first().map(ToString::to_string);
    let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
    [
        row.service.key.namespace.to_string(),
        row.service.key.name.to_string(),
        or_nothing(row.prefer().map(Cow::into_owned)),
        or_nothing(row.policy()),
        decision.state.to_string(),
        or_nothing(reason),
        or_nothing(row.plan.as_ref().map(|_| row.ready.to_string())),
        or_nothing(row.in_zone().map(percent)),
        or_nothing(row.overload().map(above)),
        or_nothing(changes(row)),
    ]
}

/// The line of ports that lead to the same endpoints, in the columns of their Service.
fn port_cells(row: &Row<'_>, ports: &Ports) -> Cells {
    let named = ports.ports.iter().filter_map(|at| row.service.ports.get(*at));
    let mut cells = Cells::default();
    cells[1] = format!("  {} {}", listed(named.map(port_name)), ports.verdict.family);
    cells[STATE] = ports.verdict.state.to_string();
    cells[5] = ports.verdict.reasons.first().map(ToString::to_string).unwrap_or_default();
    if let Some(share) = &ports.share {
        cells[6] = share.endpoints.to_string();
        cells[7] = percent(share.in_zone);
        cells[8] = above(share.overload);
    }
    cells
}

/// The line of one zone, in the columns of its Service.
fn zone_cells(ports: &Ports, zone: &ZoneShare, indent: &str) -> Cells {
    let mut cells = Cells::default();
    cells[1] = format!("{indent}{}", zone.zone);
    cells[STATE] = zone.rung.to_string();
    cells[5] = ports.verdict.reason_in(&zone.zone).to_string();
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

/// How far above the even share.
fn above(overload: f64) -> String {
    format!("+{}", percent(overload))
}
