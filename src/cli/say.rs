//! Say: lines for people on standard error. A failure to print them must not end a command:
//! standard error may be closed, full, or a pipe without a reader.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use crate::plain::is_plain;

/// Prints a line on standard error, or drops it on failure. `eprintln!` would panic. Characters that
/// could hide or forge something are escaped.
pub fn say(line: impl Display) {
    say_before("", line);
}

/// The same behind a `head`, which is printed as it is.
pub(super) fn say_before(head: &str, line: impl Display) {
    let line = format!("{head}{}\n", shown(&line.to_string()));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_plain(char) || matches!(char, '\n' | '\t') {
            shown.push(char);
        } else {
            shown.extend(char.escape_default());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_and_what_hides_them_is_escaped() {
        assert_eq!(shown("a:\n\tb\u{1b}[1A\u{202e}"), "a:\n\tb\\u{1b}[1A\\u{202e}");
    }
}
