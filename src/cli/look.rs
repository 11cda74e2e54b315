//! Look: in which colours and how wide a command prints.

use std::io::{self, IsTerminal};

use clap::{Args, ColorChoice};
use terminal_size::{Height, Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns that there are where no terminal says how many.
const COLUMNS: usize = 100;

/// What stands for the rest of a text that has no room.
const CUT: &str = "…";

/// How a command prints.
#[derive(Args, Clone, Copy, Debug)]
pub struct Look {
    /// When to use colour: with auto on a terminal, unless `NO_COLOR` is set or `TERM` is dumb
    #[arg(
        long,
        global = true,
        value_enum,
        ignore_case = true,
        value_name = "WHEN",
        default_value_t = ColorChoice::Auto,
        env = "CLOSEHAUL_COLOR",
        hide_env = true
    )]
    color: ColorChoice,
}

impl Look {
    /// The look for a choice of colour.
    pub fn new(color: ColorChoice) -> Self {
        Self { color }
    }

    /// Whether to print in colour on this stream.
    pub fn is_coloured(self, stream: &impl IsTerminal) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => stream.is_terminal() && !is_unwanted() && !is_dumb(),
        }
    }
}

/// Whether the user has asked for no colour (no-color.org).
fn is_unwanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether the terminal shows escape sequences as they are.
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// How many columns standard output has. Where it is no terminal, that is what `$COLUMNS` says.
pub(super) fn columns() -> usize {
    let given = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    terminal(terminal_size_of(io::stdout())).or_else(given).unwrap_or(COLUMNS)
}

/// How many columns standard error has.
pub(super) fn columns_of_stderr() -> usize {
    terminal(terminal_size_of(io::stderr())).unwrap_or(COLUMNS)
}

fn terminal(size: Option<(Width, Height)>) -> Option<usize> {
    size.map(|(Width(columns), _)| columns.into()).filter(|columns| *columns > 0)
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The end of a text that is cut if there is no room for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// What comes first is kept.
    Last,
    /// What comes last is kept.
    First,
}

/// The text, or as much of it as fits into so many columns, with an ellipsis.
pub(super) fn cut(text: &str, columns: usize, end: End) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(CUT.width());
    let mut fits = |char: &char| {
        let left = room.checked_sub(char.width().unwrap_or(0));
        room = left.unwrap_or(0);
        left.is_some()
    };
    match end {
        End::Last => text.chars().take_while(&mut fits).chain(CUT.chars()).collect(),
        End::First => {
            let kept: Vec<char> = text.chars().rev().take_while(&mut fits).collect();
            CUT.chars().chain(kept.into_iter().rev()).collect()
        }
    }
}

/// The text in lines of at most so many columns, broken between words. The first line begins with
/// `first`, the others with `rest`. A word that is wider has a line of its own.
pub(super) fn wrapped(text: &str, first: &str, rest: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![first.to_owned()];
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { continue };
        let gap = usize::from(!is_empty);
        if is_empty || line.width() + gap + word.width() <= columns {
            line.push_str(&" "[..gap]);
            line.push_str(word);
        } else {
            lines.push(format!("{rest}{word}"));
        }
        is_empty = false;
    }
    lines
}

/// Makes columns narrower until they take `room` together. The widest of them gives way first, and
/// none below its floor, so what cannot be made to fit does not.
pub(super) fn fit(widths: &mut [usize], floors: &[usize], room: usize) {
    let mut taken: usize = widths.iter().sum();
    while taken > room {
        let free = widths.iter_mut().zip(floors).filter(|(width, floor)| **width > **floor);
        // The last one of several, since names come first.
        let Some((widest, _)) = free.max_by_key(|(width, _)| **width) else { return };
        *widest -= 1;
        taken -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_columns() {
        for (text, columns, end, expected) in [
            ("cart", 4, End::Last, "cart"),
            ("checkout", 4, End::Last, "che…"),
            ("LocalityPolicy/default", 10, End::First, "…y/default"),
            // Each of these takes two columns.
            ("猫猫猫", 6, End::Last, "猫猫猫"),
            ("猫猫猫", 5, End::Last, "猫猫…"),
            ("猫猫猫", 4, End::First, "…猫"),
            ("cart", 1, End::Last, "…"),
        ] {
            let found = cut(text, columns, end);
            assert_eq!(found, expected, "{text} {columns}");
            assert!(width(&found) <= columns, "{text} {columns}");
        }
    }

    #[test]
    fn texts_are_wrapped_between_words() {
        let text = "one two three four";
        assert_eq!(wrapped(text, "  ", "    ", 11), ["  one two", "    three", "    four"]);
        assert_eq!(wrapped(text, "", "", 100), [text]);
        assert_eq!(wrapped("elephants", "  ", "  ", 4), ["  elephants"]);
        assert_eq!(wrapped("", "  ", "", 4), ["  "]);
    }

    #[test]
    fn the_widest_column_gives_way() {
        let fitted = |room| {
            let mut widths = [9, 20, 6, 15];
            fit(&mut widths, &[4, 8, 6, 4], room);
            widths
        };
        assert_eq!(fitted(50), [9, 20, 6, 15]);
        assert_eq!(fitted(45), [9, 15, 6, 15]);
        assert_eq!(fitted(35), [9, 10, 6, 10]);
        assert_eq!(fitted(0), [4, 8, 6, 4], "no column is narrower than its floor");
    }
}
