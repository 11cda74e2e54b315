//! Refusals: what the API server's answers say beyond their status code.

use kube::core::Status;

/// Whether a refusal says that the namespace is going away (endpointslice-semantics 2).
pub fn is_namespace_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}
