//! Piles: a part of `cargo piles`, and the scripts that were kept.

use std::{fs, path::Path, process::Command, time::Instant};

use fake_api::{
    invariants::KNOWN,
    piles::{Pile, Report, script::Script},
    seeds::{each, seeds},
};

/// More of them: `SEEDS=100`. A single one: `SEED=7`.
const SEEDS: u64 = 24;

#[test]
fn the_invariants_hold_whatever_fails_at_the_same_time() {
    let began = Instant::now();
    let piles = each(&seeds(SEEDS), |seed| (seed, Pile::run(&Script::of_seed(seed))));
    let report = Report { piles: &piles, took: began.elapsed() };
    println!("{report}");
    for (seed, pile) in &piles {
        let new = pile.violations.iter().filter(|(invariant, _)| !KNOWN.contains(invariant));
        let new: Vec<_> = new.map(|(_, text)| text).collect();
        let hint = "shorten it with `cargo piles --seeds 1 --first SEED`";
        assert!(new.is_empty(), "SEED={seed}: {new:#?}\n{hint}\n{}", Script::of_seed(*seed));
    }
}

/// A script that violates an invariant says which. When that is mended, it must violate none, and
/// its line is removed.
#[test]
fn the_scripts_that_were_kept_violate_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fake-api/piles");
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let script = Script::read(&path).unwrap();
        let pile = Pile::run(&script);
        let found: Vec<_> = pile.violations.iter().map(|(invariant, _)| *invariant).collect();
        let expected = script.setup.violates.as_deref();
        let is_as_expected = found.iter().all(|found| expected == Some(*found))
            && expected.is_none_or(|expected| found.contains(&expected));
        assert!(is_as_expected, "{}: {:#?}", path.display(), pile.violations);
        kept.extend(script.setup.violates);
    }
    kept.sort_unstable();
    kept.dedup();
    let mut known = KNOWN.map(str::to_owned);
    known.sort_unstable();
    assert_eq!(kept, known, "each known violation has a script");
}

/// The bugs that `cargo planted` plants can still be planted.
#[test]
fn the_patches_of_planted_bugs_still_apply() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join("fake-api/planted")).unwrap() {
        let patch = entry.unwrap().path();
        let mut check = Command::new("git");
        check.args(["apply", "--check"]).arg(&patch).current_dir(root);
        let checked = check.output().unwrap();
        let error = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success(), "{}: {error}", patch.display());
    }
}
