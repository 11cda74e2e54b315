//! Seeds: runs in simulated time, each determined by its seed.

use std::{env, future::Future, ops::Range, thread};

use tokio::runtime::Builder;

/// The seeds of a run: `SEED=7` for a single one, `SEEDS=100` for this many, or else `default` many.
pub fn seeds(default: u64) -> Range<u64> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(default),
    }
}

/// Runs each seed, on two threads. The results of even seeds come first.
pub fn each<T: Send>(seeds: &Range<u64>, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let run = &run;
    thread::scope(|scope| {
        let half = |odd| seeds.clone().filter(move |seed| seed % 2 == odd);
        let threads = [0, 1].map(|odd| scope.spawn(move || half(odd).map(run).collect()));
        threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().unwrap() }).collect()
    })
}

/// Runs a future to its end, in simulated time.
pub fn simulate<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}
