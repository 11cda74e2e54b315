//! Status: the message in which the API server reports a failed request, in Protobuf.

use kube::core::{
    Status,
    response::{StatusCause, StatusDetails},
};
use prost::Message;

/// `Status` (meta/v1).
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusMessage {
    #[prost(string, tag = "3")]
    pub(super) message: String,
    #[prost(string, tag = "4")]
    pub(super) reason: String,
    #[prost(message, optional, tag = "5")]
    pub(super) details: Option<DetailsMessage>,
    #[prost(int32, tag = "6")]
    pub(super) code: i32,
}

/// `StatusDetails` (meta/v1).
#[derive(Clone, PartialEq, Message)]
pub(super) struct DetailsMessage {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) group: String,
    #[prost(string, tag = "3")]
    pub(super) kind: String,
    #[prost(message, repeated, tag = "4")]
    pub(super) causes: Vec<CauseMessage>,
    #[prost(int32, tag = "5")]
    pub(super) retry_after_seconds: i32,
    #[prost(string, tag = "6")]
    pub(super) uid: String,
}

/// `StatusCause` (meta/v1).
#[derive(Clone, PartialEq, Message)]
pub(super) struct CauseMessage {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(string, tag = "3")]
    pub(super) field: String,
}

impl From<StatusMessage> for Status {
    fn from(message: StatusMessage) -> Self {
        let StatusMessage { message, reason, details, code } = message;
        let details = details.map(|details| StatusDetails {
            name: details.name,
            group: details.group,
            kind: details.kind,
            uid: details.uid,
            causes: details.causes.into_iter().map(cause).collect(),
            retry_after_seconds: details.retry_after_seconds.try_into().unwrap_or_default(),
        });
        let code = code.try_into().unwrap_or_default();
        Self { status: None, code, message, metadata: None, reason, details }
    }
}

fn cause(message: CauseMessage) -> StatusCause {
    let CauseMessage { reason, message, field } = message;
    StatusCause { reason, message, field }
}
