//! Refusal: why a request is rejected, and the `Status` that says so, in the words of
//! kube-apiserver 1.37.

use serde_json::{Value, json};

use crate::collections::{plural_and_group, resource};

/// Why a request is rejected.
#[derive(Debug)]
pub struct Refusal {
    pub code: u16,
    reason: &'static str,
    message: String,
    pub retry_after: Option<u32>,
    causes: Vec<Value>,
    about: Option<Box<About>>,
}

/// What a refusal is about.
#[derive(Clone, Debug)]
pub struct About {
    group: String,
    /// The plural, or the kind.
    kind: String,
    name: String,
}

impl About {
    /// An object by its plural: `endpointslices.discovery.k8s.io "a"`.
    pub fn object(collection: &str, name: &str) -> Self {
        let (plural, group) = plural_and_group(collection);
        Self { group: group.to_owned(), kind: plural.to_owned(), name: name.to_owned() }
    }

    /// The same by its kind: `EndpointSlice.discovery.k8s.io "a"`.
    pub fn kind(collection: &str, name: &str) -> Self {
        let kind = resource(collection).kind.to_owned();
        Self { kind, ..Self::object(collection, name) }
    }

    fn text(&self) -> String {
        let Self { group, kind, name } = self;
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        format!("{kind}{group} \"{name}\"")
    }

    fn details(&self) -> Value {
        let mut details = json!({});
        for (field, text) in [("group", &self.group), ("kind", &self.kind), ("name", &self.name)] {
            if !text.is_empty() {
                details[field] = json!(text);
            }
        }
        details
    }
}

/// What is wrong with one field.
pub struct FieldProblem {
    pub field: String,
    /// The cause's reason, such as `FieldValueInvalid`.
    pub reason: &'static str,
    /// What is wrong, with the value.
    pub problem: String,
}

impl FieldProblem {
    /// The value is invalid.
    pub fn invalid(field: &str, value: &Value, problem: &str) -> Self {
        let (field, problem) = (field.to_owned(), format!("Invalid value: {value}: {problem}"));
        Self { field, reason: "FieldValueInvalid", problem }
    }

