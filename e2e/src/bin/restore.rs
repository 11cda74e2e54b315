//! The command that restores etcd and silences watches on the real components.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use e2e::{
    closehaul::{self, Profile},
    packages,
    restore::{
        Case, Error, GOAL,
        idle::{Idle, idle},
        restore, silence,
    },
};

/// Restores etcd from a backup while closehaul runs, in eight ways, and makes watches fall silent
/// in two. Prints how long it took until every slice was correct, or until closehaul noticed. Last,
/// it counts the requests of closehaul in an idle cluster.
///
/// Takes about ten minutes, plus those of --idle. The case of dropped packets requires root and
/// iproute2. Exit code: 0 all within the goals, 1 otherwise.
#[derive(Parser)]
#[command(name = "cargo restore", max_term_width = 100)]
struct Arguments {
    /// Run only the cases whose description contains this
    #[arg(long, default_value = "")]
    only: String,
    /// How many minutes the idle cluster is watched
    #[arg(long, default_value_t = 30)]
    idle: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { only, idle } = Arguments::parse();
    match run(&only, Duration::from_secs(60 * idle)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("restore: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(only: &str, time: Duration) -> Result<bool, Error> {
    let binary = closehaul::build(Profile::Dev).await?;
    let mut is_good = true;
    for case in Case::all() {
        let name = case.to_string();
        if !name.contains(only) {
            continue;
        }
        let outcome = restore(case, &binary).await?;
        println!("{name}: {outcome}");
        is_good &= outcome.right.is_some_and(|right| right <= GOAL);
        is_good &= case.bumps || outcome.rewinds > 0.0 && outcome.is_logged;
    }
    let mut silent = Vec::new();
    if "stopped process".contains(only) {
        silent.push(("stopped process", silence::stopped_process(&binary).await?));
    }
    if "dropped packets".contains(only) {
        if packages::is_root() {
            silent.push(("dropped packets", silence::dropped_packets(&binary).await?));
        } else {
            println!("dropped packets: skipped, as network namespaces require root");
            is_good = false;
        }
    }
    for (name, noticed) in silent {
        let silence::Noticed { first, last, reason, right } = noticed;
        let [first_s, last_s, right_s] = [first, last, right].map(|time| time.as_secs_f64());
        println!(
            "{name}: noticed after {first_s:.1} to {last_s:.1} s, correct {right_s:.1} s after its end; \
             {reason}"
        );
        is_good &= last <= silence::GOAL + silence::MARGIN;
    }
    if "idle".contains(only) {
        let Idle { lists, watches, rewinds, failures } = idle(&binary, time).await?;
        let minutes = time.as_secs() / 60;
        println!(
            "idle for {minutes} min: {lists} lists, {watches} watches, {rewinds} rewinds, \
             {failures} failures"
        );
        is_good &= lists == 0 && rewinds + failures == 0.0;
    }
    Ok(is_good)
}
