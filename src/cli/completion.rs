//! `closehaul completion`: a script that lets a shell complete commands and options.

use std::io;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::print::print;

/// Print a script that lets a shell complete commands and options
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Completion {
    /// The shell
    #[arg(value_enum, ignore_case = true, value_name = "SHELL")]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  # bash, for this session, and for all
  source <(closehaul completion bash)
  closehaul completion bash > ~/.local/share/bash-completion/completions/closehaul

  # zsh, into a folder of $fpath
  closehaul completion zsh > ~/.zfunc/_closehaul

  # fish
  closehaul completion fish > ~/.config/fish/completions/closehaul.fish";

/// Why the script was not printed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}; check where it leads")]
pub struct CompletionError(#[source] io::Error);

/// Prints the script for `command`, which is called by this `name`.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &Completion, mut command: Command, name: &str) -> Result<(), CompletionError> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script)).map_err(CompletionError)
}
