//! The log: what is logged and in which format. A line that standard error does not accept is
//! dropped and does not end the process.

use std::{
    fmt::{self, Debug},
    io::IsTerminal,
};

use clap::ValueEnum;
use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    fmt::{
        FormatFields,
        format::{Writer, debug_fn},
    },
};

use crate::{client::connection::REQUESTS, plain::plain};

/// The `-v` levels at which more is logged.
const DEBUG: u8 = 4;
const TRACE: u8 = 6;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// Sends logs to standard error.
pub(super) fn start(format: Option<LogFormat>, verbosity: u8) {
    let filter = EnvFilter::new(filter(verbosity));
    let is_terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A line that standard error does not accept is lost. By default that would be reported
        // there, which panics.
        .log_internal_errors(false);
    // A second start in one process keeps the first log.
    let _ = match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            log.with_ansi(is_terminal).with_target(false).fmt_fields(fields()).try_init()
        }
    };
}

/// How the fields of a line of text look. What others have written is made fit to be shown here, for
/// all lines.
fn fields() -> impl for<'writer> FormatFields<'writer> + Clone {
    debug_fn(field).delimited(" ")
}

fn field(to: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let value = plain(&format!("{value:?}"));
    match field.name() {
        "message" => to.write_str(&value),
        name => write!(to, "{name}={value}"),
    }
}

/// What is logged. The lines of kube's client are off. It logs each failed connection, which
/// closehaul also reports. It also prints in full an answer that it cannot decode. That may be a
/// list of pods, with the contents of their environment variables.
fn filter(verbosity: u8) -> String {
    let (own, requests) = match verbosity {
        TRACE.. => ("trace", "debug"),
        DEBUG.. => ("debug", "off"),
        _ => ("info", "off"),
    };
    format!(
        "warn,closehaul={own},{REQUESTS}={requests},kube_client::client=off,\
         kube_client::client::tls=warn"
    )
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::{Level, enabled, subscriber::with_default, warn};
    use tracing_subscriber::{layer::SubscriberExt, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_others_have_written_hides_and_forges_nothing() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
        let log = log.with_target(false).without_time().fmt_fields(fields()).finish();
        with_default(log, || {
            let name = "web\u{1b}[2K\u{202e}\nINFO forged";
            let answer = format!("403 {}", "x".repeat(5000));
            warn!(service = %name, error = name, took = ?Some(1), "a write {} failed", name);
            warn!(cause = %answer, "refused");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let [failed, refused] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let shown = "web\\u{1b}[2K\\u{202e}\\nINFO forged";
        assert_eq!(
            failed,
            format!(" WARN a write {shown} failed service={shown} error=\"{shown}\" took=Some(1)")
        );
        assert!(refused.ends_with("x… (908 bytes more)"), "{refused}");
    }

    #[test]
    fn no_log_level_shows_the_body_of_an_answer() {
        for (verbosity, writes, requests) in
            [(0, false, false), (3, false, false), (4, true, false), (6, true, true)]
        {
            with_default(registry().with(EnvFilter::new(filter(verbosity))), || {
                assert!(!enabled!(target: "kube_client::client", Level::WARN));
                assert!(enabled!(target: "kube_client::client::tls", Level::WARN));
                assert_eq!(enabled!(target: "closehaul::control::write", Level::DEBUG), writes);
                let shown = enabled!(target: REQUESTS, Level::DEBUG);
                assert_eq!(shown, requests);
            });
        }
    }
}
