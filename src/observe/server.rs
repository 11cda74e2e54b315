//! Server: answers `/metrics`, `/livez` and `/readyz`. Clients are not trusted to send a request or
//! to read the answer: each connection has little time, and a new one replaces the oldest one that
//! has not sent a request.

mod places;

use std::{convert::Infallible, fmt::Write, time::Duration};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tracing::warn;

use self::places::{Asking, Places};
use super::{
    health::{Check, Health},
    metrics::Metrics,
};
use crate::{causes::causes, plain::plain};

/// From the start of a connection to the end of the request's header.
const HEAD: Duration = Duration::from_secs(1);
/// From the start of a connection to its end, with one request and its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// After a connection could not be accepted, for example for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(500);

/// What a server reports.
#[derive(Clone, Debug)]
pub enum Subject {
    /// `/metrics`.
    Metrics(Metrics),
    /// `/livez` and `/readyz`.
    Health(Health),
}

/// Answers at `listener` until it is dropped.
pub async fn serve(listener: TcpListener, subject: Subject) {
    let mut places = Places::default();
    loop {
        let connection = tokio::select! {
            () = places.ended() => continue,
            connection = listener.accept() => connection,
        };
        match connection {
            Ok((connection, _)) => {
                let subject = subject.clone();
                let talk = move |asking| async move {
                    // What goes wrong here is the client's fault.
                    let _ = timeout(LIMIT, converse(connection, subject, asking)).await;
                };
                places.take(talk).await;
            }
            Err(error) => {
                warn!(%error, "could not accept a connection for metrics or health");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(connection: TcpStream, subject: Subject, asking: Asking) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        asking.begin();
        let answer = answer(&subject, request.method(), request.uri());
        async move { Ok::<_, Infallible>(answer) }
    });
    // One request each, so that no connection is idle after its answer.
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(connection), service)
        .await
}

fn answer(subject: &Subject, method: &Method, uri: &http::Uri) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let is_verbose = uri.query().is_some_and(|query| {
        query.split('&').any(|part| part == "verbose" || part.starts_with("verbose="))
    });
    match (subject, uri.path()) {
        (Subject::Metrics(metrics), "/metrics") => show(metrics),
        (Subject::Health(health), "/readyz") => report("readyz", &health.readiness(), is_verbose),
        (Subject::Health(health), "/livez") => {
            report("livez", &health.liveness(Instant::now()), is_verbose)
        }
        (Subject::Metrics(_), _) => text(StatusCode::NOT_FOUND, "there is /metrics\n".to_owned()),
        (Subject::Health(_), _) => {
            text(StatusCode::NOT_FOUND, "there are /livez and /readyz\n".to_owned())
        }
    }
}

fn show(metrics: &Metrics) -> Response<Full<Bytes>> {
    match metrics.text() {
        Ok(body) => {
            let mut answer = text(StatusCode::OK, body);
            let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            answer.headers_mut().insert(CONTENT_TYPE, format);
            answer
        }
        Err(error) => {
            warn!(cause = causes(&error), "could not encode the metrics");
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
        }
    }
}

