//! What this package runs and does not build itself, and what its tests require of the machine.
//!
//! In addition to the programs named here, it runs what every Debian system has: bash, coreutils
//! and util-linux.

use crate::{
    net,
    packages::{self, Program, is_root},
};

const IP: Program = Program { command: "ip", package: "iproute2" };
const NFT: Program = Program { command: "nft", package: "nftables" };
const IPTABLES: Program = Program { command: "iptables", package: "iptables" };
const BUILDAH: Program = Program { command: "buildah", package: "buildah" };
const ZSH: Program = Program { command: "zsh", package: "zsh" };
/// What shows the page of `closehaul plan -o html`.
pub const BROWSER: Program = Program { command: "chromium", package: "chromium" };

/// What network namespaces with kube-proxies in them need.
pub const NETWORK: &[Program] = &[IP, NFT, IPTABLES];
/// What the tests of this package run as root.
const TESTS: &[Program] = &[IP, NFT, IPTABLES, BUILDAH, ZSH, BROWSER];
/// What they run without root, where there are no network namespaces.
const TESTS_WITHOUT_ROOT: &[Program] = &[BUILDAH, ZSH, BROWSER];

/// Installs all programs that the tests of this package run. It installs them together, so the
/// first test that needs one reports everything that cannot be installed.
pub fn prepare_tests() -> Result<(), packages::Error> {
    packages::ensure(if is_root() { TESTS } else { TESTS_WITHOUT_ROOT })
}

/// Fails without root, which network namespaces require. Installs the programs that they need.
pub fn require_namespaces() -> Result<(), net::Error> {
    if !is_root() {
        return Err(net::Error::NotRoot);
    }
    Ok(prepare_tests()?)
}

#[cfg(test)]
mod tests {
    /// `cargo test` runs this test first in this package, so it reports what is missing before any
    /// cluster is started.
    #[test]
    fn this_machine_has_what_the_tests_run() {
        super::prepare_tests().unwrap_or_else(|error| panic!("{error}"));
    }
}
