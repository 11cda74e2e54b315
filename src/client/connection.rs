//! The connection to the API server.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::USER_AGENT};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper_timeout::TimeoutConnector;
use hyper_util::{client::legacy, rt::TokioExecutor};
use kube::{
    Client, Config,
    client::{Body as RequestBody, ClientBuilder, ConfigExt},
    config::AuthInfo,
};
use tokio::time::{Instant, timeout};
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt,
    buffer::BufferLayer,
    filter::AsyncFilterLayer,
    layer::util::Stack,
    timeout::TimeoutLayer,
    util::{BoxService, MapFutureLayer, MapRequestLayer},
};
use tower_http::{
    decompression::DecompressionLayer,
    timeout::{DeadlineBody, ResponseBodyTimeoutLayer, TimeoutError},
};
use tracing::debug;

use super::{page, plugin::Plugin, route::route, spacing::Spacing, token_file::TokenFile};

/// The target of the log lines about single requests.
pub(crate) const REQUESTS: &str = module_path!();

/// To connect to the server.
const CONNECT: Duration = Duration::from_secs(10);
/// From a request to the head of its answer. This is longer than the minute that the API server
/// gives a request, so that its 504 is seen if it still answers.
const ANSWER: Duration = Duration::from_secs(70);
/// Without a byte of a body that has begun. This is a last resort for a body that stops in the
/// middle. It is longer than the watches' own limits (80 s and a margin of 5 s), which must come
/// first.
///
/// This is not the connection's limit (`Config::read_timeout`). With that, each read needlessly
/// wakes the process once more, a millisecond later (`hyper-timeout` 0.5 resets its timer to now).
const SILENCE: Duration = Duration::from_secs(100);
/// Requests on their way to the connection, as many as kube's buffer holds.
const BUFFER: usize = 1024;

/// A client for single requests that never retries by itself and gives up on silence.
///
/// kube also retries POST after 429, 503 and 504, and a 504 may come after the object was created.
/// Retrying belongs to the work queue, which looks at fresh state first. kube's requests have no
/// time limit either. Writers set shorter ones than those here.
///
/// With a `limit`, that is how long a request may take until its answer is complete, in place of the
/// limits here.
pub fn client(config: Config, limit: Option<Duration>) -> kube::Result<Client> {
    Ok(limited(builder(config)?, limit))
}

/// The same for long lists, which the API server compresses to a tenth.
pub fn reader(config: Config, limit: Option<Duration>) -> kube::Result<Client> {
    Ok(limited(builder(config)?.with_layer(&DecompressionLayer::new()), limit))
}

/// A client with this limit, or with those here.
fn limited<S, B>(builder: ClientBuilder<S>, limit: Option<Duration>) -> Client
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = BoxError> + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    match limit {
        None => builder.with_layer(&limits()).build(),
        Some(limit) => {
            let layer = MapFutureLayer::new(move |answer| within(limit, answer));
            builder.with_layer(&layer).build()
        }
    }
}

/// No complete answer came in time.
#[derive(Debug, thiserror::Error)]
#[error("no complete answer within {0:?}, the --request-timeout")]
struct TooLate(Duration);

/// The answer, if its head and its body arrive within `limit` together.
async fn within<B>(
    limit: Duration,
    answer: impl Future<Output = Result<Response<B>, BoxError>>,
) -> Result<Response<impl Body<Data = B::Data, Error = BoxError>>, BoxError>
where
    B: Body<Error: Into<BoxError>>,
{
    let began = Instant::now();
    let answer = timeout(limit, answer).await.map_err(|_| TooLate(limit))??;
    let left = limit.saturating_sub(began.elapsed());
    let late = move |error: BoxError| {
        if error.is::<TimeoutError>() { TooLate(limit).into() } else { error }
    };
    Ok(answer.map(|body| DeadlineBody::new(left, body).map_err(late)))
}

/// The same for watches, whose starts it spaces out.
pub fn watching(config: Config) -> kube::Result<Client> {
    Ok(builder(config)?.with_layer(&layers()).build())
}

/// The HTTP connection to one API server.
type Connection = BoxService<Request<RequestBody>, Response<Incoming>, BoxError>;

