//! Follows all objects of one kind, indefinitely, whatever the API server does.
//!
//! This builds on `client::source`. A list that is streamed falls back to pages. A 410 at the start
//! of a watch leads to a fresh list, and so does a watch that cannot be resumed. Errors are retried
//! with back-off, and a malformed object does not hide the others. The client spaces out the starts
//! of watches ([`crate::client::spacing`]). Before a broken watch is resumed, a list of one object
//! shows whether the history went back ([`super::history`]). The consumer must find deletes that
//! fell into a gap: what was not applied between [`Change::Restarted`] and [`Change::Listed`] is
//! gone. As different API servers may answer in turn, the consumer must also skip an object older
//! than the known one, unless it is part of a list, since lists are consistent reads.

mod backoff;
mod cause;
mod discovery;
mod optional;
mod streaming;

use std::{collections::VecDeque, future::pending, time::Duration};

use futures::{FutureExt, Stream, StreamExt, stream::BoxStream};
use kube::{Client, core::Status};
use kube_runtime::utils::Backoff as _;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use self::{
    backoff::{Backoff, backoff},
    cause::{against_streaming, answer, is_obstacle, needs_list},
    streaming::{BREAKS, Streaming},
};
pub use self::{
    cause::Cause,
    discovery::{Document, discover, kinds},
    optional::{follow_if_there, follow_when_needed},
};
use super::history::{Floor, History, Rewind, Shown};
use crate::{
    api::{
        Kind, Object,
        guard::{Guarded, Malformed},
    },
    causes::causes,
    client::{
        event_stream::Arrival,
        source::{Error, Event, Settings, list_and_watch, probe_and_watch},
    },
    plain::shortened,
    random::Random,
};

/// Objects per page where the server does not stream lists: client-go's number.
pub const PAGE_SIZE: u32 = 500;
/// The minimum time from the start of a list to the start of one that is ordered.
const BETWEEN_LISTS: Duration = Duration::from_secs(30);
/// From the end of a list that is in doubt to the start of the second one.
const SECOND_LIST: Duration = Duration::from_secs(5);
/// After this many failures in a row, a list is requested in place of resuming the watch.
const FAILURES: u32 = 5;
/// The same after this long without any progress, such as where each watch ends at once. Longer
/// than the watch of a quiet kind lasts.
const NO_PROGRESS: Duration = Duration::from_secs(120);
/// A watch that has lasted this long works, whatever ends it.
const WORKED: Duration = Duration::from_secs(30);

/// What happened to the objects of one kind.
#[derive(Debug, Clone)]
pub enum Change<T> {
    /// A list begins. What was known stays true until [`Change::Listed`]. May come several times
    /// before that, if lists fail.
    Restarted {
        /// No later than it was requested: it shows all that had been stored by then.
        asked: Instant,
    },
    /// The object is as given, as part of a list or by a change.
    Applied(Object<T>),
    /// The object is gone; its last state. May come during a list.
    Deleted(Object<T>),
    /// The list is complete: what was not applied (nor reported as malformed) since the last
    /// [`Change::Restarted`] is gone.
    Listed,
    /// The API server does not have the kind, so there is no object of it.
    Absent,
    /// An object did not parse. This does not affect the others.
    Malformed {
        /// Which object, and what did not parse.
        object: Box<Malformed>,
        /// Whether it was deleted: then it is gone like any other, malformed or not.
        deleted: bool,
    },
    /// A list shows that the history of this kind went back. The consumer decides what to do, by
    /// [`Orders`].
    Rewound(Rewind),
    /// A request failed or a watch broke. The consumer only has to log it.
    Failed {
        /// For the log.
        error: String,
        /// What kind of failure it was.
        cause: Cause,
        /// The next attempt begins after this, by itself.
        will_retry_in: Duration,
    },
}

/// What the consumer orders from all followers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Orders {
    /// A fresh list, if the last one was requested before this. At most one in 30 s.
    pub relist: Option<Instant>,
    /// A second list, if the last one was requested before this. It begins 5 s later.
    pub confirm: Option<Instant>,
    /// How often to check whether the history went back, without waiting for an error.
    pub probes: u64,
    /// Whether a kind that is followed on demand is needed. It stays so.
    pub is_needed: bool,
}

/// What a follower needs.
pub struct Reader {
    /// Of the API server.
    pub client: Client,
    /// Objects per page, where lists are not streamed.
    pub page_size: u32,
    /// Determines how long watches last, and lengthens waits after errors.
    pub random: Random,
    /// What it must do.
    pub orders: watch::Receiver<Orders>,
    /// When the last part of an answer arrived, or a watch ended normally. `None` before the first.
    pub received: watch::Sender<Option<Instant>>,
}

impl Reader {
    /// The same for a new follower.
    fn renewed(&mut self) -> Self {
        Self {
            client: self.client.clone(),
            page_size: self.page_size,
            random: self.random.fork(),
            orders: self.orders.clone(),
            received: self.received.clone(),
        }
    }
}

