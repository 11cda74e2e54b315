//! The `ip` command of iproute2.

use super::Error;
use std::{
    io::{self, Write as _},
    process::{Command, Output, Stdio},
};

/// Runs `ip ARGS` and returns what it printed.
pub(super) fn ip(args: &[&str]) -> Result<String, Error> {
    let command = || format!("ip {}", args.join(" "));
    let output = Command::new("ip")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start { command: command(), source })?;
    accepted(&output, command)
}

/// Runs many `ip` commands (one per line, without the word `ip`) in one process, in `namespace`.
pub(super) fn batch(namespace: &str, lines: &[String]) -> Result<(), Error> {
    let command = |line: &str| format!("ip -n {namespace} {line}");
    let output = piped(namespace, lines)
        .map_err(|source| Error::Start { command: command("-batch -"), source })?;
    let failed = String::from_utf8_lossy(&output.stderr)
        .rsplit_once("Command failed -:")
        .and_then(|(_, number)| number.trim().parse::<usize>().ok())
        .and_then(|number| lines.get(number.checked_sub(1)?));
    accepted(&output, || command(failed.map_or("-batch -", String::as_str))).map(drop)
}

fn piped(namespace: &str, lines: &[String]) -> io::Result<Output> {
    let mut child = Command::new("ip")
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A broken pipe means that `ip` stopped early. Its stderr says why.
        let _ = stdin.write_all((lines.join("\n") + "\n").as_bytes());
    }
    child.wait_with_output()
}

fn accepted(output: &Output, command: impl FnOnce() -> String) -> Result<String, Error> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Refused { command: command(), stderr })
}
