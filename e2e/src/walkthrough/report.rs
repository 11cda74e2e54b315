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
    /// What the rows say about the counted requests, as the header of their column.
    pub column: &'static str,
    /// Changes that `closehaul plan` would still write at the end; there must be none.
    pub left: Vec<String>,
    /// Whether the model of kube-proxy picked the answers, because nothing can be sent without
    /// root.
    pub modelled: bool,
    /// From the start to the last step.
    pub elapsed: Duration,
}

/// How a step went.
#[derive(Debug, Clone)]
pub struct Row {
    /// The step's name.
    pub step: &'static str,
    /// Who answered the counted requests.
    pub answers: String,
    /// How many of the counted requests were answered.
    pub counted: u64,
    /// Requests sent during changes. Who answers them is not judged.
    pub beside: u64,
    /// Requests without a good answer, both counted ones and those during changes.
    pub failed: u64,
    /// What was not as expected. It is empty if the step is ok.
    pub problems: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Whether every step showed what it must, and nothing is left to write.
    pub fn ok(&self) -> bool {
        self.left.is_empty() && self.rows.iter().all(|row| row.problems.is_empty())
    }

    pub(super) fn print(&self, console: Console) {
        console.heading("Summary");
        let rows: Vec<_> = self.rows.iter().map(Row::summary).collect();
        table(["STEP", self.column, "BESIDE", "FAILED", "SECONDS", ""], &rows);
        let failed: u64 = self.rows.iter().map(|row| row.failed).sum();
        let seconds = self.elapsed.as_secs();
        line(format_args!("\n  {failed} requests failed; {seconds} s in all"));
        if self.modelled {
            line("  Not root: no request was sent, the model of kube-proxy picked the answers.");
        }
    }
}

impl Row {
    fn summary(&self) -> [String; 6] {
        [
            self.step.to_owned(),
            self.answers.clone(),
            self.beside.to_string(),
            self.failed.to_string(),
            self.elapsed.as_secs().to_string(),
            if self.problems.is_empty() { "ok".into() } else { "FAILED".into() },
        ]
    }
}

/// The nodes whose pods answered, each with how many requests.
pub(super) fn by_node(counts: &BTreeMap<String, u64>) -> String {
    let mut nodes = BTreeMap::<&str, u64>::new();
    for (answer, count) in counts {
        *nodes.entry(answer.rsplit('@').next().unwrap_or_default()).or_default() += count;
    }
    let nodes: Vec<_> = nodes.iter().map(|(node, count)| format!("{count} {node}")).collect();
    nodes.join(", ")
}

/// The good answers, by who gave them.
pub(super) fn count(answers: &[Answer]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for answer in answers.iter().flatten() {
        *counts.entry(answer.clone()).or_default() += 1;
    }
    counts
}

/// The failed requests, each with its reason.
pub(super) fn failures(answers: &[Answer]) -> impl Iterator<Item = &String> {
    answers.iter().filter_map(|answer| answer.as_ref().err())
}

/// What is wrong with the answers. Failed requests are judged elsewhere.
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

#[cfg(test)]
mod tests {
    use super::{super::endpoints::ready, *};
    use crate::walkthrough::steps::STEPS;
    use k8s_openapi::api::discovery::v1::EndpointSlice;
    use serde_json::json;

    #[test]
    fn every_expected_pod_must_answer_and_no_other() {
        let endpoint = |node: &str| json!({"nodeName": node, "addresses": ["10.244.1.1"], "targetRef": {"name": "p"}});
        let endpoints = ["mnode-m02", "mnode-m03"].map(endpoint);
        let slice = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints});
        let slices: [EndpointSlice; 1] = [serde_json::from_value(slice).unwrap()];
        let (endpoints, _) = ready(&slices);
        let problems = |answers: &[&str], step: usize| {
            let answers: Vec<_> = answers.iter().map(|answer| Ok((*answer).to_owned())).collect();
            judge(&count(&answers), &endpoints, &STEPS[step])
        };
        let [near, far] = ["p@mnode-m02", "p@mnode-m03"];
        assert_eq!(problems(&[near, far], 0), [""; 0]);
        assert_eq!(problems(&[near, near], 0), ["no answer came from p@mnode-m03"]);
        assert_eq!(problems(&[near, near], 1), [""; 0]);
        assert_eq!(problems(&[near, far], 1), ["1 answers came from p@mnode-m03"]);
        assert_eq!(problems(&[near, "old@mnode-m02"], 1), ["1 answers came from old@mnode-m02"]);
    }
}
