//! Follows all objects of one kind, for ever, whatever the API server does.
//!
//! On top of kube-runtime's `watcher`, with its traps covered (`rust-kubernetes 4.1`, `9`):
//! a list that is streamed falls back to pages, a 410 on watch start leads to a fresh list, errors
//! are waited out, a malformed object does not hide the others. Watch starts are spaced out in the
//! client ([`super::spacing`]). Deletes that fell into a gap are the consumer's to find, by what
//! was not applied between [`Change::Restarted`] and [`Change::Listed`]; and as different API
//! servers may be answered by in turn, an object older than the known one is the consumer's to
//! pass over, unless it is part of a list: those are consistent reads.

use std::{io, time::Duration};

use futures::{Stream, StreamExt, stream::BoxStream};
use kube::{Api, Client, core::Status};
use kube_runtime::{
    utils::Backoff,
    watcher::{self, DefaultBackoff, Error, Event, watcher},
};
use tokio::time::{Instant, sleep};
use tower::timeout::error::Elapsed;

use super::{event_stream::Arrival, streaming::streamed};
use crate::{
    api::{
        Kind, Object,
        guard::{Guarded, Malformed},
        refusal::is_unknown_version,
    },
    causes::causes,
};

/// Objects per page where the server does not stream lists: client-go's number.
pub const PAGE_SIZE: u32 = 500;
/// How often in a row a streamed list may break for no clear reason before pages take its place: an
/// API server that is restarted breaks one.
const BREAKS: u32 = 2;

/// What happened to the objects of one kind.
#[derive(Debug, Clone)]
pub enum Change<T> {
    /// A list begins. What was known stays true until [`Change::Listed`]. May come several times
    /// before that, if lists fail.
    Restarted {
        /// Not after it was asked for: it shows all that had been stored by then.
        asked: Instant,
    },
    /// The object is as given, as part of a list or by a change.
    Applied(Object<T>),
    /// The object is gone; its last state. May come during a list.
    Deleted(Object<T>),
    /// The list is complete: what was not applied (nor reported as malformed) since the last
    /// [`Change::Restarted`] is gone.
    Listed,
    /// An object did not parse; the others go on.
    Malformed {
        /// Which object, and what did not parse.
        object: Box<Malformed>,
        /// Whether it was deleted: then it is gone like any other, malformed or not.
        deleted: bool,
    },
    /// A request failed or a watch broke; nothing to do but to tell.
    Failed {
        /// For the log.
        error: String,
        /// What kind of failure it was.
        cause: Cause,
        /// The next try comes after this, by itself.
        will_retry_in: Duration,
    },
}

/// What kind of failure broke a list or a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Lists cannot be streamed; pages take their place.
    NoStreaming,
    /// The server has forgotten the version, or does not know it yet.
    Expired,
    /// No right to it (401, 403).
    Forbidden,
    /// The server asks to wait (429).
    Busy,
    /// Any other answer than the one asked for.
    Refused,
    /// An answer that did not parse.
    Undecodable,
    /// No answer in time.
    TimedOut,
    /// The server was not reached, or the connection broke.
    Connection,
}

impl Cause {
    fn of(error: &Error) -> Self {
        if let Some(status) = answer(error) {
            return match status.code {
                _ if is_unknown_version(status) => Self::Expired,
                401 | 403 => Self::Forbidden,
                429 => Self::Busy,
                _ => Self::Refused,
            };
        }
        match error {
            Error::InitialListFailed(error)
            | Error::WatchStartFailed(error)
            | Error::WatchFailed(error) => match error {
                kube::Error::SerdeError(_) => Self::Undecodable,
                kube::Error::Service(error) if error.is::<Elapsed>() => Self::TimedOut,
                _ => Self::Connection,
            },
            Error::WatchError(_) => Self::Refused,
            Error::NoResourceVersion => Self::Undecodable,
        }
    }

    /// Whether what went wrong is in the API server's own words, fit to be shown to anybody.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Expired | Self::Forbidden | Self::Busy | Self::Refused)
    }

    /// What it means, in general.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoStreaming => "the list cannot be streamed, pages are read instead",
            Self::Expired => "the API server does not know the version that was asked for",
            Self::Forbidden => "no right to list and watch",
            Self::Busy => "the API server is busy",
            Self::Refused => "the API server refused",
            Self::Undecodable => "the API server's answer cannot be read",
            Self::TimedOut => "the API server does not answer in time",
            Self::Connection => "the API server is not reached, or the connection broke",
        }
    }

    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStreaming => "no_streaming",
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Undecodable => "undecodable",
            Self::TimedOut => "timed_out",
            Self::Connection => "connection",
        }
    }
}

/// Follows all objects of a kind; never ends.
///
/// Lists are streamed. When that is refused or stuck, or breaks twice in a row, paged lists of
/// `page_size` objects take its place for good: it may be switched off (1.33), unknown, or behind a
/// proxy that buffers or cuts. Errors are waited out for 0.8 s, doubling to 30 s, each lengthened by
/// up to itself at random (client-go's curve); a change that arrives by watch, or two minutes
/// without an error, start it afresh. A list that succeeds does not: a server whose lists work and
/// whose watches do not must not be asked for lists ever faster.
pub fn follow<T: Kind>(
    client: Client,
    page_size: u32,
) -> impl Stream<Item = Change<T>> + Send + 'static {
    futures::stream::unfold(Follower::new(client, page_size), async |mut follower| {
        Some((follower.next().await, follower))
    })
}

