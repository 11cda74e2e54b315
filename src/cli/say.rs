//! Say: lines for people on standard error. A failure to print them must not end a command:
//! standard error may be closed, full, or a pipe without a reader.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Prints a line on standard error, or drops it on failure. `eprintln!` would panic.
pub fn say(line: impl Display) {
    let line = format!("{line}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
