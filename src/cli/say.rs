//! Say: lines for people on standard error. Nothing that happens there may end a command: it may be
//! closed, full, or a pipe that nothing reads.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Prints a line on standard error, or loses it. `eprintln!` would panic.
pub fn say(line: impl Display) {
    let line = format!("{line}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
