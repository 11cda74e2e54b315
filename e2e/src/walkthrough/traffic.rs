//! Requests from the client's pod to the Service.

use super::Error;
use crate::kubelet::requests::{Answer, Flow, Sender};
use std::{path::Path, time::Duration};

/// The pace of the requests that go on while things change.
const PACE: Duration = Duration::from_millis(100);

/// How a request finds its pod.
#[derive(Debug)]
pub(super) enum Traffic {
    /// Through the kernel, as a kube-proxy has programmed it.
    Real { sender: Sender, url: String },
}

impl Traffic {
    pub(super) fn real(server: &Path, namespace: &str, address: &str) -> Self {
        Self::Real { sender: Sender::new(server, namespace), url: format!("http://{address}/") }
    }

    /// Sends `count` requests, one after the other.
    pub(super) async fn send(&self, count: u64) -> Result<Vec<Answer>, Error> {
        match self {
            Self::Real { sender, url } => sender.send(url, count).await.map_err(run),
        }
    }

    /// Sends requests beside other work.
    pub(super) fn flow(&self) -> Result<Option<Flow>, Error> {
        match self {
            Self::Real { sender, url } => sender.flow(url, PACE).map(Some).map_err(run),
        }
    }
}

pub(super) fn run(source: std::io::Error) -> Error {
    Error::Run { what: "the client in its pod", source }
}