/// The results of the checks, in the API server's form: `ok`, or check by check if one fails or if
/// `is_verbose`.
fn report(name: &str, checks: &[Check], is_verbose: bool) -> Response<Full<Bytes>> {
    let is_well = checks.iter().all(|check| check.wrong.is_none());
    if is_well && !is_verbose {
        return text(StatusCode::OK, "ok".to_owned());
    }
    let mut body = String::new();
    for Check { name, wrong, note } in checks {
        // Writing to a String does not fail.
        let _ = match (wrong, note) {
            (None, None) => writeln!(body, "[+]{name} ok"),
            (None, Some(note)) => writeln!(body, "[+]{name} ok, but {}", plain(note)),
            (Some(wrong), _) => writeln!(body, "[-]{name} failed: {}", plain(wrong)),
        };
    }
    let _ = writeln!(body, "{name} check {}", if is_well { "passed" } else { "failed" });
    text(if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body)
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::cluster::Watched;
    use crate::model::{node::Node, pod::Pod, service::Service, slice::Slice};

    const SECOND: Duration = Duration::from_secs(1);

    async fn start(subject: Subject) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, subject));
        address
    }

    /// Status code, headers and body of the answer to a request line.
    async fn ask(address: std::net::SocketAddr, line: &str) -> (u16, String, String) {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(20 * SECOND, connection.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let address = start(Subject::Metrics(Metrics::new().unwrap())).await;
        let (status, head, body) = ask(address, "GET /metrics").await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        assert!(body.contains("# TYPE endpoint_slice_controller_syncs counter\n"), "{body}");
        assert_eq!(ask(address, "GET /readyz").await.0, 404);
        let (status, head, _) = ask(address, "POST /metrics").await;
        assert!(status == 405 && head.contains("allow: get, head"), "{head}");
        assert_eq!(ask(address, "HEAD /metrics").await.2, "");
    }

    #[tokio::test]
    async fn health_is_told_as_the_api_server_does() {
        let health = Health::default();
        let address = start(Subject::Health(health.clone())).await;
        assert_eq!(ask(address, "GET /livez").await.2, "ok");
        assert_eq!(ask(address, "GET /livez?verbose").await.2, "[+]loop ok\nlivez check passed\n");
        for kind in [Watched::of::<Service>(), Watched::of::<Node>(), Watched::of::<Slice>()] {
            health.listed(kind);
        }
        let (status, _, body) = ask(address, "GET /readyz").await;
        assert_eq!(status, 503);
        let lines = "[+]services ok\n[-]pods failed: not listed yet\n[+]nodes ok\n\
                     [+]endpointslices ok\n[+]shutdown ok\nreadyz check failed\n";
        assert_eq!(body, lines);
        health.listed(Watched::of::<Pod>());
        let (status, _, body) = ask(address, "GET /readyz").await;
        assert_eq!((status, &*body), (200, "ok"));
        assert_eq!(ask(address, "GET /").await.0, 404);
    }

    async fn connect(address: std::net::SocketAddr, count: usize) -> Vec<TcpStream> {
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(TcpStream::connect(address).await.unwrap());
        }
        connections
    }

    async fn is_closed(connection: &mut TcpStream) -> bool {
        let mut answer = Vec::new();
        let end = timeout(20 * SECOND, connection.read_to_end(&mut answer)).await;
        end.is_ok_and(|read| read.is_err() || answer.is_empty())
    }

    #[tokio::test]
    async fn idle_connections_fail_no_probe() {
        let address = start(Subject::Health(Health::default())).await;
        let mut idle = connect(address, 300).await;
        for _ in 0..10 {
            let began = Instant::now();
            assert_eq!(ask(address, "GET /livez").await.2, "ok");
            let took = began.elapsed();
            assert!(took < HEAD, "{took:?}: before any of them runs out of time");
        }
        assert!(is_closed(&mut idle[0]).await);
    }

    #[tokio::test]
    async fn a_head_that_comes_byte_by_byte_ends_in_time() {
        let address = start(Subject::Health(Health::default())).await;
        let mut slow = connect(address, 1).await.remove(0);
        let began = Instant::now();
        let drip = async {
            while slow.write_all(b"G").await.is_ok() && began.elapsed() < LIMIT {
                sleep(HEAD / 10).await;
            }
        };
        drip.await;
        let took = began.elapsed();
        assert!(took < LIMIT / 2, "{took:?}");
    }

    /// All places are taken by clients that have sent a request and read nothing.
    #[tokio::test]
    async fn clients_that_do_not_read_fail_no_probe() {
        let address = start(Subject::Metrics(Metrics::new().unwrap())).await;
        let mut deaf = connect(address, 300).await;
        for connection in &mut deaf {
            // Those that were closed in favour of later ones refuse it.
            let _ = connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        }
        let began = Instant::now();
        assert_eq!(ask(address, "GET /metrics").await.0, 200);
        assert!(began.elapsed() < LIMIT / 2, "{:?}", began.elapsed());
    }
}
