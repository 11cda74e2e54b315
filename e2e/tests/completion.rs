//! The completion scripts of `closehaul completion`, in the shells that they are for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use e2e::{
    closehaul::{self, Profile},
    machine,
};

/// How long a shell may take, in seconds: `timeout` ends it.
const LIMIT: &str = "60";

/// A folder with the command and its script for a shell, removed at the end.
struct Folder(PathBuf);

impl Folder {
    async fn new(shell: &str, script: &str) -> Self {
        machine::prepare_tests().unwrap();
        let command = closehaul::build(Profile::Dev).await.unwrap();
        let path = std::env::temp_dir()
            .join(format!("closehaul-completion-{shell}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let printed = Command::new(&command).args(["completion", shell]).output().unwrap();
        assert!(printed.status.success(), "{printed:?}");
        fs::write(path.join(script), printed.stdout).unwrap();
        Self(path)
    }

    /// What a shell prints that runs this program.
    fn run(&self, shell: &[&str], program: &str) -> String {
        let output = Command::new("timeout")
            .arg(LIMIT)
            .args(shell)
            .arg(program)
            .current_dir(&self.0)
            .env("HOME", &self.0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is typed, where the last word is to be completed, and a word that must be offered.
const CASES: &[(&str, &str)] = &[
    ("closehaul pla", "plan"),
    ("closehaul plan --exit", "--exit-code"),
    ("closehaul plan --output sum", "summary"),
    ("closehaul plan --all", "--all-namespaces"),
    ("closehaul --conte", "--context"),
    ("closehaul evacuate --canc", "--cancel"),
    ("closehaul completion z", "zsh"),
];

#[tokio::test]
async fn bash_completes() {
    let folder = Folder::new("bash", "closehaul.bash").await;
    for (typed, expected) in CASES {
        let words: Vec<&str> = typed.split(' ').collect();
        let [.., before, last] = words[..] else { panic!("{typed}") };
        // As bash calls it for a word: all words, where the cursor is, and what is completed.
        let program = format!(
            "source ./closehaul.bash; complete -p closehaul >&2; COMP_WORDS=({typed}); \
             COMP_CWORD={}; _closehaul closehaul '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        let offered = folder.run(&["bash", "--norc", "-c"], &program);
        assert!(offered.lines().any(|line| line == *expected), "{typed}: {offered}");
        assert!(offered.lines().all(|line| line.starts_with(last)), "{typed}: {offered}");
    }
}

/// An interactive shell, in which a function in place of the command prints what it is called with.
#[tokio::test]
async fn zsh_completes() {
    let folder = Folder::new("zsh", "_closehaul").await;
    assert!(Path::new(&folder.0).join("_closehaul").is_file());
    for (typed, expected) in CASES {
        let program = format!(
            "zmodload zsh/zpty
             zpty shell zsh -f -i
             zpty -w shell 'PS1= PS2= ; unsetopt prompt_cr prompt_sp; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; closehaul() {{ print -r -- \"GOT:$*:\" }}; print READY'
             zpty -r shell line '*READY'$'\\r'
             zpty -w shell $'{typed}\\t'
             zpty -r shell line '*GOT:*:'
             print -r -- \"$line\""
        );
        let printed = folder.run(&["zsh", "-f", "-c"], &program);
        let called = printed.rsplit("GOT:").next().unwrap().split(':').next().unwrap();
        let words: Vec<&str> = called.split_whitespace().collect();
        assert_eq!(words.last(), Some(expected), "{typed}: {printed}");
    }
}
