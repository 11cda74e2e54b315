//! Compares the model of kube-proxy's rule, and what `closehaul explain` prints, with the rules that
//! real kube-proxies have programmed.

use e2e::{machine, readers};
use std::{error::Error, path::Path, time::Duration};

/// The components may have to be built first.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Any other number works as well. A failure reports it.
const SEED: u64 = 2026;

const SERVICES: usize = 240;

#[tokio::test(flavor = "multi_thread")]
async fn the_model_agrees_with_programmed_rules() -> Result<(), Box<dyn Error>> {
    machine::require_namespaces()?;
    let server = Path::new(env!("CARGO_BIN_EXE_walkthrough"));
    let run = readers::agreement(SEED, SERVICES, server);
    let agreement = tokio::time::timeout(LIMIT, run).await??;
    let some: Vec<_> = agreement.disagreements.iter().take(3).collect();
    assert!(some.is_empty(), "{agreement}, such as {some:#?}");
    // Two rounds, three nodes, two families, at least one port.
    assert!(agreement.cases >= 12 * SERVICES, "{agreement}");
    // They do not agree only because there is nothing to compare.
    assert!(agreement.endpoints * 4 > agreement.cases, "{agreement}");
    assert!(agreement.near * 4 > agreement.endpoints, "{agreement}");
    assert!(agreement.assessed > SERVICES, "{agreement}");
    assert!(agreement.beyond * 4 > agreement.assessed, "{agreement}");
    // Two families, at least one port, the places of all nodes, and one node by itself.
    assert!(agreement.explained >= 2 * (4 + 3) * SERVICES, "{agreement}");
    assert!(agreement.shared * 4 > agreement.explained, "{agreement}");
    assert!(agreement.decided * 2 > agreement.shared, "{agreement}");
    Ok(())
}
