//! The walkthrough on every version of Kubernetes that is pinned here.

use clap::Parser;
use e2e::{
    kubelet::Command,
    site,
    versions::{self, Options},
};
use std::process::ExitCode;

/// Runs `cargo walkthrough` with API server, controllers, kube-proxies and kubectl of every version
/// of Kubernetes that is pinned here, and with 1.34.4 also against an API server that drops hints
/// for nodes. Prints a table of the results.
///
/// The first run builds the components of the older versions, which takes some ten minutes. As
/// root, requests are real. Without root, a model of kube-proxy's rule picks the answers. Exit
/// code: 0 everything correct, 1 otherwise, 2 wrong usage or packages that must be installed first.
#[derive(Parser)]
#[command(name = "cargo versions", max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    in_pod: Option<Command>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { options, in_pod } = Arguments::parse();
    site::command("versions", in_pod, async |server| {
        let checks = versions::run(&options, server).await?;
        Ok(checks.iter().all(|check| check.result.is_ok()))
    })
    .await
}
