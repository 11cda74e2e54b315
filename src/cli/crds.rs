//! `closehaul crds`: the custom resource definitions, to be applied.

use std::io;

use clap::Args;

use super::print::print;

/// The files in `crds/`, which a test keeps equal to what `api::crd` defines.
const FILES: [&str; 3] = [
    include_str!("../../crds/localitypolicies.yaml"),
    include_str!("../../crds/clusterlocalitypolicies.yaml"),
    include_str!("../../crds/zoneevacuations.yaml"),
];

/// Print the custom resource definitions of closehaul's kinds
///
/// They are those of this version, and go to kubectl as they are:
/// closehaul crds | kubectl apply -f -
#[derive(Args, Debug)]
pub struct Crds {}

/// Why the definitions were not printed.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written; check where it leads")]
pub struct CrdsError(#[source] io::Error);

/// Prints the definitions as YAML documents.
pub fn run() -> Result<(), CrdsError> {
    print(&FILES.join("---\n")).map_err(CrdsError)
}
