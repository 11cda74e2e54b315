//! The command, its input and its result.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// A file beside this one.
pub fn fixture(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "plan_cli", name].iter().collect();
    path.display().to_string()
}

/// The text of a file beside this one.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

/// The result of a run.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Done {
    /// What a successful run printed.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}

/// `closehaul plan` in a world without a cluster.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_closehaul"));
    command.arg("plan").args(args).env_clear().env("HOME", "/nonexistent");
    // Nothing is cut in tables; tests/command_line is about that.
    command.env("COLUMNS", "300");
    command
}

/// Runs `closehaul plan`.
pub fn plan(args: &[&str]) -> Done {
    command(args).stdin(Stdio::null()).output().unwrap().into()
}

/// Runs `closehaul plan -f -` with this on standard input.
pub fn plan_text(text: &str, args: &[&str]) -> Done {
    let mut child = command(&[&["-f", "-"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Dropped at the end of the statement, so that the input ends.
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}
