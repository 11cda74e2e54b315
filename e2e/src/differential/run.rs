//! Run: many histories at a time, progress, and the report.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures::{
    StreamExt, TryStreamExt,
    future::{ready, try_join_all},
    stream,
};
use tokio::sync::{RwLock, watch};

use super::{
    Error, Pair,
    generate::Generator,
    history::{History, Verdict},
    shrink,
    step::Step,
    wanted::Entry,
};
use crate::{progress::say, world::object};

/// How many steps a history has.
const LENGTH: u64 = 25;
/// How many trapped histories wait for one restart of the controllers.
const TRAPPED: u64 = 16;
/// How often progress is shown.
const SHOWN: Duration = Duration::from_secs(10);
/// How long a failing history may be shrunk.
const SHRINK: Duration = Duration::from_secs(120);
/// How many failures are enough to end a run.
const ENOUGH: u64 = 3;

/// What is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many random steps
    #[arg(long, default_value_t = 1000)]
    pub steps: u64,
    /// What the steps are drawn from; the same seed gives the same histories
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many histories run at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub at_once: u16,
    /// The most endpoints in a slice; small, so that few pods make many slices
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_endpoints_per_slice: u16,
    /// Play this script, one step a line as a failure prints them, in place of random histories
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps: 300, seed: 1, at_once: 32, max_endpoints_per_slice: 5, script: None }
    }
}

/// An unexplained difference.
#[derive(Debug)]
pub struct Failure {
    /// The number of the history.
    pub history: u64,
    /// What differs.
    pub lines: Vec<String>,
    /// The steps that lead there.
    pub script: Vec<Step>,
}

/// What a run has found.
#[derive(Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How many histories.
    pub histories: u64,
    /// How many Services they had.
    pub services: u64,
    /// How many steps.
    pub steps: u64,
    /// How many comparisons.
    pub comparisons: u64,
    /// How often the controllers were restarted.
    pub restarts: u64,
    /// How often each wanted difference was met.
    pub wanted: Vec<(Entry, u64)>,
    /// The unexplained differences, shrunk.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

struct Run {
    pair: Pair,
    options: Options,
    /// Held for reading during a step, for writing during a restart.
    gate: RwLock<()>,
    /// How often the controllers were restarted.
    restarts: watch::Sender<u64>,
    /// How many histories wait for the next restart.
    waiting: AtomicU64,
    /// How many histories have begun and not ended.
    active: AtomicU64,
    /// How many steps are done.
    done: AtomicU64,
    /// How many histories differ.
    failed: AtomicU64,
}

/// What came of one history.
#[derive(Debug, Default)]
struct Outcome {
    history: u64,
    script: Vec<Step>,
    services: u64,
    steps: u64,
    comparisons: u64,
    lines: Option<Vec<String>>,
}

/// Runs what is asked for, on control planes of its own.
pub async fn run(options: Options) -> Result<Report, Error> {
    let started = Instant::now();
    let script = options.script.clone().map(read).transpose()?;
    let pair = Pair::start(options.max_endpoints_per_slice.into()).await?;
    // The zones' shares of CPU for the legacy annotation.
    let nodes =
        ["zone-a", "zone-b", "zone-c"].map(|zone| object::node(&format!("cpu-{zone}"), Some(zone)));
    pair.both(async |side| Ok(side.world.create_all(&nodes).await?)).await?;
    let run = Run {
        pair,
        options,
        gate: RwLock::default(),
        restarts: watch::Sender::default(),
        waiting: AtomicU64::default(),
        active: AtomicU64::default(),
        done: AtomicU64::default(),
        failed: AtomicU64::default(),
    };
    let mut report = match script {
        Some(script) => play(&run.pair, &script).await?,
        None => histories(&run).await?,
    };
    report.wanted = run.pair.wanted.met();
    report.elapsed = started.elapsed();
    run.pair.stop().await?;
    Ok(report)
}

fn read(path: PathBuf) -> Result<Vec<Step>, Error> {
    let text = fs::read_to_string(&path);
    let text = text.map_err(|source| Error::Script { path: path.clone(), source })?;
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let steps = lines.map(serde_json::from_str).collect::<Result<_, _>>();
    steps.map_err(|error| Error::Script { path, source: error.into() })
}

async fn play(pair: &Pair, script: &[Step]) -> Result<Report, Error> {
    let replay = shrink::replay(pair, "script", script).await?;
    let failure = replay.failure.map(|(at, lines)| Failure {
        history: 0,
        lines,
        script: script[..=at].to_vec(),
    });
    Ok(Report {
        histories: 1,
        steps: replay.steps,
        comparisons: replay.comparisons,
        failures: failure.into_iter().collect(),
        ..Report::default()
    })
}

