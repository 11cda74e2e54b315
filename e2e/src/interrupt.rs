//! Interrupt: a command that is asked to stop drops what it does, and with it all that it started.

use std::{future::Future, io};

use tokio::signal::unix::{SignalKind, signal};

/// Waits until this process is asked to stop: Ctrl-C or SIGTERM.
///
/// # Errors
///
/// Signals cannot be handled.
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// What comes of `work`, or `None` if this process was asked to stop before.
///
/// # Errors
///
/// Signals cannot be handled.
pub async fn unless_interrupted<T>(work: impl Future<Output = T>) -> io::Result<Option<T>> {
    let interrupted = interrupted()?;
    tokio::select! {
        done = work => Ok(Some(done)),
        () = interrupted => Ok(None),
    }
}
