//! Policy: what the admission policies have in common as objects.

use serde_json::{Value, json};

/// The API version of the policies. Mutating ones are in it since Kubernetes 1.36.
pub const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// Which kind of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It changes what is written.
    Mutating,
    /// It rejects what may not be written.
    Validating,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingAdmissionPolicy",
            Self::Validating => "ValidatingAdmissionPolicy",
        }
    }
}

/// A policy.
pub(super) fn policy(kind: Kind, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": kind.name(),
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// A binding, for all namespaces.
pub(super) fn binding(kind: Kind, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": format!("{}Binding", kind.name()),
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// The rules that match these operations on slices.
pub(super) fn rules(operations: &[&str]) -> Value {
    json!([{
        "apiGroups": ["discovery.k8s.io"],
        "apiVersions": ["v1"],
        "operations": operations,
        "resources": ["endpointslices"],
    }])
}

/// A text with these values in place of their names.
pub(super) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}
