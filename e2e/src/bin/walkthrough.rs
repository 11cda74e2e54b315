//! The published walkthrough of trafficDistribution, and one of policies, on real components.

use clap::Parser;
use e2e::{
    kubelet::Command,
    site,
    walkthrough::{self, Options},
};
use std::process::ExitCode;

/// Replays the published Kubernetes 1.34 walkthrough of trafficDistribution on real components:
/// etcd, kube-apiserver, kube-controller-manager, kube-scheduler, closehaul, and one kube-proxy
/// per node in its own network namespace. Only the kubelet is a stand-in.
///
/// As root, requests are real; Debian's iproute2, nftables and iptables are installed if they are
/// missing. Without root the same cluster runs on loopback, and a model of kube-proxy's rule picks
/// the answers. The first run builds the components from Go modules, which takes some minutes, and
/// so does the first run with another version of Kubernetes.
///
/// With --policies, it shows closehaul's policies instead: a default for the cluster, a guard and
/// the evacuation of a zone, with clients in three zones. This requires root.
///
/// Everything is removed at the end. Exit code: 0 every step showed what it must, 1 it did not or
/// something failed, 2 wrong usage, or root or packages that must be installed first are missing.
#[derive(Parser)]
#[command(name = "cargo walkthrough", max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    in_pod: Option<Command>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { options, in_pod } = Arguments::parse();
    site::command("walkthrough", in_pod, async |server| {
        Ok(walkthrough::run(options, server).await?.ok())
    })
    .await
}
