//! The connection to the API server.

use std::time::Duration;

use http::{HeaderValue, header::USER_AGENT};
use kube::{Client, Config, client::ClientBuilder};
use tower::{buffer::BufferLayer, timeout::TimeoutLayer};

use super::spacing::Spacing;

/// To reach the server at all.
const CONNECT: Duration = Duration::from_secs(10);
/// From a request to the head of its answer. Longer than the minute that the API server itself
/// gives a request, so that its own 504 is seen where it still answers.
const ANSWER: Duration = Duration::from_secs(70);
/// Without a byte on a connection that waits for some. A last resort for a body that stops in the
/// middle; longer than the watches' own idle limit (290 s and a margin), which is to come first.
const SILENCE: Duration = Duration::from_secs(320);
/// Requests on their way to the connection, as many as kube's own buffer holds.
const BUFFER: usize = 1024;

/// A client that never retries by itself, gives up on silence and spaces out watch starts.
///
/// kube retries 429, 503 and 504 also for POST, and a 504 may come after the object was created:
/// retrying belongs to the work queue, which looks at fresh state first (`rust-kubernetes 4.6`).
/// Its requests have no time limit either; writers set shorter ones than those here.
pub fn client(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let agent = HeaderValue::from_static(concat!("closehaul/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(ANSWER))
        // Makes the service one that can be cloned, which a delayed request needs.
        .with_layer(&BufferLayer::new(BUFFER))
        .with_layer(&Spacing::default())
        .build())
}
