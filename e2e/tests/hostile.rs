//! Services with very many ports delay neither the lease nor a healthy Service. `cargo hostile`
//! runs the largest that the API server accepts for several minutes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::time::Duration;

use e2e::{
    closehaul::Profile,
    hostile::{self, Shape, Targets},
};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn services_of_many_ports_hold_nothing_up() {
    // A tenth of the largest, for a build without optimisation: a search of every port among every
    // port of every pod would take a minute.
    let shapes = [
        Shape { ports: 3_000, pods: 20, targets: Targets::Named },
        Shape { ports: 3_000, pods: 200, targets: Targets::Numbers },
    ]
    .map(|shape| (shape, Duration::from_secs(10)));
    let mut seen = Vec::new();
    let run = hostile::run(Profile::Dev, &shapes, |it| {
        eprintln!("{it}");
        seen.push(it.clone());
    });
    tokio::time::timeout(LIMIT, run).await.expect("the time limit").unwrap();
    assert_eq!(seen.len(), shapes.len());
    for endured in seen {
        let (changes, slowest) = endured.healthy;
        assert!(endured.is_lease_kept, "{endured}");
        assert!(changes >= 5 && slowest < Duration::from_secs(5), "{endured}");
        assert!(endured.turns.1 <= 1.0, "{endured}");
    }
}
