//! One row for each Service.

use clap::builder::styling::{AnsiColor, Style};

use super::report::Report;
use crate::plan::{
    Plan,
    decision::State,
    hints::{Mechanism, mechanism, traffic_distribution::Preference},
    share::Share,
};

/// The columns, and whether their cells stand at the right as numbers do.
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

/// Where the state stands.
const STATE: usize = 4;

/// What stands where a column does not apply.
const NOTHING: &str = "-";

type Cells = [String; COLUMNS.len()];

/// The table, in colour or not.
pub(super) fn render(reports: &[Report<'_>], in_colour: bool) -> String {
    let head = COLUMNS.map(|(name, _)| name.to_owned());
    let rows: Vec<Cells> = reports.iter().map(cells).collect();
    let mut widths = [0; COLUMNS.len()];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = line(&head, &widths, None);
    for (row, report) in rows.iter().zip(reports) {
        let colour = in_colour.then(|| colour(report.decision.state));
        text += &line(row, &widths, colour);
    }
    text
}

/// One line; the state in this colour.
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

fn cells(report: &Report<'_>) -> Cells {
    let decision = &report.decision;
    // The weightiest reason; there is no room for more.
    let reason = decision.reasons.first().map(ToString::to_string);
    let share = |show: fn(&Share) -> String| report.share.as_ref().map(show);
    let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
    [
        report.service.key.namespace.to_string(),
        report.service.key.name.to_string(),
        prefer(report).to_owned(),
        NOTHING.to_owned(),
        decision.state.to_string(),
        or_nothing(reason),
        or_nothing(report.plan.as_ref().map(|_| report.ready.to_string())),
        or_nothing(share(|share| format!("{:.0}%", share.in_zone * 100.0))),
        or_nothing(share(|share| format!("+{:.0}%", share.overload * 100.0))),
        or_nothing(report.plan.as_ref().and_then(changes)),
    ]
}

/// What the Service prefers.
fn prefer(report: &Report<'_>) -> &'static str {
    match mechanism(report.service) {
        Mechanism::Auto => "Auto",
        Mechanism::TrafficDistribution(Preference::Node) => "Node",
        Mechanism::TrafficDistribution(Preference::Zone) => "Zone",
        Mechanism::Off => NOTHING,
    }
}

/// How many slices would be created, updated and deleted: `+1 ~2 -1`.
fn changes(plan: &Plan<'_>) -> Option<String> {
    let all = || plan.families.iter().map(|family| &family.changes);
    let counts = [
        ("+", all().map(|changes| changes.creates.len()).sum::<usize>()),
        ("~", all().map(|changes| changes.updates.len()).sum()),
        ("-", all().map(|changes| changes.deletes.len()).sum()),
    ];
    let written = counts.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<_> = written.map(|(sign, count)| format!("{sign}{count}")).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
