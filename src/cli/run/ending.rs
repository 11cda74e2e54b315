//! Ending: ends the process from a thread other than the main one, whatever the main one is doing.

use std::{process, sync::mpsc, thread, time::Duration};

use tracing::error;

use crate::{
    causes::causes,
    cli::say::say,
    control::{lease::LeaseError, stop},
};

/// How long the last message may take. The main thread may hang because nothing reads the log.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A signal that asks the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

impl Asked {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }

    /// The exit code of a process that it ends, as shells report it: 128 plus the signal's number.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}

/// Why the process must end at once.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    /// Another replica leads, or may.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A second signal.
    #[error(
        "got {} while stopping, exiting at once: writes may be in flight, and the lease was not \
         released",
        .0.name()
    )]
    Again(Asked),
    /// It was asked to stop and did not.
    #[error(
        "did not stop within {:?}, exiting at once: writes may be in flight, and the lease was not \
         released",
        stop::LIMIT
    )]
    Late,
}

impl Ending {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Again(asked) => asked.exit_code(),
            Self::Lease(_) | Self::Late => 1,
        }
    }

    /// Ends the process, with a message if standard error accepts one.
    pub(super) fn end(self) -> ! {
        let code = self.exit_code();
        let (said, received) = mpsc::channel();
        let speaker = thread::Builder::new().name("last words".to_owned()).spawn(move || {
            let cause = causes(&self);
            error!(cause, "exiting");
            say(format_args!("error: {cause}"));
            let _ = said.send(());
        });
        if speaker.is_ok() {
            let _ = received.recv_timeout(LAST_WORDS);
        }
        process::exit(code.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        assert_eq!(Ending::Again(Asked::Terminate).exit_code(), 143);
        assert_eq!(Ending::Again(Asked::Interrupt).exit_code(), 130);
        assert_eq!(Ending::Late.exit_code(), 1);
    }
}
