//! Why nothing was evacuated, or nothing cancelled.

use std::{fmt, io};

use crate::cli::{connection::Names, live::LiveError};

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// To ask who we are.
    Ask,
    /// To create an evacuation.
    Create,
    /// To list evacuations.
    List,
    /// To delete one.
    Delete,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ask => "ask who you are",
            Self::Create => "create zoneevacuations",
            Self::List => "list zoneevacuations",
            Self::Delete => "delete zoneevacuations",
        })
    }
}

/// Why the command did not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum EvacuateError {
    /// There is no terminal on which to ask.
    #[error(
        "standard input is not a terminal, so nobody can confirm this; give --yes, or --dry-run to \
         look only"
    )]
    Unconfirmed,
    /// No node is in this zone.
    #[error("no node is in the zone {zone}{}; the zones are: {zones}", meant.as_ref().map_or_else(String::new, |it| format!(": did you mean {it}?")))]
    UnknownZone {
        /// The zone.
        zone: String,
        /// One with almost the same name.
        meant: Option<String>,
        /// Those that there are.
        zones: Names,
    },
    /// What was requested is not allowed.
    #[error("cannot evacuate: {0}")]
    Invalid(String),
    /// The cluster cannot be read.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The API server did not accept the credentials.
    #[error(
        "{url} does not accept the credentials; log in again, or choose others with --kubeconfig or \
         --context"
    )]
    Unknown {
        /// The API server.
        url: String,
    },
    /// A permission is missing.
    #[error(
        "may not {attempt} of {url}: {reason}; ask for the ClusterRole closehaul-operator, which the \
         chart creates"
    )]
    Refused {
        /// What.
        attempt: Attempt,
        /// The API server.
        url: String,
        /// What it says.
        reason: String,
    },
    /// The API server does not have the kind.
    #[error(
        "{url} does not have the kind ZoneEvacuation; install it with: closehaul crds | kubectl \
         apply -f -"
    )]
    Missing {
        /// The API server.
        url: String,
    },
    /// Anything else.
    #[error("cannot {attempt} of {url}: {reason}; nothing else was done")]
    Failed {
        /// What.
        attempt: Attempt,
        /// The API server.
        url: String,
        /// Why.
        reason: String,
    },
    /// The answer to the question was no.
    #[error("not confirmed: nothing was changed")]
    Declined,
    /// The terminal, or standard output, does not work.
    #[error("cannot use standard input or output: {0}; check where they lead")]
    Terminal(#[source] io::Error),
}

impl EvacuateError {
    /// Whether the user must change the command.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Unconfirmed | Self::UnknownZone { .. } | Self::Invalid(_) => true,
            Self::Live(LiveError::Connect(error)) => error.is_usage(),
            _ => false,
        }
    }
}
