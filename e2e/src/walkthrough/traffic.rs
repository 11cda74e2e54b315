//! Requests from the client's pod to the Service.

use super::{Error, model::Model};
use crate::kubelet::requests::{Answer, Flow, Sender};
use std::{io, time::Duration};
use tokio::{sync::oneshot, task::JoinHandle, time};

/// The interval of the requests that continue during changes.
const PACE: Duration = Duration::from_millis(100);

/// How a request finds its pod.
pub(super) enum Traffic {
    /// Through the kernel, as a kube-proxy has programmed it.
    Real { sender: Sender, url: String },
    /// By the model of kube-proxy. Nothing is sent.
    Model(Model),
}

/// Requests that continue during other work.
pub(super) enum Beside {
    Real(Flow),
    Model { stop: oneshot::Sender<()>, answers: JoinHandle<Result<Vec<Answer>, Error>> },
}

impl Traffic {
    pub(super) fn real(sender: Sender, address: &str) -> Self {
        Self::Real { sender, url: format!("http://{address}/") }
    }

    /// Sends `count` requests, one after the other.
    pub(super) async fn send(&self, count: u64) -> Result<Vec<Answer>, Error> {
        match self {
            Self::Real { sender, url } => sender.send(url, count).await.map_err(run),
            Self::Model(model) => model.send(count).await,
        }
    }

    /// Sends requests until [`Beside::finish`].
    pub(super) fn beside(&self) -> Result<Beside, Error> {
        match self {
            Self::Real { sender, url } => sender.flow(url, PACE).map(Beside::Real).map_err(run),
            Self::Model(model) => {
                let (stop, stopped) = oneshot::channel();
                Ok(Beside::Model { stop, answers: tokio::spawn(ask(model.clone(), stopped)) })
            }
        }
    }
}

impl Beside {
    /// Stops sending and returns all answers.
    pub(super) async fn finish(self) -> Result<Vec<Answer>, Error> {
        match self {
            Self::Real(flow) => flow.finish().await.map_err(run),
            Self::Model { stop, answers } => {
                drop(stop);
                answers.await.map_err(|error| run(error.into()))?
            }
        }
    }
}

async fn ask(model: Model, mut stopped: oneshot::Receiver<()>) -> Result<Vec<Answer>, Error> {
    let mut pace = time::interval(PACE);
    let mut answers = Vec::new();
    loop {
        tokio::select! {
            _ = pace.tick() => answers.extend(model.send(1).await?),
            _ = &mut stopped => return Ok(answers),
        }
    }
}

fn run(source: io::Error) -> Error {
    Error::Run { what: "the client in its pod", source }
}
