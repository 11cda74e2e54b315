//! Debian packages that a bare machine lacks.

use super::Error;
use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// A command on the left is in the Debian package on the right.
const PACKAGES: [(&str, &str); 3] =
    [("ip", "iproute2"), ("nft", "nftables"), ("iptables", "iptables")];

/// Installs the packages of which a command is not on the `PATH`, quietly; `say` hears the command
/// before it runs. Needs root.
///
/// # Errors
///
/// [`Error::Packages`] where that cannot work, as this is not Debian or one of its children.
pub fn prepare(say: impl FnOnce(&str)) -> Result<(), Error> {
    // Tests that run beside each other: apt-get refuses to run twice.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |command: &str| env::split_paths(&path).any(|dir| dir.join(command).exists());
    let missing = PACKAGES.iter().filter(|(command, _)| !on_path(command));
    let missing: Vec<_> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    let command =
        format!("apt-get update && apt-get install -y --no-install-recommends {packages}");
    if !Path::new("/etc/debian_version").exists() {
        return Err(Error::Packages { command });
    }
    say(&format!("installing: {command}"));
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
