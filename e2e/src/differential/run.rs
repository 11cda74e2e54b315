//! Run: many histories at a time, progress, and the report.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{
    Error, Pair,
    generate::Generator,
    history::{History, Verdict},
    objects,
    opening::opening,
    shape::Zone,
    shrink,
    step::{SHARED, Step},
    wanted::Entry,
};
use crate::{progress::say, world::object};
use futures::{
    StreamExt, TryStreamExt,
    future::{ready, try_join},
    stream::{self, select},
};

/// How many steps a history has.
const LENGTH: u64 = 25;
/// One history in this many has nodes that count for the zones' shares of CPU, and is alone on its
/// control planes.
const ALONE: u64 = 25;
/// A run of this many steps must have met every wanted difference.
const LONG: u64 = 3000;
/// How often progress is shown.
const SHOWN: Duration = Duration::from_secs(10);
/// How long a failing history may be shrunk.
const SHRINK: Duration = Duration::from_secs(120);

/// What is requested.
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
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_endpoints_per_slice: u16,
    /// Run only this history of all that the seed and the number of steps give
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub history: Option<u64>,
    /// How many histories that differ end the run
    #[arg(long, default_value_t = 3)]
    pub enough: u64,
    /// Play this script, one step a line as a failure prints them, in place of random histories
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps: 300,
            seed: 1,
            at_once: 32,
            max_endpoints_per_slice: 3,
            history: None,
            enough: 3,
            script: None,
        }
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
    /// The control planes where many histories run at a time.
    shared: Pair,
    /// The control planes where histories run alone, one after the other, meanwhile.
    alone: Pair,
    options: Options,
    /// How many steps are done.
    done: AtomicU64,
    /// How many histories differ.
    failed: AtomicU64,
}

/// The outcome of one history.
#[derive(Debug, Default)]
struct Outcome {
    history: u64,
    script: Vec<Step>,
    services: u64,
    steps: u64,
    comparisons: u64,
    lines: Option<Vec<String>>,
}

/// Runs what is requested, on control planes of its own.
pub async fn run(options: Options) -> Result<Report, Error> {
    let started = Instant::now();
    let script = options.script.clone().map(read).transpose()?;
    let max = options.max_endpoints_per_slice.into();
    let (shared, alone) = Box::pin(try_join(Pair::start(max), Pair::start(max))).await?;
    // These nodes determine the zones' shares of CPU for the legacy annotation.
    let zones = Zone::ALL.into_iter().take(SHARED).enumerate();
    let nodes = zones
        .map(|(number, zone)| object::node(&objects::shared_node_name(number), Some(zone.name())));
    let nodes = nodes.collect::<Vec<_>>();
    for pair in [&shared, &alone] {
        pair.both(async |side| Ok(side.world.create_all(&nodes).await?)).await?;
    }
    let run =
        Run { shared, alone, options, done: AtomicU64::default(), failed: AtomicU64::default() };
    let played = async {
        match script {
            Some(script) => play(&run.alone, &script).await,
            None => histories(&run).await,
        }
    };
    let mut report = tokio::select! {
        report = played => report?,
        failed = run.shared.restarts.serve(&run.shared) => match failed? {},
        failed = run.alone.restarts.serve(&run.alone) => match failed? {},
    };
    report.restarts = run.shared.restarts.count() + run.alone.restarts.count();
    report.wanted = run.shared.wanted.met();
    for ((_, met), (_, alone)) in report.wanted.iter_mut().zip(run.alone.wanted.met()) {
        *met += alone;
    }
    report.elapsed = started.elapsed();
    Box::pin(try_join(run.shared.stop(), run.alone.stop())).await?;
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

/// A step as a line of a script.
fn line(step: &Step) -> String {
    serde_json::to_string(step).unwrap_or_default()
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
    let Options { steps, seed, at_once, history, .. } = run.options;
    let count = steps.div_ceil(LENGTH);
    let numbers = || (1..=count).filter(move |number| history.is_none_or(|only| only == *number));
    let length = |number: u64| LENGTH.min(steps - (number - 1) * LENGTH);
    let play = |number: u64| one(run, number, length(number));
    let together = stream::iter(numbers().filter(|number| !is_alone(*number)));
    let together = together.map(play).buffer_unordered(at_once.into());
    let alone = stream::iter(numbers().filter(|number| is_alone(*number))).then(play);
    let mut report = Report { seed, ..Report::default() };
    let mut failed = Vec::new();
    let collect = select(together, alone).try_for_each(|outcome| {
        report.histories += u64::from(outcome.steps > 0);
        report.services += outcome.services;
        report.steps += outcome.steps;
        report.comparisons += outcome.comparisons;
        failed.extend(outcome.lines.is_some().then_some(outcome));
        ready(Ok(()))
    });
    tokio::select! {
        collected = collect => collected?,
        () = show(run) => {}
    }
    for outcome in failed {
        report.failures.push(shorter(run, outcome).await?);
    }
    Ok(report)
}

/// Whether a history is alone, by its number.
fn is_alone(number: u64) -> bool {
    number % ALONE == 1
}

impl Run {
    /// Where a history is played.
    fn pair(&self, number: u64) -> &Pair {
        if is_alone(number) { &self.alone } else { &self.shared }
    }
}

/// Shows progress indefinitely.
async fn show(run: &Run) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(SHOWN).await;
        let (done, failed) = (run.done.load(Ordering::SeqCst), run.failed.load(Ordering::SeqCst));
        let (steps, seconds) = (run.options.steps, started.elapsed().as_secs());
        say(&format!("differential: {done} of {steps} steps, {failed} differences  {seconds} s"));
    }
}

