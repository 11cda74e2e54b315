//! The command, without a cluster.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

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

/// The command in a world without a cluster.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_closehaul"));
    command.args(args).env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Done {
    command(args).output().unwrap().into()
}

/// A shop with two zones and five Services.
pub fn shop() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan_cli/shop.yaml");
    path.display().to_string()
}
