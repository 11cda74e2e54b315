//! The differential test as a command, for any number of steps.

use std::process::ExitCode;

use clap::Parser;
use e2e::differential::{Options, run};

/// Plays seeded random histories on two control planes from the same state, one with the built-in
/// EndpointSlice controller of kube-controller-manager, one with closehaul, and compares their
/// slices whenever both have settled.
///
/// What may differ is in e2e/differences.yaml, with a reason for each entry. Anything else is
/// shrunk and printed with its seed and as a script. The first run builds the components from Go
/// modules, which takes some minutes.
///
/// Exit code: 0 nothing but wanted differences, 1 others or something failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo differential", max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Arguments::parse().options)).await {
        Ok(report) => {
            print!("{report}");
            if report.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::FAILURE
        }
    }
}
