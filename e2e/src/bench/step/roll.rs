//! S3: the pods of one Service are replaced, one new pod for each old one.

use std::{collections::HashSet, time::Duration};

use super::{Error, Outcome, Stage, churn::SEEN, pace::paced};
use crate::{
    bench::{measure::Measure, seed, shape::Shape, stage::count},
    world::World,
};

/// Pods a second, five requests each: about what one API server on two cores can handle.
const RATE: u32 = 40;
/// Pods at the same time.
const IN_FLIGHT: usize = 8;
/// The pods that are replaced, if there are that many.
const REPLACED: u32 = 1_000;
/// How long a pod keeps running after it was asked to stop.
const GRACE: Duration = Duration::from_millis(100);

/// Replaces pods, and waits until the slices show the new ones and none of the old ones.
pub(super) async fn run(stage: &mut Stage<'_>) -> Result<Outcome, Error> {
    let shape = stage.shape;
    let replaced = REPLACED.min(shape.pods());
    let world = stage.world.clone();
    let meter = stage.meter().await?;
    let begun = meter.begun;
    let took = paced("rolling update", replaced, RATE, IN_FLIGHT, |old| {
        let world = &world;
        async move {
            replace(world, shape, old, shape.pods() + old).await?;
            tokio::time::sleep(GRACE).await;
            Ok(world.delete(&shape.place(old)).await?)
        }
    })
    .await?;
    let wanted = (replaced..shape.pods() + replaced).map(|it| shape.pod(it));
    let wanted = wanted.collect::<HashSet<_>>();
    let done = |seen: &std::collections::BTreeMap<_, Vec<crate::bench::witness::Shown>>| {
        let all = seen.values().flatten();
        let mut shown = 0;
        let right = all.inspect(|_| shown += 1).all(|it| it.ready && wanted.contains(&it.pod));
        right && shown == wanted.len()
    };
    stage.witness.endpoints_are("the new pods alone in the slices", SEEN, done).await?;
    let last = stage.witness.last_write().unwrap_or(begun);
    let mut measures = stage.read(meter).await?;
    measures.insert(Measure::Settled, last.saturating_duration_since(begun).as_secs_f64());
    measures.insert(Measure::Rate, count(replaced.into()) / took.as_secs_f64());
    Ok(Outcome { measures, ..Outcome::default() })
}

/// Creates the pod of the number `new`. When it is ready, `old` is asked to stop.
pub(super) async fn replace(world: &World, shape: Shape, old: u32, new: u32) -> Result<(), Error> {
    let namespace = shape.namespace_of_pod(new);
    let service = Shape::service(shape.service_of_pod(new));
    let node = Shape::node(shape.node_of_pod(new));
    let pod = seed::pod(&namespace, &shape.pod(new), &service, &node, Shape::address(new));
    world.create(&pod).await?;
    Ok(world.terminate(&shape.place(old)).await?)
}
