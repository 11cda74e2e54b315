//! Sends requests from every zone.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use tokio::time::Instant;

use super::{Counts, Endpoint, NAMESPACE, Prediction, ZONES, reached};
use crate::{
    kubelet::requests::{Flow, Sender},
    site::Error,
    world::{Kind, Place, World},
};

/// How many requests show which endpoints a client reaches. With six to choose from, one of them
/// escapes them once in 80 million times.
const PROBES: u64 = 100;

/// A client in every zone.
pub struct Clients {
    world: World,
    senders: BTreeMap<&'static str, Sender>,
}

impl Clients {
    /// Clients of the Services of a cluster.
    pub fn new(world: World, senders: BTreeMap<&'static str, Sender>) -> Self {
        Self { world, senders }
    }

    /// The ready endpoints of a Service.
    pub async fn endpoints(&self, service: &str) -> Result<Vec<Endpoint>, Error> {
        Ok(Endpoint::of(&self.world.slices_of(NAMESPACE, service).await?))
    }

    async fn url(&self, service: &str) -> Result<String, Error> {
        let stored = self.world.get(&Place::new(Kind::Service, NAMESPACE, service)).await?;
        let address = stored.as_ref().and_then(|stored| stored["spec"]["clusterIP"].as_str());
        let address = address.ok_or(Error::Incomplete("the Service has no address"))?;
        Ok(format!("http://{address}/"))
    }

    /// Sends `each` requests from every zone at the same time, and counts who answers.
    pub async fn count(&self, service: &str, each: u64) -> Result<Counts, Error> {
        let url = self.url(service).await?;
        let sent = self.senders.iter().map(async |(zone, sender)| {
            let answers = sender.send(&url, each).await.map_err(run)?;
            Ok::<_, Error>((*zone, answers))
        });
        let mut counts = Counts::default();
        for (zone, answers) in try_join_all(sent).await? {
            counts.add(zone, answers);
        }
        Ok(counts)
    }

    /// Begins requests from every zone, each at these intervals, that continue until
    /// [`Flows::finish`].
    pub async fn flows(&self, service: &str, pace: Duration) -> Result<Flows, Error> {
        let url = self.url(service).await?;
        let flow = |(zone, sender): (&&'static str, &Sender)| {
            Ok((*zone, sender.flow(&url, pace).map_err(run)?))
        };
        Ok(Flows(self.senders.iter().map(flow).collect::<Result<_, Error>>()?))
    }

    /// Waits until each client reaches exactly the endpoints that its kube-proxy must send it to,
    /// which are as many as predicted, if that is given.
    ///
    /// # Errors
    ///
    /// [`Error::Late`] after `limit`.
    pub async fn in_effect(
        &self,
        service: &str,
        predicted: Option<&Prediction>,
        limit: Duration,
    ) -> Result<Vec<Endpoint>, Error> {
        let started = Instant::now();
        loop {
            let endpoints = self.endpoints(service).await?;
            let wanted = ZONES.map(|zone| reached(&endpoints, zone));
            let is_as_predicted = predicted.is_none_or(|predicted| {
                ZONES.iter().zip(&wanted).all(|(zone, wanted)| {
                    predicted.of(zone).is_some_and(|it| it.reachable == wanted.len())
                })
            });
            if is_as_predicted {
                let found = self.probe(service).await?;
                if found == wanted {
                    return Ok(endpoints);
                }
            }
            if started.elapsed() >= limit {
                return Err(Error::Late {
                    what: format!("the predicted routes to {service}"),
                    seconds: limit.as_secs(),
                    last: format!("{wanted:?}"),
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Which pods answer the client of each zone. Before a Service is programmed, requests may fail.
    async fn probe(&self, service: &str) -> Result<Vec<BTreeSet<String>>, Error> {
        let counts = self.count(service, PROBES).await?;
        Ok(ZONES
            .iter()
            .map(|zone| counts.answers.get(zone).into_iter().flatten())
            .map(|answers| answers.map(|(pod, _)| pod.clone()).collect())
            .collect())
    }
}

/// Requests that continue from every zone.
pub struct Flows(Vec<(&'static str, Flow)>);

impl Flows {
    /// Ends them, and counts the answers.
    pub async fn finish(self) -> Result<Counts, Error> {
        let finished = join_all(
            self.0.into_iter().map(async |(zone, flow)| (zone, flow.finish().await.map_err(run))),
        );
        let mut counts = Counts::default();
        for (zone, answers) in finished.await {
            counts.add(zone, answers?);
        }
        Ok(counts)
    }
}

fn run(source: io::Error) -> Error {
    Error::Run { what: "a client in its pod", source }
}
