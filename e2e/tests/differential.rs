//! The quick run of the differential test. The long one is `cargo differential --steps N`.
//! `CLOSEHAUL_DIFFERENTIAL_SEED` selects other histories.

use std::{env, error::Error, time::Duration};

use e2e::differential::{Options, run};

#[tokio::test(flavor = "multi_thread")]
async fn closehaul_does_what_the_built_in_controller_does() -> Result<(), Box<dyn Error>> {
    // The components may have to be built first.
    let limit = Duration::from_secs(20 * 60);
    let mut options = Options::default();
    if let Ok(seed) = env::var("CLOSEHAUL_DIFFERENTIAL_SEED") {
        options.seed = seed.parse()?;
    }
    let report = tokio::time::timeout(limit, Box::pin(run(options))).await??;
    assert!(report.ok(), "{report}");
    assert!(report.steps >= 290, "{report}");
    assert!(report.comparisons >= 2 * report.steps - 50, "{report}");
    Ok(())
}
