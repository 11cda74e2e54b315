//! The bodies of watches: lines of JSON, forwarded as they come or with a fault.

use std::{future::pending, io, time::Duration};

use fake_api::faults::Effect;
use futures::{Stream, StreamExt, TryStreamExt, future::ready, stream};
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::Body;

/// The answer with the fault. It ends with the epoch.
pub(super) fn body(
    answer: Response<kube::client::Body>,
    effect: Option<&Effect>,
    epoch: watch::Receiver<u64>,
) -> Response<Body> {
    let (head, body) = answer.into_parts();
    if !head.status.is_success() {
        let body = body.map_err(io::Error::other).boxed_unsync();
        return Response::from_parts(head, body);
    }
    let lines = lines(body);
    let lines = match effect {
        Some(Effect::CloseAtOnce) => stream::empty().boxed(),
        Some(Effect::Silence) => stream::once(pending()).boxed(),
        Some(Effect::CloseAfter(wait)) => {
            let end = Instant::now() + *wait;
            lines.take_until(sleep_until(end)).boxed()
        }
        Some(Effect::Repeat) => lines.flat_map(twice).boxed(),
        Some(Effect::BlankBookmarks) => lines.map_ok(without_version).boxed(),
        Some(Effect::Truncate) => truncated(lines).boxed(),
        Some(Effect::Throttle(rate)) => throttled(lines, *rate).boxed(),
        _ => lines.boxed(),
    };
    let body = lines.take_until(ended(epoch)).map_ok(Frame::data);
    Response::from_parts(head, StreamBody::new(body).boxed_unsync())
}

async fn ended(mut epoch: watch::Receiver<u64>) {
    if epoch.changed().await.is_err() {
        pending::<()>().await;
    }
}

/// The lines of a body, each with its end.
fn lines(body: kube::client::Body) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let data = body.into_data_stream().map_err(io::Error::other);
    let open = (data, Vec::new(), false);
    stream::try_unfold(open, |(mut data, mut rest, mut is_over)| async move {
        loop {
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let left = rest.split_off(at + 1);
                return Ok(Some((Bytes::from(rest), (data, left, is_over))));
            }
            if is_over {
                return Ok(None);
            }
            match data.try_next().await? {
                Some(more) => rest.extend_from_slice(&more),
                None => is_over = true,
            }
        }
    })
}

fn twice(line: io::Result<Bytes>) -> impl Stream<Item = io::Result<Bytes>> {
    let again = line.as_ref().ok().cloned().map(Ok);
    stream::iter([Some(line), again].into_iter().flatten())
}

/// A bookmark without its version; any other line as it is.
fn without_version(line: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&line);
    if !text.starts_with(r#"{"type":"BOOKMARK""#) || text.contains("initial-events-end") {
        return line;
    }
    let field = r#""resourceVersion":""#;
    let cut = text.split_once(field).and_then(|(before, after)| {
        let (_, after) = after.split_once('"')?;
        Some(format!("{before}{field}\"{after}"))
    });
    cut.map_or_else(|| line.clone(), Bytes::from)
}

/// Ends in the middle of the first event that is no initial object, and breaks the connection.
fn truncated(
    lines: impl Stream<Item = io::Result<Bytes>> + Send,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let broken = stream::once(ready(Err(io::ErrorKind::ConnectionReset.into())));
    lines
        .scan(false, |is_cut, line| {
            let line = (!*is_cut).then_some(line);
            let is_event = |line: &io::Result<Bytes>| {
                line.as_ref().is_ok_and(|line| !line.starts_with(br#"{"type":"ADDED""#))
            };
            *is_cut |= line.as_ref().is_some_and(is_event);
            let half = |line: Bytes| line.slice(..line.len() / 2);
            ready(line.map(|line| if *is_cut { line.map(half) } else { line }))
        })
        .chain(broken)
}

/// At most `rate` bytes a second.
fn throttled(
    lines: impl Stream<Item = io::Result<Bytes>> + Send,
    rate: u32,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    lines.then(move |line| async move {
        let length = line.as_ref().map_or(0, Bytes::len);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        sleep(Duration::from_secs(1) * length / rate.max(1)).await;
        line
    })
}
