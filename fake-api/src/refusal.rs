//! Refusal: why a request is rejected, and the `Status` that says so.

use serde_json::{Value, json};

/// Why a request is rejected.
#[derive(Debug)]
pub struct Refusal {
    pub code: u16,
    reason: &'static str,
    message: String,
    pub retry_after: Option<u32>,
    causes: Vec<Value>,
    /// Group and kind of the rejected object.
    object: Option<(&'static str, &'static str)>,
}

/// What is wrong with one field.
pub struct FieldProblem {
    pub field: String,
    pub value: String,
    pub problem: &'static str,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: &str) -> Self {
        Self {
            code,
            reason,
            message: message.to_owned(),
            retry_after: None,
            causes: Vec::new(),
            object: None,
        }
    }

    pub fn not_found(name: &str) -> Self {
        Self::new(404, "NotFound", &format!("{name} not found"))
    }

    pub fn exists(name: &str) -> Self {
        Self::new(409, "AlreadyExists", &format!("{name} already exists"))
    }

    pub fn conflict(message: &str) -> Self {
        Self::new(409, "Conflict", message)
    }

    pub fn invalid(message: &str) -> Self {
        Self::new(422, "Invalid", message)
    }

    /// Rejected by the validation of slices.
    pub fn invalid_slice(name: &str, problems: &[FieldProblem]) -> Self {
        let text =
            |one: &FieldProblem| format!("Invalid value: \"{}\": {}", one.value, one.problem);
        let cause = |one: &FieldProblem| json!({ "reason": "FieldValueInvalid", "message": text(one), "field": one.field });
        let all: Vec<_> =
            problems.iter().map(|one| format!("{}: {}", one.field, text(one))).collect();
        let all = all.join(", ");
        let refusal =
            Self::invalid(&format!("EndpointSlice.discovery.k8s.io \"{name}\" is invalid: {all}"));
        let object = Some(("discovery.k8s.io", "EndpointSlice"));
        Self { causes: problems.iter().map(cause).collect(), object, ..refusal }
    }

    /// The same for one field that a fault names. An admission webhook may answer with any text,
    /// and only its message begins with its name.
    pub fn invalid_field(field: &str, value: &str, by_webhook: bool) -> Self {
        let (field, value) = (field.to_owned(), value.to_owned());
        let mut refusal =
            Self::invalid_slice("x", &[FieldProblem { field, value, problem: "made to fail" }]);
        if by_webhook {
            let message = refusal.message;
            refusal.message = format!("admission webhook \"w\" denied the request: {message}");
        }
        refusal
    }

    pub fn gone() -> Self {
        Self::new(410, "Expired", "too old resource version")
    }

    pub fn too_many(seconds: u32) -> Self {
        let refusal = Self::new(429, "TooManyRequests", "come back later");
        Self { retry_after: Some(seconds), ..refusal }
    }

    pub fn namespace_terminating() -> Self {
        let refusal = Self::new(403, "Forbidden", "namespace is being terminated");
        Self { causes: vec![json!({ "reason": "NamespaceTerminating" })], ..refusal }
    }

    /// A status code that a fault sets.
    pub fn made(code: u16) -> Self {
        let reason = match code {
            401 => "Unauthorized",
            403 => "Forbidden",
            409 => "Conflict",
            410 => "Expired",
            422 => "Invalid",
            429 => "TooManyRequests",
            504 => "Timeout",
            _ => "InternalError",
        };
        Self::new(code, reason, "made to fail")
    }

    pub fn status(&self) -> Value {
        let (group, kind) = self.object.unwrap_or_default();
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": self.code, "reason": self.reason, "message": self.message,
            "details": {
                "group": group, "kind": kind, "causes": self.causes,
                "retryAfterSeconds": self.retry_after.unwrap_or(0),
            },
        })
    }

    /// The error event of a watch that started and then failed.
    pub fn event(&self) -> String {
        format!(r#"{{"type":"ERROR","object":{}}}"#, self.status())
    }
}
