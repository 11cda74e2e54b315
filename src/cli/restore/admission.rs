//! Admission: deletes the admission policies of assist mode. The bindings go first: a policy without a
//! binding acts on nothing.

use http::Method;
use kube::{Client, Error};
use serde_json::Value;

use super::RestoreError;
use crate::{
    admission::names::{BINDING, LIMIT_BINDING, LIMIT_POLICY, POLICY},
    cli::say::say,
};

/// What is deleted, in this order.
const OBJECTS: [(&str, &str); 4] = [
    ("mutatingadmissionpolicybindings", BINDING),
    ("validatingadmissionpolicybindings", LIMIT_BINDING),
    ("mutatingadmissionpolicies", POLICY),
    ("validatingadmissionpolicies", LIMIT_POLICY),
];

/// Deletes the admission policies and their bindings, as far as they are there.
///
/// # Errors
///
/// One of them cannot be deleted.
pub(super) async fn delete(client: &Client) -> Result<(), RestoreError> {
    for (plural, name) in OBJECTS {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}/{name}");
        let request = http::Request::builder().method(Method::DELETE).uri(path).body(Vec::new());
        let answer = match request {
            Ok(request) => client.request::<Value>(request).await,
            Err(error) => Err(Error::HttpError(error)),
        };
        match answer {
            Ok(_) => say(format!("deleted {plural} {name}")),
            Err(Error::Api(status)) if status.code == 404 => {}
            Err(source) => {
                return Err(RestoreError::Request {
                    what: format!("delete {plural} {name}"),
                    advice: "until it is deleted, the API server keeps the hints in slices that have the \
                             annotation closehaul.io/hints",
                    source: Box::new(source),
                });
            }
        }
    }
    Ok(())
}