/// Plays one history.
async fn one(run: &Run, number: u64, length: u64) -> Result<Outcome, Error> {
    let mut outcome = Outcome { history: number, ..Outcome::default() };
    if run.failed.load(Ordering::SeqCst) >= run.options.enough {
        return Ok(outcome);
    }
    let pair = run.pair(number);
    let _active = pair.restarts.active();
    let mut generator = Generator::new(run.options.seed, number);
    let mut opening = opening(number % ALONE).into_iter();
    let mut history = History::begin(pair, &format!("h{number}")).await?;
    while outcome.steps < length && outcome.lines.is_none() {
        let is_last = outcome.steps + 1 == length;
        let step = opening.next().or_else(|| generator.next(&history.model, is_last));
        let Some(step) = step else { break };
        outcome.services += u64::from(matches!(step, Step::CreateService { .. }));
        outcome.script.push(step.clone());
        let verdict = history.step(&step).await?;
        outcome.steps += 1;
        run.done.fetch_add(1, Ordering::SeqCst);
        if let Verdict::Different(lines) = verdict {
            run.failed.fetch_add(1, Ordering::SeqCst);
            let script = outcome.script.iter().map(|step| line(step) + "\n");
            let script = script.collect::<String>();
            let lines_shown = lines.join("\n");
            say(&format!("differential: history {number} differs after\n{script}{lines_shown}"));
            outcome.lines = Some(lines);
        }
    }
    outcome.comparisons = history.comparisons;
    history.end().await?;
    Ok(outcome)
}

async fn shorter(run: &Run, outcome: Outcome) -> Result<Failure, Error> {
    let Outcome { history, script, lines, .. } = outcome;
    let namespace = format!("h{history}");
    let script = shrink::shrink(run.pair(history), &namespace, &script, SHRINK).await?;
    Ok(Failure { history, lines: lines.unwrap_or_default(), script })
}

impl Report {
    /// Whether only wanted differences were found, and all of them if the run was long enough.
    pub fn ok(&self) -> bool {
        self.failures.is_empty() && self.idle().is_empty()
    }

    /// The wanted differences that a long run should have met and has not.
    fn idle(&self) -> Vec<&str> {
        let unmet = self.wanted.iter().filter(|(_, met)| self.steps >= LONG && *met == 0);
        unmet.map(|(entry, _)| entry.name.as_str()).collect()
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
        if !self.idle().is_empty() {
            let idle = self.idle().join(", ");
            writeln!(out, "never met, so to be taken out of e2e/differences.yaml: {idle}")?;
        }
        writeln!(out, "unexplained differences: {}", failures.len())?;
        for Failure { history, lines, script } in failures {
            writeln!(out, "\nseed {seed}, history {history}:")?;
            for line in lines {
                writeln!(out, "    {line}")?;
            }
            writeln!(out, "  script, for `cargo differential --script FILE`:")?;
            for step in script {
                writeln!(out, "{}", line(step))?;
            }
        }
        Ok(())
    }
}
