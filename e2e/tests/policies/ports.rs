//! Ports: a named target port whose number changes during a roll-out. kube-proxy merges the slices of
//! both numbers under the name of the Service port, so that is what the cap is for.

use std::collections::BTreeSet;

use e2e::shares::ZONES;

use crate::{shares::compare, stage::Stage};

/// The cap of the policy, and what chance adds to it.
const AT_MOST: f64 = 0.20;

/// Two pods of the old version in the first zone, one in the second, and one of the new version in the
/// third one. Each number for itself would be local, and one pod would get a third of everything.
pub async fn one_cap(stage: &Stage) {
    let pods = [("r0", 0, 8080), ("r1", 0, 8080), ("r2", 1, 8080), ("r3", 2, 8081)];
    for (name, zone, port) in pods {
        stage.pod(name, ZONES[zone], port, &["roll"]).await;
    }
    stage.service("roll", "roll", pods.len()).await;
    let predicted = stage.predicted("roll").await;
    let endpoints = stage.in_effect("roll", Some(&predicted)).await;
    let numbers: BTreeSet<u64> = endpoints.iter().map(|it| it.port).collect();
    assert_eq!(numbers, [8080, 8081].into(), "two slices");
    let counts = stage.count("roll").await;
    compare("roll", &endpoints, &predicted, &counts);
    let overload = counts.measured(&endpoints).overload;
    assert!(overload <= AT_MOST, "{overload}: {counts:#?}");
}
