//! The resulting slices, as a `List`.

use std::fmt::Write as _;

use granit_parser::{Event, Parser};
use serde::Serialize;

use super::PlanError;
use crate::{
    api::render::SliceDocument, model::slice::Slice, plain::is_plain, plan::Family,
    report::row::Row,
};

/// A `v1` `List`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<SliceDocument>,
}

/// The list as YAML.
pub(super) fn yaml(rows: &[Row<'_>]) -> Result<String, PlanError> {
    // Long strings stay on one line, as in kubectl.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(&list(rows), options);
    let text = text.map_err(|error| PlanError::Render(error.to_string()))?;
    escaped(&text).map_err(PlanError::Render)
}

/// YAML with escapes for what a terminal would not show as it is. They mean the same in double
/// quotes, so each scalar that has such a character gets these.
fn escaped(yaml: &str) -> Result<String, String> {
    if yaml.chars().all(is_shown) {
        return Ok(yaml.to_owned());
    }
    let mut escaped = String::with_capacity(yaml.len());
    let mut done = 0;
    for event in Parser::new_from_str(yaml) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let Event::Scalar(value, ..) = event else { continue };
        let (start, end) = (span.start.byte_offset(), span.end.byte_offset());
        let scalar = start.zip(end).and_then(|(start, end)| Some((start, yaml.get(start..end)?)));
        let Some((start, scalar)) = scalar.filter(|(_, scalar)| !scalar.chars().all(is_shown))
        else {
            continue;
        };
        escaped.push_str(yaml.get(done..start).unwrap_or_default());
        quote(&value, &mut escaped);
        done = start + scalar.trim_end_matches([' ', '\n']).len();
    }
    escaped.push_str(yaml.get(done..).unwrap_or_default());
    Ok(escaped)
}

fn is_shown(char: char) -> bool {
    is_plain(char) || char == '\n'
}

/// A scalar in double quotes.
pub(super) fn quote(value: &str, to: &mut String) {
    to.push('"');
    for char in value.chars() {
        // Writing to a String cannot fail.
        let _ = match (char, u32::from(char)) {
            ('"' | '\\', _) => write!(to, "\\{char}"),
            _ if is_plain(char) => to.write_char(char),
            (_, code @ 0..=0xffff) => write!(to, "\\u{code:04X}"),
            (_, code) => write!(to, "\\U{code:08X}"),
        };
    }
    to.push('"');
}

/// The list as JSON.
pub(super) fn json(rows: &[Row<'_>]) -> Result<String, PlanError> {
    let text = serde_json::to_string_pretty(&list(rows));
    Ok(text.map_err(|error| PlanError::Render(error.to_string()))? + "\n")
}

/// The slices of all Services that are planned. Those of one Service are sorted by address type.
/// Then come those with a name, sorted by name, and then new ones, sorted by ports.
fn list(rows: &[Row<'_>]) -> List {
    let items = rows.iter().flat_map(|row| {
        let families = row.plan.iter().flat_map(|plan| &plan.families);
        let mut slices: Vec<&Slice> = families.flat_map(Family::after).collect();
        slices.sort_by_key(|slice| {
            let name = &slice.meta.name;
            (slice.address_type, name.is_none(), name, &slice.ports)
        });
        slices
    });
    List { api_version: "v1", kind: "List", items: items.map(SliceDocument::from).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_hide_is_escaped_in_yaml() {
        for (yaml, expected) in [
            ("a: b\n", "a: b\n"),
            ("a: b\u{202e}c\nd: e\n", "a: \"b\\u202Ec\"\nd: e\n"),
            ("- a: 'it''s \u{2066}\"\"\\'\n", "- a: \"it's \\u2066\\\"\\\"\\\\\"\n"),
            ("\u{200b}a: \"\\n\u{202e}\\e\"\n", "\"\\u200Ba\": \"\\u000A\\u202E\\u001B\"\n"),
            ("- \u{e0001}\n- x\n", "- \"\\U000E0001\"\n- x\n"),
            ("ü: [a\u{ad}, b]\n", "ü: [\"a\\u00AD\", b]\n"),
        ] {
            assert_eq!(escaped(yaml).as_deref(), Ok(expected));
            let read = |yaml: &str| serde_saphyr::from_str::<serde_json::Value>(yaml).unwrap();
            assert_eq!(read(yaml), read(expected));
        }
    }
}
