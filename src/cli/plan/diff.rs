//! Diff: what the writes change, as `kubectl diff` shows it.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use serde_json::Value;
use similar::TextDiff;

use super::{PlanError, changes::in_order, kubectl};
use crate::{api::render::SliceDocument, model::slice::Slice, plain::plain, report::row::Row};

/// What stands for a slice that does not exist before, or after.
const NOTHING: &str = "/dev/null";

/// What the API server sets by itself with each write.
const SET_BY_THE_SERVER: [&str; 3] = ["managedFields", "resourceVersion", "generation"];

/// A unified diff for each slice that would be written, in the order in which they would be sent.
pub(super) fn render(rows: &[Row<'_>], in_colour: bool) -> Result<String, PlanError> {
    let mut text = String::new();
    for (_, changes) in in_order(rows) {
        let creates = changes.creates.iter().map(|slice| (None, Some(slice)));
        let updates = changes.replaced.iter().zip(&changes.updates);
        let updates = updates.map(|(before, after)| (Some(before), Some(after)));
        let deletes = changes.deletes.iter().map(|slice| (Some(slice), None));
        for (before, after) in creates.chain(updates).chain(deletes) {
            add(before, after, in_colour, &mut text)?;
        }
    }
    Ok(text)
}

/// Adds the diff of one slice.
fn add(
    before: Option<&Slice>,
    after: Option<&Slice>,
    in_colour: bool,
    to: &mut String,
) -> Result<(), PlanError> {
    let [old, new] = [document(before)?, document(after)?];
    let [from, into] = [title("LIVE", before), title("PLAN", after)];
    let diff = TextDiff::from_lines(&old, &new);
    let diff = diff.unified_diff().context_radius(3).header(&from, &into).to_string();
    for line in diff.lines() {
        let style = if in_colour { style(line) } else { Style::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(to, "{style}{line}{style:#}");
    }
    Ok(())
}

/// What a slice is called; a new one has only the beginning of a name.
fn title(side: &str, slice: Option<&Slice>) -> String {
    let Some(Slice { meta, .. }) = slice else { return NOTHING.to_owned() };
    let name = meta.name.as_ref().or(meta.generate_name.as_ref());
    let name = name.map(|name| plain(name)).unwrap_or_default();
    format!("{side}/discovery.k8s.io.v1.EndpointSlice.{}.{name}", plain(&meta.namespace))
}

/// A slice as kubectl prints it.
fn document(slice: Option<&Slice>) -> Result<String, PlanError> {
    let Some(slice) = slice else { return Ok(String::new()) };
    let document = serde_json::to_value(SliceDocument::from(slice));
    let mut document = document.map_err(|error| PlanError::Render(error.to_string()))?;
    if let Some(Value::Object(metadata)) = document.get_mut("metadata") {
        metadata.retain(|key, _| !SET_BY_THE_SERVER.contains(&&**key));
    }
    Ok(kubectl::yaml(&document))
}

fn style(line: &str) -> Style {
    match line.as_bytes().first() {
        _ if line.starts_with("--- ") || line.starts_with("+++ ") => Style::new().bold(),
        Some(b'-') => AnsiColor::Red.on_default(),
        Some(b'+') => AnsiColor::Green.on_default(),
        Some(b'@') => AnsiColor::Cyan.on_default(),
        _ => Style::new(),
    }
}
