//! The options of the walkthrough.

use crate::{components::Kubernetes, proxy};

/// The options of the walkthrough.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Options {
    /// The version of kube-apiserver, the controllers, kube-proxy and kubectl; those of another one
    /// than the default are built when they are first requested, which takes some minutes
    #[arg(long, value_enum, default_value_t, value_name = "VERSION")]
    pub kubernetes: Kubernetes,
    /// How the kube-proxies program the kernel
    #[arg(long, value_enum, default_value_t)]
    pub proxy: proxy::Mode,
    /// Who writes the EndpointSlices; both must lead to the same results
    #[arg(long, value_enum, default_value_t)]
    pub controller: Controller,
    /// Show policies instead: a default for the cluster, a guard and the evacuation of a zone, with
    /// what was counted beside what `closehaul plan` predicts; requires root
    #[arg(long, conflicts_with = "controller")]
    pub policies: bool,
    /// Leave the cluster up after the last step, to play with, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

/// Who writes the slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Controller {
    /// closehaul, built from this checkout, in replace mode.
    #[default]
    Closehaul,
    /// The EndpointSlice controller of kube-controller-manager.
    BuiltIn,
}
