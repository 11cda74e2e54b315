//! The chart, checked with helm, with each supported version of Kubernetes, and with the documents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod golden;
mod image;
mod notes;
mod promql;
mod readme;
mod rules;
mod schema;
mod schemas;
mod server;
mod subchart;
mod values;
mod workflow;

use std::{fs, path::PathBuf, process::Output};

use e2e::{
    chart::{self, Tools},
    components::Component,
};

/// The sets of values that users are expected to have, by file.
fn value_sets() -> Vec<PathBuf> {
    let entries = fs::read_dir(chart::directory().join("ci")).unwrap();
    let mut files = entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files
}

/// What a tool printed, on both streams.
fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Runs a tool that must succeed; returns what it printed.
fn succeed(tools: &Tools, tool: Component, args: &[&str]) -> String {
    let output = tools.run(tool, args).unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{} {}:\n{text}", tool.name(), args.join(" "));
    text
}

#[test]
fn helm_finds_nothing_to_say() {
    let tools = Tools::ensure().unwrap();
    for values in value_sets() {
        let values = values.display().to_string();
        let args = ["lint", "--strict", "helm/closehaul", "--values", &values];
        let said = succeed(&tools, Component::Helm, &args);
        assert!(!said.contains("[WARNING]"), "{said}");
    }
}

#[test]
fn unit_tests_pass() {
    let tools = Tools::ensure().unwrap();
    let said = succeed(&tools, Component::HelmUnittest, &["--strict", "helm/closehaul"]);
    eprintln!("{said}");
    // If no test were found, it would pass as well.
    let passed = said.lines().find(|line| line.trim_start().starts_with("Tests:")).unwrap();
    let words = passed.split_whitespace().collect::<Vec<_>>();
    assert!(words[1].parse::<usize>().unwrap() >= 30, "{passed}");
}
