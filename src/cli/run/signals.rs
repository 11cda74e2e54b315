//! SIGTERM and SIGINT: the first one asks the main loop to stop, the second one ends the process.

use tokio::{sync::oneshot, time::sleep};

use self::system::{Interrupt, Terminate};
use super::{
    RunError,
    ending::{Asked, Ending},
};
use crate::{control::stop, observe::Health};

/// Signals as they come in.
pub(super) struct Signals {
    terminate: Terminate,
    interrupt: Interrupt,
}

impl Signals {
    /// Must be called within a runtime, which must then keep running.
    pub(super) fn new() -> Result<Self, RunError> {
        let terminate = system::terminate().map_err(RunError::Signal)?;
        Ok(Self { terminate, interrupt: system::interrupt().map_err(RunError::Signal)? })
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

#[cfg(unix)]
mod system {
    use std::io;

    pub(super) use tokio::signal::unix::{Signal as Terminate, Signal as Interrupt};
    use tokio::signal::unix::{SignalKind, signal};

    pub(super) fn terminate() -> io::Result<Terminate> {
        signal(SignalKind::terminate())
    }

    pub(super) fn interrupt() -> io::Result<Interrupt> {
        signal(SignalKind::interrupt())
    }
}

/// What Windows has in their place. The controller does not run there, and only has to compile.
#[cfg(windows)]
mod system {
    pub(super) use tokio::signal::windows::{
        CtrlC as Interrupt, CtrlClose as Terminate, ctrl_c as interrupt, ctrl_close as terminate,
    };
}
