//! Refusals: answers of the API server other than the requested one.

use bytes::Bytes;
use http::{
    header::{CONTENT_TYPE, RETRY_AFTER},
    response::Parts,
};
use kube::core::{Status, response::StatusDetails};

use super::frame::Encoding;

/// The refusal in an answer whose head is `head`. `otherwise` is its message if the answer is not
/// the API server's but, for example, that of a proxy before it.
///
/// As kube reads it, and with the header `Retry-After`: an API server that sheds load names the
/// time nowhere else.
pub fn status(head: &Parts, body: Bytes, otherwise: impl FnOnce() -> String) -> Box<Status> {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let encoding = Encoding::of(text(CONTENT_TYPE).unwrap_or_default());
    let status = encoding.status(body);
    let mut status = status.unwrap_or_else(|| Status::failure(&otherwise(), ""));
    status.code = head.status.as_u16();
    if let Some(wait) = text(RETRY_AFTER).and_then(|wait| wait.parse().ok()) {
        status.details.get_or_insert_with(no_details).retry_after_seconds = wait;
    }
    Box::new(status)
}

fn no_details() -> StatusDetails {
    let [name, group, kind, uid] = [(); 4].map(|()| String::new());
    StatusDetails { name, group, kind, uid, causes: Vec::new(), retry_after_seconds: 0 }
}

/// Whether the reason is that the namespace is being deleted (docs/semantics.md 2).
pub fn is_namespace_terminating(status: &Status) -> bool {
    has_cause(status, "NamespaceTerminating")
}

/// Whether the reason is that the server no longer has the version (410), or does not have it yet
/// because its history went back.
pub fn is_unknown_version(status: &Status) -> bool {
    status.code == 410 || has_cause(status, "ResourceVersionTooLarge")
}

fn has_cause(status: &Status, reason: &str) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == reason)
}
