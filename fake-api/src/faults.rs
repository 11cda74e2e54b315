//! What can fail, and for which requests.

use std::{borrow::Cow, future::pending, io, time::Duration};

use tokio::time::sleep;

use crate::{Seen, collections::SLICES, refusal::Refusal};

type Text = Cow<'static, str>;

/// Which requests a fault applies to. Create it with [`on`].
#[derive(Clone, Debug)]
pub struct On {
    method: Text,
    path: Text,
    query: Text,
    service: Text,
    times: u32,
}

/// Requests of `method` (empty: any) whose path contains `path`, every time.
pub fn on(method: impl Into<Text>, path: impl Into<Text>) -> On {
    let (method, path) = (method.into(), path.into());
    On { method, path, query: "".into(), service: "".into(), times: u32::MAX }
}

/// Starts of watches of paths that contain `path`.
pub fn on_watch(path: impl Into<Text>) -> On {
    on("GET", path).query("watch=true")
}

/// Starts of streamed lists of paths that contain `path`.
pub fn on_streaming(path: impl Into<Text>) -> On {
    on("GET", path).query("sendInitialEvents=true")
}

impl On {
    /// Only where the query contains this.
    #[must_use]
    pub fn query(self, query: impl Into<Text>) -> Self {
        Self { query: query.into(), ..self }
    }

    /// Only writes of slices of the Service of this name.
    #[must_use]
    pub fn service(self, service: impl Into<Text>) -> Self {
        Self { service: service.into(), ..self }
    }

    /// At most this many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// What happens to a request instead of a normal answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The connection breaks. Nothing was done.
    Refuse,
    /// Never answered. Nothing was done.
    Hang,
    /// Done, but never answered.
    DoAndHang,
    /// Done this much later.
    Delay(Duration),
    /// Done, and answered this much later.
    DoAndDelay(Duration),
    /// Answered with this status code. Nothing was done.
    Answer(u16),
    /// 422 for a field of a slice, regardless of its value. It comes from the validation, or from
    /// an admission webhook that returns the same answer. Nothing was done.
    Invalid {
        /// The path of the field, such as `endpoints[0].addresses[0]`.
        field: String,
        /// The value that is rejected.
        value: String,
        /// Whether the answer comes from a webhook.
        by_webhook: bool,
    },
    /// 429 with this many seconds of `Retry-After`. Nothing was done.
    TooMany(u32),
    /// The same as when the API server sheds load: plain text, so only the header says how long to
    /// wait.
    Shed(u32),
    /// Rejected because the namespace is terminating. Nothing was done.
    NamespaceTerminating,
    /// Done, but answered with this status code.
    DoAndAnswer(u16),
    /// Done, and then the connection breaks.
    DoAndRefuse,
    /// A watch: it starts, and then sends nothing more. It does not end either.
    Silence,
    /// A watch: ends at once without an event, as if it were complete.
    CloseAtOnce,
    /// A watch: ends after this time, whatever the client asked for.
    CloseAfter(Duration),
    /// A watch: each event comes twice.
    Repeat,
    /// A watch: bookmarks come without a version.
    BlankBookmarks,
    /// A watch: breaks in the middle of an event.
    Truncate,
    /// A watch: sends at most so many bytes a second.
    Throttle(u32),
    /// A streamed list: ends after the objects without its end mark.
    CloseBeforeMark,
    /// A streamed list: the end mark comes this much later than the objects. Changes in between
    /// come before it.
    MarkAfter(Duration),
    /// A list, streamed or not: names only so many objects, as if there were no others.
    First(usize),
    /// A list, streamed or not: shows the state at this version.
    Stale(u64),
}

/// An answer in place of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The seconds of `Retry-After`.
    pub retry_after: Option<u32>,
    /// A `Status` as JSON, or text.
    pub body: String,
}

impl Effect {
    /// What happens before a request is done. An error breaks its connection.
    pub async fn before(&self) -> io::Result<()> {
        match self {
            Self::Refuse => return Err(io::ErrorKind::ConnectionReset.into()),
            Self::Hang => pending().await,
            Self::Delay(wait) => sleep(*wait).await,
            _ => {}
        }
        Ok(())
    }

    /// What happens between a request's end and its answer. An error breaks its connection.
    pub async fn after(&self) -> io::Result<()> {
        match self {
            Self::DoAndHang => pending().await,
            Self::DoAndDelay(wait) => sleep(*wait).await,
            Self::DoAndRefuse => return Err(io::ErrorKind::ConnectionReset.into()),
            _ => {}
        }
        Ok(())
    }

    /// What is answered to a request that was done, in place of the server's answer.
    pub fn answer_after(&self) -> Option<Answer> {
        let Self::DoAndAnswer(code) = self else { return None };
        Some(Refusal::made(*code).answer())
    }

    /// What is answered to a request without doing anything, if something is.
    pub fn answer(&self, seen: &Seen) -> Option<Answer> {
        let refusal = match self {
            Self::Answer(code) => Refusal::made(*code),
            Self::TooMany(seconds) => Refusal::too_many(*seconds),
            Self::Invalid { field, value, by_webhook } => {
                Refusal::invalid_field(SLICES, field, value, *by_webhook)
            }
            Self::NamespaceTerminating => {
                let (collection, namespace) = seen.place()?;
                let name = seen.body["metadata"]["name"].as_str().unwrap_or_default();
                Refusal::namespace_terminating(&collection, &namespace, name)
            }
            Self::Shed(seconds) => {
                let body = "Too many requests, please try again later.".to_owned();
                return Some(Answer { code: 429, retry_after: Some(*seconds), body });
            }
            _ => return None,
        };
        Some(refusal.answer())
    }
}

impl Refusal {
    fn answer(&self) -> Answer {
        let (code, retry_after) = (self.code, self.retry_after);
        Answer { code, retry_after, body: self.status().to_string() }
    }
}

/// What fails at present.
#[derive(Debug, Default)]
pub struct Faults(Vec<(On, Effect)>);

impl Faults {
    /// Adds a fault. If several apply, the one that was added first wins.
    pub fn add(&mut self, on: On, effect: Effect) {
        self.0.push((on, effect));
    }

    /// Ends all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The effect of the first fault that applies.
    pub fn strike(&mut self, seen: &Seen) -> Option<Effect> {
        let strikes = |on: &On| {
            on.times > 0
                && (on.method.is_empty() || on.method == seen.method)
                && seen.path.contains(&*on.path)
                && seen.query.contains(&*on.query)
                && (on.service.is_empty() || seen.writes_slice_of(&on.service))
        };
        let (on, effect) = self.0.iter_mut().find(|(on, _)| strikes(on))?;
        on.times -= u32::from(on.times < u32::MAX);
        Some(effect.clone())
    }
}
