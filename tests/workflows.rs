//! What builds and checks closehaul is named exactly: actions by commit with the version behind it,
//! base images by digest. Only single jobs get permissions. A pull request runs all checks.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

const WORKFLOWS: [&str; 2] = [".github/workflows/check.yaml", ".github/workflows/release.yaml"];

/// Lines that name an action or a base image which another build could replace.
fn loose(text: &str) -> Vec<&str> {
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_exact = |line: &str| {
        let line = line.trim().trim_start_matches("- ");
        if let Some(action) = line.strip_prefix("uses: ") {
            let pin = action.split_once('@').and_then(|(_, pin)| pin.split_once(" # v"));
            return pin.is_some_and(|(commit, version)| is_hex(commit, 40) && !version.is_empty());
        }
        if let Some(image) = line.strip_prefix("FROM ") {
            let image = image.split_whitespace().next().unwrap_or_default();
            let digest = image.split_once("@sha256:");
            return image == "scratch" || digest.is_some_and(|(_, digest)| is_hex(digest, 64));
        }
        true
    };
    text.lines().filter(|line| !is_exact(line)).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn actions_and_base_images_are_exact() {
    for path in WORKFLOWS.into_iter().chain(["Containerfile"]) {
        let text = read(path);
        assert!(text.contains("uses: ") || text.contains("FROM "), "{path}");
        assert_eq!(loose(&text), [""; 0], "{path}: give the commit or the digest");
    }
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows"));
    assert_eq!(files.unwrap().count(), WORKFLOWS.len(), "the test must read each of them");
}

#[test]
fn only_single_jobs_have_permissions() {
    for path in WORKFLOWS {
        let text = read(path);
        let all = text.lines().filter(|line| line.starts_with("permissions:")).collect::<Vec<_>>();
        assert_eq!(all, ["permissions: {}"], "{path}: permissions belong to single jobs");
    }
}

#[test]
fn a_planted_tag_is_found() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let text = format!("  - uses: actions/checkout@{commit} # v7\n  - uses: actions/checkout@v7");
    assert_eq!(loose(&text), ["  - uses: actions/checkout@v7"]);
    let text = format!("  - uses: actions/checkout@{commit}");
    assert_eq!(loose(&text), [text.as_str()], "it does not say which version the commit is");
    let text = format!("FROM rust:1@sha256:{commit}{} AS build\nFROM scratch", &commit[..24]);
    assert_eq!(loose(&text), [""; 0]);
    assert_eq!(loose("FROM rust:1 AS build"), ["FROM rust:1 AS build"]);
}

#[test]
fn a_pull_request_runs_all_checks() {
    let check = read(".github/workflows/check.yaml");
    for part in ["\n  pull_request:\n", " .ci/run\n", " deny check\n"] {
        assert!(check.contains(part), "{part:?}");
    }
}
