//! The walkthrough as `cargo walkthrough` runs it: six steps, and no request may fail.
//!
//! As root, it uses real kube-proxies, otherwise a model of them. Both tests run at the same time
//! and share nothing.

use e2e::{
    proxy::Mode,
    walkthrough::{self, Options},
};
use std::{error::Error, path::Path, time::Duration};

async fn six_steps_are_ok(proxy: Mode) -> Result<(), Box<dyn Error>> {
    let options = Options { proxy, ..Options::default() };
    let server = Path::new(env!("CARGO_BIN_EXE_walkthrough"));
    // The components may have to be built first.
    let limit = Duration::from_secs(20 * 60);
    let run = tokio::time::timeout(limit, walkthrough::run(options, server));
    let report = run.await??;
    let problems: Vec<_> = report.rows.iter().flat_map(|row| &row.problems).collect();
    assert!(report.ok(), "{problems:#?}");
    assert_eq!(report.rows.len(), 6);
    assert_eq!(report.rows.iter().map(|row| row.failed).sum::<u64>(), 0);
    let counted: u64 = report.rows.iter().map(|row| row.counted).sum();
    assert_eq!(counted, 20 + 4 * 40 + 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nftables() -> Result<(), Box<dyn Error>> {
    six_steps_are_ok(Mode::Nftables).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_iptables() -> Result<(), Box<dyn Error>> {
    six_steps_are_ok(Mode::Iptables).await
}
