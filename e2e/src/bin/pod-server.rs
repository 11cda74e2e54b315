//! What runs in the pods of the kubelet stand-in: a server that says who it is, and a client.

use clap::{Parser, Subcommand};
use e2e::kubelet::http;
use std::{process::ExitCode, time::Duration};

/// The server in the pods of the kubelet stand-in, and a client that prints who answers.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers every GET with one line; /healthz with "ok".
    Serve {
        /// The line to answer with.
        #[arg(long)]
        answer: String,
        /// A port to listen on, at every address of both families; may be given several times.
        #[arg(long = "port", required = true)]
        ports: Vec<u16>,
    },
    /// Sends GET requests, each on a new connection; prints one answer (its first line), or one
    /// line "ERROR …", per request. The exit code is 1 if a request failed.
    Get {
        /// http://HOST:PORT/PATH
        url: ::http::Uri,
        /// How many requests; 0: until stopped.
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Milliseconds between the starts of two requests; 0: at once after the answer.
        #[arg(long, default_value_t = 0)]
        every: u64,
        /// Milliseconds until a request counts as failed.
        #[arg(long, default_value_t = 2000)]
        timeout: u64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve { answer, ports } => {
            let Err(error) = http::serve(answer, &ports).await;
            eprintln!("pod-server: {error}");
            ExitCode::FAILURE
        }
        Command::Get { url, count, every, timeout } => {
            let [every, timeout] = [every, timeout].map(Duration::from_millis);
            match http::get_many(&url, count, every, timeout).await {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
    }
}
