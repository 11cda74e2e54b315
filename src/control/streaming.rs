//! A list that is streamed, and the watch that goes on from it: `watcher` events, own source.
//!
//! kube-runtime's `watcher` has streaming lists too, with three traps in them. It ignores `DELETED`
//! events before the end-of-list bookmark; but the API server sends them, as its watch cache queues
//! live events behind the initial ones and the bookmark behind those (`cacheWatcher` in apiserver
//! 1.37; client-go's `watchList` handles them), and an object deleted in that window, which may
//! last half a minute at 150,000 pods, would stay for ever. It asks for version "0", any cached
//! state, so that the view may step back after a reconnect. And it starts a stream that ends early
//! anew without an error. When kube has mended these, `streaming_lists()` can replace this file.

use std::{io, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Client, ResourceExt,
    api::{WatchEvent, WatchParams},
};
use kube_runtime::watcher::{self, Error, Event};
use tokio::time::{error::Elapsed, timeout};

use super::event_stream::{Arrival, Events, open};
use crate::api::Kind;

/// The server ends each watch after this; kube's default.
const WATCH_SECONDS: u32 = 290;
/// A watch that says nothing for longer than it may last is dead.
const IDLE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);
/// On the bookmark that ends the initial events (KEP-3157).
const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// What a step brings, if anything, and what comes after it.
type Step<T> = (Option<watcher::Result<Event<Arrival<T>>>>, State<T>);

enum State<T> {
    Start,
    Listing(Events<T>),
    Resuming(String),
    Watching(String, Events<T>),
}

/// A consistent list by stream, then its changes; never ends. After an error before
/// [`Event::InitDone`], and after an object without version, it starts anew; after others it goes on
/// where it was. What else is to be done about an error (waiting, a fresh list) is the caller's.
pub(super) fn streamed<T: Kind>(
    client: Client,
) -> impl Stream<Item = watcher::Result<Event<Arrival<T>>>> + Send {
    let params = WatchParams {
        timeout: Some(WATCH_SECONDS),
        bookmarks: true,
        send_initial_events: true,
        ..WatchParams::default()
    };
    futures::stream::unfold(
        (client, params, State::Start),
        |(client, params, mut state)| async move {
            loop {
                let (event, next) = step(&client, &params, state).await;
                state = next;
                if let Some(event) = event {
                    return Some((event, (client, params, state)));
                }
            }
        },
    )
}

async fn step<T: Kind>(client: &Client, list: &WatchParams, state: State<T>) -> Step<T> {
    match state {
        // No version: at least as new as now.
        State::Start => match open(client, list, "").await {
            Ok(events) => (Some(Ok(Event::Init)), State::Listing(events)),
            Err(error) => (Some(Err(Error::WatchStartFailed(error))), State::Start),
        },
        State::Listing(mut events) => match next(&mut events).await {
            Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => {
                (Some(Ok(Event::InitApply(object))), State::Listing(events))
            }
            Ok(Some(Ok(WatchEvent::Deleted(object)))) => {
                (Some(Ok(Event::Delete(object))), State::Listing(events))
            }
            Ok(Some(Ok(WatchEvent::Bookmark(mark)))) => {
                if mark.metadata.annotations.contains_key(END_OF_LIST) {
                    let watching = State::Watching(mark.metadata.resource_version, events);
                    (Some(Ok(Event::InitDone)), watching)
                } else {
                    (None, State::Listing(events))
                }
            }
            Ok(Some(Ok(WatchEvent::Error(status)))) => {
                (Some(Err(Error::WatchError(status))), State::Start)
            }
            Ok(Some(Err(error))) => (Some(Err(Error::WatchFailed(error))), State::Start),
            Ok(None) => broken(io::ErrorKind::UnexpectedEof),
            Err(_) => broken(io::ErrorKind::TimedOut),
        },
        State::Resuming(version) => {
            let resume = WatchParams { send_initial_events: false, ..list.clone() };
            match open(client, &resume, &version).await {
                Ok(events) => (None, State::Watching(version, events)),
                Err(error) => (Some(Err(Error::WatchStartFailed(error))), State::Resuming(version)),
            }
        }
        // One that has gone silent counts as ended.
        State::Watching(version, mut events) => match next(&mut events).await.ok().flatten() {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                changed(object, Event::Apply, events)
            }
            Some(Ok(WatchEvent::Deleted(object))) => changed(object, Event::Delete, events),
            Some(Ok(WatchEvent::Bookmark(mark))) => {
                (None, State::Watching(mark.metadata.resource_version, events))
            }
            Some(Ok(WatchEvent::Error(status))) => {
                (Some(Err(Error::WatchError(status))), State::Watching(version, events))
            }
            Some(Err(error)) => {
                (Some(Err(Error::WatchFailed(error))), State::Watching(version, events))
            }
            None => (None, State::Resuming(version)),
        },
    }
}

/// The event of one object, whose version is where a later watch resumes.
fn changed<T: Kind>(
    object: Arrival<T>,
    event: fn(Arrival<T>) -> Event<Arrival<T>>,
    events: Events<T>,
) -> Step<T> {
    match object.resource_version().filter(|version| !version.is_empty()) {
        Some(version) => (Some(Ok(event(object))), State::Watching(version, events)),
        None => (Some(Err(Error::NoResourceVersion)), State::Start),
    }
}

/// The next event, if one comes in time.
async fn next<T: Kind>(
    events: &mut Events<T>,
) -> Result<Option<kube::Result<WatchEvent<Arrival<T>>>>, Elapsed> {
    timeout(IDLE, events.next()).await
}

/// A stream that ended before the whole list had come, or went silent.
fn broken<T>(kind: io::ErrorKind) -> Step<T> {
    let error = io::Error::new(kind, "the stream ended before the whole list had come");
    (Some(Err(Error::WatchFailed(kube::Error::ReadEvents(error)))), State::Start)
}
