//! Error: why a write failed, and what to do then.

use std::time::Duration;

use kube::core::Status;

use crate::observe::WriteResult;

/// A write that failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another client wrote or deleted it in the meantime. The watch will show it.
    #[error("{what}: another client changed it in the meantime")]
    Conflict {
        /// The write.
        what: String,
    },
    /// A slice has the name already: one of the Service, which the watch has not shown yet, or
    /// another client's.
    #[error("{what}: the name is taken; trying again with what is known now")]
    Exists {
        /// The write.
        what: String,
    },
    /// The API server asks to wait.
    #[error("{what}: the API server is busy and asks to wait {wait:?}")]
    Busy {
        /// The write.
        what: String,
        /// For how long.
        wait: Duration,
    },
    /// Another replica leads.
    #[error("{what}: not sent, as another replica may lead now")]
    NotLeading {
        /// The write.
        what: String,
    },
    /// The process was asked to stop.
    #[error("{what}: not sent, as this replica is stopping; the next leader writes it")]
    Stopping {
        /// The write.
        what: String,
    },
    /// No answer. The write may or may not have been applied.
    #[error("{what}: no answer within {after:?}")]
    TimedOut {
        /// The write.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// The API server refused.
    #[error("{what}: refused: {}", status.message)]
    Refused {
        /// The write.
        what: String,
        /// The answer.
        status: Box<Status>,
    },
    /// The API server refused parts of endpoints, and accepted the slice without them.
    #[error("{what}: written without {without}, which was refused: {}", status.message)]
    Trimmed {
        /// The write.
        what: String,
        /// What was left out.
        without: String,
        /// The first answer.
        status: Box<Status>,
    },
    /// The request or its answer was lost.
    #[error("{what}")]
    Lost {
        /// The write.
        what: String,
        /// Why.
        source: kube::Error,
    },
}

impl WriteError {
    /// Whether the write may be applied anyway, now or later.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Lost { .. } => true,
            Self::Refused { status, .. } => status.code >= 500,
            Self::Conflict { .. }
            | Self::Exists { .. }
            | Self::Busy { .. }
            | Self::NotLeading { .. }
            | Self::Stopping { .. }
            | Self::Trimmed { .. } => false,
        }
    }

    /// Whether no answer came, so that it may still be applied when this replica has ended.
    pub fn is_on_its_way(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Lost { .. })
    }

    /// Whether it is about the content of this one slice.
    pub fn is_invalid(&self) -> bool {
        match self {
            Self::Refused { status, .. } => status.code == 422,
            Self::Trimmed { .. } => true,
            _ => false,
        }
    }

    /// Whether the body was not understood: something on the way may read only JSON.
    pub(super) fn is_about_the_body(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if matches!(status.code, 400 | 415))
    }

    /// Whether it is a failure to report, and not part of normal operation.
    pub fn is_trouble(&self) -> bool {
        match self {
            Self::TimedOut { .. }
            | Self::Lost { .. }
            | Self::Refused { .. }
            | Self::Trimmed { .. } => true,
            Self::Conflict { .. }
            | Self::Exists { .. }
            | Self::Busy { .. }
            | Self::NotLeading { .. }
            | Self::Stopping { .. } => false,
        }
    }

    /// The outcome of the write, in one word.
    pub fn result(&self) -> WriteResult {
        match self {
            Self::Conflict { .. } | Self::Exists { .. } => WriteResult::Conflict,
            Self::Busy { .. } => WriteResult::Busy,
            Self::NotLeading { .. } | Self::Stopping { .. } => WriteResult::NotLeading,
            Self::TimedOut { .. } => WriteResult::TimedOut,
            Self::Refused { .. } | Self::Trimmed { .. } => WriteResult::Refused,
            Self::Lost { .. } => WriteResult::Lost,
        }
    }
}

/// What follows from an answer other than the requested one.
pub(super) fn refused(what: String, status: Box<Status>) -> WriteError {
    let wait =
        status.details.as_ref().map(|details| details.retry_after_seconds).filter(|wait| *wait > 0);
    match (status.code, wait) {
        (409, _) => WriteError::Conflict { what },
        (429, wait) | (503, wait @ Some(_)) => {
            WriteError::Busy { what, wait: Duration::from_secs(wait.unwrap_or(1).into()) }
        }
        _ => WriteError::Refused { what, status },
    }
}
