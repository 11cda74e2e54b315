//! What the workspace depends on: it follows the rules of `deny.toml`, and every dependency is
//! used. cargo-deny itself would take minutes to build. What is released for other systems than Linux
//! contains no crate that exists for Linux alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod platforms;
mod rules;
mod usage;

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use self::rules::{Package, Rules};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The target of this host.
fn host() -> String {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// `cargo metadata` of what is built for a target.
fn metadata(target: &str) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rules() -> Rules {
    Rules::parse(&fs::read_to_string(Path::new(ROOT).join("deny.toml")).unwrap())
}

/// The packages that are built for the metadata's target, all binaries and tests included.
fn packages(metadata: &Value) -> Vec<Package> {
    let built = metadata["resolve"]["nodes"].as_array().unwrap();
    let is_built = |package: &&Value| built.iter().any(|node| node["id"] == package["id"]);
    let all = metadata["packages"].as_array().unwrap();
    all.iter().filter(is_built).map(Package::of).collect()
}

#[test]
fn dependencies_follow_the_rules() {
    for target in platforms::RELEASED.into_iter().chain([host().as_str()]) {
        let packages = packages(&metadata(target));
        assert!(packages.len() > 100, "{} packages", packages.len());
        let broken = rules().broken_by(&packages);
        assert!(broken.is_empty(), "for {target}:\n{}", broken.join("\n"));
    }
}

#[test]
fn every_dependency_is_used() {
    let metadata = metadata(&host());
    let members = metadata["workspace_members"].as_array().unwrap();
    let all = metadata["packages"].as_array().unwrap();
    let mut unused = Vec::new();
    for member in all.iter().filter(|package| members.contains(&package["id"])) {
        let manifest = Path::new(member["manifest_path"].as_str().unwrap());
        let text = usage::sources(manifest.parent().unwrap());
        let name = &member["name"];
        unused.extend(
            usage::unused(member, &text).map(|it| {
                format!("{name}: {it} is not used; remove it from {}", manifest.display())
            }),
        );
    }
    assert!(unused.is_empty(), "{}", unused.join("\n"));
}

fn package(name: &str, version: &str, license: Option<&str>, source: Option<&str>) -> Package {
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        license: license.map(str::to_owned),
        source: source.map(str::to_owned),
    }
}

const CRATES_IO: Option<&str> = Some("registry+https://github.com/rust-lang/crates.io-index");

#[test]
fn planted_dependencies_are_found() {
    let rules = Rules::parse(
        r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        [bans]
        deny = [{ crate = "openssl-sys", reason = "no C library" }]
        skip = [{ crate = "syn@2", reason = "derive macros" }]
        [sources]
        allow-registry = ["https://github.com/rust-lang/crates.io-index"]
        "#,
    );
    let mit = Some("MIT");
    let syn = [package("syn", "2.0.1", mit, CRATES_IO), package("syn", "3.0.0", mit, CRATES_IO)];
    let broken = |more: &[Package]| rules.broken_by(&[&syn[..], more].concat());
    assert_eq!(broken(&[]), Vec::<String>::new());
    for license in
        ["MIT OR GPL-3.0-only", "MIT/Apache-2.0", "Apache-2.0 / MIT", "MIT AND Apache-2.0"]
    {
        assert_eq!(
            broken(&[package("a", "1.0.0", Some(license), CRATES_IO)]),
            Vec::<String>::new()
        );
    }
    let found = [
        (package("a", "1.0.0", Some("GPL-3.0-only"), CRATES_IO), "a 1.0.0: the licence"),
        (package("a", "1.0.0", Some("MIT AND GPL-3.0-only"), CRATES_IO), "a 1.0.0: the licence"),
        (package("a", "1.0.0", Some("my own"), CRATES_IO), "a 1.0.0: the licence"),
        (package("a", "1.0.0", None, CRATES_IO), "a 1.0.0: the licence"),
        (
            package("openssl-sys", "0.9.0", mit, CRATES_IO),
            "openssl-sys 0.9.0: banned (no C library)",
        ),
        (package("syn", "1.0.0", mit, CRATES_IO), "syn: versions 1.0.0 and 3.0.0 are built"),
        (package("a", "1.0.0", mit, Some("git+https://example.com/a")), "a 1.0.0: comes from git+"),
    ];
    for (package, text) in found {
        let broken = broken(std::slice::from_ref(&package));
        assert!(matches!(&broken[..], [line] if line.starts_with(text)), "{text}: {broken:?}");
    }
    let [line] = &rules.broken_by(&syn[1..])[..] else { panic!("one line") };
    assert!(line.starts_with("syn@2: skipped in deny.toml without need"), "{line}");
}
