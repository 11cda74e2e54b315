//! Debian packages that a bare machine lacks.

use super::Error;
use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// A command on the left is in the Debian package on the right.
const PACKAGES: [(&str, &str); 3] =
    [("ip", "iproute2"), ("nft", "nftables"), ("iptables", "iptables")];

/// Packages to install before namespaces and kube-proxies work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    packages: Vec<&'static str>,
}

/// The packages of which a command is not on the `PATH`, if any.
pub fn missing() -> Option<Missing> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |command: &str| env::split_paths(&path).any(|dir| dir.join(command).exists());
    let packages: Vec<_> = PACKAGES
        .iter()
        .filter(|(command, _)| !on_path(command))
        .map(|(_, package)| *package)
        .collect();
    (!packages.is_empty()).then_some(Missing { packages })
}

/// Whether this process may make network namespaces.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whether tests can make network namespaces. Without root they cannot: they say so and end. On
/// CI, where nobody reads that, it is an error.
pub fn available_to_tests() -> Result<bool, Error> {
    if is_root() {
        return Ok(true);
    }
    if env::var_os("CI").is_some() {
        return Err(Error::NotRoot);
    }
    eprintln!("not root: no network namespaces, nothing tested");
    Ok(false)
}

impl Missing {
    /// The command that installs them on Debian, as root.
    pub fn command(&self) -> String {
        let packages = self.packages.join(" ");
        format!("apt-get update && apt-get install -y --no-install-recommends {packages}")
    }

    /// Whether [`Missing::install`] can work: on Debian and its children.
    pub fn installable(&self) -> bool {
        Path::new("/etc/debian_version").exists()
    }

    /// Installs them with apt-get, quietly. Needs root.
    pub fn install(&self) -> Result<(), Error> {
        let command = self.command();
        let status = Command::new("sh")
            .args(["-c", &command])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|source| Error::Start { command: command.clone(), source })?;
        if status.success() { Ok(()) } else { Err(Error::Install { command }) }
    }
}
