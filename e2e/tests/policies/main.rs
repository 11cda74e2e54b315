//! Policies and evacuations with real kube-proxies: what requests reach is what is predicted, the
//! cap of a guard holds, and an evacuated zone gets nothing new while no request fails.
//!
//! One cluster serves all parts, one after the other. More requests, or rules of iptables:
//! `REQUESTS=20000 PROXY=iptables`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod evacuation;
mod ports;
mod shares;
mod stage;

use std::time::Duration;

use self::stage::Stage;

/// The components may have to be built first.
const LIMIT: Duration = Duration::from_secs(20 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn policies_decide_who_is_reached() {
    tokio::time::timeout(LIMIT, all()).await.expect("the time limit");
}

async fn all() {
    let mut stage = Stage::start().await;
    stage.populate().await;
    shares::agree(&stage).await;
    ports::one_cap(&stage).await;
    stage.check().await;
    evacuation::moves_all(&stage).await;
    stage.check().await;
    stage.stop().await;
}
