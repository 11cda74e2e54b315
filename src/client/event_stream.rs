//! Event stream: requests a watch and reads the API server's answer event by event.
//!
//! This replaces kube's `Api::watch`, which supports only JSON and creates a `String` for each
//! event before it is parsed.

use futures::{Stream, StreamExt, stream::BoxStream};
use http::{
    HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyDataStream, BodyExt};
use kube::{
    Client, Error, Resource,
    api::{WatchEvent, WatchParams},
    client::Body,
    core::Request,
};
use serde::de::Error as _;
use tokio::{sync::watch, task::yield_now, time::Instant};

use crate::api::{
    Kind, Object,
    frame::{Encoding, FrameError},
    frames::Frames,
    guard::Guarded,
    refusal,
};

/// An object as it arrives: it may be malformed.
pub(crate) type Arrival<T> = Guarded<Object<T>>;

/// Events of one watch, until the server ends it or the connection breaks.
pub(crate) type Events<T> = BoxStream<'static, kube::Result<WatchEvent<Arrival<T>>>>;

/// How many bytes are decoded before other tasks of this thread run: objects of more than a
/// megabyte may arrive in a row.
const TURN: usize = 256 * 1024;

/// Starts to watch all objects of a kind. `received` receives the time of each part of the answer,
/// and of its normal end.
///
/// # Errors
/// The server could not be reached, or refused the request.
pub(crate) async fn open<T: Kind>(
    client: &Client,
    params: &WatchParams,
    version: &str,
    received: watch::Sender<Option<Instant>>,
) -> kube::Result<Events<T>> {
    let path = Object::<T>::url_path(&(), None);
    let mut request = Request::new(path).watch(params, version).map_err(Error::BuildRequest)?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(T::ACCEPT));
    // Nothing here decompresses a stream.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let (answer, body) = client.send(request.map(Body::from)).await?.into_parts();
    if !answer.status.is_success() {
        let body = body.collect_bytes().await?;
        // The body of a proxy's answer may be anything.
        let words = || format!("the server answered {}", answer.status);
        return Err(Error::Api(refusal::status(&answer, body, words)));
    }
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let encoding = Encoding::of(content_type.unwrap_or_default());
    received.send_replace(Some(Instant::now()));
    Ok(read(body.into_data_stream(), encoding, received).boxed())
}

/// The events in a body. After an error, nothing follows.
fn read<T: Kind>(
    body: BodyDataStream<Body>,
    encoding: Encoding,
    received: watch::Sender<Option<Instant>>,
) -> impl Stream<Item = kube::Result<WatchEvent<Arrival<T>>>> + Send {
    let state = Some((body, Frames::new(encoding), 0, received));
    futures::stream::unfold(state, move |state| async move {
        let (mut body, mut frames, mut read, received) = state?;
        if read >= TURN {
            read = 0;
            yield_now().await;
        }
        loop {
            match frames.take() {
                Ok(Some(frame)) => {
                    read += frame.len();
                    let event = encoding.event(frame).map_err(lost);
                    return Some((event, Some((body, frames, read, received))));
                }
                Ok(None) => {}
                Err(error) => return Some((Err(lost(error)), None)),
            }
            let part = body.next().await;
            if !matches!(part, Some(Err(_))) {
                received.send_replace(Some(Instant::now()));
            }
            match part {
                Some(Ok(bytes)) => frames.push(&bytes),
                Some(Err(error)) => return Some((Err(broken(error)), None)),
                // A last line may lack its end. One that was cut short is sent again by a watch
                // that continues from the event before it.
                None => return Some((Ok(encoding.event(frames.rest()).ok()?), None)),
            }
        }
    })
}

/// What did not parse was an event, and it is lost.
fn lost(error: FrameError) -> Error {
    Error::SerdeError(serde_json::Error::custom(error))
}

/// The connection broke.
fn broken(error: Error) -> Error {
    Error::ReadEvents(std::io::Error::other(error))
}
