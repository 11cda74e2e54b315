//! The walkthroughs as `cargo walkthrough` runs them: six steps each, and no request may fail.
//!
//! As root, the published one uses real kube-proxies, otherwise a model of them. Its two runs
//! may be at the same time and share nothing. That of policies requires root, and runs alone,
//! because an evacuation must be in effect within 2 s.

use e2e::{
    machine,
    proxy::Mode,
    walkthrough::{self, Options, Report},
};
use std::{error::Error, path::Path, time::Duration};
use tokio::sync::RwLock;

/// Held for writing by the one that runs alone.
static MACHINE: RwLock<()> = RwLock::const_new(());

async fn six_steps_are_ok(options: Options) -> Result<Report, Box<dyn Error>> {
    let server = Path::new(env!("CARGO_BIN_EXE_walkthrough"));
    // The components may have to be built first.
    let limit = Duration::from_secs(20 * 60);
    let run = tokio::time::timeout(limit, walkthrough::run(options, server));
    let report = run.await??;
    let problems: Vec<_> = report.rows.iter().flat_map(|row| &row.problems).collect();
    assert!(report.ok(), "{problems:#?}");
    assert_eq!(report.rows.len(), 6);
    assert_eq!(report.rows.iter().map(|row| row.failed).sum::<u64>(), 0);
    Ok(report)
}

async fn with(proxy: Mode) -> Result<(), Box<dyn Error>> {
    let _shared = MACHINE.read().await;
    let report = six_steps_are_ok(Options { proxy, ..Options::default() }).await?;
    let counted: u64 = report.rows.iter().map(|row| row.counted).sum();
    assert_eq!(counted, 20 + 4 * 40 + 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nftables() -> Result<(), Box<dyn Error>> {
    with(Mode::Nftables).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_iptables() -> Result<(), Box<dyn Error>> {
    with(Mode::Iptables).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_policies() -> Result<(), Box<dyn Error>> {
    machine::require_namespaces()?;
    let _alone = MACHINE.write().await;
    let report = six_steps_are_ok(Options { policies: true, ..Options::default() }).await?;
    // All steps but the evacuation count as many for each zone and Service. In it, requests have
    // continued for a few seconds.
    let counted: Vec<_> = report.rows.iter().map(|row| row.counted / 2_400).collect();
    assert_eq!([&counted[..4], &counted[5..]].concat(), [2, 2, 1, 1, 3]);
    assert!(report.rows[4].counted > 300 && report.rows[1..].iter().all(|row| row.beside > 50));
    Ok(())
}
