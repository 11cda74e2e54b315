//! Route: how a connection to the API server is made, directly or through a proxy.

use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{
            HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use kube::{Config, client::ConfigExt};
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

use super::proxy::shown;

/// Before the first TCP keepalive probe on a quiet connection, and between two probes.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(15);
/// After this many probes without an answer, the connection is dead: a minute in all.
const PROBES: u32 = 3;
/// Of a SOCKS proxy whose URL names none.
const SOCKS_PORT: u16 = 1080;

/// Makes connections. TLS in its stream is that with a proxy.
pub(super) type Route = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// A connection through a proxy failed.
#[derive(Debug, thiserror::Error)]
#[error("through the proxy {proxy}")]
struct ProxyError {
    proxy: String,
    source: BoxError,
}

/// The route to the API server of `config`. Also a server without TLS is reached by a tunnel, where
/// kubectl would send whole URLs to the proxy.
pub(super) fn route(config: &Config) -> kube::Result<Route> {
    let tcp = tcp();
    let Some(proxy) = &config.proxy_url else {
        let direct = tcp.map_response(MaybeHttpsStream::Http).map_err(BoxError::from);
        return Ok(BoxCloneSyncService::new(direct));
    };
    let to_proxy = config.rustls_https_connector_with_connector(tcp)?;
    let name = shown(proxy);
    let failed = move |source: BoxError| BoxError::from(ProxyError { proxy: name.clone(), source });
    // hyper-util decodes a URL's user and password.
    let login = Matcher::builder().all(proxy.to_string()).build().intercept(&config.cluster_url);
    if proxy.scheme_str().is_some_and(|scheme| scheme.starts_with("socks5")) {
        // It is spoken to without TLS.
        let mut socks = SocksV5::new(address(proxy, "http", SOCKS_PORT), to_proxy);
        if let Some((user, password)) = login.as_ref().and_then(Intercept::raw_auth) {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        let route = socks.map_request(with_port).map_err(move |error| failed(cause(error)));
        return Ok(BoxCloneSyncService::new(route));
    }
    let (scheme, port) = match proxy.scheme_str() {
        Some("https") => ("https", 443),
        _ => ("http", 80),
    };
    let mut tunnel = Tunnel::new(address(proxy, scheme, port), to_proxy);
    if let Some(value) = login.as_ref().and_then(Intercept::basic_auth) {
        tunnel = tunnel.with_auth(value.clone());
    }
    let route = tunnel.map_request(with_port).map_err(move |error| failed(error.into()));
    Ok(BoxCloneSyncService::new(route))
}

/// What a SOCKS proxy's client fails with.
type SocksError = <SocksV5<HttpsConnector<HttpConnector>> as Service<Uri>>::Error;

/// The cause of such an error, which does not show it.
fn cause(error: SocksError) -> BoxError {
    match error {
        SocksError::Inner(cause) => cause,
        SocksError::Io(cause) => cause.into(),
        error => error.into(),
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(PROBES));
    tcp
}

/// A destination with its port: a tunnel takes 443 for any that has none.
fn with_port(destination: Uri) -> Uri {
    match destination.scheme_str() {
        Some("http") => address(&destination, "http", 80),
        _ => destination,
    }
}

/// Host and port of `url`, under this scheme.
fn address(url: &Uri, scheme: &str, port: u16) -> Uri {
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().unwrap_or(port);
    // Its parts are those of a URL.
    format!("{scheme}://{host}:{port}/").parse().unwrap_or_else(|_| url.clone())
}