/// What kube's builder creates, but with TCP keepalive, for which it has no setting, without its
/// retries, and with proxies as kubectl uses them.
fn builder(mut config: Config) -> kube::Result<ClientBuilder<Connection>> {
    let agent = HeaderValue::from_static(concat!("closehaul/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    let file = config.auth_info.token_file.take().filter(|_| is_by_token(&config.auth_info));
    let token = match file.map(|file| TokenFile::new(file.into())).transpose() {
        Err(_) if config.auth_info.token.is_some() => None,
        token => token.map_err(|error| kube::Error::Service(error.into()))?,
    };
    let plugin = Plugin::of(&mut config.auth_info);
    let plugin = plugin.map_err(|error| kube::Error::Service(error.into()))?;
    let auth = if token.is_some() || plugin.is_some() { None } else { config.auth_layer()? };
    let route = route(&config)?;
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(route)?);
    connector.set_connect_timeout(Some(CONNECT));
    let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
    let connection = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(auth)
        .option_layer(token.map(|token| {
            MapRequestLayer::new(move |request: Request<RequestBody>| token.authorize(request))
        }))
        .option_layer(plugin.map(|plugin| {
            AsyncFilterLayer::new(move |request: Request<RequestBody>| {
                plugin.clone().authorize(request)
            })
        }))
        .layer(config.extra_headers_layer()?)
        .map_request(|request: Request<RequestBody>| {
            debug!(target: REQUESTS, method = %request.method(), uri = %request.uri(), "request");
            request
        })
        .and_then(page::check)
        .map_err(BoxError::from)
        .service(client)
        .boxed();
    Ok(ClientBuilder::new(connection, config.default_namespace))
}

/// Whether a file with a token says who we are. A token beside it only counts while the file cannot
/// be read, as with client-go.
fn is_by_token(user: &AuthInfo) -> bool {
    user.auth_provider.is_none() && user.username.is_none()
}

/// What [`watching`] puts around the connection: watch starts are spaced out, then each request has
/// time limits.
pub fn layers() -> Stack<Stack<Limits, BufferLayer<Request<RequestBody>>>, Spacing> {
    // The buffer makes the service cloneable, which a delayed request needs.
    Stack::new(Stack::new(limits(), BufferLayer::new(BUFFER)), Spacing::default())
}

/// Time limits of a request: to the head of its answer, and between two parts of its body.
type Limits = Stack<ResponseBodyTimeoutLayer, TimeoutLayer>;

fn limits() -> Limits {
    Stack::new(ResponseBodyTimeoutLayer::new(SILENCE), TimeoutLayer::new(ANSWER))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, api::PostParams};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::timeout,
    };

    use super::*;
    use crate::client::route::KEEPALIVE;

    /// Linux shows the timer of each connection: kind 02 is keepalive, its time in hundredths of a
    /// second.
    #[tokio::test]
    async fn a_quiet_connection_is_probed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: http::Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        for client in [client(Config::new(url.clone()), None), watching(Config::new(url.clone()))] {
            let maps: Api<ConfigMap> = Api::namespaced(client.unwrap(), "ns");
            let request = tokio::spawn(async move { maps.get("map").await.map(drop) });
            let (mut connection, peer) = listener.accept().await.unwrap();
            let read = connection.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0);
            // The request must have been acknowledged before the timer is that of keepalive.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let local = format!("{:08X}:{:04X}", u32::from_le_bytes([127, 0, 0, 1]), peer.port());
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&*local));
            let timer = line.unwrap().split_whitespace().nth(5).unwrap();
            let (kind, left) = timer.split_once(':').unwrap();
            let left = Duration::from_millis(10 * u64::from_str_radix(left, 16).unwrap());
            assert_eq!(kind, "02", "{timer}");
            assert!(left <= KEEPALIVE && left > KEEPALIVE / 2, "{left:?}");
            request.abort();
        }
    }

    #[tokio::test]
    async fn says_who_it_is_and_does_not_repeat_a_create() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client(Config::new(url), None).unwrap(), "ns");
        let map = ConfigMap::default();
        let params = PostParams::default();
        let answer = maps.create(&params, &map);
        let server = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = connection.read(&mut head).await.unwrap();
            let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
            connection.write_all(busy.as_bytes()).await.unwrap();
            head.truncate(read);
            (String::from_utf8(head).unwrap(), connection)
        };
        let (answer, (head, mut connection)) = tokio::join!(answer, server);
        let agent = concat!("user-agent: closehaul/", env!("CARGO_PKG_VERSION"));
        assert!(head.to_lowercase().contains(agent), "{head}");
        assert_eq!(head.to_lowercase().matches("user-agent").count(), 1, "{head}");
        let kube::Error::Api(status) = answer.unwrap_err() else { panic!("not answered by 503") };
        assert_eq!(status.code, 503);
        let again = timeout(Duration::from_millis(200), connection.read_u8()).await;
        assert!(again.is_err() || again.is_ok_and(|byte| byte.is_err()), "a second request came");
    }
}
