//! Piles: a part of `cargo piles`, and the scripts that were kept.

use std::{fs, path::Path, process::Command, time::Instant};

use fake_api::{
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
        let violations: Vec<_> = pile.violations.iter().map(|(_, text)| text).collect();
        let hint = "shorten it with `cargo piles --seeds 1 --first SEED`";
        let script = Script::of_seed(*seed);
        assert!(violations.is_empty(), "SEED={seed}: {violations:#?}\n{hint}\n{script}");
    }
}

/// Each of them violated an invariant when it was kept.
#[test]
fn the_scripts_that_were_kept_violate_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fake-api/piles");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let pile = Pile::run(&Script::read(&path).unwrap());
        assert!(pile.violations.is_empty(), "{}: {:#?}", path.display(), pile.violations);
        count += 1;
    }
    assert!(count >= 4, "{count} scripts");
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
