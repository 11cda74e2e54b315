//! What closehaul costs compared with the built-in controller, as a table and plots.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use e2e::{
    bench::{self, Options, floor},
    interrupt::unless_interrupted,
};

/// Measures closehaul and compares it with the built-in EndpointSlice controller and others.
///
/// States are created once, straight in etcd, and kept; each contender runs each scenario on a
/// fresh control plane that starts from the same bytes, in alternating pairs. Measured are CPU of
/// the contender, of kube-apiserver and of etcd, memory, bytes, slice writes, and how long after a
/// change of a pod a slice shows it. A run that does not do the same work as the others counts as
/// failed. docs/performance.md says how, and what came out.
///
/// The first run builds closehaul's release and the components, which takes some minutes.
/// A table, plots and raw.json are written, and the table is printed.
///
/// Exit code: 0 measured, 1 something failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo bench-cluster", max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = "\
Examples:
  cargo bench-cluster --quick                                everything, small, once
  cargo bench-cluster --scenario S0,S2 --pods 10000 --pairs 3    one size, a start alone
  cargo bench-cluster --scenario S4 --pods 0 --dense 5000    5,000 Services in one namespace, alone
  cargo bench-cluster --scenario S2 --pods 1000,10000,50000  a curve of cost against size
  cargo bench-cluster --scenario S8 --minutes 30             the soak
  cargo bench-cluster --report A/raw.json B/raw.json         one table of several runs";

/// The bench, or the part of it that it starts as another process.
#[derive(Subcommand)]
enum Part {
    /// The contender that is not a controller
    #[command(hide = true)]
    Floor(floor::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.part {
        Some(Part::Floor(options)) => floor::run(options).await.map(|()| true),
        None => match unless_interrupted(Box::pin(bench::run(&arguments.options))).await {
            Ok(Some(raw)) => raw.map(|raw| raw.failures.is_empty()),
            Ok(None) => {
                eprintln!(
                    "bench-cluster: stopped; what was measured is in raw.json, and --report makes \
                     a table of it"
                );
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("bench-cluster: cannot wait for signals: {error}");
                return ExitCode::FAILURE;
            }
        },
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench-cluster: {error}");
            ExitCode::FAILURE
        }
    }
}
