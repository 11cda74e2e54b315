//! Server: answers `/metrics`, `/livez` and `/readyz`. Whoever asks is not trusted to read the
//! answer: connections are few and short, so that none holds the process up.

use std::{convert::Infallible, fmt::Write, sync::Arc, time::Duration};

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
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tracing::warn;

use super::{
    health::{Check, Health},
    metrics::Metrics,
};
use crate::causes::causes;

/// Connections at the same time; more wait in the kernel.
const CONNECTIONS: usize = 32;
/// From the start of a connection to its end, one request and its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// After a connection could not be taken up, for lack of file descriptors, say.
const PAUSE: Duration = Duration::from_millis(500);

/// What a server answers about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// `/metrics`.
    Metrics(Metrics),
    /// `/livez` and `/readyz`.
    Health(Health),
}

/// Answers at `listener` for ever.
pub async fn serve(listener: TcpListener, subject: Subject) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((connection, _)) => {
                let subject = subject.clone();
                tokio::spawn(async move {
                    // What goes wrong here is the asker's.
                    let _ = timeout(LIMIT, converse(connection, subject)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "a connection for metrics or health could not be taken up");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(connection: TcpStream, subject: Subject) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&subject, request.method(), request.uri());
        async move { Ok::<_, Infallible>(answer) }
    });
    // One request each: an idle connection would take another's place.
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(16 * 1024)
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
            warn!(cause = causes(&error), "metrics could not be shown");
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
        }
    }
}

/// What the checks say, in the API server's form: `ok`, or check by check if one fails or if it
/// is asked for.
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
            (None, Some(note)) => writeln!(body, "[+]{name} ok, but {note}"),
            (Some(wrong), _) => writeln!(body, "[-]{name} failed: {wrong}"),
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
        for kind in [Watched::Services, Watched::Nodes, Watched::Slices] {
            health.listed(kind);
        }
        let (status, _, body) = ask(address, "GET /readyz").await;
        assert_eq!(status, 503);
        let lines = "[+]services ok\n[-]pods failed: not listed yet\n[+]nodes ok\n\
                     [+]endpointslices ok\n[+]shutdown ok\nreadyz check failed\n";
        assert_eq!(body, lines);
        health.listed(Watched::Pods);
        let (status, _, body) = ask(address, "GET /readyz").await;
        assert_eq!((status, &*body), (200, "ok"));
        assert_eq!(ask(address, "GET /").await.0, 404);
    }

    /// Connections that say nothing take all places, and lose them.
    #[tokio::test]
    async fn idle_connections_hold_nobody_up_for_long() {
        let address = start(Subject::Health(Health::default())).await;
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS + 3 {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let began = Instant::now();
        assert_eq!(ask(address, "GET /livez").await.2, "ok");
        let took = began.elapsed();
        assert!(took > LIMIT / 2, "{took:?}: were all places taken?");
        let closed = idle[0].read(&mut [0]).await;
        assert!(closed.is_err() || closed.is_ok_and(|read| read == 0));
    }
}
