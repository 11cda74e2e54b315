//! A source of changes: a list of all objects of one kind, by stream or in pages, and the watches
//! that continue from it.
//!
//! This replaces kube-runtime's `watcher`, which hides what matters here: that a watch fell silent,
//! which version a list has, and that a bookmark lacks one. Its streaming lists also have three
//! traps. First, they ignore `DELETED` events before the end-of-list bookmark. The API server sends
//! such events, as its watch cache queues live events behind the initial ones and the bookmark
//! behind those (`cacheWatcher` in apiserver 1.37; client-go's `watchList` handles them). An object
//! deleted in that window, which may last half a minute with 150,000 pods, would stay. Second, they
//! ask for version "0", which is any cached state, so that the view may go back after a reconnect.
//! Third, they restart a stream that ended early, but report no error.

use std::{collections::VecDeque, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
    core::{ListMeta, Request, Status},
};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant, error::Elapsed, timeout_at},
};

use super::event_stream::{Arrival, Events, open};
use crate::{
    api::{Kind, Object},
    random::Random,
};

/// The server ends each watch after a random number of seconds in this range. Watches on quiet
/// kinds may receive nothing before, not even bookmarks, so only this end shows that they work.
const LASTS: std::ops::RangeInclusive<u32> = 60..=80;
/// A watch that receives nothing for this long after its scheduled end and last byte is dead.
const MARGIN: Duration = Duration::from_secs(5);
/// The server ends the request for a streamed list after this, whether or not the list is complete,
/// so it must suffice for a list of a million objects. closehaul ends the request at the end of the
/// list and starts a separate watch, since this one could be silent for minutes.
const LIST_SECONDS: u32 = 290;
/// A streamed list that receives nothing for this long is dead.
const LIST_IDLE: Duration = Duration::from_secs(85);
/// A watch that ends earlier than this before its scheduled end was not ended by its time limit.
const EARLY: Duration = Duration::from_secs(1);
/// On the bookmark that ends the initial events (KEP-3157).
const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// What happens to the objects of one kind. Versions are 0 where they are not numbers.
pub(crate) enum Event<T> {
    /// A list begins, which was requested at this time or later.
    Init(Instant),
    /// An object of the list, or one that was written while it is sent.
    InitApply(Arrival<T>),
    /// The list is complete; its version.
    InitDone(u64),
    /// An object was written; its version.
    Apply(Arrival<T>, u64),
    /// An object was deleted, at this version; may come during a list.
    Delete(Arrival<T>, u64),
    /// Nothing happened to the kind up to this version.
    Bookmark(u64),
    /// A watch has begun.
    Resumed,
    /// A watch has ended on schedule.
    Lasted,
    /// A quorum list has this version, before a broken watch is resumed.
    Probed(u64),
}

