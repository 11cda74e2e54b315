//! Watches: one task per watch that writes lines for as long as the client reads them.

use std::{convert::Infallible, pin::pin, time::Duration};

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    FakeApi,
    refusal::Refusal,
    request::Call,
    respond::{Body, typed},
    selector::Selector,
    store::Entry,
};

/// The time between two bookmarks of a watch, as upstream.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// A bookmark comes this long before a watch ends, as upstream.
const BEFORE_END: Duration = Duration::from_secs(2);

/// One watch.
pub struct Watch {
    pub collection: String,
    selector: Selector,
    bookmarks: bool,
    /// The initial objects.
    pub initial: Vec<Value>,
    /// The end mark comes after the initial objects and this time.
    pub mark_after: Option<Duration>,
    /// Ends after the initial objects.
    pub close_before_mark: bool,
    /// Sends each event twice.
    pub repeats: bool,
    /// Sends bookmarks without a version.
    pub blank_bookmarks: bool,
    /// Breaks in the middle of the first event after the initial objects.
    pub is_truncated: bool,
    /// At most so many bytes a second.
    pub rate: Option<u32>,
    /// The version that it began with. It sends no bookmark at or below this one.
    began: u64,
    /// The last version the client knows.
    seen: u64,
    ends: Instant,
}

impl Watch {
    /// What `call` requests. `version` is the newest that lists show.
    pub fn new(api: &FakeApi, call: &Call, version: u64) -> Result<Self, Refusal> {
        let streamed = call.parameter("sendInitialEvents") == "true";
        if streamed && call.parameter("resourceVersionMatch") != "NotOlderThan" {
            return Err(Refusal::no_version_match());
        }
        let from = call.parameter("resourceVersion").parse().unwrap_or(0);
        let fresh = streamed || from == 0;
        let selector = call.selector();
        let initial = api.with(|state| {
            let oldest = state.store.oldest;
            if !fresh {
                return if from < oldest {
                    Err(Refusal::gone(from, oldest))
                } else {
                    Ok(Vec::new())
                };
            }
            let collection = state.store.collection(&call.collection);
            let objects = collection.at(version).into_values();
            Ok(objects.filter(|object| selector.matches(object)).collect())
        })?;
        let seconds = call.parameter("timeoutSeconds").parse().unwrap_or(1800);
        Ok(Self {
            collection: call.collection.clone(),
            selector,
            bookmarks: call.parameter("allowWatchBookmarks") == "true",
            initial,
            mark_after: streamed.then_some(Duration::ZERO),
            close_before_mark: false,
            repeats: false,
            blank_bookmarks: false,
            is_truncated: false,
            rate: None,
            began: if fresh { version } else { from },
            seen: if fresh { version } else { from },
            ends: Instant::now() + Duration::from_secs(seconds),
        })
    }

    /// Ends after this time.
    pub fn close_after(&mut self, wait: Duration) {
        self.ends = self.ends.min(Instant::now() + wait);
    }

    /// Starts the task. The body is what the task writes.
    pub fn start(self, api: FakeApi) -> Body {
        let (sender, body) = Channel::new(64);
        let (epoch, injected) = api.with(|state| (state.epoch, state.injected.len()));
        // An error means that the client is gone.
        tokio::spawn(async move {
            let lines = Lines(sender);
            self.run(api, lines, epoch, injected).await.unwrap_or_default();
        });
        body
    }

