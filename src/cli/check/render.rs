//! Render: the results, for people and as JSON.

use serde::Serialize;

use super::line::{Line, Outcome, count};
use crate::{cli::look::wrapped, plain::plain};

const INDENT: &str = "    ";

/// All lines by category, and a summary. Only links are longer than so many columns.
pub(super) fn text(lines: &[Line], is_coloured: bool, columns: usize) -> String {
    let mut text = String::new();
    let mut category = None;
    for line in lines {
        let next = line.item.category();
        if category.replace(next) != Some(next) {
            let name = next.as_str();
            let gap = if text.is_empty() { "" } else { "\n" };
            for part in [gap, name, "\n", &"-".repeat(name.len()), "\n"] {
                text.push_str(part);
            }
        }
        render(line, is_coloured, columns, &mut text);
    }
    text + "\n" + &summary(lines) + "\n"
}

fn render(line: &Line, is_coloured: bool, columns: usize, text: &mut String) {
    let (mark, name, detail) = (mark(line.outcome), line.item.name(), plain(&line.detail));
    let mut lines = if line.outcome == Outcome::Ok {
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        wrapped(&format!("{name}{detail}"), "ok      ", INDENT, columns)
    } else {
        let head = format!("{:<7} {name}", line.outcome.as_str());
        let detail = wrapped(&detail, INDENT, INDENT, columns);
        let address = format!("{INDENT}{}", line.item.link());
        std::iter::once(head).chain(detail).chain([address]).collect()
    };
    // The mark is narrower than the word for which it stands.
    if is_coloured && let Some(first) = lines.first_mut() {
        *first = format!("{mark} {}", first.get(8..).unwrap_or_default());
    }
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
}

/// What stands for the outcome where there is colour.
fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "\u{1b}[32m√\u{1b}[0m",
        Outcome::Warning => "\u{1b}[33m‼\u{1b}[0m",
        Outcome::Error => "\u{1b}[31m×\u{1b}[0m",
    }
}

/// How many checks ended how.
pub(super) fn summary(lines: &[Line]) -> String {
    let of = |outcome| lines.iter().filter(|line| line.outcome == outcome).count();
    let (errors, warnings) = (of(Outcome::Error), of(Outcome::Warning));
    format!("{}, {}, {} ok", count(errors, "error"), count(warnings, "warning"), of(Outcome::Ok))
}

/// The results as they are printed with `-o json`.
#[derive(Serialize)]
struct Results<'a> {
    version: u32,
    checks: Vec<Entry<'a>>,
    ok: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    category: &'a str,
    name: &'a str,
    result: &'a str,
    detail: String,
    link: String,
}

/// The same as one JSON object.
///
/// # Errors
/// It cannot be encoded.
pub(super) fn json(lines: &[Line]) -> serde_json::Result<String> {
    let entry = |line: &Line| Entry {
        category: line.item.category().as_str(),
        name: line.item.name(),
        result: line.outcome.as_str(),
        detail: plain(&line.detail),
        link: line.item.link(),
    };
    let ok = lines.iter().all(|line| line.outcome != Outcome::Error);
    let results = Results { version: 1, checks: lines.iter().map(entry).collect(), ok };
    Ok(serde_json::to_string_pretty(&results)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::{
        item::Item,
        line::{error, ok, warning},
    };

    fn lines() -> Vec<Line> {
        vec![
            Line::new(Item::ApiServer, ok("https://192.0.2.10:6443/")),
            Line::new(
                Item::Zones,
                warning(
                    "1 of 3 nodes without the label topology.kubernetes.io/zone: w-3; one ready endpoint there turns off the hints",
                ),
            ),
            Line::new(Item::BuiltInOff, error("on\u{1b}[2J at cp-2")),
            Line::new(Item::KubeadmJoin, ok("")),
        ]
    }

    #[test]
    fn words_without_colour() {
        let expected = r"kubernetes
----------
ok      API server answers: https://192.0.2.10:6443/
warning nodes have zones
    1 of 3 nodes without the label topology.kubernetes.io/zone: w-3; one ready endpoint there turns
    off the hints
    https://github.com/closehaul/closehaul/blob/main/docs/check.md#nodes-have-zones

control-plane
-------------
error   built-in controller is off
    on\u{1b}[2J at cp-2
    https://github.com/closehaul/closehaul/blob/main/docs/check.md#built-in-controller-is-off
ok      kubeadm join still works

1 error, 1 warning, 2 ok
";
        assert_eq!(text(&lines(), false, 100), expected);
    }

    #[test]
    fn marks_with_colour() {
        let text = text(&lines(), true, 100);
        let marks: Vec<_> = text.lines().filter(|line| line.starts_with('\u{1b}')).collect();
        assert_eq!(marks.len(), 4);
        assert_eq!(marks[0], "\u{1b}[32m√\u{1b}[0m API server answers: https://192.0.2.10:6443/");
        assert!(marks[1].contains('‼') && marks[2].contains('×'));
    }

    #[test]
    fn nothing_but_links_is_wider_than_there_is_room() {
        let words = "lots ".repeat(60);
        let long =
            [Line::new(Item::Zones, error(words.clone())), Line::new(Item::Nodes, ok(words))];
        for columns in [60, 80, 100, 160] {
            let text = text(&long, false, columns);
            for line in text.lines().filter(|line| !line.contains("https://")) {
                assert!(line.chars().count() <= columns, "{line}");
            }
        }
    }

    #[test]
    fn the_object_is_as_documented() {
        let json: serde_json::Value = serde_json::from_str(&json(&lines()).unwrap()).unwrap();
        assert_eq!((&json["version"], &json["ok"]), (&1.into(), &false.into()));
        let check = json["checks"][2].as_object().unwrap();
        assert_eq!(
            check.keys().collect::<Vec<_>>(),
            ["category", "detail", "link", "name", "result"]
        );
        assert_eq!(check["result"], "error");
        assert_eq!(check["detail"], "on\\u{1b}[2J at cp-2");
        assert_eq!(
            check["link"],
            "https://github.com/closehaul/closehaul/blob/main/docs/check.md#built-in-controller-is-off"
        );
    }
}
