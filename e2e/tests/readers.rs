//! Upstream's matrix of traffic distributions with real kube-proxies and real requests: every
//! client reaches only the right servers, and no request fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use e2e::{machine, proxy::Mode, readers};
use std::{path::Path, time::Duration};
use tokio::sync::Mutex;

/// The components may have to be built first.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// One cluster at a time, because two would slow down each other's answers.
static TURN: Mutex<()> = Mutex::const_new(());

async fn every_client_reaches_whom_it_must(mode: Mode) {
    machine::require_namespaces().unwrap();
    let _turn = TURN.lock().await;
    let server = Path::new(env!("CARGO_BIN_EXE_walkthrough"));
    let matrix = tokio::time::timeout(LIMIT, readers::matrix(mode, server)).await;
    // An error has many lines that explain it, so it is printed as it is.
    let matrix = matrix.expect("the time limit").unwrap_or_else(|error| panic!("{error}"));
    // The evidence was printed when they failed.
    assert!(matrix.failed().is_empty(), "{:#?}", matrix.failed());
    assert_eq!(matrix.counts.len(), 2, "both families");
    for (family, count) in &matrix.counts {
        assert!(count.sent > 10 * matrix.checks / 2, "{family}: {} requests", count.sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nftables() {
    every_client_reaches_whom_it_must(Mode::Nftables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_iptables() {
    every_client_reaches_whom_it_must(Mode::Iptables).await;
}
