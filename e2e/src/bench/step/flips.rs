//! S5: in a big Service, the readiness of one pod changes, then that of the next.

use std::collections::HashMap;

use super::{
    Error, Outcome, Stage,
    churn::{SEEN, add_percentiles, latencies, patch},
    noise::per_thousand,
};
use crate::cluster::Actor;

/// How many changes: one is too short for the kernel's clock of CPU time.
const FLIPS: u32 = 50;

/// Changes pods one by one, each after the previous one was seen.
pub(super) async fn run(stage: &mut Stage<'_>) -> Result<Outcome, Error> {
    let client = stage.cluster.client(Actor::Admin)?;
    let meter = stage.meter().await?;
    let mut all = Vec::new();
    for _ in 0..FLIPS {
        let change = stage.change(stage.shape.pods());
        stage.witness.await_pod(&change.place.name, change.ready);
        let at = patch(&client, &change).await?;
        let seen = stage.witness.all_seen(SEEN).await?;
        all.extend(latencies(&HashMap::from([(change.place.name, at)]), &seen));
    }
    let mut measures = stage.read(meter).await?;
    per_thousand(&mut measures, FLIPS);
    add_percentiles(&mut measures, &all);
    Ok(Outcome { measures, latencies: all, ..Outcome::default() })
}