    async fn run(
        mut self,
        api: FakeApi,
        mut lines: Lines,
        epoch: u64,
        mut injected: usize,
    ) -> Result<(), Gone> {
        for object in std::mem::take(&mut self.initial) {
            lines.event("ADDED", &typed(&self.collection, object)).await?;
        }
        if self.close_before_mark {
            return Ok(());
        }
        let mut mark_at = self.mark_after.map(|wait| Instant::now() + wait);
        // As upstream: every minute, and just before the watch ends.
        let last_bookmark = self.ends - BEFORE_END;
        let next_bookmark = |now: Instant| {
            let next = now + BOOKMARK_EVERY;
            if now < last_bookmark { next.min(last_bookmark) } else { next }
        };
        let mut bookmark_at = next_bookmark(Instant::now());
        loop {
            // Created before we read the state, so that changes while lines are written count.
            let mut changed = pin!(api.pulse.notified());
            changed.as_mut().enable();
            let (news, raw, version, ended) = api.with(|state| {
                let raw = state.injected[injected..].to_vec();
                let ended = state.epoch != epoch;
                if state.held.contains(&self.collection) || state.is_cut_off(api.caller) {
                    return (Vec::new(), raw, self.seen, ended);
                }
                let log = &state.store.collection(&self.collection).log;
                let known = log.partition_point(|entry| entry.version <= self.seen);
                (log[known..].to_vec(), raw, state.store.version, ended)
            });
            if ended {
                return Ok(());
            }
            for entry in news {
                self.seen = entry.version;
                if let Some((kind, object)) = self.event(entry) {
                    let object = typed(&self.collection, object);
                    if self.is_truncated {
                        return lines.half(kind, &object).await;
                    }
                    if let Some(rate) = self.rate {
                        let length = u32::try_from(object.to_string().len()).unwrap_or(u32::MAX);
                        sleep(Duration::from_secs(1) * length / rate.max(1)).await;
                    }
                    for _ in 0..=usize::from(self.repeats) {
                        lines.event(kind, &object).await?;
                    }
                }
            }
            injected += raw.len();
            for (_, line) in raw.into_iter().filter(|(path, _)| *path == self.collection) {
                lines.line(line).await?;
            }
            let now = Instant::now();
            if mark_at.is_some_and(|at| at <= now) {
                mark_at = None;
                lines.bookmark(&self.collection, Some(self.seen), true).await?;
            }
            if bookmark_at <= now && mark_at.is_none() {
                bookmark_at = next_bookmark(now);
                if self.bookmarks && version > self.began {
                    self.seen = self.seen.max(version);
                    let version = (!self.blank_bookmarks).then_some(self.seen);
                    lines.bookmark(&self.collection, version, false).await?;
                }
            }
            if self.ends <= now {
                return Ok(());
            }
            let next = mark_at.unwrap_or(bookmark_at).min(self.ends);
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// What a change means for this watch. An object that stops matching is deleted from its point
    /// of view, as it was when it still matched.
    fn event(&self, entry: Entry) -> Option<(&'static str, Value)> {
        let matches = |object: &Option<Value>| {
            object.as_ref().is_some_and(|object| self.selector.matches(object))
        };
        match (matches(&entry.before), matches(&entry.after)) {
            (false, true) => Some(("ADDED", entry.object)),
            (true, true) => Some(("MODIFIED", entry.object)),
            (true, false) => {
                let mut object = entry.before.unwrap_or_default();
                object["metadata"]["resourceVersion"] = json!(entry.version.to_string());
                Some(("DELETED", object))
            }
            (false, false) => None,
        }
    }
}

/// The client has disconnected.
#[derive(Debug)]
struct Gone;

struct Lines(Sender<Bytes, Infallible>);

impl Lines {
    async fn line(&mut self, mut line: String) -> Result<(), Gone> {
        line.push('\n');
        self.0.send_data(line.into()).await.map_err(|_| Gone)
    }

    async fn event(&mut self, kind: &str, object: &Value) -> Result<(), Gone> {
        // Written by hand: a real server sends `type` first, and decoders depend on that.
        self.line(format!(r#"{{"type":"{kind}","object":{object}}}"#)).await
    }

    /// The first half of an event.
    async fn half(&mut self, kind: &str, object: &Value) -> Result<(), Gone> {
        let mut line = format!(r#"{{"type":"{kind}","object":{object}}}"#).into_bytes();
        line.truncate(line.len() / 2);
        self.0.send_data(line.into()).await.map_err(|_| Gone)
    }

    async fn bookmark(
        &mut self,
        collection: &str,
        version: Option<u64>,
        ends_list: bool,
    ) -> Result<(), Gone> {
        let mut metadata = json!({});
        if let Some(version) = version {
            metadata["resourceVersion"] = json!(version.to_string());
        }
        if ends_list {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        self.event("BOOKMARK", &typed(collection, json!({ "metadata": metadata }))).await
    }
}
