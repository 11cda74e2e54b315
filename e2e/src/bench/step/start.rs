//! S0, S1 and S2: a contender starts.

use std::time::Duration;

use super::{super::stage::Meter, Error, Outcome, Stage};
use crate::bench::measure::Measure;

/// How long the slices of a whole cluster may take, even with 20 writes a second.
const COLD: Duration = Duration::from_secs(30 * 60);

/// Waits until the contender has done all its work, and follows a pod.
///
/// # Errors
///
/// [`Error::Wrote`] if the slices were correct and it wrote some.
pub(in crate::bench) async fn start(
    stage: &mut Stage<'_>,
    meter: Meter,
    cold: bool,
) -> Result<Outcome, Error> {
    let shape = stage.shape;
    let mut settled = None;
    if cold {
        let (slices, pods) = (shape.slices() as usize, shape.pods() as usize);
        let what = format!("{slices} slices with {pods} endpoints");
        let done = |seen: &std::collections::BTreeMap<_, Vec<_>>| {
            seen.len() == slices && seen.values().map(Vec::len).sum::<usize>() == pods
        };
        stage.witness.endpoints_are(&what, COLD, done).await?;
        let last = stage.witness.last_write().unwrap_or_else(|| stage.started());
        settled = Some(last - stage.started());
    }
    stage.follow().await?;
    let ready = stage.started().elapsed();
    let mut measures = stage.read(meter).await?;
    if let Some(settled) = settled {
        if stage.witness.slices() != shape.slices() as usize {
            return Err(Error::Undone { what: "some slices went again".to_owned() });
        }
        measures.insert(Measure::Settled, settled.as_secs_f64());
    } else {
        measures.insert(Measure::Ready, ready.as_secs_f64());
        let writes = measures.get(&Measure::Writes).copied().unwrap_or_default();
        if writes > 0.0 {
            return Err(Error::Wrote { writes, last: stage.witness.wrote() });
        }
    }
    Ok(Outcome { measures, ..Outcome::default() })
}
