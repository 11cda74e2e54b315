//! Upstream's matrix of traffic distributions with real kube-proxies and real requests.

use clap::Parser;
use e2e::{
    kubelet::Command,
    proxy::Mode,
    readers::{self, Matrix},
};
use std::{env, error::Error, process::ExitCode};

/// Sends requests through real kube-proxies on seven nodes, by both address families, in every case
/// of upstream's own end-to-end tests of trafficDistribution and some more, while closehaul writes
/// the hints; says who answered wrongly and which requests failed.
///
/// Needs root, and a machine that has little else to do: a kube-proxy that waits for its turn shows
/// as a request that failed. Exit code: 0 all as it must be, 1 not so, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo readers", max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// How the kube-proxies program the kernel
    #[arg(long, value_enum, default_value = "nftables")]
    proxy: Mode,
    #[command(subcommand)]
    in_pod: Option<Command>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(command) = arguments.in_pod {
        return command.run().await;
    }
    match matrix(arguments.proxy).await {
        // It has printed itself.
        Ok(matrix) if matrix.failed().is_empty() => ExitCode::SUCCESS,
        Ok(matrix) => {
            matrix.failed().iter().for_each(|failed| eprintln!("readers: {failed}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("readers: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn matrix(mode: Mode) -> Result<Matrix, Box<dyn Error>> {
    Ok(readers::matrix(mode, &env::current_exe()?).await?)
}
