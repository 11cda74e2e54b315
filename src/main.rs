//! The `closehaul` command: parse arguments, run one command.

// Both macros panic if the output is closed or full.
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use closehaul::{
    causes::causes,
    cli::{
        connection::Connection,
        crds::{self, Crds},
        evacuate::{self, Evacuate},
        explain::{self, Explain},
        plan::{self, Plan},
        restore::{self, Restore},
        run::{self, Run},
        say::say,
    },
};

/// Keeps Kubernetes Service traffic near: an EndpointSlice controller
#[derive(Parser)]
#[command(version)]
struct Arguments {
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
    Restore(Restore),
    Evacuate(Evacuate),
    Crds(Crds),
}

// One thread: an event goes through four tasks, and handing it from one thread to another costs more
// than what is done with it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { connection, command } = Arguments::parse();
    match command {
        Command::Run(args) => {
            // A task of its own: the main one is woken by way of the kernel, also by its own thread.
            match tokio::spawn(run::run(args, connection)).await {
                Ok(result) => ended(result, run::RunError::is_usage),
                Err(error) => ended(Err(error), |_| false),
            }
        }
        Command::Crds(Crds {}) => ended(crds::run(), |_| false),
        Command::Restore(args) => {
            ended(restore::run(args, &connection).await, restore::RestoreError::is_usage)
        }
        Command::Evacuate(args) => {
            ended(evacuate::run(args, &connection).await, evacuate::EvacuateError::is_usage)
        }
        Command::Explain(args) => {
            ended(explain::run(args, &connection).await, explain::ExplainError::is_usage)
        }
        Command::Plan(args) => ended(plan::run(args, &connection).await, plan::PlanError::is_usage),
    }
}

/// The exit code: 0 done, 1 something is wrong, 2 wrong usage or unreadable input.
fn ended<E: Error + 'static>(result: Result<(), E>, is_usage: fn(&E) -> bool) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("closehaul: {}", causes(&error)));
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}
