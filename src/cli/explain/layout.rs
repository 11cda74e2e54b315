//! Layout: tables and sentences for people. Nothing is wider than 100 columns.

use crate::plain::plain;

/// The most columns of a line.
pub(super) const WIDTH: usize = 100;

/// A table with a header; the columns of `numbers` are aligned to the right.
pub(super) fn table(
    head: &[&str],
    numbers: &[usize],
    rows: &[Vec<String>],
    lines: &mut Vec<String>,
) {
    let head: Vec<String> = head.iter().map(|text| (*text).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |at: usize| all().map(|row| plain(&row[at]).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in all() {
        let cell = |(at, text): (usize, &String)| {
            let (text, width) = (plain(text), widths[at]);
            if numbers.contains(&at) {
                format!("{text:>width$}")
            } else {
                format!("{text:<width$}")
            }
        };
        let cells: Vec<_> = row.iter().enumerate().map(cell).collect();
        lines.push(format!("  {}", cells.join("  ")));
    }
}

/// A text in lines that are not too wide, if its words are not.
pub(super) fn wrapped(text: &str, first: &str, next: &str) -> Vec<String> {
    let mut lines = vec![first.to_owned()];
    let mut words = 0;
    // A number stays with its sign.
    let text = text.replace(" %", "\u{a0}%");
    for word in text.split(' ') {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if words > 0 && line + 1 + word.chars().count() > WIDTH {
            lines.push(next.to_owned());
            words = 0;
        }
        if let Some(line) = lines.last_mut() {
            if words > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
        words += 1;
    }
    lines.into_iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// A part in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// How far above the even share, or below it.
pub(super) fn signed(overload: f64) -> String {
    let percent = (overload * 100.0).round();
    let percent = if percent == 0.0 { 0.0 } else { percent };
    format!("{percent:+.0} %")
}
