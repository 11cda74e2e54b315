//! Plain: text that others have written, made fit to be shown. The API server and its webhooks
//! choose the words of their answers, and whoever creates an object chooses its names. In a terminal
//! or a log, control characters could hide or forge lines, bidirectional ones could reorder them,
//! and megabytes could bury the others.

use std::fmt::Write as _;

/// The most bytes of a text that are shown.
const LONGEST: usize = 4096;

/// The text on one line: what is not shown as it is, is escaped, and what is too long is cut.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(LONGEST));
    for char in start(text).chars() {
        if is_plain(char) {
            plain.push(char);
        } else {
            plain.extend(char.escape_default());
        }
    }
    cut(text, plain)
}

/// The text with its lines and characters, cut if it is too long.
pub fn shortened(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let start = start(&text).to_owned();
    cut(&text, start)
}

fn cut(text: &str, mut shown: String) -> String {
    let rest = text.len() - start(text).len();
    if rest > 0 {
        // Writing to a String cannot fail.
        let _ = write!(shown, "… ({rest} bytes more)");
    }
    shown
}

fn start(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// Whether a character is shown as it is: no control character, and none that is invisible or
/// changes the order of others.
pub fn is_plain(char: char) -> bool {
    let is_hidden = matches!(
        char,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !char.is_control() && !is_hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hide_or_forge_a_line_is_escaped() {
        for (text, expected) in [
            ("plain: Grüße, 東京, 🦀", "plain: Grüße, 東京, 🦀"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("a\u{202e}b\u{2066}c\u{200b}", "a\\u{202e}b\\u{2066}c\\u{200b}"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = "ü".repeat(LONGEST);
        for shown in [plain(&long), shortened(long.clone())] {
            let (start, rest) = shown.split_at(LONGEST);
            assert!(long.starts_with(start), "{start}");
            assert_eq!(rest, "… (4096 bytes more)");
        }
        let short = "ü".repeat(LONGEST / 2);
        assert_eq!((plain(&short), shortened(short.clone())), (short.clone(), short));
    }
}
