//! closehaul's size, memory and CPU beside the built-in controller's, as a Markdown table.

use std::process::ExitCode;

use clap::Parser;
use e2e::figures::{self, Options};

/// Measures closehaul beside the built-in controller on one full cluster whose slices are right,
/// and prints a Markdown table.
///
/// Takes some minutes; the first time also those of the release build and of the components.
/// Exit code: 0 measured, 1 something failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo figures", max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match figures::run(Arguments::parse().options).await {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}
