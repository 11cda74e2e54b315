//! closehaul with every version of Kubernetes that is pinned here: the walkthrough with an API
//! server, controllers, kube-proxies and kubectl of that version, and what is specific to one
//! version.

mod dropped;

use std::path::Path;

use crate::{
    closehaul, cluster,
    components::Kubernetes,
    net, process, proxy,
    walkthrough::{
        self, Report,
        console::{Console, table},
    },
    world,
};

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Only this version; may be given several times
    #[arg(long, value_enum, value_name = "VERSION")]
    pub kubernetes: Vec<Kubernetes>,
    /// How the kube-proxies program the kernel
    #[arg(long, value_enum, default_value_t)]
    pub proxy: proxy::Mode,
    /// Only this part
    #[arg(long, value_enum)]
    pub only: Option<Part>,
}

/// A part of the run with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The walkthrough, with every version.
    Walkthrough,
    /// 1.34.4 with an API server that drops hints for nodes.
    Dropped,
}

/// What was checked with one version.
#[derive(Debug, Clone)]
pub struct Check {
    /// The version.
    pub kubernetes: Kubernetes,
    /// What was done.
    pub step: String,
    /// The result, or what was wrong.
    pub result: Result<String, String>,
}

/// What can end the scenario of one version early.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error(transparent)]
    World(#[from] world::Error),
    #[error(transparent)]
    Closehaul(#[from] closehaul::Error),
    #[error(transparent)]
    Process(#[from] process::Error),
    #[error("cannot read closehaul's log: {0}")]
    Log(std::io::Error),
}

/// Runs everything with one version after the other, prints it and a table at the end, and returns
/// the table's rows. `server` is the binary with [`crate::kubelet::Command`].
///
/// # Errors
///
/// [`walkthrough::Error`] only if no other version would succeed either: after Ctrl-C, or without
/// the required packages. A failure with one version is a row of the table.
pub async fn run(options: &Options, server: &Path) -> Result<Vec<Check>, walkthrough::Error> {
    let console = Console::new();
    let versions = match &options.kubernetes[..] {
        [] => &Kubernetes::ALL,
        some => some,
    };
    let mut checks = Vec::new();
    for &kubernetes in versions {
        if options.only != Some(Part::Dropped) {
            console.heading(format_args!("Kubernetes {kubernetes}: the walkthrough"));
            checks.extend(walk(kubernetes, options.proxy, server).await?);
        }
        // In later versions, the gate is locked on.
        if kubernetes == Kubernetes::V1_34 && options.only != Some(Part::Walkthrough) {
            console.heading(format_args!(
                "Kubernetes {kubernetes}: an API server that drops hints for nodes"
            ));
            checks.extend(dropped::run(console, kubernetes).await);
        }
    }
    console.heading("Summary");
    let rows: Vec<_> = checks.iter().map(Check::row).collect();
    table(["VERSION", "STEP", "RESULT"], &rows);
    Ok(checks)
}

impl Check {
    fn row(&self) -> [String; 3] {
        let result = match &self.result {
            Ok(result) => format!("ok: {result}"),
            Err(problem) => format!("FAILED: {problem}"),
        };
        [self.kubernetes.to_string(), self.step.clone(), result]
    }
}

async fn walk(
    kubernetes: Kubernetes,
    proxy: proxy::Mode,
    server: &Path,
) -> Result<Vec<Check>, walkthrough::Error> {
    use walkthrough::Error::{Interrupted, Network};

    let settings = walkthrough::Options { kubernetes, proxy, ..walkthrough::Options::default() };
    match walkthrough::run(settings, server).await {
        Ok(report) => Ok(rows(kubernetes, &report)),
        Err(error @ (Interrupted | Network(net::Error::Packages(_)))) => Err(error),
        Err(error) => {
            let (step, result) = ("walkthrough".to_owned(), Err(error.to_string()));
            Ok(vec![Check { kubernetes, step, result }])
        }
    }
}

fn rows(kubernetes: Kubernetes, report: &Report) -> Vec<Check> {
    let steps = report.rows.iter().map(|row| {
        let requests = row.counted + row.beside;
        let (by, failed) = (&row.answers, row.failed);
        let result = format!("{by}; {failed} of {requests} requests failed");
        let problems = row.problems.join("; ");
        let result = if problems.is_empty() { Ok(result) } else { Err(problems) };
        Check { kubernetes, step: row.step.to_owned(), result }
    });
    let result = match &report.left[..] {
        [] => Ok("nothing is left to write".to_owned()),
        left => Err(left.join("; ")),
    };
    let rehearsal = Check { kubernetes, step: "closehaul plan".to_owned(), result };
    steps.chain([rehearsal]).collect()
}
