//! The pods' HTTP server, and the client that counts who answers.

use ::http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{
    body::{Bytes, Incoming},
    client,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use std::{convert::Infallible, io, net::Ipv6Addr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};

/// The format of a printed time of day, as in kube-proxy's log.
const TIME: &str = "%H:%M:%S%.3f";

/// The start of a line that stands for a request without a good answer.
pub(super) const ERROR: &str = "ERROR ";

/// Answers every request with `answer` and a line end, `/healthz` with `ok`, on every address of
/// both families.
pub(super) async fn serve(answer: String, ports: &[u16]) -> Result<Infallible, io::Error> {
    let mut listeners = Vec::new();
    for port in ports {
        // On Linux, `::` accepts IPv4 connections too.
        listeners.push(TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await?);
    }
    futures::future::try_join_all(listeners.into_iter().map(|listener| accept(listener, &answer)))
        .await?;
    Err(io::Error::other("no port to listen on"))
}

async fn accept(listener: TcpListener, answer: &str) -> Result<Infallible, io::Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = format!("{answer}\n");
        let service = service_fn(move |request: Request<Incoming>| {
            let body =
                if request.uri().path() == "/healthz" { "ok\n".into() } else { answer.clone() };
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
        });
        // A client that disconnects early counts the failure itself.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Sends `count` requests (0: indefinitely), one after the other at intervals of `every`. Prints a
/// line for each, and returns how many failed.
pub(super) async fn get_many(url: &Uri, count: u64, every: Duration, timeout: Duration) -> u64 {
    let mut failed = 0;
    let mut pace = time::interval(every.max(Duration::from_millis(1)));
    pace.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    for number in 1.. {
        pace.tick().await;
        let begun = Timestamp::now();
        match get(url, timeout).await {
            Ok(answer) => println!("{answer}"),
            Err(error) => {
                failed += 1;
                println!("{ERROR}{error} (begun at {})", begun.strftime(TIME));
            }
        }
        if number == count {
            break;
        }
    }
    failed
}

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the URL has no host")]
    NoHost,
    #[error("connect: {0}")]
    Connect(#[from] io::Error),
    #[error("{stage}: nothing within {} ms", limit.as_millis())]
    Silent { stage: &'static str, limit: Duration },
    #[error("request: {0}")]
    Request(#[from] hyper::Error),
    #[error("invalid request: {0}")]
    Invalid(#[from] ::http::Error),
    #[error("answered {0}")]
    Status(StatusCode),
}

async fn get(url: &Uri, limit: Duration) -> Result<String, Failure> {
    let end = time::Instant::now() + limit;
    let silent = |stage| move |_| Failure::Silent { stage, limit };
    let host = url.host().ok_or(Failure::NoHost)?;
    let address = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80));
    let stream = time::timeout_at(end, TcpStream::connect(address)).await;
    let stream = stream.map_err(silent("connect"))??;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(url.path())
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        Ok(response.into_body().collect().await?.to_bytes())
    };
    let answer = time::timeout_at(end, answer).await.map_err(silent("answer"));
    connection.abort();
    let body = answer??;
    Ok(String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned())
}
