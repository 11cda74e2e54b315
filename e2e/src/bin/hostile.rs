//! Runs closehaul with the most expensive Services that the API server accepts.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use e2e::{
    closehaul::Profile,
    hostile::{self, Options, SHAPES},
};

/// Runs a release build of closehaul with Services of thousands of ports on a real API server, and
/// prints for each whether the lease was kept, how long changes of a healthy Service took, and how
/// long the longest iteration of the main loop took.
///
/// Takes about ten minutes. The first run also builds the release and the components, which takes
/// longer. Exit code: 0 measured, 1 something failed or the lease was lost, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo hostile", max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { seconds } = Arguments::parse().options;
    let [largest, others @ ..] = SHAPES;
    let shapes = [
        vec![(largest, Duration::from_secs(seconds))],
        others.map(|shape| (shape, Duration::from_secs(seconds.min(60)))).to_vec(),
    ]
    .concat();
    let mut is_kept = true;
    let outcome = hostile::run(Profile::Release, &shapes, |endured| {
        is_kept &= endured.is_lease_kept;
        println!("{endured}");
    });
    match outcome.await {
        Ok(()) if is_kept => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}
