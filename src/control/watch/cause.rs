//! Causes: what kind of failure broke a list or a watch, and what to do then.

use std::io;

use kube::core::Status;
use tower::timeout::error::Elapsed;

use super::streaming::BREAKS;
use crate::{api::refusal::is_unknown_version, client::source::Error};

/// What kind of failure broke a list or a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Lists cannot be streamed. Pages take their place for a while.
    NoStreaming,
    /// The server has forgotten the version, or does not know it yet.
    Expired,
    /// No permission (401, 403).
    Forbidden,
    /// The server asks to wait (429).
    Busy,
    /// The server does not have the kind (404).
    NoSuchKind,
    /// Any other answer than the requested one.
    Refused,
    /// An answer that did not parse, or that lacks a version.
    Undecodable,
    /// No answer in time.
    TimedOut,
    /// A watch should have ended, but nothing was received.
    Silent,
    /// The server was not reached, or the connection broke.
    Connection,
}

impl Cause {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::List(error)
            | Error::Start(error)
            | Error::Watch(error)
            | Error::Probe(error) => Self::of_request(error),
            Error::Status(status) => Self::of_answer(status),
            Error::NoVersion => Self::Undecodable,
            Error::Silent | Error::SilentList => Self::Silent,
            Error::CutList => Self::Connection,
        }
    }

    /// The cause of a failed request.
    pub(super) fn of_request(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_answer(status),
            kube::Error::SerdeError(_) => Self::Undecodable,
            kube::Error::Service(error) if error.is::<Elapsed>() => Self::TimedOut,
            error if has_timed_out(error) => Self::TimedOut,
            _ => Self::Connection,
        }
    }

    fn of_answer(status: &Status) -> Self {
        match status.code {
            _ if is_unknown_version(status) => Self::Expired,
            401 | 403 => Self::Forbidden,
            404 => Self::NoSuchKind,
            429 => Self::Busy,
            _ => Self::Refused,
        }
    }

    /// Whether the error is the API server's own message, which may be shown to anyone.
    pub fn is_answer(self) -> bool {
        matches!(
            self,
            Self::Expired | Self::Forbidden | Self::Busy | Self::NoSuchKind | Self::Refused
        )
    }

    /// Whether the server did not answer, or did not do its job.
    pub fn is_no_answer(self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::NoSuchKind
                | Self::Refused
                | Self::TimedOut
                | Self::Silent
                | Self::Connection
        )
    }

    /// What it means, in general.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoStreaming => "the list cannot be streamed, reading pages instead",
            Self::Expired => "the API server does not know the version that was asked for",
            Self::Forbidden => "no permission to list and watch",
            Self::Busy => "the API server is busy",
            Self::NoSuchKind => "the API server does not have the kind",
            Self::Refused => "the API server refused the request",
            Self::Undecodable => "cannot read the API server's answer",
            Self::TimedOut => "the API server does not answer in time",
            Self::Silent => "a watch fell silent",
            Self::Connection => "the API server cannot be reached, or the connection broke",
        }
    }

    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStreaming => "no_streaming",
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::NoSuchKind => "no_such_kind",
            Self::Refused => "refused",
            Self::Undecodable => "undecodable",
            Self::TimedOut => "timed_out",
            Self::Silent => "silent",
            Self::Connection => "connection",
        }
    }
}

/// Whether the system gave up a connection: TCP keepalive, or a segment, was not acknowledged.
fn has_timed_out(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let error_of_system = error.downcast_ref::<io::Error>();
        if error_of_system.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}

/// How much an error before the end of a streamed list counts against streaming; [`BREAKS`] is
/// enough. A server that cannot be reached, is not there (502 to 504) or rejects us (no
/// permissions, too many requests) would do the same to any other list.
pub(super) fn against_streaming(error: &Error) -> u32 {
    match error {
        Error::Start(kube::Error::Api(status)) => match status.code {
            401 | 403 | 429 | 502..=504 => 0,
            code if code < 500 => BREAKS,
            _ => 1,
        },
        Error::Start(kube::Error::Service(error)) if error.is::<Elapsed>() => BREAKS,
        Error::Start(_) => 0,
        // More than a minute has passed without a byte.
        Error::SilentList => BREAKS,
        _ => 1,
    }
}

/// The API server's answer, where it gave one.
pub(super) fn answer(error: &Error) -> Option<&Status> {
    match error {
        Error::Status(status)
        | Error::List(kube::Error::Api(status))
        | Error::Start(kube::Error::Api(status))
        | Error::Probe(kube::Error::Api(status))
        | Error::Watch(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

/// Whether resuming the watch from the last version is impossible, or would miss a change.
pub(super) fn needs_list(error: &Error) -> bool {
    if let Some(status) = answer(error) {
        return is_unknown_version(status);
    }
    // What did not parse was a change, and it is lost.
    matches!(error, Error::Watch(kube::Error::SerdeError(_)) | Error::NoVersion)
}

/// Whether an error counts towards those after which a list replaces resuming the watch. Errors by
/// which a server rejects us do not count, as a list would add to its load. Nor does a server that
/// is not there, as a list would fail as well.
pub(super) fn is_obstacle(error: &Error) -> bool {
    !matches!(Cause::of(error), Cause::Busy | Cause::Forbidden | Cause::Connection)
}
