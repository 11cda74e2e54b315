//! Requests, counted per client and endpoint, and whether the counts agree with a prediction.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Duration,
};

use e2e::kubelet::requests::{Answer, Flow};
use futures::future::join_all;
use serde_json::Value;

use crate::stage::{Endpoint, SETTLE, Stage, ZONES};

/// How many requests each of the three clients sends to a Service.
const REQUESTS: u64 = 1_700;
/// The most requests of a flow: one in 25 ms.
const PACE: Duration = Duration::from_millis(25);
/// How many standard deviations the threshold of a chi-square is away: a right prediction fails
/// once in a million times.
const DEVIATIONS: f64 = 4.75;

/// The answers per client's zone and pod.
pub type Counts = BTreeMap<&'static str, BTreeMap<String, u64>>;

/// The requests of each client.
pub fn requests() -> u64 {
    let more = env::var("REQUESTS").ok().map(|count| count.parse::<u64>().unwrap());
    more.unwrap_or_default().max(REQUESTS)
}

/// Sends requests from every zone at the same time and counts who answers. None may fail.
pub async fn count(stage: &Stage, service: &str, each: u64) -> Counts {
    let url = stage.url(service).await;
    let sent = stage
        .clients()
        .map(async |(zone, client)| (zone, pods(&client.send(&url, each).await.unwrap(), service)));
    join_all(sent).await.into_iter().collect()
}

/// Who has answered, and how often.
fn pods(answers: &[Answer], service: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let answer = answer.as_ref().unwrap_or_else(|error| panic!("{service}: {error}"));
        *counts.entry(pod(answer).to_owned()).or_default() += 1;
    }
    counts
}

fn pod(answer: &str) -> &str {
    answer.split_once('@').map_or(answer, |(pod, _)| pod)
}

/// The endpoints that clients of a zone reach: those that name it, or all.
pub fn reached(endpoints: &[Endpoint], zone: &str) -> BTreeSet<String> {
    let named = |endpoint: &&Endpoint| endpoint.zones.contains(zone);
    let is_hinted = endpoints.iter().all(|endpoint| !endpoint.zones.is_empty());
    let own: BTreeSet<_> =
        endpoints.iter().filter(named).map(|endpoint| endpoint.pod.clone()).collect();
    if own.is_empty() || !is_hinted {
        return endpoints.iter().map(|endpoint| endpoint.pod.clone()).collect();
    }
    own
}

/// Waits until each client reaches exactly the endpoints that its kube-proxy must send it to, which
/// are as many as predicted, if that is given.
pub async fn in_effect(stage: &Stage, service: &str, predicted: Option<&Value>) -> Vec<Endpoint> {
    let reachable = |zone: &str| Some(zone_of(predicted?, zone)["reachable"].as_u64().unwrap());
    let url = stage.url(service).await;
    let started = tokio::time::Instant::now();
    loop {
        let endpoints = stage.endpoints(service).await;
        let wanted = ZONES.map(|zone| reached(&endpoints, zone));
        let found = stage.clients().map(async |(_, client)| {
            let answers = client.send(&url, 100).await.unwrap();
            // Before the Service is programmed, requests may fail.
            answers.iter().flatten().map(|answer| pod(answer).to_owned()).collect::<BTreeSet<_>>()
        });
        let found = join_all(found).await;
        let is_as_predicted = ZONES.iter().zip(&wanted).all(|(zone, wanted)| {
            reachable(zone).is_none_or(|reachable| reachable == wanted.len() as u64)
        });
        if found == wanted && is_as_predicted {
            return endpoints;
        }
        assert!(started.elapsed() < SETTLE, "{service}: {found:?} for {wanted:?}, {predicted:#?}");
    }
}

/// What is predicted for the clients of a zone.
pub fn zone_of<'p>(predicted: &'p Value, zone: &str) -> &'p Value {
    let zones = predicted["zones"].as_array().unwrap();
    let found = zones.iter().find(|it| it["zone"] == zone);
    found.unwrap_or_else(|| panic!("{zone} in {predicted:#}"))
}

/// Requests that continue from every zone.
pub struct Flows(Vec<(&'static str, Flow)>);

impl Flows {
    /// Begins them.
    pub async fn start(stage: &Stage, service: &str) -> Self {
        let url = stage.url(service).await;
        Self(stage.clients().map(|(zone, it)| (zone, it.flow(&url, PACE).unwrap())).collect())
    }

    /// Ends them, and counts the answers. None may have failed.
    pub async fn finish(self, service: &str) -> Counts {
        let mut counts = Counts::new();
        for (zone, flow) in self.0 {
            counts.insert(zone, pods(&flow.finish().await.unwrap(), service));
        }
        counts
    }
}

/// Which pods have answered, whatever the client.
pub fn by_pod(counts: &Counts) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (pod, count) in counts.values().flatten() {
        *sum.entry(pod.clone()).or_default() += count;
    }
    sum
}

/// How far what was found is from what was expected, and from where on that is no chance.
#[derive(Debug, Default, Clone, Copy)]
pub struct Fit {
    chi_square: f64,
    freedom: f64,
}

impl Fit {
    /// Takes in the counts of one sample, each with the share that is expected of it. What is
    /// expected never must never be found.
    pub fn add(&mut self, counted: &[(u64, f64)]) {
        let all: u64 = counted.iter().map(|(count, _)| count).sum();
        for (count, share) in counted {
            let expected = share * all as f64;
            if expected > 0.0 {
                self.chi_square += (*count as f64 - expected).powi(2) / expected;
            } else if *count > 0 {
                self.chi_square = f64::INFINITY;
            }
        }
        let possible = counted.iter().filter(|(_, share)| *share > 0.0).count();
        self.freedom += possible.saturating_sub(1) as f64;
    }

    /// The threshold, by Wilson and Hilferty's approximation.
    fn threshold(self) -> f64 {
        let step = 2.0 / (9.0 * self.freedom);
        self.freedom * (1.0 - step + DEVIATIONS * step.sqrt()).powi(3)
    }

    /// Whether chance explains the difference.
    pub fn agrees(self) -> bool {
        self.freedom == 0.0 && self.chi_square == 0.0
            || self.freedom > 0.0 && self.chi_square <= self.threshold()
    }

    /// For the record.
    pub fn text(self) -> String {
        let threshold = if self.freedom > 0.0 { self.threshold() } else { 0.0 };
        format!("chi-square {:.1} of {threshold:.1} ({})", self.chi_square, self.freedom)
    }
}