async fn histories(run: &Run) -> Result<Report, Error> {
    let Options { steps, seed, at_once, .. } = run.options;
    let count = steps.div_ceil(LENGTH);
    let length = |number: u64| LENGTH.min(steps - (number - 1) * LENGTH);
    let all = stream::iter(1..=count).map(|number| one(run, number, length(number)));
    let all = all.buffer_unordered(at_once.into());
    let mut report = Report { seed, ..Report::default() };
    let mut failed = Vec::new();
    let collect = all.try_for_each(|outcome| {
        report.histories += u64::from(outcome.steps > 0);
        report.services += outcome.services;
        report.steps += outcome.steps;
        report.comparisons += outcome.comparisons;
        failed.extend(outcome.lines.is_some().then_some(outcome));
        ready(Ok(()))
    });
    tokio::select! {
        collected = collect => collected?,
        failed = watch_over(run) => failed?,
    }
    report.restarts = *run.restarts.borrow();
    report.failures = try_join_all(failed.into_iter().map(|outcome| shorter(run, outcome))).await?;
    Ok(report)
}

/// Restarts the controllers when enough histories, or all that are left, wait for it; shows
/// progress. Returns only when something fails.
async fn watch_over(run: &Run) -> Result<(), Error> {
    let (started, mut shown) = (Instant::now(), Instant::now());
    let mut canary = History::begin(&run.pair, "restarts").await?;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let waiting = run.waiting.load(Ordering::SeqCst);
        if waiting > 0 && waiting >= run.active.load(Ordering::SeqCst).min(TRAPPED) {
            let _nobody_steps = run.gate.write().await;
            run.pair.restart().await?;
            // What they do first, they do before any further step.
            canary.follow().await?;
            run.waiting.store(0, Ordering::SeqCst);
            run.restarts.send_modify(|count| *count += 1);
        }
        if shown.elapsed() >= SHOWN {
            shown = Instant::now();
            let (done, steps) = (run.done.load(Ordering::SeqCst), run.options.steps);
            let (failed, seconds) =
                (run.failed.load(Ordering::SeqCst), started.elapsed().as_secs());
            say(&format!(
                "differential: {done} of {steps} steps, {failed} differences  {seconds} s"
            ));
        }
    }
}

/// Plays one history.
async fn one(run: &Run, number: u64, length: u64) -> Result<Outcome, Error> {
    let mut outcome = Outcome { history: number, ..Outcome::default() };
    if run.failed.load(Ordering::SeqCst) >= ENOUGH {
        return Ok(outcome);
    }
    run.active.fetch_add(1, Ordering::SeqCst);
    let mut generator = Generator::new(run.options.seed, number);
    let mut history = {
        let _running = run.gate.read().await;
        History::begin(&run.pair, &format!("h{number}")).await?
    };
    while outcome.steps < length && outcome.lines.is_none() {
        let is_last = outcome.steps + 1 == length;
        let Some(step) = generator.next(&history.model, is_last) else { break };
        outcome.services += u64::from(matches!(step, Step::CreateService { .. }));
        outcome.script.push(step.clone());
        let verdict = {
            let _running = run.gate.read().await;
            history.step(&step).await?
        };
        outcome.steps += 1;
        run.done.fetch_add(1, Ordering::SeqCst);
        let verdict = match verdict {
            Verdict::Trapped => {
                let mut restarts = run.restarts.subscribe();
                run.waiting.fetch_add(1, Ordering::SeqCst);
                // The sender lives as long as the run.
                let _ = restarts.changed().await;
                let _running = run.gate.read().await;
                history.after_restart().await?
            }
            verdict => verdict,
        };
        if let Verdict::Different(lines) = verdict {
            run.failed.fetch_add(1, Ordering::SeqCst);
            let script = serde_json::to_string(&step).unwrap_or_default();
            say(&format!(
                "differential: history {number} differs after {script}\n{}",
                lines.join("\n")
            ));
            outcome.lines = Some(lines);
        }
    }
    outcome.comparisons = history.comparisons;
    let _running = run.gate.read().await;
    history.end().await?;
    run.active.fetch_sub(1, Ordering::SeqCst);
    Ok(outcome)
}

async fn shorter(run: &Run, outcome: Outcome) -> Result<Failure, Error> {
    let Outcome { history, script, lines, .. } = outcome;
    let namespace = format!("h{history}");
    let script = shrink::shrink(&run.pair, &namespace, &script, SHRINK).await?;
    Ok(Failure { history, lines: lines.unwrap_or_default(), script })
}

impl Report {
    /// Whether nothing but wanted differences was found.
    pub fn ok(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, histories, services, steps, comparisons, restarts, failures, .. } = self;
        writeln!(
            out,
            "seed {seed}: {histories} histories, {services} Services, {steps} steps, \
             {comparisons} comparisons, {restarts} restarts, {} s",
            self.elapsed.as_secs()
        )?;
        writeln!(out, "wanted differences (e2e/differences.yaml) and how often they were met:")?;
        for (entry, met) in &self.wanted {
            writeln!(out, "  {met:>6}  {} ({})", entry.name, entry.section)?;
        }
        writeln!(out, "unexplained differences: {}", failures.len())?;
        for Failure { history, lines, script } in failures {
            writeln!(out, "\nseed {seed}, history {history}:")?;
            for line in lines {
                writeln!(out, "    {line}")?;
            }
            writeln!(out, "  script, for `cargo differential --script FILE`:")?;
            for step in script {
                writeln!(out, "{}", serde_json::to_string(step).unwrap_or_default())?;
            }
        }
        Ok(())
    }
}
