//! The module graph of the workspace: imports point down the map in `src/lib.rs`, and no modules of
//! one parent import each other in a circle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod graph;
mod source;

use std::{fs, path::Path};

use self::{graph::Graph, source::Crate};

fn graph(root: &str) -> Graph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    Graph::of(&Crate::read(&root.join("lib.rs"), &|path| fs::read_to_string(path).ok()))
}

/// The top-level modules in the order of the map, the highest first.
fn layers() -> Vec<String> {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let names = map.lines().filter_map(|line| line.strip_prefix("//! - [`")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn the_map_names_every_module() {
    let mut mapped = layers();
    mapped.sort();
    assert_eq!(mapped, graph("src").top());
}

#[test]
fn imports_point_down() {
    let upward = graph("src").upward(&layers());
    assert!(
        upward.is_empty(),
        "imports that point up the map in src/lib.rs:\n{}",
        upward.join("\n")
    );
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    for root in ["src", "e2e/src", "fake-api/src"] {
        let circles = graph(root).circles();
        assert!(circles.is_empty(), "circles in {root}:\n{}", circles.join("\n"));
    }
}

/// A crate with the modules `high` and `low`; `low` has the children `one` and `two`.
fn planted(low: &str, one: &str, two: &str) -> Graph {
    let files = [
        ("lib.rs", "pub mod high; pub mod low;"),
        ("high.rs", "use crate::low::one::Number; pub struct High; pub use crate::low::two::Text;"),
        ("low/mod.rs", low),
        ("low/one.rs", one),
        ("low/two.rs", two),
    ];
    let read = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    Graph::of(&Crate::read(Path::new("lib.rs"), &read))
}

const LOW: &str = "pub mod one; pub mod two;";

#[test]
fn a_planted_upward_path_is_found() {
    let layers = ["high".to_owned(), "low".to_owned()];
    let upward = |one: &str| planted(LOW, one, "").upward(&layers);
    assert_eq!(upward(""), Vec::<String>::new());
    let found = ["low::one: crate::high::High"];
    assert_eq!(upward("use crate::high::High;"), found);
    assert_eq!(upward("fn f(_: crate::high::High) {}"), found);
    assert_eq!(upward("fn f() { drop(vec![crate::high::High]) }"), found);
    assert_eq!(upward("use super::super::high::High;"), found);
    assert_eq!(
        upward("use crate::{high}; fn f(_: high::High) {}"),
        ["low::one: crate::high", found[0]]
    );
    assert_eq!(upward("pub use crate::high::*;"), ["low::one: crate::high"]);
    // Imports in the tests of a module do not count.
    assert_eq!(upward("#[cfg(test)] mod tests { use crate::high::High; }"), Vec::<String>::new());
}

#[test]
fn a_planted_circle_is_found() {
    let circles = |low: &str, one: &str, two: &str| planted(low, one, two).circles();
    assert_eq!(circles(LOW, "use super::two::Text;", "").len(), 0);
    let found = circles(LOW, "use super::two::Text;", "use super::one::Number;");
    assert_eq!(
        found,
        [
            "low: one -> two -> one (low::one: crate::low::two::Text; low::two: crate::low::one::Number)"
        ]
    );
    // Through the parent, which re-exports it.
    let low = "pub mod one; pub mod two; pub use two::Text;";
    assert_eq!(circles(low, "use super::Text;", "use super::one::Number;"), found);
    // The parent and its children may import each other.
    assert_eq!(
        circles(&format!("{LOW} use one::Number; pub struct Low;"), "use super::Low;", "").len(),
        0
    );
}
