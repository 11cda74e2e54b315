//! How long a change of readiness takes while nodes move to other zones, as a Markdown table.

use std::process::ExitCode;

use clap::Parser;
use e2e::bench::relabel::{self, Options};

/// Relabels the zone of every node of a full cluster, and measures how long a change of a pod's
/// readiness takes before and meanwhile. Prints a Markdown table.
///
/// Takes some minutes, and a few GB of memory. The first run also builds the release and the
/// components, which takes longer. Exit code: 0 measured, 1 something failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo relabel", max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match relabel::run(Arguments::parse().options).await {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("relabel: {error}");
            ExitCode::FAILURE
        }
    }
}
