//! The systems that the command is released for. Only `closehaul run` requires Linux, so what it alone
//! needs must not be built elsewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{ROOT, host};

/// The targets of the archives, as in `.github/workflows/release.yaml` and in `deny.toml`.
pub const RELEASED: [&str; 5] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
];

/// Crates that are of use on Linux alone: its `/proc`, its system calls, its sockets.
const LINUX_ONLY: [&str; 8] = [
    "inotify",
    "inotify-sys",
    "io-uring",
    "linux-raw-sys",
    "netlink-sys",
    "procfs",
    "procfs-core",
    "tokio-uring",
];

/// The names of the crates that the command consists of, and of those that build it, for a target.
fn crates(target: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "closehaul", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}", "--target", target])
        .current_dir(ROOT)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn other_systems_get_no_crate_that_is_for_linux_alone() {
    let linux_only = |target: &str| {
        let crates = crates(target);
        assert!(crates.len() > 100 && crates.contains("kube"), "{target}: {crates:?}");
        crates.into_iter().filter(|it| LINUX_ONLY.contains(&&**it)).collect::<Vec<_>>()
    };
    for target in RELEASED.iter().filter(|target| !target.contains("linux")) {
        assert_eq!(linux_only(target), [""; 0], "{target}");
    }
    // Here they are built, so the list above would find them.
    assert!(linux_only(&host()).contains(&"procfs".to_owned()));
}

#[test]
fn released_targets_are_checked_and_built() {
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let (deny, release) = (read("deny.toml"), read(".github/workflows/release.yaml"));
    for target in RELEASED {
        assert!(deny.contains(&format!("\"{target}\"")), "deny.toml: {target}");
        assert!(release.contains(&format!("target: {target}\n")), "release.yaml: {target}");
    }
}
