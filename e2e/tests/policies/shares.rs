//! Shares: requests counted per zone and endpoint are what the policy's status and `closehaul plan`
//! predict.

use e2e::world::until;
use serde_json::{Value, json};

use crate::{
    stage::{Endpoint, NAMESPACE, SETTLE, Stage, ZONES},
    traffic::{Counts, Fit, count, in_effect, reached, requests, zone_of},
};

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
        let endpoints = in_effect(stage, service, Some(&predicted)).await;
        let counts = count(stage, service, requests()).await;
        let [in_zone, overload] =
            ["inZoneShare", "overload"].map(|field| predicted[field].as_f64().unwrap());
        assert!((in_zone - known).abs() < 0.01 && overload <= CAP + 1e-9, "{predicted:#}");
        let item = status["items"].as_array().unwrap().iter().find(|it| it["name"] == service);
        let item = item.unwrap_or_else(|| panic!("{service} in {status:#}"));
        for (field, share) in [("inZoneShare", in_zone), ("overload", overload)] {
            let percent = item[field].as_f64().unwrap();
            assert!((percent - share * 100.0).abs() <= 0.51, "{service}: {item} for {predicted:#}");
        }
        let of_zone = |zone: &str| endpoints.iter().filter(|it| it.zone == zone).count();
        assert_eq!(ZONES.map(of_zone), sizes);
        compare(service, &endpoints, &predicted, &counts);
    }
}

/// Compares what was counted with what is predicted for a Service.
pub fn compare(service: &str, endpoints: &[Endpoint], predicted: &Value, counts: &Counts) {
    let mut by_endpoint = Fit::default();
    let mut by_zone = Fit::default();
    let mut without = Fit::default();
    let all: f64 = counts.values().flat_map(|pods| pods.values()).sum::<u64>() as f64;
    assert!(all >= 5_000.0, "{all} requests");
    for zone in ZONES {
        let body = zone_of(predicted, zone);
        let reached = reached(endpoints, zone);
        assert_eq!(json!(reached.len()), body["reachable"], "{zone}: {reached:?}");
        let found = |pod: &str| counts[zone].get(pod).copied().unwrap_or_default();
        let share = |pod: &str| f64::from(reached.contains(pod)) / reached.len() as f64;
        let each = |share: &dyn Fn(&str) -> f64| -> Vec<_> {
            endpoints.iter().map(|it| (found(&it.pod), share(&it.pod))).collect()
        };
        by_endpoint.add(&each(&share));
        without.add(&each(&|_| 1.0 / endpoints.len() as f64));
        let own: u64 = endpoints.iter().filter(|it| it.zone == zone).map(|it| found(&it.pod)).sum();
        let others = counts[zone].values().sum::<u64>() - own;
        let stays = body["inZoneShare"].as_f64().unwrap();
        by_zone.add(&[(own, stays), (others, 1.0 - stays)]);
    }
    let [in_zone, overload] = measured(endpoints, counts);
    println!(
        "{service}: {all} requests, in zone {:.1} % (predicted {:.1} %), overload {:+.1} % \
         (predicted {:+.1} %); by zone and endpoint {}; by zone {}; without hints {}",
        in_zone * 100.0,
        predicted["inZoneShare"].as_f64().unwrap() * 100.0,
        overload * 100.0,
        predicted["overload"].as_f64().unwrap() * 100.0,
        by_endpoint.text(),
        by_zone.text(),
        without.text(),
    );
    assert!(by_endpoint.agrees() && by_zone.agrees(), "{service}: {counts:#?}");
    assert!(!without.agrees(), "{service}: the hints make no difference");
    // Five standard deviations of the most loaded endpoint's count.
    let chance = 5.0 * (endpoints.len() as f64 / all).sqrt();
    let wanted = predicted["overload"].as_f64().unwrap();
    assert!((overload - wanted).abs() <= chance, "{service}: {overload} for {wanted}");
}

/// What share stayed in its zone, and by how much the most loaded endpoint was above the even share.
/// All zones have sent the same number.
pub fn measured(endpoints: &[Endpoint], counts: &Counts) -> [f64; 2] {
    let found = |zone: &str, pod: &str| counts[zone].get(pod).copied().unwrap_or_default();
    let all: u64 = counts.values().flat_map(|pods| pods.values()).sum();
    let own: u64 = endpoints.iter().map(|it| found(&it.zone, &it.pod)).sum();
    let load = |it: &Endpoint| ZONES.iter().map(|zone| found(zone, &it.pod)).sum::<u64>();
    let most = endpoints.iter().map(load).max().unwrap_or_default();
    let even = all as f64 / endpoints.len() as f64;
    [own as f64 / all as f64, most as f64 / even - 1.0]
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
