//! What the chart renders without any values, as a file: a change of a template that changes what users
//! get shows in review.

use std::{env, fs};

use e2e::chart::{Tools, repository};

const FILE: &str = "e2e/tests/chart/default.yaml";

#[test]
fn the_defaults_render_as_expected() {
    let manifest = Tools::ensure().unwrap().render("kube-system", &[]).unwrap();
    // `tests/crds.rs` has a test of its own for the definitions.
    let documents = manifest.split("---\n").filter(|it| !it.contains("/templates/crds/"));
    let rendered = documents.collect::<Vec<_>>().join("---\n");
    let file = repository().join(FILE);
    if env::var_os("CLOSEHAUL_UPDATE").is_some() {
        fs::write(&file, &rendered).unwrap();
        return;
    }
    let expected = fs::read_to_string(&file).unwrap();
    let pairs = || expected.lines().zip(rendered.lines());
    let first = pairs().position(|(old, new)| old != new).unwrap_or_else(|| pairs().count());
    assert!(
        expected == rendered,
        "{FILE} differs from line {} on: {:?} was {:?}. If this is intended, run \
         CLOSEHAUL_UPDATE=1 cargo test -p e2e --test chart golden, and read the difference",
        first + 1,
        rendered.lines().nth(first),
        expected.lines().nth(first),
    );
}
