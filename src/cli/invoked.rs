//! Invoked: what the command is called. On the PATH as `kubectl-closehaul` it is a plugin of kubectl,
//! and its help says `kubectl closehaul`, which is what its user types.

use std::{ffi::OsStr, path::Path};

use clap::{Command, builder::StyledStr};

/// The command's own name, also that of the package.
const OWN: &str = "closehaul";
/// The file that kubectl runs for `kubectl closehaul`.
const PLUGIN: &str = "kubectl-closehaul";
/// What its user types.
const TYPED: &str = "kubectl closehaul";

/// Whether the file that was run is kubectl's plugin.
pub fn is_plugin(file: &OsStr) -> bool {
    let stem = Path::new(file).file_stem().and_then(OsStr::to_str);
    stem.is_some_and(|stem| stem.eq_ignore_ascii_case(PLUGIN))
}

/// The name of the file for which a shell completes words.
pub fn completed(file: &OsStr) -> &'static str {
    if is_plugin(file) { PLUGIN } else { OWN }
}

/// The command with the name by which the file was called, in usage lines and examples too.
pub fn named(command: Command, file: &OsStr) -> Command {
    if !is_plugin(file) {
        return command;
    }
    let names: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    command.bin_name(TYPED).mut_subcommands(|command| {
        let words = |text: &StyledStr| typed(&text.to_string(), &names);
        let texts = [command.get_about(), command.get_long_about(), command.get_after_help()];
        let [about, long_about, after_help] = texts.map(|text| text.map(words));
        let command = with(command, about, Command::about);
        let command = with(command, long_about, Command::long_about);
        with(command, after_help, Command::after_help)
    })
}

/// The command with this text, if there is one.
fn with(
    command: Command,
    text: Option<String>,
    set: impl FnOnce(Command, String) -> Command,
) -> Command {
    match text {
        Some(text) => set(command, text),
        None => command,
    }
}

/// A text in which commands are written as they are typed for kubectl.
fn typed(text: &str, names: &[String]) -> String {
    names.iter().fold(text.to_owned(), |text, name| {
        text.replace(&format!("{OWN} {name}"), &format!("{TYPED} {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_kubectl_runs() {
        for (file, is_plugin) in [
            ("kubectl-closehaul", true),
            ("/usr/local/bin/kubectl-closehaul", true),
            ("./kubectl-closehaul.exe", true),
            ("closehaul", false),
            ("/opt/kubectl-closehaul/closehaul", false),
            ("", false),
        ] {
            assert_eq!(super::is_plugin(OsStr::new(file)), is_plugin, "{file}");
        }
    }

    #[test]
    fn examples_as_they_are_typed() {
        let names = ["plan".to_owned(), "explain".to_owned()];
        assert_eq!(
            typed("  closehaul plan -A\n  closehaul's controller; closehaul explain cart", &names),
            "  kubectl closehaul plan -A\n  closehaul's controller; kubectl closehaul explain cart"
        );
    }
}
