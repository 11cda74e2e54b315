//! The output of the walkthrough and similar commands. No line is wider than 100 columns. Colour is
//! used only on a terminal.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
};

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    colour: bool,
}

/// A rendering of the terminal.
#[derive(Debug, Clone, Copy)]
enum Paint {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
}

/// Prints a line as it is.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

impl Console {
    pub(crate) fn new() -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour }
    }

    /// The beginning of a step.
    pub(crate) fn heading(self, text: impl Display) {
        line(format_args!("\n{}", self.paint(Paint::Bold, text)));
    }

    /// A command, before it runs.
    pub(crate) fn command(self, command: &str) {
        line(self.paint(Paint::Bold, format_args!("$ {command}")));
    }

    /// What the walkthrough itself does or waits for.
    pub(crate) fn note(self, text: impl Display) {
        line(self.paint(Paint::Dim, format_args!("  {text}")));
    }

    /// `ok`, or `FAILED` and why.
    pub(crate) fn verdict(self, text: &str, problems: &[String]) {
        if problems.is_empty() {
            line(format_args!("  {}  {text}", self.paint(Paint::Green, "ok")));
        }
        for problem in problems {
            line(format_args!("  {} {problem}", self.paint(Paint::Red, "FAILED:")));
        }
    }

    fn paint(self, paint: Paint, text: impl Display) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", paint as u8) } else { text.to_string() }
    }
}

/// Prints rows below a header, columns aligned: text to the left, numbers to the right.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    for text in aligned(header, rows) {
        line(format_args!("  {text}"));
    }
}

fn aligned<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let number =
        |cell: &str| cell.bytes().all(|byte| byte.is_ascii_digit() || b"+-. %".contains(&byte));
    let columns: [(usize, bool); N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].as_str());
        let width = cells.clone().chain([header[column]]).map(str::len).max().unwrap_or(0);
        (width, rows.iter().all(|row| number(&row[column])))
    });
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(columns).map(|(cell, (width, right))| {
            if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    [line(header)].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_aligned_to_the_left_and_numbers_to_the_right() {
        let rows = [["a@n".into(), "7".into()], ["echo@node".into(), "40".into()]];
        let lines = aligned(["ANSWERED BY", "COUNT"], &rows);
        assert_eq!(lines, ["ANSWERED BY  COUNT", "a@n              7", "echo@node       40"]);
        let rows = [["+133.3 %".into(), "zone-a".into()], ["-7.0 %".into(), "b".into()]];
        let lines = aligned(["LOAD", "ZONE"], &rows);
        assert_eq!(lines, ["    LOAD  ZONE", "+133.3 %  zone-a", "  -7.0 %  b"]);
    }
}
