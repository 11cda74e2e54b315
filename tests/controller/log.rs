//! Log: what the controller logs in a test, line by line.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::fmt::MakeWriter;

/// The lines that are logged on this thread, on which a test with paused time runs as a whole.
pub struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn start() -> Self {
        let text = Text::default();
        let log = tracing_subscriber::fmt().with_writer(text.clone()).with_ansi(false);
        let guard = set_default(log.finish());
        Self { text, _guard: guard }
    }

    /// The lines that contain this, oldest first.
    pub fn lines(&self, part: &str) -> Vec<String> {
        let text = self.text.0.lock().unwrap().clone();
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Text {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
