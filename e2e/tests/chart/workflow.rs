//! The workflows of GitHub Actions.

use std::fs;

use e2e::{
    chart::{Tools, repository},
    components::Component,
};

use crate::succeed;

#[test]
fn workflows_are_sound_and_their_actions_pinned() {
    let tools = Tools::ensure().unwrap();
    let directory = repository().join(".github/workflows");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        // Without the two linters that actionlint runs if it finds them on the PATH.
        let file = path.display().to_string();
        succeed(&tools, Component::Actionlint, &["-shellcheck=", "-pyflakes=", &file]);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\npermissions: {}\n"), "{file}: rights are given to single jobs");
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let (_, pin) = line.split_once('@').unwrap();
            let (commit, version) = pin.split_once(" # v").expect("the version behind the commit");
            let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{file}: not pinned: {line}");
        }
    }
}
