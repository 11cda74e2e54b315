//! Progress: one line on a terminal that says how far long work has come. It appears after a second,
//! and disappears when the work is done. Without a terminal there is none.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::look::{End, columns_of_stderr, cut, is_dumb};
use crate::plain::plain;

/// Work that takes less is not reported.
const QUIET: Duration = Duration::from_secs(1);
/// Between two changes of the line.
const EVERY: Duration = Duration::from_millis(200);
/// Back to the start of the line, which is cleared.
const CLEARED: &str = "\r\u{1b}[K";
const MEBIBYTE: usize = 1 << 20;

/// How far the work has come. The line disappears when this is dropped.
#[derive(Debug, Default)]
pub struct Progress {
    shared: Option<Arc<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    work: Work,
    is_over: bool,
}

/// What is done.
#[derive(Debug, Default, PartialEq, Eq)]
enum Work {
    #[default]
    Nothing,
    /// A file is read: its name, and how many of how many bytes have been read. Of 0 bytes, as long as
    /// it is not known how many there are.
    File { name: Arc<str>, read: usize, size: usize },
    /// A cluster is listed: how many objects of which kinds have come.
    Cluster { counts: Vec<(&'static str, usize)> },
}

impl Progress {
    /// Reports on standard error, if that is a terminal.
    pub(super) fn start() -> Self {
        if !io::stderr().is_terminal() || is_dumb() {
            return Self::default();
        }
        let shared = Arc::<Shared>::default();
        let watched = shared.clone();
        let thread = thread::Builder::new().name("progress".to_owned());
        // Without a thread the work is done just as well.
        let thread = thread.spawn(move || watched.report()).ok();
        Self { shared: Some(shared), thread }
    }

    /// So many bytes of this file have been read.
    pub(super) fn read(&self, name: &Arc<str>, read: usize, size: usize) {
        self.set(|work| *work = Work::File { name: name.clone(), read, size });
    }

    /// So many objects of a kind have been listed.
    pub(super) fn listed(&self, plural: &'static str, more: usize) {
        self.set(|work| {
            let Work::Cluster { counts } = work else {
                *work = Work::Cluster { counts: vec![(plural, more)] };
                return;
            };
            match counts.iter_mut().find(|(it, _)| *it == plural) {
                Some((_, count)) => *count += more,
                None => counts.push((plural, more)),
            }
        });
    }

    fn set(&self, change: impl FnOnce(&mut Work)) {
        if let Some(shared) = &self.shared {
            change(&mut shared.state().work);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.state().is_over = true;
            shared.ended.notify_all();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the line until the work is over.
    fn report(&self) {
        let mut wait = QUIET;
        let mut is_shown = false;
        loop {
            let going = |state: &mut State| !state.is_over;
            let waited = self.ended.wait_timeout_while(self.state(), wait, going);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.is_over {
                break;
            }
            let line = state.work.to_string();
            drop(state);
            let line = cut(&plain(&line), columns_of_stderr().saturating_sub(1), End::Last);
            put(&format!("{CLEARED}{line}"));
            (wait, is_shown) = (EVERY, true);
        }
        if is_shown {
            put(CLEARED);
        }
    }
}

fn put(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("connecting …"),
            Self::File { name, size: 0, .. } => write!(f, "reading {name} …"),
            Self::File { name, read, size } => {
                let [read, size] = [read, size].map(|bytes| bytes.div_ceil(MEBIBYTE));
                write!(f, "reading {name}: {read} of {size} MiB")
            }
            Self::Cluster { counts } => {
                f.write_str("listed ")?;
                for (at, (plural, count)) in counts.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    write!(f, "{count} {plural}")?;
                }
                f.write_str(" …")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_words() {
        let progress = Progress { shared: Some(Arc::default()), thread: None };
        let said = || progress.shared.as_ref().unwrap().state().work.to_string();
        assert_eq!(said(), "connecting …");
        progress.read(&"a.yaml".into(), 0, 0);
        assert_eq!(said(), "reading a.yaml …");
        progress.read(&"a.yaml".into(), MEBIBYTE + 1, 55 * MEBIBYTE);
        assert_eq!(said(), "reading a.yaml: 2 of 55 MiB");
        progress.listed("pods", 500);
        progress.listed("services", 12);
        progress.listed("pods", 500);
        assert_eq!(said(), "listed 1000 pods, 12 services …");
    }
}