/// Follows all objects of a kind. Never ends.
///
/// Lists are streamed. If that is refused or hangs, or breaks twice in a row, paged lists replace
/// it for a while ([`streaming`]). Errors are retried after 0.8 s, doubling to 30 s, each lengthened by up to
/// itself at random (client-go's curve). A change that arrives by watch, or two minutes without an
/// error, resets the back-off. A list that succeeds does not: a server whose lists work and whose
/// watches do not must not receive list requests ever faster.
pub fn follow<T: Kind>(reader: Reader) -> impl Stream<Item = Change<T>> + Send + 'static {
    futures::stream::unfold(Follower::new(reader), async |mut follower| {
        Some((follower.next().await, follower))
    })
}

type Source<T> = BoxStream<'static, Result<Event<T>, Error>>;

struct Follower<T> {
    reader: Reader,
    streaming: Streaming,
    source: Source<T>,
    /// The current source lists because watches could not be resumed.
    is_fallback: bool,
    /// The current source has delivered its list, so an error does not always require a fresh one.
    listed: bool,
    /// When the last list was requested, if one was.
    asked: Option<Instant>,
    /// The version that the current list must not be below.
    floor: Floor,
    history: History,
    /// The version up to which all is known.
    version: u64,
    backoff: Backoff,
    /// The source is not polled until then.
    waits_until: Option<Instant>,
    failures: u32,
    /// When the current watch began.
    resumed: Option<Instant>,
    progressed: Instant,
    /// Lists requested before this do not count.
    relist: Option<Instant>,
    /// The same for a second list.
    confirm: Option<Instant>,
    probes: u64,
    /// What the next call returns.
    changes: VecDeque<Change<T>>,
}

impl<T: Kind> Follower<T> {
    fn new(mut reader: Reader) -> Self {
        let source = list_and_watch(settings(&mut reader, true)).boxed();
        let backoff = backoff(&mut reader.random);
        let Orders { relist, confirm, probes, .. } = *reader.orders.borrow_and_update();
        Self {
            reader,
            streaming: Streaming::default(),
            source,
            is_fallback: false,
            listed: false,
            asked: None,
            floor: Floor::default(),
            history: History::default(),
            version: 0,
            backoff,
            waits_until: None,
            failures: 0,
            resumed: None,
            progressed: Instant::now(),
            relist,
            confirm,
            probes,
            changes: VecDeque::new(),
        }
    }

