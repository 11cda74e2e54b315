//! SIGTERM and SIGINT: the first one asks the main loop to stop, the second one ends the process.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::sleep,
};

use super::{
    RunError,
    ending::{Asked, Ending},
};
use crate::{control::stop, observe::Health};

/// Signals as they come in.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Must be called within a runtime, which must then keep running.
    pub(super) fn new() -> Result<Self, RunError> {
        let listen = |kind| signal(kind).map_err(RunError::Signal);
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.interrupt.recv() => Asked::Interrupt,
        }
    }

    /// Passes on the first signal. Returns why the process must exit if it is still running
    /// afterwards: a second signal, or the time limit.
    ///
    /// Nothing is logged here: a blocked log must not hide the second signal.
    pub(super) async fn attend(mut self, first: oneshot::Sender<Asked>, health: &Health) -> Ending {
        let asked = self.next().await;
        health.stopping();
        // Without a receiver the main loop has ended already.
        let _ = first.send(asked);
        tokio::select! {
            again = self.next() => Ending::Again(again),
            () = sleep(stop::LIMIT) => Ending::Late,
        }
    }
}
