//! `closehaul man`: the manual, as `man` reads it.

use std::io;

use clap::{Args, Command};
use clap_mangen::Man;

use super::print::print;
use crate::plain::plain;

/// Print a page of the manual, as man reads it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ManPage {
    /// The command that the page is about; without it, all of closehaul
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  # Read it
  closehaul man | man -l -
  closehaul man plan | man -l -

  # Install it
  closehaul man > /usr/local/share/man/man1/closehaul.1
  closehaul man plan > /usr/local/share/man/man1/closehaul-plan.1";

/// Why the page was not printed.
#[derive(Debug, thiserror::Error)]
pub enum ManError {
    /// There is no such command.
    #[error("there is no command {}; there are: {commands}", plain(name))]
    Unknown {
        /// What was named.
        name: String,
        /// Those that there are.
        commands: String,
    },
    /// The page cannot be rendered.
    #[error("cannot render the page: {0}")]
    Render(#[source] io::Error),
    /// The output cannot be written.
    #[error("cannot write to standard output: {0}; check where it leads")]
    Print(#[source] io::Error),
}

impl ManError {
    /// Whether the user must change the command.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

/// Prints the page.
///
/// # Errors
/// There is no such command, or the output cannot be written.
pub fn run(args: &ManPage, mut command: Command) -> Result<(), ManError> {
    command.build();
    let page = match &args.command {
        None => command,
        Some(name) => of(&command, name)?,
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text).map_err(ManError::Render)?;
    print(&String::from_utf8_lossy(&text)).map_err(ManError::Print)
}

/// The command for the page about one of them. A page is called by the name of the command with a hyphen,
/// as those of git are.
fn of(command: &Command, name: &str) -> Result<Command, ManError> {
    if let Some(found) = command.find_subcommand(name) {
        let title = format!("{}-{}", command.get_name(), found.get_name());
        return Ok(found.clone().display_name(title));
    }
    let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    Err(ManError::Unknown { name: name.to_owned(), commands: names.join(", ") })
}
