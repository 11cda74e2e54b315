//! The log: what is logged and in which format. A line that standard error does not accept is
//! dropped and does not end the process.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::client::connection::REQUESTS;

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
        LogFormat::Text => log.with_ansi(is_terminal).with_target(false).try_init(),
    };
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
    use tracing::{Level, enabled, subscriber::with_default};
    use tracing_subscriber::{layer::SubscriberExt, registry};

    use super::*;

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
