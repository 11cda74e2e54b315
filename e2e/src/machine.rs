//! What this package runs and does not build itself, and what its tests require of the machine.
//!
//! Beyond the programs named here it runs what every Debian system has: bash, coreutils and
//! util-linux.

use std::env;

use crate::{
    net,
    packages::{self, Program, is_root},
};

const IP: Program = Program { command: "ip", package: "iproute2" };
const NFT: Program = Program { command: "nft", package: "nftables" };
const IPTABLES: Program = Program { command: "iptables", package: "iptables" };
const BUILDAH: Program = Program { command: "buildah", package: "buildah" };

/// What network namespaces with kube-proxies in them need.
pub const NETWORK: &[Program] = &[IP, NFT, IPTABLES];
/// What the tests of this package run as root.
const TESTS: &[Program] = &[IP, NFT, IPTABLES, BUILDAH];
/// What they run without root, where there are no network namespaces.
const TESTS_WITHOUT_ROOT: &[Program] = &[BUILDAH];

/// Installs all programs that the tests of this package run, all at once, so that the first test
/// that needs one names everything that cannot be installed.
pub fn prepare_tests() -> Result<(), packages::Error> {
    packages::ensure(if is_root() { TESTS } else { TESTS_WITHOUT_ROOT })
}

/// Whether tests can create network namespaces, with the programs that these need installed.
/// Without root they cannot: they report this and end. On CI, where that is not read, it is an
/// error.
pub fn has_namespaces() -> Result<bool, net::Error> {
    if is_root() {
        prepare_tests()?;
        return Ok(true);
    }
    if env::var_os("CI").is_some() {
        return Err(net::Error::NotRoot);
    }
    eprintln!("not root: no network namespaces, test skipped");
    Ok(false)
}

#[cfg(test)]
mod tests {
    /// The first test of this package that `cargo test` comes to, so that what is missing is named
    /// before any cluster is started.
    #[test]
    fn this_machine_has_what_the_tests_run() {
        super::prepare_tests().unwrap_or_else(|error| panic!("{error}"));
    }
}
