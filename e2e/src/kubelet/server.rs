//! The two commands that run in the pods. They are hidden commands of the `walkthrough` binary.

use super::http;
use std::{process::ExitCode, time::Duration};

/// What runs in a pod. This module calls the binary with these commands the server.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Answers every GET with one line; /healthz with "ok"
    #[command(hide = true)]
    Serve {
        /// The line to answer with
        #[arg(long)]
        answer: String,
        /// A port to listen on, at every address of both families; may be given several times
        #[arg(long = "port", required = true)]
        ports: Vec<u16>,
    },
    /// Sends GET requests, each on a new connection; prints one answer (its first line), or one
    /// line "ERROR …", per request; the exit code is 1 if a request failed
    #[command(hide = true)]
    Get {
        /// http://HOST:PORT/PATH
        url: ::http::Uri,
        /// How many requests; 0: until stopped
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Milliseconds between the starts of two requests; 0: at once after the answer
        #[arg(long, default_value_t = 0)]
        every: u64,
        /// Milliseconds until a request counts as failed
        #[arg(long, default_value_t = 2000)]
        timeout: u64,
    },
}

impl Command {
    /// Runs it until it ends.
    pub async fn run(self) -> ExitCode {
        match self {
            Self::Serve { answer, ports } => {
                let Err(error) = http::serve(answer, &ports).await;
                eprintln!("cannot serve: {error}");
                ExitCode::FAILURE
            }
            Self::Get { url, count, every, timeout } => {
                let [every, timeout] = [every, timeout].map(Duration::from_millis);
                match http::get_many(&url, count, every, timeout).await {
                    0 => ExitCode::SUCCESS,
                    _ => ExitCode::FAILURE,
                }
            }
        }
    }
}
