//! The workflows of GitHub Actions, read by actionlint. `tests/workflows.rs` has the rules of our own.

use std::fs;

use e2e::{
    chart::{Tools, repository},
    components::Component,
};

use crate::succeed;

#[test]
fn actionlint_finds_nothing_to_say() {
    let tools = Tools::ensure().unwrap();
    let directory = repository().join(".github/workflows");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        // Without the two linters that actionlint runs if it finds them on the PATH.
        let file = path.display().to_string();
        succeed(&tools, Component::Actionlint, &["-shellcheck=", "-pyflakes=", &file]);
    }
}
