//! What a long step shows on standard error: one line that is rewritten on a terminal, a line
//! every 5 seconds elsewhere.
//!
//! It is written to the stream directly. The test runner holds the output of `eprintln!` back until
//! a test has failed, so a first run would look dead for minutes.

use std::{
    fs::{File, TryLockError},
    io::{self, IsTerminal, Read as _, Write as _},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often the line is rewritten on a terminal.
const TERMINAL: Duration = Duration::from_secs(1);
/// How often a line is printed elsewhere, such as in a CI log.
const LOG: Duration = Duration::from_secs(5);

/// A step that is shown while it runs.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    terminal: bool,
    started: Instant,
    quiet: Duration,
    shown: Option<Instant>,
}

impl Progress {
    /// Starts to show `what`. The first line comes with the first [`Self::tick`] after `quiet`.
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

    /// Runs a command until it ends and shows the seconds. Returns how it ended and what it
    /// printed.
    pub(crate) fn run(&mut self, mut command: Command) -> io::Result<(ExitStatus, String)> {
        let (mut output, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // Closes this process's ends of the pipe. Otherwise, reading would never end.
        drop(command);
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = output.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            self.tick();
            thread::sleep(Duration::from_millis(100));
        };
        Ok((status, reader.join().unwrap_or_default()))
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
            // Returns to the first column and erases the rest of a longer line.
            write(&format!("\r{}\x1b[K", line.trim_end()));
        } else {
            say(line.trim_end());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // After a failed step, further output starts on a new line.
        if self.shown.is_some() && self.terminal {
            write("\n");
        }
    }
}

/// The exclusive lock on a file, which is created if necessary. It is held until the file is
/// dropped. What is waited for is shown, once that takes a while.
pub(crate) fn lock(path: &Path, waiting: &str) -> io::Result<File> {
    let file = File::create(path)?;
    let mut progress = Progress::after(Duration::from_secs(2), waiting.to_owned());
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => progress.tick(),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        thread::sleep(Duration::from_millis(200));
    }
    progress.done();
    Ok(file)
}

/// Shows one line.
pub(crate) fn say(line: &str) {
    write(&format!("{line}\n"));
}

fn write(text: &str) {
    // If the stream is closed, no user reads it.
    let _ = io::stderr().write_all(text.as_bytes());
}
