//! etcd is restored from a backup while closehaul runs. `cargo restore` does this in more ways, and
//! with silent watches.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::time::Duration;

use e2e::{
    closehaul::{self, Profile},
    restore::{Case, GOAL, restore},
};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);

async fn check(case: Case) {
    let outcome = async {
        let binary = closehaul::build(Profile::Dev).await.unwrap();
        restore(case, &binary).await.unwrap()
    };
    let outcome = tokio::time::timeout(LIMIT, outcome).await.expect("the time limit");
    eprintln!("restore: {case}: {outcome}");
    assert!(outcome.right.is_some_and(|right| right <= GOAL), "{outcome}");
    assert!(outcome.rewinds > 0.0 && outcome.is_logged, "{outcome}");
}

/// No version is lower than before when closehaul is connected again.
#[tokio::test(flavor = "multi_thread")]
async fn one_replica_follows_a_history_that_grew_longer_meanwhile() {
    check(Case { replicas: 1, bumps: false, overtakes: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_follow_a_restore() {
    check(Case { replicas: 2, bumps: false, overtakes: false }).await;
}
