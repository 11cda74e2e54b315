//! Upstream's matrix of traffic distributions with real kube-proxies and real requests.

use clap::Parser;
use e2e::{kubelet::Command, proxy::Mode, readers, site};
use std::process::ExitCode;

/// Sends requests through real kube-proxies on seven nodes, with both address families, in every
/// case of upstream's end-to-end tests of trafficDistribution and some more, while closehaul writes
/// the hints. Reports wrong answers and failed requests.
///
/// Needs root; Debian's iproute2, nftables and iptables are installed if they are missing. The
/// evidence of a failure is printed when it happens. Exit code: 0 everything correct, 1 otherwise,
/// 2 wrong usage or packages that must be installed first.
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
    let Arguments { proxy, in_pod } = Arguments::parse();
    site::command("readers", in_pod, async |server| {
        // It prints its outcome itself.
        let matrix = readers::matrix(proxy, server).await?;
        matrix.failed().iter().for_each(|failed| eprintln!("readers: {failed}"));
        Ok(matrix.failed().is_empty())
    })
    .await
}
