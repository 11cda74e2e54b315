//! Log: what the controller logs in a test, line by line.

use std::{
    cell::RefCell,
    io,
    sync::{Arc, Mutex, Once},
};

use tracing::{Level, Metadata};
use tracing_subscriber::{filter::dynamic_filter_fn, fmt, layer::Context, prelude::*};

type Buffer = Arc<Mutex<Vec<u8>>>;

thread_local! {
    /// Where the lines go that are logged on this thread, on which a test with paused time runs as
    /// a whole.
    static CURRENT: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

/// The lines that are logged on this thread.
pub struct Log(Buffer);

impl Log {
    pub fn start() -> Self {
        static ONCE: Once = Once::new();
        // One for all tests: which lines are enabled is remembered for the whole process, and is
        // wrong at times while each test has a subscriber of its own that comes and goes.
        ONCE.call_once(|| {
            let lines = fmt::layer().with_writer(|| Writer).with_ansi(false);
            let lines = lines.with_filter(dynamic_filter_fn(is_read));
            tracing_subscriber::registry().with(lines).init();
        });
        let buffer = Buffer::default();
        CURRENT.set(Some(Arc::clone(&buffer)));
        Self(buffer)
    }

    /// The lines that contain this, oldest first.
    pub fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

fn is_read<S>(line: &Metadata<'_>, _: &Context<'_, S>) -> bool {
    *line.level() <= Level::INFO && CURRENT.with_borrow(Option::is_some)
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        CURRENT.with_borrow(|buffer| match buffer {
            Some(buffer) => buffer.lock().unwrap().write(bytes),
            None => Ok(bytes.len()),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