type Source<T> = BoxStream<'static, watcher::Result<Event<Arrival<T>>>>;

struct Follower<T> {
    client: Client,
    page_size: u32,
    streaming: bool,
    /// How much speaks against streaming, out of [`BREAKS`].
    breaks: u32,
    source: Source<T>,
    /// The present source has delivered its list, so that an error need not cost a fresh one.
    listed: bool,
    backoff: DefaultBackoff,
    wait: Duration,
}

impl<T: Kind> Follower<T> {
    fn new(client: Client, page_size: u32) -> Self {
        let source = source(&client, page_size, true);
        Self {
            client,
            page_size,
            streaming: true,
            breaks: 0,
            source,
            listed: false,
            backoff: DefaultBackoff::default(),
            wait: Duration::ZERO,
        }
    }

    async fn next(&mut self) -> Change<T> {
        // Even a sleep of no time at all lasts until the timer's next tick, a millisecond: for each
        // object of a list that would be most of the start.
        if !self.wait.is_zero() {
            sleep(std::mem::take(&mut self.wait)).await;
        }
        loop {
            // What comes next may be the beginning of a list, which is not asked for before.
            let asked = Instant::now();
            match self.source.next().await {
                Some(Ok(event)) => return self.change(event, asked),
                Some(Err(error)) => return self.failed(&error),
                None => self.start_afresh(),
            }
        }
    }

    fn change(&mut self, event: Event<Arrival<T>>, asked: Instant) -> Change<T> {
        match event {
            Event::Init => {
                self.listed = false;
                Change::Restarted { asked }
            }
            Event::InitDone => {
                self.listed = true;
                self.breaks = 0;
                Change::Listed
            }
            Event::InitApply(object) => applied(object),
            Event::Apply(object) => {
                self.backoff.reset();
                applied(object)
            }
            Event::Delete(object) => {
                if self.listed {
                    self.backoff.reset();
                }
                deleted(object)
            }
        }
    }

    fn failed(&mut self, error: &Error) -> Change<T> {
        if self.streaming && !self.listed {
            self.breaks += against_streaming(error);
        }
        if self.streaming && self.breaks >= BREAKS {
            self.streaming = false;
            self.start_afresh();
            let causes = causes(error);
            let error = format!("streaming the list failed, using pages from now on: {causes}");
            let cause = Cause::NoStreaming;
            return Change::Failed { error, cause, will_retry_in: Duration::ZERO };
        }
        if !self.listed || needs_list(error) {
            self.start_afresh();
        }
        self.wait = self.backoff.next().unwrap_or_default();
        let cause = Cause::of(error);
        // kube prints the answer once for people and once more with all its fields.
        let words = |status: &Status| format!("{} {}", status.code, status.message);
        let error = answer(error).map_or_else(|| causes(error), words);
        Change::Failed { error, cause, will_retry_in: self.wait }
    }

    fn start_afresh(&mut self) {
        self.listed = false;
        self.source = source(&self.client, self.page_size, self.streaming);
    }
}

fn source<T: Kind>(client: &Client, page_size: u32, streaming: bool) -> Source<T> {
    if streaming {
        streamed(client.clone()).boxed()
    } else {
        let config = watcher::Config { page_size: Some(page_size), ..watcher::Config::default() };
        watcher(Api::<Arrival<T>>::all(client.clone()), config).boxed()
    }
}

fn applied<T>(object: Arrival<T>) -> Change<T> {
    match object {
        Guarded::Good(object) => Change::Applied(object),
        Guarded::Bad(object) => Change::Malformed { object, deleted: false },
    }
}

fn deleted<T>(object: Arrival<T>) -> Change<T> {
    match object {
        Guarded::Good(object) => Change::Deleted(object),
        Guarded::Bad(object) => Change::Malformed { object, deleted: true },
    }
}

/// How much an error before the end of a streamed list speaks against streaming; [`BREAKS`] is
/// enough. A server that is not reached or not there (502 to 504), or turns us away (no rights, too
/// many requests), would do the same to any other list.
fn against_streaming(error: &Error) -> u32 {
    match error {
        Error::WatchStartFailed(kube::Error::Api(status)) => match status.code {
            401 | 403 | 429 | 502..=504 => 0,
            code if code < 500 => BREAKS,
            _ => 1,
        },
        Error::WatchStartFailed(kube::Error::Service(error)) if error.is::<Elapsed>() => BREAKS,
        Error::WatchStartFailed(_) => 0,
        // Minutes have passed without a word.
        Error::WatchFailed(kube::Error::ReadEvents(error))
            if error.kind() == io::ErrorKind::TimedOut =>
        {
            BREAKS
        }
        _ => 1,
    }
}

/// The API server's answer, where it gave one.
fn answer(error: &Error) -> Option<&Status> {
    match error {
        Error::WatchError(status)
        | Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

/// Whether going on with the watch from the last version is impossible, or would miss a change.
fn needs_list(error: &Error) -> bool {
    if let Some(status) = answer(error) {
        return is_unknown_version(status);
    }
    match error {
        // The line that did not parse was a change, and it is lost.
        Error::WatchFailed(kube::Error::SerdeError(_)) | Error::NoResourceVersion => true,
        _ => false,
    }
}
