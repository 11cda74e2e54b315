//! What the admission policies of assist mode cost the API server, as a Markdown table.

use std::process::ExitCode;

use clap::Parser;
use e2e::bench::admission::{self, Options};

/// Writes slices with and without the admission policies of assist mode, and measures how much longer
/// the API server takes. Prints a Markdown table.
///
/// Takes some minutes. The first run also builds the components, which takes longer. Exit code: 0
/// measured, 1 something failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo bench-admission", max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match admission::run(Arguments::parse().options).await {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench-admission: {error}");
            ExitCode::FAILURE
        }
    }
}
