//! Shrink: a shorter script that still violates an invariant.

use std::time::{Duration, Instant};

use super::{Pile, script::Script};

/// Leaves out steps for as long as the rest violates `invariant`, until no single one can be spared
/// or `limit` is over.
pub fn shrink(script: &Script, invariant: &'static str, limit: Duration) -> Script {
    let started = Instant::now();
    let mut best = script.clone();
    let mut size = best.steps.len() / 2;
    while size > 0 {
        let mut from = 0;
        let mut is_shorter = false;
        while from < best.steps.len() {
            if started.elapsed() > limit {
                return best;
            }
            let mut shorter = best.clone();
            let end = (from + size).min(best.steps.len());
            // The time stays, so that what comes later meets the same faults.
            let spared: u64 = shorter.steps.drain(from..end).map(|step| step.then).sum();
            if let Some(before) = from.checked_sub(1) {
                shorter.steps[before].then += spared;
            }
            if Pile::run(&shorter).violates(invariant) {
                (best, is_shorter) = (shorter, true);
            } else {
                from = end;
            }
        }
        if !is_shorter || size > 1 {
            size /= 2;
        }
    }
    best
}
