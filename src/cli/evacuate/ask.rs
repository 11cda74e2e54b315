//! Ask: a question to which only a person at a terminal can say yes.

use std::io::{self, BufRead, Write};

/// Asks on `output`, and reads the answer from `input`. No answer is no.
///
/// # Errors
/// The question cannot be printed, or the answer cannot be read.
pub(super) fn ask(
    question: &str,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<bool> {
    write!(output, "{question} [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, expected) in [
            ("y\n", true),
            ("Yes\r\n", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yy\n", false),
        ] {
            let mut shown = Vec::new();
            let said = ask("Evacuate zone-a?", &mut answer.as_bytes(), &mut shown).unwrap();
            assert_eq!(said, expected, "{answer:?}");
            assert_eq!(shown, b"Evacuate zone-a? [y/N] ");
        }
    }
}
