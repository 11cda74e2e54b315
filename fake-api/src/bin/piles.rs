//! Many faults at the same time, in simulated time (`cargo piles`): which invariants break, and the
//! shortest script that breaks each.

#![allow(clippy::panic, reason = "what the simulation cannot do ends it")]

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use clap::Parser;
use fake_api::{
    piles::{Pile, Report, script::Script, shrink::shrink},
    seeds::each,
};

/// How often progress is shown.
const SHOWN: Duration = Duration::from_secs(10);

/// Piles of faults on a simulated API server
#[derive(Parser)]
#[command(name = "cargo piles", bin_name = "cargo piles")]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run this script, as a violation prints it, in place of seeds
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// How many seconds to spend on a shorter script for each violated invariant; 0 prints none
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    shrink: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.script {
        Some(path) => match Script::read(path) {
            Ok(script) => replay(&script),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        },
        None => run(&args),
    }
}

fn replay(script: &Script) -> ExitCode {
    let pile = Pile::run(script);
    for (_, text) in &pile.violations {
        println!("{text}");
    }
    println!("{} steps, {} violations", script.steps.len(), pile.violations.len());
    if pile.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(args: &Args) -> ExitCode {
    let began = Instant::now();
    let done = AtomicUsize::new(0);
    let shown = std::sync::Mutex::new(began);
    let piles = each(&(args.first..args.first.saturating_add(args.seeds)), |seed| {
        let pile = Pile::run(&Script::of_seed(seed));
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(mut shown) = shown.try_lock()
            && shown.elapsed() >= SHOWN
        {
            *shown = Instant::now();
            let seconds = began.elapsed().as_secs();
            eprintln!("piles: {done} of {}  {seconds} s", args.seeds);
        }
        (seed, pile)
    });
    let report = Report { piles: &piles, took: began.elapsed() };
    println!("{report}");
    let violated = report.violated();
    for (invariant, seeds) in violated.iter().filter(|_| args.shrink > 0) {
        eprintln!("piles: shortening seed {}", seeds[0]);
        let whole = Script::of_seed(seeds[0]);
        let script = shrink(&whole, invariant, Duration::from_secs(args.shrink));
        println!(
            "\n# From seed {}: {invariant}. For `cargo piles --script FILE`.\n{script}",
            seeds[0]
        );
    }
    if violated.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
