//! Evacuation: within two seconds nothing new reaches the zone, no request fails, pods that start there
//! get none, and all is back afterwards. Where no other zone has pods, requests are still answered.

use std::{collections::BTreeSet, time::Duration};

use e2e::{
    shares::{Counts, Flows, ZONES, reached},
    world::until,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use crate::stage::{PORT, SETTLE, Stage};

/// What has no endpoint in the zone any more from then on.
const WITHIN: Duration = Duration::from_secs(2);
/// The interval of requests from a zone to a Service.
const PACE: Duration = Duration::from_millis(25);
/// How long the evacuation lasts.
const LASTS: SignedDuration = SignedDuration::from_secs(16);
/// How long the requests go on that must not reach the zone.
const QUIET: Duration = Duration::from_secs(4);
/// How soon all must be back after the end.
const BACK: Duration = Duration::from_secs(10);
const SICK: &str = ZONES[0];
/// Starts in the zone during the evacuation.
const LATE: &str = "a9";

/// Under a guard, without any preference, and with pods in the sick zone alone.
const SERVICES: [(&str, &str, usize); 3] =
    [("small", "small", 4), ("plain", "middle", 7), ("only", "only", 2)];

pub async fn moves_all(stage: &Stage) {
    for (service, set, count) in &SERVICES[1..] {
        stage.service(service, set, *count).await;
    }
    for (service, _, _) in SERVICES {
        stage.in_effect(service, None).await;
    }
    let before = flows(stage).await;
    let until_then = (Timestamp::now() + LASTS).round(jiff::Unit::Second).unwrap();
    let evacuation = format!(
        "apiVersion: closehaul.io/v1alpha1\nkind: ZoneEvacuation\nmetadata: {{name: sick}}\n\
         spec: {{zones: [{SICK}], until: {until_then}, reason: a test}}\n"
    );
    stage.apply(&evacuation).await;
    sleep_until(Instant::now() + WITHIN).await;
    let during = flows(stage).await;
    let reached_before = finish(before).await;
    stage.pod(LATE, SICK, PORT, &["small", "middle", "only"]).await;
    for (service, _, count) in SERVICES {
        stage.listed(service, count + 1).await;
    }
    sleep(QUIET).await;
    let after = flows(stage).await;
    let reached_during = finish(during).await;
    let left = until_then.duration_since(Timestamp::now());
    assert!(left > SignedDuration::ZERO, "the machine is too slow for {LASTS:?}");
    for (at, (service, _, _)) in SERVICES.into_iter().enumerate() {
        let (before, during) = (sick(&reached_before[at]), sick(&reached_during[at]));
        let all: u64 = reached_during[at].total();
        println!(
            "{service}: {all} requests from {WITHIN:?} on, {during} of them to {SICK} ({before} of \
             those around the beginning)"
        );
        assert!(before > 0 && all > 100, "{service}: {before} of {all}");
        if service == "only" {
            assert_eq!(during, all, "nobody else can answer");
        } else {
            assert_eq!(during, 0, "{service}: {:#?}", reached_during[at]);
        }
    }
    sleep(left.unsigned_abs()).await;
    back(stage).await;
    finish(after).await;
}

/// Waits until clients reach the pods of the zone again, the one that started meanwhile included.
async fn back(stage: &Stage) {
    let ended = Instant::now();
    for (service, _, _) in SERVICES {
        until("the hints of the evacuation are gone", BACK, async || {
            let endpoints = stage.clients.endpoints(service).await.unwrap();
            let is_placeholder = |zone: &String| zone.contains("evacuated");
            let are_gone = !endpoints.iter().flat_map(|it| &it.zones).any(is_placeholder);
            Ok(are_gone.then_some(()))
        })
        .await
        .unwrap_or_else(|error| panic!("{service}: {error}"));
    }
    let written = ended.elapsed();
    for (service, _, _) in SERVICES {
        let endpoints = stage.in_effect(service, None).await;
        if service == "plain" {
            assert!(endpoints.iter().all(|it| it.zones.is_empty()), "{endpoints:#?}");
        }
        let all: BTreeSet<String> =
            ZONES.iter().flat_map(|zone| reached(&endpoints, zone)).collect();
        for endpoint in endpoints.iter().filter(|it| it.zone == SICK) {
            assert!(all.contains(&endpoint.pod), "{service}: {endpoints:#?}");
        }
        assert!(all.contains(LATE), "{service}: {all:?}");
    }
    let took = ended.elapsed();
    println!(
        "after the end, hints are back within {:.1} s, and requests within {:.1} s",
        written.as_secs_f64(),
        took.as_secs_f64()
    );
    assert!(took < SETTLE, "{took:?}");
}

/// Requests to all Services.
async fn flows(stage: &Stage) -> Vec<Flows> {
    let mut all = Vec::new();
    for (service, _, _) in SERVICES {
        all.push(stage.clients.flows(service, PACE).await.unwrap());
    }
    all
}

/// Who has answered them. None may have failed.
async fn finish(flows: Vec<Flows>) -> Vec<Counts> {
    let mut counts = Vec::new();
    for (flows, (service, _, _)) in flows.into_iter().zip(SERVICES) {
        let counted = flows.finish().await.unwrap();
        assert!(counted.failed.is_empty(), "{service}: {:#?}", counted.failed);
        counts.push(counted);
    }
    counts
}

/// How many requests pods of the zone have answered.
fn sick(counts: &Counts) -> u64 {
    let of_zone = counts.by_pod().into_iter().filter(|(pod, _)| pod.starts_with('a'));
    of_zone.map(|(_, count)| count).sum()
}
