//! A server of the control plane: how it is reached, and when it is ready.

use std::{
    net::{IpAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use http::Request;
use kube::{Client, Config};
use serde_json::json;

use super::Error;
use crate::process::{Command, Process, Signal};

/// How long a component may take until it is ready. A loaded machine is slow, and an API server
/// reads all objects first.
pub(super) const START: Duration = Duration::from_secs(180);

/// How long a component may take to end before it is killed.
pub(super) const STOP: Duration = Duration::from_secs(10);

/// A component that answers at a URL.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) url: String,
    command: Command,
    ca: PathBuf,
    health: &'static str,
}

impl Server {
    /// Starts `command`, which listens at the URL beside it, and waits until it answers at the
    /// path `health`.
    pub(super) async fn start(
        (command, url): (Command, String),
        directory: &Path,
        ca: &Path,
        health: &'static str,
    ) -> Result<Self, Error> {
        let process = command.start(directory)?;
        let server = Self { process, url, command, ca: ca.to_owned(), health };
        server.ready().await?;
        Ok(server)
    }

    /// Adds arguments for the next start.
    pub(super) fn add(&mut self, args: &[&str]) {
        self.command = self.command.clone().args(args);
    }

    /// Kills it, if it runs, and starts it again.
    pub(super) async fn restart(&mut self, directory: &Path) -> Result<(), Error> {
        self.halt().await?;
        self.process = self.command.start(directory)?;
        self.ready().await
    }

    /// Kills it, if it runs.
    pub(super) async fn halt(&self) -> Result<(), Error> {
        if self.process.is_running() {
            self.process.signal(Signal::KILL)?;
            self.process.wait(STOP).await;
        }
        Ok(())
    }

    async fn ready(&self) -> Result<(), Error> {
        let client = client(&self.url, &self.ca, None)?;
        Ok(self.process.ready(START, async || get(&client, self.health).await).await?)
    }
}

/// A client of the server at `url`, which proves its identity with a certificate of `ca`.
pub(super) fn client(url: &str, ca: &Path, token: Option<&str>) -> Result<Client, Error> {
    let parsed = url.parse().map_err(|source| Error::Url { url: url.to_owned(), source })?;
    let mut config = Config::new(parsed);
    config.root_cert_file = Some(ca.to_owned());
    // The type of the token field is from a crate that is not a dependency here, so it is read from
    // JSON.
    config.auth_info =
        serde_json::from_value(json!({"token": token})).map_err(kube::Error::SerdeError)?;
    Ok(Client::try_from(config)?)
}

/// Requests `path` and accepts any successful answer.
pub(super) async fn get(client: &Client, path: &str) -> Result<(), kube::Error> {
    let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await.map(drop)
}

/// A port that was free a moment ago: bound once and released.
pub(crate) fn free_port(address: IpAddr) -> Result<u16, Error> {
    let port = TcpListener::bind((address, 0)).and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|source| Error::Port { address, source })
}
