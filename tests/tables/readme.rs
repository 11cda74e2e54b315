//! Every test that README.md names exists.

use std::{collections::BTreeSet, fs, path::Path};

const README: &str = include_str!("README.md");

/// The texts between backticks.
fn quoted() -> BTreeSet<&'static str> {
    README.split('`').skip(1).step_by(2).collect()
}

/// The source with a test: a module of this directory, or a path from the root of the repository.
fn source(module: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = match module.strip_suffix(".rs") {
        Some(_) => root.join(module),
        None => root.join("tests/tables").join(format!("{module}.rs")),
    };
    fs::read_to_string(path).ok()
}

/// Whether `source` has a test of this name, or a part of one, which is called there.
fn has_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let Some((before, _)) = source.split_once(&head) else { return false };
    let before = before.trim_end().trim_end_matches("async");
    let attributes = before.trim_end().lines().rev().map(str::trim);
    let mut attributes = attributes.take_while(|line| line.starts_with("#["));
    attributes.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        || source.matches(&format!("{name}(")).count() > 1
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut count = 0;
    for quoted in quoted() {
        let Some((module, name)) = quoted.rsplit_once("::") else { continue };
        let source = source(module).unwrap_or_default();
        assert!(has_test(&source, name), "README.md names {quoted}, and there is no such test");
        count += 1;
    }
    assert!(count > 100, "{count}");
}

/// A name without its module would not be checked.
#[test]
fn every_test_is_named_with_its_module() {
    for quoted in quoted() {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let looks_like_a_test = quoted.contains('_') && quoted.chars().all(is_name);
        assert!(!looks_like_a_test, "{quoted}: of which module?");
    }
}