    async fn next(&mut self) -> Change<T> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return change;
            }
            if self.reader.orders.has_changed().unwrap_or(false) {
                self.obey();
            }
            let due = self.relist_due();
            if due.is_some_and(|due| due <= Instant::now()) {
                self.start_afresh();
                continue;
            }
            // This uses no timer: even a sleep of zero lasts until the timer's next tick, a
            // millisecond. For each object of a list, that would be most of the start.
            if self.waits_until.is_none()
                && let Some(Some(event)) = self.source.next().now_or_never()
            {
                self.take(event);
                continue;
            }
            tokio::select! {
                biased;
                () = changed(&mut self.reader.orders) => {}
                () = until(due) => {}
                () = until(self.waits_until), if self.waits_until.is_some() => {
                    self.waits_until = None;
                }
                Some(event) = self.source.next(), if self.waits_until.is_none() => {
                    self.take(event);
                }
            }
        }
    }

    fn take(&mut self, event: Result<Event<T>, Error>) {
        match event {
            Ok(event) => self.see(event),
            Err(error) => self.failed(&error),
        }
    }

    fn see(&mut self, event: Event<T>) {
        let change = match event {
            Event::Init(asked) => {
                self.listed = false;
                self.asked = Some(asked);
                self.floor = self.history.floor();
                Change::Restarted { asked }
            }
            Event::InitApply(object) => applied(object),
            Event::InitDone(version) => {
                self.listed = true;
                self.streaming.listed();
                self.is_fallback = false;
                self.progress(version);
                // It was requested from the new history, if there is one.
                let asked = self.asked;
                self.judge(version, |rewind| Rewind { at: asked.unwrap_or(rewind.at), ..rewind });
                Change::Listed
            }
            Event::Apply(object, version) => {
                self.watched(version);
                applied(object)
            }
            Event::Delete(object, version) => {
                if self.listed {
                    self.watched(version);
                }
                deleted(object)
            }
            Event::Bookmark(version) => {
                self.progress(version);
                return self.history.watched(version, Instant::now());
            }
            Event::Resumed => {
                self.resumed = Some(Instant::now());
                return;
            }
            Event::Lasted => return self.progress(self.version),
            Event::Probed(version) => {
                self.ended();
                self.floor = self.history.floor();
                self.judge(version, |rewind| rewind);
                if self.is_stuck() {
                    self.start_afresh();
                }
                return;
            }
        };
        self.changes.push_back(change);
    }

    /// A change arrived by watch.
    fn watched(&mut self, version: u64) {
        self.backoff.reset();
        self.progress(version);
        self.history.watched(version, Instant::now());
    }

    fn progress(&mut self, version: u64) {
        self.version = version;
        self.failures = 0;
        self.progressed = Instant::now();
    }

    /// The watch ended before its time. If it worked for some time, this is not an obstacle: a
    /// proxy may cut quiet connections.
    fn ended(&mut self) {
        if self.resumed.take().is_some_and(|at| at.elapsed() >= WORKED) {
            self.progress(self.version);
        }
    }

    /// A list has this version.
    fn judge(&mut self, version: u64, complete: impl FnOnce(Rewind) -> Rewind) {
        let rewind = self.history.judge(self.floor, Shown::Listed(version), Instant::now());
        self.changes.extend(rewind.map(complete).map(Change::Rewound));
    }

    /// Whether a list is needed because resuming does not help.
    fn is_stuck(&self) -> bool {
        self.failures >= FAILURES || self.progressed.elapsed() >= NO_PROGRESS
    }

    fn failed(&mut self, error: &Error) {
        if let Some(pause) = self.failed_streaming(error) {
            self.start_afresh();
            let (minutes, causes) = (pause.as_secs() / 60, causes(error));
            let error = format!(
                "streaming the list failed, using pages for {minutes} minutes at least: {causes}"
            );
            let cause = Cause::NoStreaming;
            let failed = Change::Failed { error, cause, will_retry_in: Duration::ZERO };
            return self.changes.push_back(failed);
        }
        if matches!(error, Error::Silent) {
            self.resumed = None;
        }
        self.ended();
        self.failures += u32::from(is_obstacle(error));
        self.is_fallback |= self.listed && self.is_stuck();
        if !self.listed || needs_list(error) || self.is_stuck() {
            self.start_afresh();
        }
        let will_retry_in = self.backoff.next().unwrap_or_default();
        self.waits_until = Some(Instant::now() + will_retry_in);
        let cause = Cause::of(error);
        // kube prints the answer once for people and once more with all its fields.
        let words = |status: &Status| shortened(format!("{} {}", status.code, status.message));
        let error = answer(error).map_or_else(|| causes(error), words);
        self.changes.push_back(Change::Failed { error, cause, will_retry_in });
    }

    /// Counts an error of a streamed list. Returns for how long pages replace streaming if they do.
    fn failed_streaming(&mut self, error: &Error) -> Option<Duration> {
        if self.listed || !self.streaming.is_on() {
            return None;
        }
        let weight = against_streaming(error);
        // If watches fail as well, only clear errors count against streaming.
        let weight = if self.is_fallback && weight < BREAKS { 0 } else { weight };
        self.streaming.failed(weight, Instant::now())
    }

    /// Takes the consumer's orders.
    fn obey(&mut self) {
        let Orders { relist, confirm, probes, .. } = *self.reader.orders.borrow_and_update();
        self.relist = self.relist.max(relist);
        self.confirm = confirm;
        if self.relist_due().is_some() {
            // The consumer knows that the API server answers.
            self.waits_until = None;
        }
        let is_asked = std::mem::replace(&mut self.probes, probes) != probes;
        if is_asked && self.listed && self.version > 0 && self.waits_until.is_none() {
            let settings = settings(&mut self.reader, self.streaming.is_on());
            self.source = probe_and_watch(settings, self.version).boxed();
        }
    }

    /// When to list because of an order; `None` if there is none, or a list is about to begin.
    fn relist_due(&self) -> Option<Instant> {
        let asked = self.asked?;
        let ordered = (Some(asked) < self.relist).then(|| asked + BETWEEN_LISTS);
        let second = self.confirm.filter(|confirm| asked <= *confirm);
        ordered.into_iter().chain(second.map(|ended| ended + SECOND_LIST)).min()
    }

    fn start_afresh(&mut self) {
        self.listed = false;
        self.asked = None;
        self.failures = 0;
        self.resumed = None;
        self.progressed = Instant::now();
        self.streaming.begin_list(self.progressed);
        self.source = list_and_watch(settings(&mut self.reader, self.streaming.is_on())).boxed();
    }
}

fn settings(reader: &mut Reader, streaming: bool) -> Settings {
    Settings {
        client: reader.client.clone(),
        page_size: (!streaming).then_some(reader.page_size),
        random: reader.random.fork(),
        received: reader.received.clone(),
    }
}

/// Ends when there are new orders.
async fn changed(orders: &mut watch::Receiver<Orders>) {
    if orders.changed().await.is_err() {
        // No orders will come.
        pending::<()>().await;
    }
    // They count as seen only when they are followed.
    orders.mark_changed();
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
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