    fn cause(&self) -> Value {
        json!({ "reason": self.reason, "message": self.problem, "field": self.field })
    }
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: &str, about: Option<About>) -> Self {
        let message = message.to_owned();
        let about = about.map(Box::new);
        Self { code, reason, message, retry_after: None, causes: Vec::new(), about }
    }

    pub fn not_found(collection: &str, name: &str) -> Self {
        let about = About::object(collection, name);
        Self::new(404, "NotFound", &format!("{} not found", about.text()), Some(about))
    }

    /// The path belongs to no API.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource", None)
    }

    pub fn exists(collection: &str, name: &str) -> Self {
        let about = About::object(collection, name);
        Self::new(409, "AlreadyExists", &format!("{} already exists", about.text()), Some(about))
    }

    /// It exists, and the client has set `generateName` too, so it may try again.
    pub fn exists_as_generated(collection: &str, name: &str) -> Self {
        let mut refusal = Self::exists(collection, name);
        refusal.message += ", the server was not able to generate a unique name for the object";
        Self { retry_after: Some(1), ..refusal }
    }

    /// It exists for as long as a finalizer holds it.
    pub fn is_being_deleted(collection: &str, name: &str) -> Self {
        let mut refusal = Self::exists(collection, name);
        refusal.message = format!("object is being deleted: {}", refusal.message);
        refusal
    }

    fn conflict(about: About, message: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {}: {message}", about.text());
        Self::new(409, "Conflict", &message, Some(about))
    }

    /// A write of an old version.
    pub fn modified(collection: &str, name: &str) -> Self {
        Self::conflict(
            About::object(collection, name),
            "the object has been modified; please apply your changes to the latest version and try \
             again",
        )
    }

    /// A write for an object that had the same name.
    pub fn other_uid(collection: &str, name: &str, wanted: &str, found: &str) -> Self {
        let message = format!(
            "StorageError: invalid object, Precondition failed: UID in precondition: {wanted}, UID in \
             object meta: {found}"
        );
        Self::conflict(About::object(collection, name), &message)
    }

    /// A DELETE with another precondition: `what` is `UID` or `ResourceVersion`.
    pub fn precondition(
        collection: &str,
        name: &str,
        what: &str,
        (wanted, found): (&str, &str),
    ) -> Self {
        let consequence = match what {
            "UID" => "deleted and then recreated",
            _ => "modified",
        };
        let message = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). \
             The object might have been {consequence}"
        );
        Self::conflict(About::kind(collection, name), &message)
    }

    /// Rejected by validation.
    pub fn invalid(about: About, problems: &[FieldProblem]) -> Self {
        let text = |one: &FieldProblem| format!("{}: {}", one.field, one.problem);
        let text = match problems {
            [one] => text(one),
            all => format!("[{}]", all.iter().map(text).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("{} is invalid: {text}", about.text());
        let causes = problems.iter().map(FieldProblem::cause).collect();
        Self { causes, ..Self::new(422, "Invalid", &message, Some(about)) }
    }

    /// A JSON patch of which a test fails, or which names what is not there. The answer names no field.
    pub fn inapplicable() -> Self {
        Self::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
            None,
        )
    }

    /// A PUT without a version, which this kind does not allow.
    pub fn unversioned(collection: &str, name: &str) -> Self {
        let (field, problem) = ("metadata.resourceVersion", "must be specified for an update");
        let problem = FieldProblem::invalid(field, &json!(0), problem);
        Self::invalid(About::object(collection, name), &[problem])
    }

    pub fn no_name(collection: &str) -> Self {
        let problem = FieldProblem {
            field: "metadata.name".to_owned(),
            reason: "FieldValueRequired",
            problem: "Required value: name or generateName is required".to_owned(),
        };
        Self::invalid(About::kind(collection, ""), &[problem])
    }

    /// A list by stream with the wrong `resourceVersionMatch`.
    pub fn no_version_match() -> Self {
        let problem = FieldProblem {
            field: "resourceVersionMatch".to_owned(),
            reason: "FieldValueForbidden",
            problem: "Forbidden: sendInitialEvents requires setting resourceVersionMatch to \
                      NotOlderThan"
                .to_owned(),
        };
        let about = About {
            group: "meta.k8s.io".to_owned(),
            kind: "ListOptions".to_owned(),
            name: String::new(),
        };
        Self::invalid(about, &[problem])
    }

    /// One field of a slice that a fault names. An admission webhook may answer with any text, and
    /// only its message begins with its name.
    pub fn invalid_field(collection: &str, field: &str, value: &str, by_webhook: bool) -> Self {
        let problem = FieldProblem::invalid(field, &json!(value), "made to fail");
        let mut refusal = Self::invalid(About::kind(collection, "x"), &[problem]);
        if by_webhook {
            let message = refusal.message;
            refusal.message = format!("admission webhook \"w\" denied the request: {message}");
        }
        refusal
    }

    /// A PUT of an object under another name.
    pub fn misnamed(object: &str, url: &str) -> Self {
        let message =
            format!("the name of the object ({object}) does not match the name on the URL ({url})");
        Self::new(400, "BadRequest", &message, None)
    }

    /// A POST with a version.
    pub fn versioned() -> Self {
        Self::new(500, "", "resourceVersion should not be set on objects to be created", None)
    }

    /// The body is too large.
    pub fn too_large() -> Self {
        let message = "Request entity too large: limit is 3145728";
        Self::new(413, "RequestEntityTooLarge", message, None)
    }

    /// A watch from `version`, of which the server has forgotten what followed.
    pub fn gone(version: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {version} ({oldest})");
        Self::new(410, "Expired", &message, None)
    }

    pub fn too_many(seconds: u32) -> Self {
        let refusal = Self::new(429, "TooManyRequests", "come back later", None);
        Self { retry_after: Some(seconds), ..refusal }
    }

    pub fn namespace_terminating(collection: &str, namespace: &str, name: &str) -> Self {
        let about = About::object(collection, name);
        let message = format!(
            "{} is forbidden: unable to create new content in namespace {namespace} because it is \
             being terminated",
            about.text()
        );
        let cause = json!({
            "reason": "NamespaceTerminating", "field": "metadata.namespace",
            "message": format!("namespace {namespace} is being terminated"),
        });
        Self { causes: vec![cause], ..Self::new(403, "Forbidden", &message, Some(about)) }
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
        Self::new(code, reason, "made to fail", None)
    }

    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": self.code, "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        let mut details = self.about.as_ref().map_or_else(|| json!({}), |about| about.details());
        if !self.causes.is_empty() {
            details["causes"] = json!(self.causes);
        }
        if let Some(seconds) = self.retry_after {
            details["retryAfterSeconds"] = json!(seconds);
        }
        if details != json!({}) {
            status["details"] = details;
        }
        status
    }

    /// The error event of a watch that started and then failed.
    pub fn event(&self) -> String {
        format!(r#"{{"type":"ERROR","object":{}}}"#, self.status())
    }
}

/// The answer to a DELETE, for kinds that do not answer with the object.
pub fn deleted(collection: &str, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut details =
        About::object(collection, metadata["name"].as_str().unwrap_or_default()).details();
    details["uid"] = metadata["uid"].clone();
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details,
    })
}
