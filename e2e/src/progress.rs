//! What a long step shows on standard error: one line that is rewritten on a terminal, a line
//! every 15 seconds elsewhere.
//!
//! It is written to the stream itself and not by `eprintln!`, which the test runner holds back
//! until a test has failed: a first run would look dead for minutes.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often the line is rewritten on a terminal.
const TERMINAL: Duration = Duration::from_secs(1);
/// How often a line is printed elsewhere, such as into a log of CI.
const LOG: Duration = Duration::from_secs(15);

/// A step that is shown while it lasts.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    terminal: bool,
    started: Instant,
    quiet: Duration,
    shown: Option<Instant>,
}

impl Progress {
    /// Starts to show `what`; the first line comes with the first [`Self::tick`] after `quiet`.
    pub(crate) fn after(quiet: Duration, what: String) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { what, terminal, started: Instant::now(), quiet, shown: None }
    }

    /// Starts to show `what` at once.
    pub(crate) fn new(what: String) -> Self {
        let mut progress = Self::after(Duration::ZERO, what);
        progress.tick();
        progress
    }

    /// Shows the seconds that have passed, if it is time to.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        let every = if self.terminal { TERMINAL } else { LOG };
        if now - self.started < self.quiet || self.shown.is_some_and(|shown| now - shown < every) {
            return;
        }
        self.shown = Some(now);
        self.show("");
    }

    /// Shows that the step is over, if it was shown at all.
    pub(crate) fn done(mut self) {
        if self.shown.take().is_some() {
            self.show("done");
            if self.terminal {
                write("\n");
            }
        }
    }

    fn show(&self, state: &str) {
        let seconds = self.started.elapsed().as_secs();
        let line = format!("e2e: {}  {seconds} s {state}", self.what);
        if self.terminal {
            // Back to the first column, and what a longer line left is erased.
            write(&format!("\r{}\x1b[K", line.trim_end()));
        } else {
            say(line.trim_end());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A step that failed: what follows starts on a line of its own.
        if self.shown.is_some() && self.terminal {
            write("\n");
        }
    }
}

/// Shows one line.
pub(crate) fn say(line: &str) {
    write(&format!("{line}\n"));
}

fn write(text: &str) {
    // Whoever has closed the stream does not want to see it.
    let _ = io::stderr().write_all(text.as_bytes());
}
