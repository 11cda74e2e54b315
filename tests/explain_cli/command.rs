//! The command, with its input on standard input.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

/// What came of the command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// What it printed, if it succeeded.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}

/// Runs `closehaul` with these objects on standard input.
pub fn closehaul(objects: &[Value], args: &[&str]) -> Ended {
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let mut command = Command::new(env!("CARGO_BIN_EXE_closehaul"));
    command.args(args).args(["-f", "-"]).env_clear();
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command with wrong usage does not read it.
    let _ = stdin.write_all(list.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `closehaul explain` of this Service.
pub fn explain(objects: &[Value], service: &str, args: &[&str]) -> Ended {
    closehaul(objects, &[&["explain", service], args].concat())
}
