//! One step of the policies: requests that continue meanwhile, and how it went.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{Error, Row, site::Site};
use crate::shares::{Clients, Comparison, Counts, Endpoint, Flows, Prediction};

/// How long a change may take to take effect.
const LIMIT: Duration = Duration::from_secs(60);

/// The interval of the requests from a zone to a Service that continue during changes.
const PACE: Duration = Duration::from_millis(100);

/// How many requests are counted for each Service and zone.
const REQUESTS: u64 = 800;

/// What the plan predicts for every Service of the namespace.
const PREDICT: &str = "closehaul plan -o summary";

/// A step that has begun.
pub(super) struct Step {
    name: &'static str,
    started: Instant,
    beside: Vec<Flows>,
    counted: u64,
    failed: Vec<String>,
    problems: Vec<String>,
}

/// The counted requests to a Service.
pub(super) struct Shares {
    pub(super) service: &'static str,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) predicted: Prediction,
    pub(super) counts: Counts,
    pub(super) comparison: Comparison,
}

impl Shares {
    /// What [`super::tables::routes`] prints.
    pub(super) fn routes(&self) -> (&str, &[Endpoint], &Counts) {
        (self.service, &self.endpoints, &self.counts)
    }
}

impl Step {
    /// Prints the heading, and begins requests to these Services that continue until the end.
    pub(super) async fn begin(
        site: &Site,
        clients: &Clients,
        [name, heading]: [&'static str; 2],
        services: &[&str],
    ) -> Result<Self, Error> {
        site.console.heading(heading);
        let mut beside = Vec::new();
        for service in services {
            beside.push(clients.flows(service, PACE).await?);
        }
        let started = Instant::now();
        Ok(Self { name, started, beside, counted: 0, failed: Vec::new(), problems: Vec::new() })
    }

    /// Waits until clients reach what is predicted for a Service, by the plan if not known already,
    /// and counts who answers.
    pub(super) async fn measure(
        &mut self,
        site: &mut Site,
        clients: &Clients,
        service: &'static str,
        known: Option<&Prediction>,
    ) -> Result<Shares, Error> {
        site.check().await?;
        let predicted = match known {
            Some(known) => known.clone(),
            None => Prediction::read(&site.output(PREDICT).await?, service)?,
        };
        let endpoints = match clients.in_effect(service, Some(&predicted), LIMIT).await {
            Err(late @ Error::Late { .. }) => {
                self.problems.push(late.to_string());
                clients.endpoints(service).await?
            }
            other => other?,
        };
        let counts = clients.count(service, REQUESTS).await?;
        let comparison = Comparison::new(&endpoints, &predicted, &counts);
        if !comparison.agrees() {
            self.problem(format!(
                "{service} is not as predicted: by endpoint {}, by zone {}",
                comparison.by_endpoint.text(),
                comparison.by_zone.text()
            ));
        }
        self.take(&counts);
        Ok(Shares { service, endpoints, predicted, counts, comparison })
    }

    /// Takes in counted requests.
    pub(super) fn take(&mut self, counts: &Counts) {
        self.counted += counts.total();
        self.failed.extend(counts.failed.iter().cloned());
    }

    /// Says that something is not as it must be.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Ends the requests that continued, and prints the verdict: whether the counted ones were
    /// answered as `expected`. `answers` is for the summary.
    pub(super) async fn end(
        mut self,
        site: &Site,
        answers: String,
        expected: &str,
    ) -> Result<Row, Error> {
        let mut beside = 0;
        for flows in self.beside {
            let counts = flows.finish().await?;
            beside += counts.total();
            self.failed.extend(counts.failed);
        }
        if let Some(first) = self.failed.first() {
            let count = self.failed.len();
            self.problems.push(format!("{count} requests failed, the first: {first}"));
        }
        let while_changed = match beside {
            0 => String::new(),
            beside => format!(", and {beside} beside while things changed"),
        };
        let text = format!("{} requests answered {expected}{while_changed}", self.counted);
        site.console.verdict(&text, &self.problems);
        Ok(Row {
            step: self.name,
            answers,
            counted: self.counted,
            beside,
            failed: self.failed.len() as u64,
            problems: self.problems,
            elapsed: self.started.elapsed(),
        })
    }
}
