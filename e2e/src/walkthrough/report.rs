//! How the steps went.

use super::{
    console::{Console, line, table},
    endpoints::Ready,
    steps::Step,
};
use crate::kubelet::requests::Answer;
use std::{collections::BTreeMap, time::Duration};

/// How the walkthrough went.
#[derive(Debug, Clone)]
pub struct Report {
    /// One row for each step.
    pub rows: Vec<Row>,
    /// From the start to the last step.
    pub elapsed: Duration,
}

/// How a step went.
#[derive(Debug, Clone)]
pub struct Row {
    /// The step's name.
    pub step: &'static str,
    /// The counted requests, by the answering `pod@node`.
    pub answers: BTreeMap<String, u64>,
    /// Requests sent while things changed; who answers them is not judged.
    pub beside: u64,
    /// Requests without a good answer, the counted ones and those beside.
    pub failed: u64,
    /// What was not as expected; empty if the step is ok.
    pub problems: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Whether every step showed what it must.
    pub fn ok(&self) -> bool {
        self.rows.iter().all(|row| row.problems.is_empty())
    }

    pub(super) fn print(&self, console: Console) {
        console.heading("Summary");
        let rows: Vec<_> = self.rows.iter().map(Row::summary).collect();
        table(["STEP", "ANSWERED BY", "BESIDE", "FAILED", "SECONDS", ""], &rows);
        let (failed, seconds) =
            (self.rows.iter().map(|row| row.failed).sum::<u64>(), self.elapsed.as_secs());
        line(format_args!("\n  {failed} requests failed; {seconds} s in all"));
    }
}

impl Row {
    fn summary(&self) -> [String; 6] {
        let mut nodes = BTreeMap::<&str, u64>::new();
        for (answer, count) in &self.answers {
            *nodes.entry(answer.rsplit('@').next().unwrap_or_default()).or_default() += count;
        }
        let nodes: Vec<_> = nodes.iter().map(|(node, count)| format!("{count} {node}")).collect();
        [
            self.step.to_owned(),
            nodes.join(", "),
            self.beside.to_string(),
            self.failed.to_string(),
            self.elapsed.as_secs().to_string(),
            if self.problems.is_empty() { "ok".into() } else { "FAILED".into() },
        ]
    }
}

/// The good answers, by who gave them.
pub(super) fn count(answers: &[Answer]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for answer in answers.iter().flatten() {
        *counts.entry(answer.clone()).or_default() += 1;
    }
    counts
}

/// The requests that failed, each with why.
pub(super) fn failures(answers: &[Answer]) -> impl Iterator<Item = &String> {
    answers.iter().filter_map(|answer| answer.as_ref().err())
}

/// What is wrong with who answered; requests that failed are judged elsewhere.
pub(super) fn judge(
    counts: &BTreeMap<String, u64>,
    endpoints: &[Ready],
    step: &Step,
) -> Vec<String> {
    let expected: Vec<_> =
        endpoints.iter().filter(|e| step.expected.answers.contains(&e.node.as_str())).collect();
    let unexpected = counts
        .iter()
        .filter(|(answer, _)| expected.iter().all(|endpoint| endpoint.answer != **answer))
        .map(|(answer, count)| format!("{count} answers came from {answer}"));
    let missing = expected
        .iter()
        .filter(|endpoint| !counts.contains_key(&endpoint.answer))
        .map(|endpoint| format!("no answer came from {}", endpoint.answer));
    unexpected.chain(missing).collect()
}
