//! A tower layer that spaces out the starts of watches.
//!
//! A server or proxy that closes every watch at once without an error makes the watcher start the
//! next one at once, thousands a second: kube's back-off acts on errors only.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Uri};
use tokio::time::{Instant, sleep_until};
use tower::{Layer, Service, ServiceExt};

use crate::pace::Pace;

/// Between two starts of a watch of one path, once the burst is used up.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Starts that may follow each other at once after a quiet time: a list that is streamed and
/// falls back, or one watch that ends early, is not slowed down.
const BURST: f64 = 2.0;

/// Delays requests with `watch=true` so that at most one per second and path goes out, after two
/// at once. Other requests are not delayed.
#[derive(Debug, Clone, Default)]
pub struct Spacing {
    /// One entry per watched path: a handful.
    paces: Arc<Mutex<HashMap<String, Pace>>>,
}

impl Spacing {
    /// When a watch of `path` may start. That start is taken into account from now on.
    fn book(&self, path: &str, now: Instant) -> Instant {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        match paces.get_mut(path) {
            Some(pace) => pace.book(now),
            None => {
                paces.entry(path.to_owned()).or_insert_with(|| Pace::new(INTERVAL, BURST)).book(now)
            }
        }
    }
}

impl<S> Layer<S> for Spacing {
    type Service = Spaced<S>;

    fn layer(&self, inner: S) -> Spaced<S> {
        Spaced { inner, spacing: self.clone() }
    }
}

/// A service behind a [`Spacing`].
#[derive(Debug, Clone)]
pub struct Spaced<S> {
    inner: S,
    spacing: Spacing,
}

impl<S, B> Service<Request<B>> for Spaced<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    /// Always ready: waiting here would also delay the requests behind this one.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let start = starts_watch(request.uri())
            .then(|| self.spacing.book(request.uri().path(), Instant::now()));
        let inner = self.inner.clone();
        Box::pin(async move {
            if let Some(start) = start {
                sleep_until(start).await;
            }
            inner.oneshot(request).await
        })
    }
}

fn starts_watch(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::ready};

    use futures::{StreamExt, stream::FuturesOrdered};
    use http::Response;

    use super::*;

    /// When requests to these targets, all made at once, reach the server (milliseconds).
    async fn arrivals(targets: &[&str]) -> Vec<u128> {
        let start = Instant::now();
        let server = tower::service_fn(move |_: Request<()>| {
            let elapsed = start.elapsed().as_millis();
            ready(Ok::<_, Infallible>(Response::new(elapsed)))
        });
        let mut spaced = Spacing::default().layer(server);
        let answers: FuturesOrdered<_> = targets
            .iter()
            .map(|target| spaced.call(Request::get(*target).body(()).unwrap()))
            .collect();
        answers.map(|answer| answer.unwrap().into_body()).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn watches_of_one_path_are_spaced_after_two() {
        let pods = "/api/v1/pods?watch=true&resourceVersion=1";
        let nodes = "/api/v1/nodes?timeoutSeconds=290&watch=true";
        let arrived = arrivals(&[pods, pods, pods, pods, nodes]).await;
        assert_eq!(arrived, [0, 0, 1000, 2000, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn other_requests_pass_untouched() {
        let list = "/api/v1/pods?limit=500";
        assert_eq!(arrivals(&[list, list, list, list]).await, [0; 4]);
    }
}
