//! What happens in the scenarios, one file each.

pub(super) mod churn;
mod flips;
mod noise;
mod pace;
mod roll;
mod soak;
mod start;
mod zone;

pub(super) use self::start::start;
use super::{Error, measure::Measures, options::Options, scenario::Step, stage::Stage};

/// The results of a step.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) measures: Measures,
    pub(super) latencies: Vec<f64>,
    pub(super) memory: Vec<(f64, f64)>,
}

/// Runs a step.
pub(super) async fn run(
    step: Step,
    stage: &mut Stage<'_>,
    options: &Options,
) -> Result<Outcome, Error> {
    match step {
        Step::Noise => noise::run(stage, options.changes()).await,
        Step::Churn(rate) => churn::run(stage, rate, options.changes()).await,
        Step::Flips => flips::run(stage).await,
        Step::Roll => roll::run(stage).await,
        Step::Zone => zone::run(stage).await,
        Step::Soak => soak::run(stage, options.minutes()).await,
    }
}
