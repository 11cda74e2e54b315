//! Runs `cargo run` and is never silent for long. `cargo walkthrough` and the other aliases in
//! `.cargo/config.toml` use it.
//!
//! If its output is not a terminal, cargo prints a line when it starts to compile a crate, and
//! nothing while the crate compiles. The last crates take a minute each on a busy machine, during
//! which a first run looks dead. This package has no dependencies and builds in a second. It runs
//! the build, prints every few seconds how long it has taken, and then becomes the command.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitCode, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// How often a line is printed.
const EVERY: Duration = Duration::from_secs(5);

/// The arguments are those of `cargo run`.
fn main() -> ExitCode {
    let arguments = env::args_os().skip(1).collect::<Vec<_>>();
    let error = match build(&arguments) {
        // It returns only if it fails.
        Ok(status) if status.success() => cargo().args(["run", "--quiet"]).args(&arguments).exec(),
        Ok(status) => return exit_code(status),
        Err(error) => error,
    };
    eprintln!("launch: cannot run cargo: {error}");
    ExitCode::FAILURE
}

/// Builds what `cargo run` would run.
fn build(arguments: &[OsString]) -> io::Result<ExitStatus> {
    let of_cargo = arguments.iter().take_while(|argument| *argument != "--");
    let child = cargo().arg("build").args(of_cargo).spawn()?;
    // On a terminal cargo shows its own progress.
    let is_terminal = io::stderr().is_terminal();
    wait(child, EVERY, |time| {
        if !is_terminal {
            eprintln!("launch: still building, {} s so far", time.as_secs());
        }
    })
}

/// Waits for the end of a process. Calls `show` at intervals with the time that has passed.
fn wait(
    mut child: Child,
    every: Duration,
    mut show: impl FnMut(Duration),
) -> io::Result<ExitStatus> {
    let started = Instant::now();
    let mut next = every;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let passed = started.elapsed();
        if passed >= next {
            show(passed);
            next = passed + every;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The code of a process that failed; 1 where a signal ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// cargo as the user called it.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` sets these for this package. Build scripts read them and would run again if the
    // same crates were built in another way.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_build_is_shown_and_its_end_is_reported() {
        let child = Command::new("sh").args(["-c", "sleep 0.5; exit 101"]).spawn();
        let mut shown = Vec::new();
        let status = wait(child.unwrap(), Duration::from_millis(100), |time| shown.push(time));
        assert_eq!(status.unwrap().code(), Some(101));
        assert!(!shown.is_empty());
    }

    #[test]
    fn a_short_one_is_not_shown() {
        let child = Command::new("true").spawn().unwrap();
        let status = wait(child, Duration::from_secs(3600), |time| panic!("{time:?}"));
        assert!(status.unwrap().success());
    }
}
