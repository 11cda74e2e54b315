//! S8: churn for a long time, and how memory grows.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    Error, Outcome, Stage,
    churn::{SEEN, patch},
    noise::per_thousand,
    roll::replace,
};
use crate::{
    bench::{measure::Measure, statistics::slope},
    cluster::Actor,
    progress::Progress,
};

/// Changes of readiness a second.
const RATE: u32 = 50;
/// One change in this many is the replacement of a pod.
const REPLACED: u32 = 25;
/// How often memory is measured.
const SAMPLE: Duration = Duration::from_secs(5);
/// A third of the time passes before growth counts, because memory first fills up.
const SETTLED: f64 = 1.0 / 3.0;

/// Changes readiness in one half of the pods and replaces those of the other half.
pub(super) async fn run(stage: &mut Stage<'_>, minutes: u32) -> Result<Outcome, Error> {
    let shape = stage.shape;
    let lasts = Duration::from_secs(60) * minutes;
    let half = shape.pods() / 2;
    let mut old = (half..shape.pods()).collect::<VecDeque<_>>();
    let mut new = shape.pods()..;
    let mut ending = None;
    let client = stage.cluster.client(Actor::Admin)?;
    let meter = stage.meter().await?;
    let mut progress = Progress::new(format!("{minutes} min of churn by {}", stage.contender));
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut memory = vec![(0.0, stage.resident()?)];
    let mut sampled = started;
    let mut changes = 0;
    while started.elapsed() < lasts {
        ticks.tick().await;
        changes += 1;
        if changes % REPLACED == 0 {
            if let (Some(first), Some(next)) = (old.pop_front(), new.next()) {
                replace(&stage.world, shape, first, next).await?;
                old.push_back(next);
                // It goes when the next one is asked to stop.
                if let Some(ended) = ending.replace(first) {
                    stage.world.delete(&shape.place(ended)).await?;
                }
            }
        } else {
            let change = stage.change(half);
            stage.witness.await_pod(&change.place.name, change.ready);
            patch(&client, &change).await?;
        }
        if sampled.elapsed() >= SAMPLE {
            sampled = Instant::now();
            stage.must_run()?;
            memory.push((started.elapsed().as_secs_f64(), stage.resident()?));
        }
        progress.tick();
    }
    progress.done();
    stage.witness.all_seen(SEEN).await?;
    stage.follow().await?;
    let mut measures = stage.read(meter).await?;
    per_thousand(&mut measures, changes);
    let from = lasts.as_secs_f64() * SETTLED;
    let late = memory.iter().copied().filter(|point| point.0 >= from).collect::<Vec<_>>();
    if let Some(slope) = slope(&late) {
        measures.insert(Measure::Slope, slope * 3_600.0);
    }
    Ok(Outcome { measures, memory, ..Outcome::default() })
}
