//! Requests sent from inside a network namespace.

use super::http::ERROR;
use crate::{
    net::Namespace,
    process::{self, Process},
};
use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
    sync::watch,
    task::JoinHandle,
    time::{self, Instant},
};

/// How long a request may take before it counts as failed. The kernel retransmits the first packet
/// of a connection after 1 s and after 3 s. If its destination does not exist, there is no answer
/// then either, because later packets go where the first one went.
pub const TIMEOUT: Duration = Duration::from_secs(4);

/// The first line of the answer, or why there was none.
pub type Answer = Result<String, String>;

/// Sends requests from one namespace, each on a new connection. Runs the binary with
/// [`super::Command`].
#[derive(Debug, Clone)]
pub struct Sender {
    server: PathBuf,
    namespace: String,
}

/// Requests that continue during other work. Dropping it ends them.
#[derive(Debug)]
pub struct Flow {
    child: Child,
    answers: JoinHandle<Vec<Answer>>,
    /// Why the first request failed.
    failed: watch::Receiver<Option<String>>,
}

impl Sender {
    /// `server` is the binary with [`super::Command`].
    pub fn new(server: &Path, namespace: &str) -> Self {
        Self { server: server.to_owned(), namespace: namespace.to_owned() }
    }

    /// Sends `count` requests, one after the other.
    pub async fn send(&self, url: &str, count: u64) -> io::Result<Vec<Answer>> {
        let mut flow = self.start(url, count, Duration::ZERO)?;
        flow.child.wait().await?;
        Ok(flow.answers.await?)
    }

    /// Waits until `process` returns a good answer at `url`, for at most `limit`.
    // `Process::ready` does not work here: a future that contains its attempt cannot be spawned.
    pub async fn wait(
        &self,
        process: &Process,
        url: &str,
        limit: Duration,
    ) -> Result<(), process::Error> {
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < limit {
            process.must_run()?;
            match self.send(url, 1).await {
                Ok(answers) => match answers.into_iter().next() {
                    Some(Ok(_)) => return Ok(()),
                    Some(Err(error)) => last = error,
                    None => "no answer".clone_into(&mut last),
                },
                Err(error) => last = error.to_string(),
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        Err(process::Error::NotReady {
            name: process.name().to_owned(),
            seconds: limit.as_secs(),
            last,
            log: process.log_path().to_owned(),
            tail: process.log_tail(),
        })
    }

    /// Sends a request at intervals of `every` until [`Flow::finish`].
    pub fn flow(&self, url: &str, every: Duration) -> io::Result<Flow> {
        self.start(url, 0, every)
    }

    fn start(&self, url: &str, count: u64, every: Duration) -> io::Result<Flow> {
        let [ip, arguments @ ..] = Namespace::enter(&self.namespace);
        let mut child = Command::new(ip)
            .args(arguments)
            .arg(&self.server)
            .args(["get", url, "--count", &count.to_string()])
            .args(["--every", &every.as_millis().to_string()])
            .args(["--timeout", &TIMEOUT.as_millis().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A signal to the terminal's processes must not fail a request.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let (sender, failed) = watch::channel(None);
        Ok(Flow { child, answers: tokio::spawn(read(stdout, sender)), failed })
    }
}

impl Flow {
    /// Waits until a request has failed and returns why. Waits indefinitely if none fails.
    pub async fn failure(&self) -> String {
        let mut failed = self.failed.clone();
        let first = failed.wait_for(Option::is_some).await;
        match first.ok().and_then(|error| error.clone()) {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Stops sending and returns all answers so far.
    pub async fn finish(mut self) -> io::Result<Vec<Answer>> {
        self.child.kill().await?;
        Ok(self.answers.await?)
    }
}

async fn read(stdout: ChildStdout, failed: watch::Sender<Option<String>>) -> Vec<Answer> {
    let mut lines = BufReader::new(stdout).lines();
    let mut answers = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        answers.push(match line.strip_prefix(ERROR) {
            Some(error) => {
                failed.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert_with(|| error.to_owned());
                    is_first
                });
                Err(error.to_owned())
            }
            None => Ok(line),
        });
    }
    answers
}
