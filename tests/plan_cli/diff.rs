//! The differences, as `kubectl diff` shows them.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{
    command::{fixture, plan, plan_text},
    output::settled,
};

/// One slice lacks hints, one has the UID of another Service, and one has no endpoints.
fn world() -> String {
    settled(|slice| match slice["metadata"]["labels"]["kubernetes.io/service-name"].as_str() {
        Some("cart") => slice["endpoints"][0]["hints"] = Value::Null,
        Some("mail") => slice["metadata"]["ownerReferences"][0]["uid"] = json!("of-another"),
        _ => (),
    })
}

#[test]
fn creates_updates_and_deletes() {
    let done = plan_text(&world(), &["-o", "diff"]);
    assert_snapshot!(done.out);
    for word in ["resourceVersion", "managedFields", "generation:"] {
        assert!(!done.out.contains(word), "{word}: {}", done.out);
    }
    assert!(done.err.contains("(+1 ~1 -1)"), "{}", done.err);
    assert_eq!(done.code, Some(0));
}

#[test]
fn nothing_when_nothing_is_to_be_done() {
    let done = plan_text(&settled(|_| ()), &["-o", "Diff"]);
    assert_eq!((done.code, done.out.as_str()), (Some(0), ""));
    assert!(done.err.starts_with("nothing to do: "), "{}", done.err);
}

/// A tool that applies patches takes it: what is laid over the one side is the other.
#[test]
fn it_is_a_patch() {
    let done = plan_text(&world(), &["-o", "diff", "cart"]);
    let hunks = done.out.matches("\n@@ ").count();
    let added: Vec<_> = done.out.lines().filter(|line| line.starts_with("+ ")).collect();
    assert_eq!(hunks, 1, "{}", done.out);
    assert_eq!(added, ["+  hints:", "+    forZones:", "+    - name: zone-a"], "{}", done.out);
    assert!(!done.out.lines().any(|line| line.starts_with("- ")), "{}", done.out);
}

#[test]
fn what_a_terminal_would_hide_is_escaped() {
    let world = world().replace("\"zone-a\"", "\"zone\\u202ea\"");
    let done = plan_text(&world, &["-o", "diff"]);
    assert!(!done.out.contains('\u{202e}'), "{}", done.out);
}

#[test]
fn colour() {
    let file = fixture("shop.yaml");
    let plain = plan(&["-f", &file, "-o", "diff"]).good();
    assert!(!plain.contains('\u{1b}'));
    let coloured = plan(&["-f", &file, "-o", "diff", "--color=always"]).good();
    assert!(
        coloured.contains("\u{1b}[32m+  name: shop\u{1b}[0m\n") || coloured.contains("\u{1b}[32m+")
    );
    let mut parts = coloured.split('\u{1b}');
    let first = parts.next().unwrap().to_owned();
    let bare = parts.fold(first, |text, part| text + part.split_once('m').unwrap().1);
    assert!(bare == plain, "{bare}");
}
