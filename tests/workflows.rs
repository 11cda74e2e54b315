//! What builds and checks closehaul is named exactly: actions by commit with the version behind it,
//! base images by digest. Only single jobs get permissions. A pull request runs all checks. What a
//! workflow runs exists, and the programs of a release do what the workflow relies on.

#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

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

/// The values of `key` anywhere in `value`.
fn values_of<'v>(key: &str, value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key).and_then(Value::as_str));
            object.values().for_each(|value| values_of(key, value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| values_of(key, value, found)),
        _ => {}
    }
}

/// The words of a script that are paths in this repository, by their first part. What a step creates
/// in a directory of its own is none.
fn paths(script: &str) -> Vec<&str> {
    let words = script.split(|c: char| c.is_whitespace() || "\"'();|><=".contains(c));
    let words = words.map(|word| word.trim_start_matches("./"));
    let roots = [".ci/", ".github/", "docs/", "e2e/", "helm/", "src/", "tests/"];
    let files =
        ["CHANGELOG.md", "Cargo.lock", "Cargo.toml", "Containerfile", "LICENSE", "README.md"];
    words
        .filter(|word| roots.iter().any(|root| word.starts_with(root)) || files.contains(word))
        .collect()
}

#[test]
fn workflows_name_files_that_exist() {
    let mut count = 0;
    for path in WORKFLOWS {
        let workflow = serde_saphyr::from_str::<Value>(&read(path)).unwrap();
        let mut scripts = Vec::new();
        values_of("run", &workflow, &mut scripts);
        let mut directories = Vec::new();
        values_of("working-directory", &workflow, &mut directories);
        assert!(scripts.len() >= 3, "{path}: {scripts:?}");
        for name in scripts.into_iter().flat_map(paths).chain(directories) {
            count += 1;
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            assert!(file.exists(), "{path} names {name}, which does not exist");
        }
    }
    assert!(count >= 15, "{count} paths");
    let planted = "echo a >\"$OUT\"\ngrep x Cargo.toml && ./.ci/gone helm/closehaul | .github/x";
    assert_eq!(paths(planted), ["Cargo.toml", ".ci/gone", "helm/closehaul", ".github/x"]);
}

/// Runs one of the programs of a release.
fn release(name: &str, args: &[&str], input: &str) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/release").join(name);
    let mut child = Command::new(path)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn the_manifest_for_krew_has_the_archives_with_their_checksums() {
    let directory = env::temp_dir().join(format!("closehaul-archives-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let workflow =
        serde_saphyr::from_str::<Value>(&read(".github/workflows/release.yaml")).unwrap();
    let matrix = &workflow["jobs"]["archive"]["strategy"]["matrix"]["include"];
    let mut targets = Vec::new();
    values_of("target", matrix, &mut targets);
    assert_eq!(targets.len(), 5);
    let name = |target: &str| {
        let ending = if target.contains("windows") { "zip" } else { "tar.gz" };
        format!("closehaul-v1.2.3-{target}.{ending}")
    };
    for target in &targets {
        fs::write(directory.join(name(target)), "archive").unwrap();
    }
    let at = directory.to_str().unwrap();
    let output = release("krew-manifest", &["1.2.3", at], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest = String::from_utf8(output.stdout).unwrap();
    let manifest = serde_saphyr::from_str::<Value>(&manifest).unwrap();
    assert_eq!(manifest["spec"]["version"], "v1.2.3");
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let uris = platforms.iter().map(|platform| platform["uri"].as_str().unwrap());
    let expected = targets.iter().map(|target| {
        let releases = "https://github.com/closehaul/closehaul/releases/download";
        format!("{releases}/v1.2.3/{}", name(target))
    });
    assert_eq!(uris.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    // printf archive | sha256sum
    let sum = "0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3";
    assert!(platforms.iter().all(|platform| platform["sha256"] == sum), "{platforms:?}");

    fs::remove_file(directory.join(name(targets[0]))).unwrap();
    assert!(
        !release("krew-manifest", &["1.2.3", at], "").status.success(),
        "an archive is missing"
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_list_without_the_crates_is_refused() {
    let list = |names: &[&str]| {
        let packages: Vec<_> = names.iter().map(|name| serde_json::json!({"name": name})).collect();
        serde_json::json!({"linux/amd64": {"SPDX": {"packages": packages}}}).to_string()
    };
    let all = ["rustls", "tokio", "kube", "closehaul", "serde"];
    assert!(release("names-crates", &[], &list(&all)).status.success());
    let output =
        release("names-crates", &[], &list(&["closehaul", "rustls", "tokio-util", "kube"]));
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("does not name tokio"), "{said}");
    assert!(!release("names-crates", &[], "").status.success(), "an empty list");
}

#[test]
fn a_release_has_notes() {
    let output = release("notes", &["Unreleased"], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.stdout.is_empty());
    let output = release("notes", &["0.0.0"], "");
    assert!(!output.status.success());
}

#[test]
fn a_pull_request_runs_all_checks() {
    let check = read(".github/workflows/check.yaml");
    for part in ["\n  pull_request:\n", " .ci/run\n", " deny check\n"] {
        assert!(check.contains(part), "{part:?}");
    }
}
