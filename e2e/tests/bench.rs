//! The cluster bench from end to end, as small as possible. It does not check how fast anything is.

use std::{path::Path, process::Command};

use e2e::bench::{
    contender::Contender,
    measure::{Measure, Raw},
    scenario::Scenario,
};

#[test]
fn a_tiny_churn_is_measured_for_two_contenders() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let output = Command::new(env!("CARGO_BIN_EXE_bench_cluster"))
        .args(["--quick", "--contenders=built-in,floor", "--scenario=S4", "--changes=10"])
        // The spread state and the dense one are the same at this size, and run once.
        .args(["--pods=100", "--dense=10", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let raw = std::fs::read(out.join("raw.json")).unwrap();
    let raw = serde_json::from_slice::<Raw>(&raw).unwrap();
    assert!(raw.failures.is_empty(), "{:?}", raw.failures);
    assert_eq!(raw.rows.len(), 4, "two contenders, two rates");
    for row in &raw.rows {
        let changes = if row.variant.starts_with("50 ") { 10 } else { 30 };
        assert_eq!(row.scenario, Scenario::S4);
        assert_eq!(row.latencies.len(), changes, "{row:?}");
        // One write for each change, and fewer only if a contender has combined some.
        let writes = row.measures[&Measure::Writes];
        assert!(writes >= 1.0 && writes <= f64::from(u32::try_from(changes).unwrap()), "{row:?}");
        assert!(row.measures[&Measure::Resident] > 1.0, "{row:?}");
    }
    assert!(raw.rows.iter().any(|row| row.contender == Contender::Floor));
    let table = std::fs::read_to_string(out.join("table.md")).unwrap();
    assert!(table.contains("| latency p99, ms |"), "{table}");
    assert!(out.join("latency-2.svg").is_file());
}
