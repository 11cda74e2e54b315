//! Shares: requests counted per zone and endpoint are what the policy's status and `closehaul plan`
//! predict.

use e2e::{
    shares::{Comparison, Counts, Endpoint, NAMESPACE, Prediction, ZONES},
    world::until,
};
use serde_json::Value;

use crate::stage::{SETTLE, Stage};

/// Each Service with its endpoints per zone, and the share that stays in its zone at most 20 % above
/// the even share (docs/planner.md).
const CASES: [(&str, [usize; 3], f64); 3] =
    [("small", [2, 1, 1], 0.61), ("middle", [3, 3, 1], 0.83), ("large", [6, 4, 2], 0.83)];
const CAP: f64 = 0.20;

/// One policy with a guard for all Services.
const POLICY: &str = "
apiVersion: closehaul.io/v1alpha1
kind: LocalityPolicy
metadata: {name: guard, namespace: default}
spec:
  services: {names: [small, middle, large, roll]}
  prefer: [Zone]
  # A Service that comes later waits this long.
  guard: {maxOverloadPercent: 20, hold: 1s}
";

pub async fn agree(stage: &Stage) {
    for (service, sizes, _) in CASES {
        stage.service(service, service, sizes.iter().sum()).await;
    }
    stage.apply(POLICY).await;
    let status = status(stage).await;
    for (service, sizes, known) in CASES {
        let predicted = stage.predicted(service).await;
        let endpoints = stage.in_effect(service, Some(&predicted)).await;
        let counts = stage.count(service).await;
        let (in_zone, overload) = (predicted.in_zone_share, predicted.overload);
        assert!((in_zone - known).abs() < 0.01 && overload <= CAP + 1e-9, "{predicted:#?}");
        let item = status["items"].as_array().unwrap().iter().find(|it| it["name"] == service);
        let item = item.unwrap_or_else(|| panic!("{service} in {status:#}"));
        for (field, share) in [("inZoneShare", in_zone), ("overload", overload)] {
            let percent = item[field].as_f64().unwrap();
            assert!((percent - share * 100.0).abs() <= 0.51, "{service}: {item} for {predicted:?}");
        }
        let of_zone = |zone: &str| endpoints.iter().filter(|it| it.zone == zone).count();
        assert_eq!(ZONES.map(of_zone), sizes);
        compare(service, &endpoints, &predicted, &counts);
    }
}

/// Compares what was counted with what is predicted for a Service.
pub fn compare(service: &str, endpoints: &[Endpoint], predicted: &Prediction, counts: &Counts) {
    let all = counts.total();
    assert!(all >= 5_000, "{all} requests");
    let comparison = Comparison::new(endpoints, predicted, counts);
    println!(
        "{service}: {all} requests, in zone {:.1} % (predicted {:.1} %), overload {:+.1} % \
         (predicted {:+.1} %); by zone and endpoint {}; by zone {}; without hints {}",
        comparison.measured.in_zone * 100.0,
        predicted.in_zone_share * 100.0,
        comparison.measured.overload * 100.0,
        predicted.overload * 100.0,
        comparison.by_endpoint.text(),
        comparison.by_zone.text(),
        comparison.without_hints.text(),
    );
    assert!(comparison.agrees(), "{service}: {predicted:#?} {counts:#?}");
    assert!(!comparison.without_hints.agrees(), "{service}: the hints make no difference");
}

/// The status of the policy, once all its Services are programmed and counted.
async fn status(stage: &Stage) -> Value {
    let is_true = |status: &Value, name: &str| {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.clone().any(|it| it["type"] == name && it["status"] == "True")
    };
    let (status, took) = until("the policy is programmed", SETTLE, async || {
        let status = stage.get("localitypolicy", "guard").await["status"].take();
        let is_right = is_true(&status, "Programmed")
            && status["services"]["selected"] == CASES.len()
            && status["items"].as_array().is_some_and(|items| items.len() == CASES.len());
        Ok(is_right.then_some(status))
    })
    .await
    .unwrap();
    println!("the status of policy {NAMESPACE}/guard after {:.1} s: {status}", took.as_secs_f64());
    status
}
