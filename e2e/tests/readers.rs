//! Upstream's matrix of traffic distributions with real kube-proxies and real requests: every
//! client reaches only whom it must, and no request fails (proof section 3).

use e2e::{net, proxy::Mode, readers};
use std::{error::Error, path::Path, time::Duration};
use tokio::sync::Mutex;

/// The components may have to be built first.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// One cluster at a time: two would take each other's time to answer.
static TURN: Mutex<()> = Mutex::const_new(());

async fn every_client_reaches_whom_it_must(mode: Mode) -> Result<(), Box<dyn Error>> {
    if !net::available_to_tests()? {
        return Ok(());
    }
    let _turn = TURN.lock().await;
    let server = Path::new(env!("CARGO_BIN_EXE_walkthrough"));
    let matrix = tokio::time::timeout(LIMIT, readers::matrix(mode, server)).await??;
    // What explains them was printed when they failed.
    assert!(matrix.failed().is_empty(), "{:#?}", matrix.failed());
    assert_eq!(matrix.counts.len(), 2, "both families");
    for (family, count) in &matrix.counts {
        assert!(count.sent > 10 * matrix.checks / 2, "{family}: {} requests", count.sent);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nftables() -> Result<(), Box<dyn Error>> {
    every_client_reaches_whom_it_must(Mode::Nftables).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_iptables() -> Result<(), Box<dyn Error>> {
    every_client_reaches_whom_it_must(Mode::Iptables).await
}
