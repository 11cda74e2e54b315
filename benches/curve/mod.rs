//! The counts of a pod's change as curves: by pods, by Services of the namespace, and by endpoints.

// All benches draw with the same code. It has scales that these curves do not need, and its tests
// run in the package that it belongs to.
#[allow(dead_code, unused_imports)]
#[path = "../../e2e/src/bench/chart.rs"]
mod chart;

use std::{fs, io, path::PathBuf};

use chart::{Axis, Chart, Scale, Series};

/// The prefix of the names of all cases on a curve. A number and its unit follow.
const CHANGE: &str = "a pod's change, ";

/// The curves, by the first word of their units.
const CURVES: [(&str, &str, &str); 3] = [
    ("pod", "pods, 10 of each Service", "#0072b2"),
    ("Service", "Services in the namespace", "#d55e00"),
    ("endpoint", "endpoints of the Service", "#009e73"),
];

/// Draws the counts, by the names of the cases. Returns the path of the picture.
pub fn draw(counts: &[(&str, u64)]) -> io::Result<PathBuf> {
    let series = CURVES.map(|(unit, name, colour)| Series {
        name: name.to_owned(),
        colour,
        points: counts.iter().filter_map(|(case, count)| point(case, *count, unit)).collect(),
        dots: true,
    });
    let chart = Chart {
        title: "What a pod's change costs, as the cluster grows".to_owned(),
        subtitle: "instructions from the decoded event to the write, its answer and its echo"
            .to_owned(),
        x: Axis::new("number of objects", Scale::Log),
        y: Axis::new("instructions", Scale::Linear),
        series: series.into(),
    };
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    fs::create_dir_all(&directory)?;
    let path = directory.canonicalize()?.join("cost.svg");
    fs::write(&path, chart.render())?;
    Ok(path)
}

/// Where a case lies, if it is on the curve for this unit.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn point(case: &str, count: u64, unit: &str) -> Option<(f64, f64)> {
    let (number, rest) = case.strip_prefix(CHANGE)?.split_once(' ')?;
    let number = number.replace(',', "").parse().ok()?;
    rest.starts_with(unit).then_some((number, count as f64))
}
