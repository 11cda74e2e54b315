//! The `closehaul` command: parse arguments, run one command.

// Both macros panic if the output is closed or full.
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::{
    env,
    error::Error,
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use closehaul::cli::{
    check::{self, Check},
    completion::{self, Completion},
    connection::Connection,
    crds::{self, Crds},
    evacuate::{self, Evacuate},
    explain::{self, Explain},
    failure::fail,
    invoked,
    look::Look,
    man::{self, ManPage},
    plan::{self, Condition, Plan},
    print::print,
    restore::{self, Restore},
    run::{self, Run},
    version::{self, Version},
};

/// Keeps Kubernetes Service traffic near: an EndpointSlice controller
#[derive(Parser)]
#[command(version, name = "closehaul")]
struct Arguments {
    #[command(flatten)]
    look: Look,

    #[command(flatten)]
    connection: Connection,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Run),
    Plan(Plan),
    Explain(Explain),
    Check(Check),
    Restore(Restore),
    Evacuate(Evacuate),
    Crds(Crds),
    Version(Version),
    Completion(Completion),
    Man(ManPage),
}

/// The exit codes (docs/command-line.md).
const WRONG: u8 = 1;
const USAGE: u8 = 2;
const MET: u8 = 3;

// One thread: an event goes through four tasks, and handing it from one thread to another costs more
// than what is done with it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let given: Vec<OsString> = env::args_os().collect();
    let file = given.first().cloned().unwrap_or_default();
    let color = color(&given);
    let command = invoked::named(Arguments::command(), &file).color(color);
    let parsed = command.clone().try_get_matches_from(given);
    let parsed = parsed.and_then(|matches| Arguments::from_arg_matches(&matches));
    let Arguments { connection, look, command: asked } = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error.format(&mut command.clone()), Look::new(color)),
    };
    match asked {
        Command::Run(args) => {
            // A task of its own: the main one is woken by way of the kernel, also by its own thread.
            match tokio::spawn(run::run(args, connection)).await {
                Ok(result) => ended(look, result, run::RunError::is_usage),
                Err(error) => ended(look, Err(error), |_| false),
            }
        }
        Command::Crds(Crds {}) => ended(look, crds::run(), |_| false),
        Command::Completion(args) => {
            ended(look, completion::run(&args, command, invoked::completed(&file)), |_| false)
        }
        Command::Man(args) => ended(look, man::run(&args, command), man::ManError::is_usage),
        Command::Version(args) => {
            let result = version::run(args, &connection).await;
            ended(look, result, version::VersionError::is_usage)
        }
        Command::Restore(args) => {
            let result = restore::run(args, &connection).await;
            ended(look, result, restore::RestoreError::is_usage)
        }
        Command::Evacuate(args) => {
            let result = evacuate::run(args, &connection).await;
            ended(look, result, evacuate::EvacuateError::is_usage)
        }
        Command::Check(args) => {
            let result = check::run(args, &connection, look).await;
            ended(look, result, check::CheckError::is_usage)
        }
        Command::Explain(args) => {
            let result = explain::run(args, &connection).await;
            ended(look, result, explain::ExplainError::is_usage)
        }
        Command::Plan(args) => match plan::run(args, &connection, look).await {
            Ok(Condition::Met) => ExitCode::from(MET),
            result => ended(look, result.map(drop), plan::PlanError::is_usage),
        },
    }
}

/// When to use colour, as far as that can be seen before arguments are parsed: messages about those
/// that are wrong follow it, too.
fn color(given: &[OsString]) -> ColorChoice {
    let texts: Vec<_> = given.iter().map(|argument| argument.to_string_lossy()).collect();
    let mut choices = texts.iter().enumerate().filter_map(|(at, text)| match &**text {
        "--color" => texts.get(at + 1).map(AsRef::as_ref),
        text => text.strip_prefix("--color="),
    });
    let choice = choices.find_map(|choice| ColorChoice::from_str(choice, true).ok());
    let by_variable = || ColorChoice::from_str(&env::var("CLOSEHAUL_COLOR").ok()?, true).ok();
    choice.or_else(by_variable).unwrap_or_default()
}

/// Prints help, or what is wrong with the arguments.
fn not_parsed(error: &clap::Error, look: Look) -> ExitCode {
    let text = error.render();
    let is_wrong = error.use_stderr();
    let in_colour =
        if is_wrong { look.is_coloured(&io::stderr()) } else { look.is_coloured(&io::stdout()) };
    let text = if in_colour { text.ansi().to_string() } else { text.to_string() };
    if is_wrong {
        // It is not certain that there is anyone to read it.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        return ExitCode::from(USAGE);
    }
    match print(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(look, &error);
            ExitCode::from(WRONG)
        }
    }
}

/// The exit code: 0 done, 1 something is wrong, 2 wrong usage or unreadable input.
fn ended<E: Error + 'static>(
    look: Look,
    result: Result<(), E>,
    is_usage: fn(&E) -> bool,
) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(look, &error);
            ExitCode::from(if is_usage(&error) { USAGE } else { WRONG })
        }
    }
}
