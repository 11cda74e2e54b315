//! The walkthrough on every version of Kubernetes that is pinned here.

use clap::Parser;
use e2e::{
    kubelet::Command,
    versions::{self, Options},
    walkthrough::Error,
};
use std::{env, process::ExitCode};

/// Runs `cargo walkthrough` with API server, controllers, kube-proxies and kubectl of every version
/// of Kubernetes that is pinned here, and with 1.34.4 also against an API server that drops hints
/// for nodes; prints a table of what came of it.
///
/// The first run builds the components of the older versions, which takes some ten minutes. As root
/// requests are real, without root a model of kube-proxy's rule picks the answers. Exit code: 0 all
/// as it must be, 1 not so, 2 wrong usage or packages that must be installed first.
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
    let arguments = Arguments::parse();
    if let Some(command) = arguments.in_pod {
        return command.run().await;
    }
    let own = |source| Error::Run { what: "this program in the pods", source };
    let checks = match env::current_exe().map_err(own) {
        Ok(server) => versions::run(&arguments.options, &server).await,
        Err(error) => Err(error),
    };
    match checks {
        Ok(checks) if checks.iter().all(|check| check.result.is_ok()) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("versions: {error}");
            match error {
                Error::Packages { .. } => ExitCode::from(2),
                Error::Interrupted => ExitCode::from(130),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
