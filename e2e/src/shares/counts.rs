//! Who has answered how often.

use std::collections::BTreeMap;

use super::{Endpoint, ZONES};
use crate::kubelet::requests::Answer;

/// The answers to the clients of every zone.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// How often each pod has answered, by the client's zone.
    pub answers: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Why requests failed.
    pub failed: Vec<String>,
}

/// What counts amount to. All zones have sent the same number of requests.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// The share that stayed in its zone.
    pub in_zone: f64,
    /// How far the busiest endpoint was above the even share.
    pub overload: f64,
}

impl Counts {
    /// Takes in the answers to the client of a zone.
    pub(super) fn add(&mut self, zone: &'static str, answers: Vec<Answer>) {
        let counts = self.answers.entry(zone).or_default();
        for answer in answers {
            match answer {
                Ok(answer) => *counts.entry(pod(&answer).to_owned()).or_default() += 1,
                Err(error) => self.failed.push(format!("from {zone}: {error}")),
            }
        }
    }

    /// How often a pod has answered the client of a zone.
    pub fn found(&self, zone: &str, pod: &str) -> u64 {
        let counts = self.answers.get(zone);
        counts.and_then(|counts| counts.get(pod)).copied().unwrap_or_default()
    }

    /// How many requests were answered.
    pub fn total(&self) -> u64 {
        self.answers.values().flat_map(BTreeMap::values).sum()
    }

    /// How often each pod has answered, whatever the client.
    pub fn by_pod(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (pod, count) in self.answers.values().flatten() {
            *sum.entry(pod.clone()).or_default() += count;
        }
        sum
    }

    /// How many requests of the client of a zone were answered by endpoints of another one or the
    /// same.
    pub fn between(&self, endpoints: &[Endpoint], from: &str, to: &str) -> u64 {
        let of_zone = endpoints.iter().filter(|endpoint| endpoint.zone == to);
        of_zone.map(|endpoint| self.found(from, &endpoint.pod)).sum()
    }

    /// What share stayed in its zone, and by how much the busiest endpoint was above the even
    /// share.
    pub fn measured(&self, endpoints: &[Endpoint]) -> Measured {
        let all = self.total() as f64;
        let own: u64 = ZONES.iter().map(|zone| self.between(endpoints, zone, zone)).sum();
        let load = |it: &Endpoint| ZONES.iter().map(|zone| self.found(zone, &it.pod)).sum::<u64>();
        let most = endpoints.iter().map(load).max().unwrap_or_default();
        let even = all / endpoints.len() as f64;
        Measured { in_zone: own as f64 / all, overload: most as f64 / even - 1.0 }
    }
}

/// The pod of an answer, which is `POD@NODE`.
fn pod(answer: &str) -> &str {
    answer.split_once('@').map_or(answer, |(pod, _)| pod)
}
