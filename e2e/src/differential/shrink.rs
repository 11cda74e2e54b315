//! Shrink: a failing history, shortened, and replays of scripts.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::{
    Error, Pair,
    history::{History, Verdict},
    step::Step,
};
use crate::progress::say;

/// How many shorter histories are tried at a time, unless one must be alone.
const AT_ONCE: usize = 16;

/// The outcome of a replay.
#[derive(Debug)]
pub struct Replay {
    /// The number of the step after which the sides differed, and the differences.
    pub failure: Option<(usize, Vec<String>)>,
    /// How many steps fitted.
    pub steps: u64,
    /// How many comparisons were made.
    pub comparisons: u64,
}

/// Plays a script in a new namespace.
pub async fn replay(pair: &Pair, namespace: &str, script: &[Step]) -> Result<Replay, Error> {
    let _active = pair.restarts.active();
    let mut history = History::begin(pair, namespace).await?;
    let mut replay = Replay { failure: None, steps: 0, comparisons: 0 };
    for (number, step) in script.iter().enumerate() {
        let verdict = history.step(step).await?;
        replay.steps += u64::from(verdict != Verdict::Nothing);
        match verdict {
            Verdict::Different(lines) => {
                replay.failure = Some((number, lines));
                break;
            }
            Verdict::Nothing | Verdict::Agreed => {}
        }
    }
    replay.comparisons = history.comparisons;
    history.end().await?;
    Ok(replay)
}

/// A script that still fails, with as many steps of `script` left out as the time allows. If the
/// failure does not recur, this is the script itself.
pub async fn shrink(
    pair: &Pair,
    namespace: &str,
    script: &[Step],
    limit: Duration,
) -> Result<Vec<Step>, Error> {
    let mut shortest = script.to_vec();
    let rounds = rounds(pair, namespace, &mut shortest);
    match timeout(limit, rounds).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(shortest),
    }
}

/// Leaves out smaller and smaller pieces, as long as the rest fails.
async fn rounds(pair: &Pair, namespace: &str, shortest: &mut Vec<Step>) -> Result<(), Error> {
    let mut size = shortest.len().div_ceil(2);
    let mut round = 0;
    let is_alone = shortest.contains(&Step::Workers);
    let at_once = if is_alone { 1 } else { AT_ONCE };
    while size > 0 {
        say(&format!("differential: shrinking {namespace}, {} steps", shortest.len()));
        let pieces = (0..shortest.len()).step_by(size);
        let candidates = pieces.map(|from| {
            let mut candidate = shortest.clone();
            candidate.drain(from..(from + size).min(shortest.len()));
            candidate
        });
        let candidates = candidates.filter(|candidate| !candidate.is_empty()).enumerate();
        let tried = stream::iter(candidates).map(async |(number, candidate)| {
            let namespace = format!("{namespace}-{round}-{number}");
            let replay = replay(pair, &namespace, &candidate).await?;
            // Nothing after the failed step is needed.
            Ok::<_, Error>(replay.failure.map(|(at, _)| candidate[..=at].to_vec()))
        });
        let mut tried = Box::pin(tried.buffer_unordered(at_once));
        let mut failing = None;
        while let (None, Some(result)) = (&failing, tried.next().await) {
            failing = result?;
        }
        drop(tried);
        round += 1;
        match failing {
            Some(shorter) => {
                *shortest = shorter;
                size = size.min(shortest.len().div_ceil(2));
            }
            None if size == 1 => break,
            None => size /= 2,
        }
    }
    Ok(())
}
