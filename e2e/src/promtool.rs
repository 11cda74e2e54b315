//! Runs promtool, the Prometheus tool that checks metrics and alerts.

use std::{
    io::{self, Write as _},
    process::{Command, Output, Stdio},
};

use crate::{
    chart::repository,
    components::{self, Component},
};

/// Why promtool did not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not built.
    #[error(transparent)]
    Components(#[from] components::Error),
    /// It did not start, or did not read its input.
    #[error("promtool {args}: {source}")]
    Run {
        /// Its arguments.
        args: String,
        /// The system's error.
        source: io::Error,
    },
}

/// Runs it in the repository with `input` on its standard input; builds it first if necessary.
pub fn run(args: &[&str], input: &str) -> Result<Output, Error> {
    let components = components::ensure(&[Component::Promtool])?;
    let failed = |source| Error::Run { args: args.join(" "), source };
    let mut child = Command::new(components.path(Component::Promtool))
        .args(args)
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // The pipe is dropped at the end of the statement, which closes it.
    child.stdin.take().map_or(Ok(()), |mut it| it.write_all(input.as_bytes())).map_err(failed)?;
    child.wait_with_output().map_err(failed)
}
