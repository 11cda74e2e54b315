//! What can be made to fail, and for which requests.

use std::time::Duration;

use crate::Seen;

/// Which requests a fault strikes; made by [`on`].
#[derive(Clone)]
pub struct On {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    times: u32,
}

/// Requests of `method` (empty: any) whose path contains `path`, every time.
pub fn on(method: &'static str, path: &'static str) -> On {
    On { method, path, query: "", times: u32::MAX }
}

/// Starts of watches of paths that contain `path`.
pub fn on_watch(path: &'static str) -> On {
    on("GET", path).query("watch=true")
}

/// Starts of streamed lists of paths that contain `path`.
pub fn on_streaming(path: &'static str) -> On {
    on("GET", path).query("sendInitialEvents=true")
}

impl On {
    /// Only where the query contains this.
    #[must_use]
    pub fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    /// Only this often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// What happens to a request in place of an ordinary answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The connection breaks; nothing was done.
    Refuse,
    /// Never answered; nothing was done.
    Hang,
    /// Done, and never answered.
    DoAndHang,
    /// Done this much later.
    Delay(Duration),
    /// Done, and answered this much later.
    DoAndDelay(Duration),
    /// Answered with this status code; nothing was done.
    Answer(u16),
    /// 422 for a field of a slice, whatever it holds, by the validation or by an admission webhook that
    /// makes up the same answer; nothing was done.
    Invalid {
        /// The path of the field, such as `endpoints[0].addresses[0]`.
        field: String,
        /// The value that is refused.
        value: String,
        /// Whether the answer is a webhook's.
        by_webhook: bool,
    },
    /// 429 with this many seconds of `Retry-After`; nothing was done.
    TooMany(u32),
    /// The same as the API server sheds load: plain text, so that the header alone says how long.
    Shed(u32),
    /// Refused because the namespace is going away; nothing was done.
    NamespaceTerminating,
    /// Done, and answered with this status code.
    DoAndAnswer(u16),
    /// A watch: starts, and then nothing more is heard, not even its end.
    Silence,
    /// A watch: ends at once without an event, as if complete.
    CloseAtOnce,
    /// A streamed list: ends after the objects without its end mark.
    CloseBeforeMark,
    /// A streamed list: the end mark comes this much later than the objects; changes in between
    /// come before it.
    MarkAfter(Duration),
    /// A list, streamed or not: as of this version.
    Stale(u64),
}

#[derive(Default)]
pub(crate) struct Faults(Vec<(On, Effect)>);

impl Faults {
    pub(crate) fn add(&mut self, on: On, effect: Effect) {
        self.0.push((on, effect));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The effect of the first fault that strikes.
    pub(crate) fn strike(&mut self, seen: &Seen) -> Option<Effect> {
        let strikes = |on: &On| {
            on.times > 0
                && (on.method.is_empty() || on.method == seen.method)
                && seen.path.contains(on.path)
                && seen.query.contains(on.query)
        };
        let (on, effect) = self.0.iter_mut().find(|(on, _)| strikes(on))?;
        on.times -= u32::from(on.times < u32::MAX);
        Some(effect.clone())
    }
}
