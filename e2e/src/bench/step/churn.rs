//! S4: readiness changes, and how long each takes to be seen in a slice.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use http::{Request, header::CONTENT_TYPE};
use kube::Client;
use tokio::time::{MissedTickBehavior, interval};

use super::{Error, Outcome, Stage, noise::per_thousand};
use crate::{
    bench::{
        measure::{Measure, Measures},
        stage::Change,
        statistics::percentile,
    },
    cluster::Actor,
    progress::Progress,
};

/// The changes at full speed, which take less time, as a multiple of those at light load.
const TIMES: u32 = 3;
/// With more Services than this in one namespace, there are as many changes as at light load,
/// because the built-in controller takes minutes for them.
const CROWDED: u32 = 1_000;
/// How long the last change may take to be seen. With 20 writes a second, it takes minutes.
pub(super) const SEEN: Duration = Duration::from_secs(600);

/// Changes readiness `rate` times a second, or one after the other as fast as they are answered.
pub(super) async fn run(
    stage: &mut Stage<'_>,
    rate: Option<u32>,
    changes: u32,
) -> Result<Outcome, Error> {
    // No pod changes twice, so what is seen of it belongs to one change.
    let pods = stage.shape.pods();
    let lasts_long = rate.is_some() || stage.shape.services_per_namespace() > CROWDED;
    let changes = if lasts_long { changes } else { changes * TIMES }.min(pods);
    let client = stage.cluster.client(Actor::Admin)?;
    let meter = stage.meter().await?;
    let mut acknowledged = HashMap::new();
    let mut progress = Progress::after(Duration::from_secs(5), format!("{changes} changes"));
    let mut ticks = rate.map(|rate| interval(Duration::from_secs(1) / rate));
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let started = Instant::now();
    for _ in 0..changes {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let change = stage.change(pods);
        stage.witness.await_pod(&change.place.name, change.ready);
        let at = patch(&client, &change).await?;
        acknowledged.insert(change.place.name, at);
        progress.tick();
    }
    let took = started.elapsed();
    progress.done();
    let seen = stage.witness.all_seen(SEEN).await?;
    let latencies = latencies(&acknowledged, &seen);
    let mut measures = stage.read(meter).await?;
    measures.insert(Measure::Rate, f64::from(changes) / took.as_secs_f64());
    per_thousand(&mut measures, changes);
    add_percentiles(&mut measures, &latencies);
    Ok(Outcome { measures, latencies, ..Outcome::default() })
}

/// Sends a change. Returns when its answer came.
pub(in crate::bench) async fn patch(client: &Client, change: &Change) -> Result<Instant, Error> {
    let path = format!("{}/status", change.place.path());
    let request = Request::patch(path)
        .header(CONTENT_TYPE, "application/merge-patch+json")
        .body(change.body.clone().into_bytes());
    let request = request.map_err(|source| Error::Change(kube::Error::HttpError(source)))?;
    let body = client.request_text(request).await.map_err(Error::Change)?;
    let now = Instant::now();
    drop(body);
    Ok(now)
}

/// The time from each answer to the slice, in ms.
pub(in crate::bench) fn latencies(
    acknowledged: &HashMap<String, Instant>,
    seen: &[(String, Instant)],
) -> Vec<f64> {
    let latency = |(pod, seen): &(String, Instant)| {
        let acknowledged = *acknowledged.get(pod)?;
        let late = seen.saturating_duration_since(acknowledged).as_secs_f64();
        let early = acknowledged.saturating_duration_since(*seen).as_secs_f64();
        Some((late - early) * 1e3)
    };
    seen.iter().filter_map(latency).collect()
}

pub(super) fn add_percentiles(measures: &mut Measures, latencies: &[f64]) {
    for (measure, percent) in [(Measure::P50, 50.0), (Measure::P99, 99.0), (Measure::Max, 100.0)] {
        measures.insert(measure, percentile(latencies, percent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_before_its_answer_is_below_zero() {
        let now = Instant::now();
        let millis = Duration::from_millis;
        let acknowledged =
            HashMap::from([("a".to_owned(), now), ("b".to_owned(), now + millis(5))]);
        let seen = [("a".to_owned(), now + millis(4)), ("b".to_owned(), now + millis(3))];
        let latencies = latencies(&acknowledged, &seen);
        assert!((latencies[0] - 4.0).abs() < 1e-6 && (latencies[1] + 2.0).abs() < 1e-6);
    }
}
