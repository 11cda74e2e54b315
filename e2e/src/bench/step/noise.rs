//! S7: pods change in ways that no slice shows.

use serde_json::json;

use super::{Error, Outcome, Stage, pace::paced};
use crate::bench::{measure::Measure, stage::count};

/// Changes a second.
const RATE: u32 = 300;
/// Changes at the same time.
const IN_FLIGHT: usize = 8;
/// The changes, as a multiple of those of the churn at light load.
const TIMES: u32 = 5;

/// Annotates pods, [`RATE`] a second.
///
/// # Errors
///
/// [`Error::Wrote`] if a slice was written.
pub(super) async fn run(stage: &mut Stage<'_>, changes: u32) -> Result<Outcome, Error> {
    let changes = changes * TIMES;
    let (world, shape) = (stage.world.clone(), stage.shape);
    let meter = stage.meter().await?;
    let took = paced("noise", changes, RATE, IN_FLIGHT, |number| {
        let place = shape.place(number % shape.pods());
        let world = &world;
        async move {
            let beat =
                json!({"metadata": {"annotations": {"example.com/beat": number.to_string()}}});
            world.patch(&place, &beat).await?;
            Ok(())
        }
    })
    .await?;
    stage.follow().await?;
    let mut measures = stage.read(meter).await?;
    let writes = measures.get(&Measure::Writes).copied().unwrap_or_default();
    if writes > 0.0 {
        return Err(Error::Wrote { writes, last: stage.witness.wrote() });
    }
    measures.insert(Measure::Rate, count(changes.into()) / took.as_secs_f64());
    per_thousand(&mut measures, changes);
    Ok(Outcome { measures, ..Outcome::default() })
}

/// Replaces the contender's CPU with that per 1,000 changes.
pub(super) fn per_thousand(measures: &mut super::Measures, changes: u32) {
    if let Some(cpu) = measures.remove(&Measure::Cpu) {
        measures.insert(Measure::CpuPerThousand, cpu * 1_000.0 / f64::from(changes));
    }
}