/// Why there is no event, for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A page of a list was not answered.
    #[error("a list failed")]
    List(#[source] kube::Error),
    /// A watch, or a streamed list, did not start.
    #[error("a watch did not start")]
    Start(#[source] kube::Error),
    /// A watch, or a streamed list, broke.
    #[error("a watch broke")]
    Watch(#[source] kube::Error),
    /// The API server reported this in a watch.
    #[error("a watch ended with an error: {} {}", .0.code, .0.message)]
    Status(Box<Status>),
    /// The list before a watch is resumed failed.
    #[error("the list of one object before resuming a watch failed")]
    Probe(#[source] kube::Error),
    /// There is no version from which to resume.
    #[error("the API server sent a list, an object or a bookmark without a version")]
    NoVersion,
    /// A watch should have ended, but nothing was received.
    #[error("a watch fell silent: not even its end was received")]
    Silent,
    /// A streamed list fell silent.
    #[error("the stream fell silent before the list was complete")]
    SilentList,
    /// A streamed list ended early.
    #[error("the stream ended before the list was complete")]
    CutList,
}

/// What a source needs.
pub(crate) struct Settings {
    pub(crate) client: Client,
    /// `None`: lists are streamed.
    pub(crate) page_size: Option<u32>,
    pub(crate) random: Random,
    /// When the API server last sent something.
    pub(crate) received: watch::Sender<Option<Instant>>,
}

/// The result of a step, if any, and the state after it.
type Step<T> = (Option<Result<Event<T>, Error>>, State<T>);

enum State<T> {
    Start,
    Streaming(Events<T>),
    Pages(Pages<T>),
    /// Something went wrong, and the quorum list must still follow.
    Broken(String),
    Resuming(String),
    Watching(String, Watching<T>),
}

struct Pages<T> {
    items: VecDeque<Arrival<T>>,
    /// Where the next page begins. Empty for the first.
    token: String,
    /// The version of the list, known with its last page.
    version: Option<String>,
}

struct Watching<T> {
    events: Events<T>,
    /// It must not end earlier.
    least: Instant,
    /// It must not end later.
    most: Instant,
}

/// A consistent list, then its changes. Never ends. After an error within a list, and after an
/// object without a version, it lists again; after other errors it continues where it was. What
/// else to do about an error (wait, list again) is the caller's decision.
pub(crate) fn list_and_watch<T: Kind>(
    settings: Settings,
) -> impl Stream<Item = Result<Event<T>, Error>> + Send {
    run(settings, State::Start)
}

/// The changes after `version`, once a list has shown the current version.
pub(crate) fn probe_and_watch<T: Kind>(
    settings: Settings,
    version: u64,
) -> impl Stream<Item = Result<Event<T>, Error>> + Send {
    run(settings, State::Broken(version.to_string()))
}

fn run<T: Kind>(
    settings: Settings,
    state: State<T>,
) -> impl Stream<Item = Result<Event<T>, Error>> + Send {
    futures::stream::unfold((settings, state), |(mut settings, mut state)| async move {
        loop {
            let (event, next) = settings.step(state).await;
            state = next;
            if let Some(event) = event {
                return Some((event, (settings, state)));
            }
        }
    })
}

impl Settings {
    async fn step<T: Kind>(&mut self, state: State<T>) -> Step<T> {
        match state {
            State::Start if self.page_size.is_some() => {
                let pages = Pages { items: VecDeque::new(), token: String::new(), version: None };
                (Some(Ok(Event::Init(Instant::now()))), State::Pages(pages))
            }
            State::Start => {
                let asked = Instant::now();
                // Without a version, the list is at least as new as now.
                match self.open(LIST_SECONDS, true, "").await {
                    Ok(events) => (Some(Ok(Event::Init(asked))), State::Streaming(events)),
                    Err(error) => (Some(Err(Error::Start(error))), State::Start),
                }
            }
            State::Streaming(mut events) => {
                let event = timeout_at(Instant::now() + LIST_IDLE, events.next()).await;
                listed(event, events)
            }
            State::Pages(pages) => self.page(pages).await,
            State::Broken(version) => match self.probe::<T>().await {
                Ok(shown) => (Some(Ok(Event::Probed(shown))), State::Resuming(version)),
                Err(error) => (Some(Err(Error::Probe(error))), State::Broken(version)),
            },
            State::Resuming(version) => self.resume(version).await,
            State::Watching(version, mut watching) => {
                let end = watching.most.max(Instant::now()) + MARGIN;
                let event = timeout_at(end, watching.events.next()).await;
                watched(event, version, watching)
            }
        }
    }

    /// The next object of a list in pages, or the next page.
    async fn page<T: Kind>(&mut self, mut pages: Pages<T>) -> Step<T> {
        if let Some(object) = pages.items.pop_front() {
            return (Some(Ok(Event::InitApply(object))), State::Pages(pages));
        }
        if let Some(version) = pages.version {
            let done = Event::InitDone(number(Some(&version)));
            return (Some(Ok(done)), State::Resuming(version));
        }
        let token = Some(pages.token).filter(|token| !token.is_empty());
        let params =
            ListParams { limit: self.page_size, continue_token: token, ..ListParams::default() };
        match Api::<Arrival<T>>::all(self.client.clone()).list(&params).await {
            Ok(list) => {
                self.note_received();
                let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
                let token = filled(list.metadata.continue_);
                let version = filled(list.metadata.resource_version);
                if token.is_none() && version.is_none() {
                    return (Some(Err(Error::NoVersion)), State::Start);
                }
                let version = version.filter(|_| token.is_none());
                let token = token.unwrap_or_default();
                (None, State::Pages(Pages { items: list.items.into(), token, version }))
            }
            Err(error) => (Some(Err(Error::List(error))), State::Start),
        }
    }

    async fn resume<T: Kind>(&mut self, version: String) -> Step<T> {
        let lasts = self.lasts();
        let asked = Instant::now();
        let seconds = u32::try_from(lasts.as_secs()).unwrap_or(*LASTS.end());
        match self.open(seconds, false, &version).await {
            Ok(events) => {
                let (least, most) = (asked + lasts, Instant::now() + lasts);
                let watching = Watching { events, least, most };
                (Some(Ok(Event::Resumed)), State::Watching(version, watching))
            }
            Err(error) => (Some(Err(Error::Start(error))), State::Broken(version)),
        }
    }

    async fn open<T: Kind>(
        &self,
        seconds: u32,
        is_list: bool,
        version: &str,
    ) -> kube::Result<Events<T>> {
        let params = WatchParams {
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: is_list,
            ..WatchParams::default()
        };
        open(&self.client, &params, version, self.received.clone()).await
    }

    /// The version of a quorum list with at most one object.
    async fn probe<T: Kind>(&self) -> kube::Result<u64> {
        let request = Request::new(Object::<T>::url_path(&(), None));
        let one = ListParams { limit: Some(1), ..ListParams::default() };
        let request = request.list(&one).map_err(kube::Error::BuildRequest)?;
        let list: Listed = self.client.request(request).await?;
        self.note_received();
        Ok(number(list.metadata.resource_version.as_deref()))
    }

    fn lasts(&mut self) -> Duration {
        Duration::from_secs(self.random.within(LASTS).into())
    }

    fn note_received(&self) {
        self.received.send_replace(Some(Instant::now()));
    }
}

/// A list with objects of any type.
#[derive(Deserialize)]
struct Listed {
    metadata: ListMeta,
}

/// What the next event of a streamed list means.
fn listed<T: Kind>(
    event: Result<Option<kube::Result<WatchEvent<Arrival<T>>>>, Elapsed>,
    events: Events<T>,
) -> Step<T> {
    let event = match event {
        Ok(Some(Ok(event))) => event,
        Ok(Some(Err(error))) => return (Some(Err(Error::Watch(error))), State::Start),
        Ok(None) => return (Some(Err(Error::CutList)), State::Start),
        Err(_) => return (Some(Err(Error::SilentList)), State::Start),
    };
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
            (Some(Ok(Event::InitApply(object))), State::Streaming(events))
        }
        WatchEvent::Deleted(object) => {
            let version = number(object.resource_version().as_deref());
            (Some(Ok(Event::Delete(object, version))), State::Streaming(events))
        }
        WatchEvent::Bookmark(mark) if mark.metadata.annotations.contains_key(END_OF_LIST) => {
            let version = mark.metadata.resource_version;
            if version.is_empty() {
                return (Some(Err(Error::NoVersion)), State::Start);
            }
            let done = Event::InitDone(number(Some(&version)));
            // A separate request with a time limit watches what follows.
            (Some(Ok(done)), State::Resuming(version))
        }
        WatchEvent::Bookmark(_) => (None, State::Streaming(events)),
        WatchEvent::Error(status) => (Some(Err(Error::Status(status))), State::Start),
    }
}

/// What the next event of a watch means.
fn watched<T: Kind>(
    event: Result<Option<kube::Result<WatchEvent<Arrival<T>>>>, Elapsed>,
    version: String,
    watching: Watching<T>,
) -> Step<T> {
    match event {
        Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => {
            changed(object, Event::Apply, watching)
        }
        Ok(Some(Ok(WatchEvent::Deleted(object)))) => changed(object, Event::Delete, watching),
        Ok(Some(Ok(WatchEvent::Bookmark(mark)))) => {
            let version = mark.metadata.resource_version;
            if version.is_empty() {
                return (Some(Err(Error::NoVersion)), State::Start);
            }
            let mark = Event::Bookmark(number(Some(&version)));
            (Some(Ok(mark)), State::Watching(version, watching))
        }
        Ok(Some(Ok(WatchEvent::Error(status)))) => {
            (Some(Err(Error::Status(status))), State::Broken(version))
        }
        Ok(Some(Err(error))) => (Some(Err(Error::Watch(error))), State::Broken(version)),
        Ok(None) if Instant::now() + EARLY >= watching.least => {
            (Some(Ok(Event::Lasted)), State::Resuming(version))
        }
        // The server that ended it may be about to stop.
        Ok(None) => (None, State::Broken(version)),
        Err(_) => (Some(Err(Error::Silent)), State::Broken(version)),
    }
}

/// The event of one object, whose version is where a later watch resumes.
fn changed<T: Kind>(
    object: Arrival<T>,
    event: fn(Arrival<T>, u64) -> Event<T>,
    watching: Watching<T>,
) -> Step<T> {
    match object.resource_version().filter(|version| !version.is_empty()) {
        Some(version) => {
            let event = event(object, number(Some(&version)));
            (Some(Ok(event)), State::Watching(version, watching))
        }
        None => (Some(Err(Error::NoVersion)), State::Start),
    }
}

/// A version as a number, or 0 if it is not one.
fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}
