//! The `closehaul` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use closehaul::cli::plan::{self, Plan};

/// Keeps Kubernetes Service traffic near: an EndpointSlice controller
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Plan(Plan),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Plan(args) => match plan::run(args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("closehaul: {error}");
                ExitCode::from(if error.is_usage() { 2 } else { 1 })
            }
        },
    }
}
