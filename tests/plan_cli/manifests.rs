//! Manifests that are hard to read, as charts and operators have them: read without a complaint that
//! kubectl does not make.

use std::fs;

use insta::assert_snapshot;

use super::command::{fixture, plan_text};

/// All of them with their names, sorted.
fn manifests() -> Vec<(String, String)> {
    let entries = fs::read_dir(fixture("manifests")).unwrap();
    let mut manifests: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    manifests.sort();
    manifests
}

#[test]
fn hard_manifests_are_read() {
    let manifests = manifests();
    assert_eq!(manifests.len(), 10);
    for (name, text) in manifests {
        let args = ["-f", &fixture("manifests-world.yaml"), "-o", "yaml"];
        let done = plan_text(&text, &args);
        assert_snapshot!(format!("manifest-{name}"), format!("{}{}", done.err, done.out));
        assert_eq!(done.code, Some(if name == "duplicate-keys" { 2 } else { 0 }), "{name}");
        // Line ends of Windows, and no end of the last line.
        for same in [text.replace('\n', "\r\n"), text.trim_end().to_owned()] {
            let again = plan_text(&same, &args);
            assert_eq!((again.code, &again.out), (done.code, &done.out), "{name}");
        }
    }
}
