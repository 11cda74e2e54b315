//! S6: a node gets another zone, and so does each endpoint on it.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use serde_json::json;

use super::{Error, Outcome, Stage};
use crate::{
    bench::{measure::Measure, shape::Shape, stage::count, witness::Shown},
    world::{Kind, Place},
};

/// The node.
const NODE: u32 = 0;
/// The node whose zone it gets.
const OTHER: u32 = 1;
/// How long a contender may take to correct the slices by itself. The built-in controller does not
/// ([#117245](https://github.com/kubernetes/kubernetes/issues/117245)).
const BY_ITSELF: Duration = Duration::from_secs(5);
/// How long it may take after the Services were changed.
const TOLD: Duration = Duration::from_secs(120);

/// Relabels the node. Services that are not corrected in time are touched, so all contenders do the
/// same work in the end.
pub(super) async fn run(stage: &mut Stage<'_>) -> Result<Outcome, Error> {
    let shape = stage.shape;
    let zone = Shape::zone(OTHER);
    let numbers = (0..shape.pods()).filter(|it| shape.node_of_pod(*it) == NODE);
    let numbers = numbers.collect::<Vec<_>>();
    let pods = numbers.iter().map(|it| shape.pod(*it)).collect::<HashSet<_>>();
    let right = |shown: &Shown| shown.zone.as_deref() == Some(zone.as_str());
    let wrong = |shown: &&Shown| pods.contains(&shown.pod) && !right(shown);
    let done =
        |seen: &BTreeMap<String, Vec<Shown>>| !seen.values().flatten().any(|shown| wrong(&shown));
    let meter = stage.meter().await?;
    let begun = meter.begun;
    let labels = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
    stage.world.patch(&Place::node(&Shape::node(NODE)), &labels).await?;
    let by_itself = stage.witness.endpoints_are("the new zone", BY_ITSELF, done).await;
    if !matches!(by_itself, Ok(()) | Err(Error::Late { .. })) {
        by_itself?;
    }
    let endpoints = stage.witness.endpoints();
    let wrong = endpoints.iter().filter(wrong).map(|it| it.pod.as_str()).collect::<HashSet<_>>();
    let corrected = 100.0 - count(wrong.len() as u64) / count(pods.len().max(1) as u64) * 100.0;
    let services = numbers.iter().filter(|it| wrong.contains(shape.pod(**it).as_str()));
    let services = services.map(|it| shape.service_of_pod(*it)).collect::<HashSet<_>>();
    let services = services
        .into_iter()
        .map(|it| Place::new(Kind::Service, &shape.namespace_of(it), &Shape::service(it)));
    let touch = json!({"metadata": {"annotations": {"example.com/touched": "yes"}}});
    for service in services {
        stage.world.patch(&service, &touch).await?;
    }
    stage.witness.endpoints_are("the new zone in slices of touched Services", TOLD, done).await?;
    let last = stage.witness.last_write().unwrap_or(begun);
    let mut measures = stage.read(meter).await?;
    measures.insert(Measure::Settled, last.saturating_duration_since(begun).as_secs_f64());
    measures.insert(Measure::Corrected, corrected);
    Ok(Outcome { measures, ..Outcome::default() })
}
