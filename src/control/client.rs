//! The connection to the API server.

use std::time::Duration;

use http::{HeaderValue, Request, header::USER_AGENT};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{buffer::BufferLayer, layer::util::Stack, timeout::TimeoutLayer};
use tower_http::timeout::ResponseBodyTimeoutLayer;

use super::spacing::Spacing;

/// To reach the server at all.
const CONNECT: Duration = Duration::from_secs(10);
/// From a request to the head of its answer. Longer than the minute that the API server itself
/// gives a request, so that its own 504 is seen where it still answers.
const ANSWER: Duration = Duration::from_secs(70);
/// Without a byte of a body that has begun. A last resort for one that stops in the middle; longer
/// than the watches' own idle limit (290 s and a margin), which is to come first.
///
/// Not the connection's own limit (`Config::read_timeout`): with that each read wakes the process
/// once more, a millisecond later, for nothing (`hyper-timeout` 0.5 resets its timer to now).
const SILENCE: Duration = Duration::from_secs(320);
/// Requests on their way to the connection, as many as kube's own buffer holds.
const BUFFER: usize = 1024;

/// A client for single requests, that never retries by itself and gives up on silence.
///
/// kube retries 429, 503 and 504 also for POST, and a 504 may come after the object was created:
/// retrying belongs to the work queue, which looks at fresh state first (`rust-kubernetes 4.6`).
/// Its requests have no time limit either; writers set shorter ones than those here.
pub fn client(config: Config) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(prepared(config))?.with_layer(&limits()).build())
}

/// The same for watches, whose starts it spaces out.
pub fn watching(config: Config) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(prepared(config))?.with_layer(&layers()).build())
}

fn prepared(mut config: Config) -> Config {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = None;
    let agent = HeaderValue::from_static(concat!("closehaul/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    config
}

/// What [`watching`] puts around the connection: watch starts are spaced out, then each request has
/// time limits.
pub fn layers() -> Stack<Stack<Limits, BufferLayer<Request<Body>>>, Spacing> {
    // The buffer makes the service one that can be cloned, which a delayed request needs.
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

    #[tokio::test]
    async fn says_who_it_is_and_does_not_repeat_a_create() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client(Config::new(url)).unwrap(), "ns");
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
